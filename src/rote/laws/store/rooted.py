"""Which keys are roots, and what a root is to a person: what it keeps, and how to save that again."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import SnapshotId

PREFIXES = ("checkpoints/", "data/", "results/", "runs/", "models/")
"""Where roots lie."""


class Rooted(msgspec.Struct, frozen=True):
    """A root as a person knows it: `name` (`data images`, `result of stage train`), and the command that saves what
    it keeps again."""

    name: str
    repair: str


def is_root(key: str) -> bool:
    """Whether the object under `key` is a root: an envelope that names the snapshots it needs."""
    names = key.split("/")
    match names[0]:
        case "data" | "results" | "checkpoints":
            return len(names) == 3
        case "runs":
            return len(names) == 3 and names[2] == "record"
        case "models":
            return len(names) == 4 and names[2] == "versions"
    return False


def rooted(key: str, body: dict[str, Any], snapshot: SnapshotId) -> Rooted:
    """What the root `key` with this body is, and how `snapshot`, which it needs, is saved again."""
    names = key.split("/")
    match names[0]:
        case "data":
            return Rooted(f"data {body.get('path')}", f"rote add --force {body.get('path')}")
        case "results":
            return Rooted(f"result of stage {body.get('stage')}", f"rote run --force {body.get('stage')}")
        case "checkpoints":
            stage = body.get("stage")
            return Rooted(
                f"checkpoints of stage {stage}", f"rote run {stage} (it starts from an older one, or anew)"
            )
        case "runs":
            stages = [s["stage"] for s in body.get("stages", ()) if _holds(s.get("outs"), snapshot)]
            return Rooted(f"run {names[1]}", " ".join(["rote run --force", *stages]))
    if names[2] == "aliases":
        return Rooted(f"alias {names[1]}@{names[-1]}", f"rote promote {names[1]}@VERSION {names[-1]}")
    return Rooted(
        f"version {names[1]}@{names[-1]}",
        f"rote run --force, then rote release {names[1]} --bump patch (a version itself never changes)",
    )


def _holds(outs: dict[str, Any] | None, snapshot: SnapshotId) -> bool:
    return any(ref.get("id") == snapshot for ref in (outs or {}).values())
