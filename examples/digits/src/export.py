"""build/weights.npz -> build/model.onnx: input `image` (n, 64) in [0, 1], output `probability` (n, 10)."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def main() -> None:
    weights = np.load("build/weights.npz")
    tensors = [numpy_helper.from_array(weights[k].astype(np.float32), k) for k in ("w1", "b1", "w2", "b2")]
    nodes = [
        helper.make_node("Gemm", ["image", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["logit"]),
        helper.make_node("Softmax", ["logit"], ["probability"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])
    probability = helper.make_tensor_value_info(
        "probability", TensorProto.FLOAT, ["n", len(weights["classes"])]
    )
    graph = helper.make_graph(nodes, "digits", [image], [probability], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, "build/model.onnx")


if __name__ == "__main__":
    main()
