"""What a gate decided, and what that rests on."""

from __future__ import annotations

import msgspec


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a verdict rests on: the version it was held `against` (`evaluated`: `again`, as the run was, or `recorded`);
    of a statistical test the method, how many examples, on how many of them the run is better or worse, and the
    p-value, or the lower bound of the gain."""

    against: str = ""
    evaluated: str = ""
    method: str = ""
    confidence: float | None = None
    examples: int | None = None
    better: int | None = None
    worse: int | None = None
    p: float | None = None
    low: float | None = None


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate decided: the text as written, the value found, the threshold it was held against; if these are
    `bytes` or `seconds`, `unit` says so. Of a statistical test they are the scores of both."""

    gate: str
    value: float | None
    threshold: float | None
    passed: bool
    why: str = ""
    evidence: Evidence | msgspec.UnsetType = msgspec.UNSET
    unit: str | msgspec.UnsetType = msgspec.UNSET
