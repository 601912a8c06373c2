"""Where a project is: the nearest folder, from the present one upwards, with a `rote.yaml` or a `.rote`."""

from __future__ import annotations

import os

from rote.errors import NotAProject
from rote.ids import shown

FOLDER = ".rote"
"""Rote's own folder in a project: caches, logs, and the default store. Never in git."""


def find(start: str) -> str:
    """The project's root at or above `start`. Raises NotAProject."""
    here = os.path.abspath(start)
    while True:
        if os.path.isfile(os.path.join(here, "rote.yaml")) or os.path.isdir(os.path.join(here, FOLDER)):
            return here
        above = os.path.dirname(here)
        if above == here:
            raise NotAProject(
                f"there is no rote project at or above {shown(os.path.abspath(start), 300)}",
                next="go to your repository and type: rote init",
            )
        here = above
