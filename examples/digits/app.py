"""An application: classifies an image with the newest good model that was published, and keeps itself on it."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

from rote.client import Model

model = Model("public", "digits", alias="prod", cache=".app-cache")
model.refresh()
session = onnxruntime.InferenceSession(model.path() / "model.onnx", providers=["CPUExecutionProvider"])
image = np.asarray(Image.open(sys.argv[1]), dtype=np.float32).reshape(1, 64) / 255
(probability,) = session.run(["probability"], {"image": image})
print(f"{sys.argv[1]} shows a {probability.argmax()}, says digits {model.version}")
