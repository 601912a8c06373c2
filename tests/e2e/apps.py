"""A model that is published, for applications to follow: small ONNX files whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from place import Place

PIPELINE = """\
stages:
  export:
    cmd: mkdir -p build && cp source.onnx build/model.onnx
    deps: [source.onnx]
    outs: [build/model.onnx]
models:
  digits:
    files: [build/model.onnx]
    publish: [public]
"""


def model(weights: np.ndarray, bias: np.ndarray) -> bytes:
    """image (n, 64) -> probability (n, 10)."""
    tensors = [
        numpy_helper.from_array(weights.astype(np.float32), "w"),
        numpy_helper.from_array(bias.astype(np.float32), "b"),
    ]
    nodes = [
        helper.make_node("Gemm", ["image", "w", "b"], ["logit"]),
        helper.make_node("Softmax", ["logit"], ["probability"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])
    answer = helper.make_tensor_value_info("probability", TensorProto.FLOAT, ["n", len(bias)])
    graph = helper.make_graph(nodes, "digits", [image], [answer], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return made.SerializeToString()


def always(digit: int) -> bytes:
    """A model that always says `digit`."""
    bias = np.zeros(10)
    bias[digit] = 9
    return model(np.zeros((64, 10)), bias)


def seeded(seed: int) -> bytes:
    """A model whose answer depends on every pixel."""
    chance = np.random.default_rng(seed)
    return model(chance.normal(size=(64, 10)), chance.normal(size=10))


def broken() -> bytes:
    """A model that is valid, and answers with eleven probabilities."""
    return model(np.zeros((64, 11)), np.zeros(11))


class Published:
    """A project whose model is published into the folder `public`."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.folder: Path = place.root / "public"
        place.write("rote.yaml", PIPELINE)
        place.write(".gitignore", "build/\npublic/\nsource.onnx\n")
        place.commit()

    def release(self, version: str, content: bytes) -> None:
        """Release a version, and let prod name it."""
        self.place.write("source.onnx", content)
        self.place.rote("run")
        self.place.rote("release", "digits", "--version", version)
        self.promote(version)

    def promote(self, version: str) -> None:
        self.place.rote("promote", f"digits@{version}", "prod")

    def rollback(self) -> None:
        self.place.rote("rollback", "digits")
