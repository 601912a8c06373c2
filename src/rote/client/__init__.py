"""For applications: the newest good version of a model, as verified local files.

model = Model("/srv/store", "digits", alias="prod", cache="cache")
session = load(model.path() / "model.onnx")
...
if model.refresh():                    # one small request when there is nothing new
    session = load(model.path() / "model.onnx")
"""

from __future__ import annotations

from rote.client.model import Model
from rote.client.watching import Watch

__all__ = ["Model", "Watch"]
