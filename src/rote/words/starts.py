"""What stages with a warm start began from (docs/format.md, 12.4)."""

from __future__ import annotations

import msgspec

from rote.words.ids import RunId, StageKey
from rote.words.snapshot import SnapshotRef


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What one `model:` or `previous` dep was. Without a snapshot there was nothing to begin from. `of` is the
    version of the model, or the run that made the earlier result."""

    snapshot: SnapshotRef | None = None
    of: str = ""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a stage began: `base` is its key without its starts, `result` where its result is to be found."""

    base: StageKey
    result: StageKey
    run: RunId
    commit: str = ""
    starts: dict[str, Start]
    """The dep as written (`model:NAME@REF`, `previous:PATH`) -> what it was."""


class Starts(msgspec.Struct, frozen=True, kw_only=True):
    """The object `starts/<aa>/<id>`: how one stage of one project began, newest first."""

    format: int = 1
    stage: str
    begun: list[Begun] = []
    nonce: str = ""
