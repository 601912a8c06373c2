"""What DVC remembers of data and of stages, in words of its own files: md5 sums, pins, and what a stage left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rote.errors import Corrupt, Missing, RoteError, StoreError
from rote.words.pipeline import At

DIR = ".dir"


class Mark(msgspec.Struct, frozen=True):
    """Content by its sum: the md5 of a file, or of a folder's manifest with `.dir` behind it. `legacy`: as DVC 2 had
    it, the line ends of text taken as Unix has them, and kept where DVC 2 kept it."""

    md5: str
    legacy: bool = False
    executable: bool = False

    @property
    def folder(self) -> bool:
        """Whether this is the sum of a folder."""
        return self.md5.endswith(DIR)


class Pinned(msgspec.Struct, frozen=True, kw_only=True):
    """Data that a `.dvc` file pins: its path from the project's root, and for people how many files and bytes."""

    path: str
    mark: Mark
    files: int
    size: int
    remote: str | None = None
    at: At


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage left, and of what. Paths are from the project's root."""

    cmd: tuple[str, ...]
    deps: Mapping[str, Mark]
    params: Mapping[str, Mapping[str, Any]]
    """Params file -> key -> value; of a whole file, its top keys."""
    outs: Mapping[str, Mark]
    at: At


def trouble(error: RoteError) -> str:
    """Why a result that DVC knows could not be taken, in words."""
    lost = isinstance(error, Missing | Corrupt | StoreError)
    return f"DVC knows its result, but {'its outs cannot be brought' if lost else 'it cannot be taken'}: {error.what}"


def why(made: Made) -> str:
    """Where a result that DVC knows stands, in words."""
    return f"made by DVC ({made.at})"
