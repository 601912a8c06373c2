"""For applications: the newest good version of a model, as verified local files.

model = Model("/srv/store", "digits", alias="prod", cache="cache")
session = load(model.path() / "model.onnx")
...
if model.refresh():                    # one small request when there is nothing new
    session = load(model.path() / "model.onnx")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rote.client.model import Model

if TYPE_CHECKING:
    from rote.client.watching import Watch

__all__ = ["Model", "Watch"]


def __getattr__(name: str) -> Any:
    if name == "Watch":
        # loaded on demand, so that `import rote.client` stays light
        from rote.client.watching import Watch

        return Watch
    raise AttributeError(f"module 'rote.client' has no attribute {name!r}")
