"""Where a project is: the nearest folder, upwards from the present one, with a `.rote`, a `rote.yaml`, or a `.dvc`."""

from __future__ import annotations

import os

from rote.errors import NotAProject
from rote.words.ids import shown

FILE = "rote.yaml"
FOLDER = ".rote"
"""Rote's own folder in a project: caches, logs, and the default store. Never in git."""


def find(start: str) -> str:
    """The project's root at or above `start`. A `rote.yaml` that belongs to a pipeline above makes no project of its
    own. Raises NotAProject."""
    here = os.path.abspath(start)
    while True:
        if os.path.isdir(os.path.join(here, FOLDER)) or os.path.isdir(os.path.join(here, ".dvc")):
            return here
        if os.path.isfile(os.path.join(here, FILE)):
            return _above(here) or here
        above = os.path.dirname(here)
        if above == here:
            raise NotAProject(
                f"there is no rote project at or above {shown(os.path.abspath(start), 300)}",
                next="go to your repository and type: rote init",
            )
        here = above


def _above(folder: str) -> str | None:
    """The project above whose rote.yaml names the one in `folder` under `pipelines`, if there is one."""
    above = os.path.dirname(folder)
    while above != os.path.dirname(above):
        if os.path.isfile(os.path.join(above, FILE)):
            from rote.wiring.config import load  # only a project in a folder below another one costs this

            file = f"{os.path.relpath(folder, above).replace(os.sep, '/')}/{FILE}"
            with open(os.path.join(above, FILE), "rb") as text:
                mentioned = b"pipelines" in text.read()
            if mentioned and file in load(above).files:
                return above
        if os.path.isdir(os.path.join(above, ".git")):
            return None
        above = os.path.dirname(above)
    return None
