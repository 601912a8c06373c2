"""build/model.onnx on the test images -> metrics.json and build/predictions.csv, with the runtime that the application
uses."""

import csv
import json

import numpy as np
import onnxruntime


def main() -> None:
    data = np.load("build/dataset.npz")
    session = onnxruntime.InferenceSession("build/model.onnx", providers=["CPUExecutionProvider"])
    (probability,) = session.run(["probability"], {"image": data["test_x"]})
    answer = probability.argmax(axis=1)
    right = answer == data["test_y"]
    with open("build/predictions.csv", "w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "label", "prediction"])
        writer.writerows(zip(data["test_name"], data["test_y"], answer, strict=True))
    recall = {str(digit): round(float(right[data["test_y"] == digit].mean()), 4) for digit in range(10)}
    metrics = {
        "accuracy": round(float(right.mean()), 4),
        "worst_recall": min(recall.values()),
        "recall": recall,
    }
    with open("metrics.json", "w") as out:
        json.dump(metrics, out, indent=2)
    print(f"accuracy {metrics['accuracy']} on {len(right)} images")


if __name__ == "__main__":
    main()
