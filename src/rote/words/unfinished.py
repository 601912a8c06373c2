"""What the store remembers of stages that have no result yet: their checkpoints, and who computes them
(docs/format.md, 12)."""

from __future__ import annotations

import msgspec

from rote.words.ids import RunId, StageKey
from rote.words.result import Found
from rote.words.snapshot import SnapshotRef


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One checkpoint of a stage. `step` is what the stage called it; empty where it did not say."""

    snapshot: SnapshotRef
    step: str = ""
    made: str
    """When, UTC, ISO 8601."""
    run: RunId
    nonce: str
    """Random: two checkpoints of one content are two."""
    found: Found | None = None
    """What the stage had been found to read besides its deps; it goes on only where that is the same."""


class Checkpoints(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `checkpoints/<aa>/<stage key>`: the last checkpoints of a stage that has no result yet, newest first."""

    stage: str
    key: StageKey
    run: RunId
    """The run that took the newest."""
    by: str
    kept: list[Checkpoint]


HELD, FREE = "held", "free"


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The object `leases/<aa>/<slot>`: which run computes what is to be put there. It counts while that run lives."""

    format: int = 1
    key: StageKey
    stage: str
    state: str
    by: str
    run: RunId
    since: str
    """When it was taken, UTC, for people."""
    nonce: str = ""
    """Random for each write of the object, so that no two bodies are equal."""
