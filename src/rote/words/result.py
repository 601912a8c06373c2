"""What a finished stage left (docs/format.md, 7): the body of a result."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import Digest, RunId, SnapshotId, StageKey
from rote.words.snapshot import SnapshotRef


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A folder whose names were read: `names` without those in `besides`; None if there is no folder."""

    besides: list[str] = []
    names: list[str] | None = None


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """A folder in which Python looked for the modules `sought`: entries of it that could be one of them."""

    sought: list[str] = []
    there: list[str] = []


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage was seen to read besides its deps: questions about the project's files, and the answers. See
    docs/format.md, 7.4. Lists are sorted."""

    files: dict[str, Digest | None] = {}
    folders: dict[str, Listed] = {}
    modules: dict[str, Sought] = {}

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.modules)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `results/<aa>/<stage-key>`: what a finished stage left."""

    stage: str
    key: StageKey
    outs: dict[str, SnapshotRef]
    """Path relative to the project's root -> snapshot."""
    beside: dict[str, SnapshotId] = {}
    """Outs that the store does not keep -> what they were."""
    metrics: dict[str, Any] = {}
    """Out path -> decoded content of each metrics file."""
    run: RunId
    seconds: float
    made: str
    """When, UTC, ISO 8601."""
    found: Found | None = None
    """What the command was seen to read besides what the key is made of."""
    inputs: dict[str, Any] = {}
    """What the key was made of, for `rote why`: see stagekey.Inputs."""
