"""Two stores side by side: which roots a selection means, and what a root here is to the root there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from rote.errors import UsageError
from rote.words.channel import AliasMove
from rote.words.ids import RunId, name, nearest, shown
from rote.words.snapshot import SnapshotRef

KINDS = ("runs", "results", "data", "models")
"""What can be copied, in the order in which it is: who reads the target meanwhile finds what a root speaks of."""
EVERYTHING = "everything"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What of a store is meant. Empty means nothing."""

    prefixes: tuple[str, ...] = ()
    """Roots below these keys, in the order of KINDS."""
    runs: frozenset[RunId] | None = None
    """Of the runs only these; None: all."""
    paths: frozenset[str] = frozenset()
    """Also what was ever added at these data paths."""


def is_kind(word: str) -> bool:
    """Whether a word of a selection names roots by what they are: `everything`, `data`, `runs`, `results`, `models`,
    `models/NAME`. Any other is a data path."""
    return word == EVERYTHING or word in KINDS or word.startswith("models/")


def select(
    words: Sequence[str], runs: Collection[RunId] | None = None, paths: Collection[str] = ()
) -> Selection:
    """What `words` and data `paths` mean; none at all: everything. A word that is no kind (`is_kind`) is a path, too.
    With `runs`, of the runs only those. Raises UsageError, BadName."""
    prefixes: set[str] = set()
    every = set(paths)
    for word in words or (() if every else (EVERYTHING,)):
        if word == EVERYTHING:
            prefixes.update(f"{kind}/" for kind in KINDS)
        elif word in KINDS:
            prefixes.add(f"{word}/")
        elif is_kind(word):
            prefixes.add(f"models/{name(word.partition('/')[2], 'model name')}/")
        elif word.strip():
            every.add(word)
        else:
            raise UsageError("an empty word selects nothing", next="rote copy --help")
    if runs is not None and "runs/" not in prefixes:
        raise UsageError("a condition on runs selects nothing without runs", next="rote copy runs --where …")
    ordered = sorted(prefixes, key=lambda p: (KINDS.index(p.partition("/")[0]), p))
    return Selection(
        prefixes=tuple(p for p in ordered if p.count("/") == 1 or "models/" not in prefixes),
        runs=None if runs is None else frozenset(runs),
        paths=frozenset(every),
    )


def misspelt(word: str) -> str | None:
    """The kind that a data path which nobody knows was probably meant to be."""
    return nearest(word, [*KINDS, EVERYTHING])


class Verdict(Enum):
    """What a root here is to what is in force under its key there."""

    SAME = "same"
    SEND = "send"
    CONFLICT = "conflict"


class Judged(msgspec.Struct, frozen=True):
    """`why` tells of a conflict. `merged` is what is to lie there instead of the body here, where that is another."""

    verdict: Verdict
    why: str = ""
    merged: dict[str, Any] | None = None


_SAME = Judged(Verdict.SAME)
_SEND = Judged(Verdict.SEND)


def judge(key: str, here: Mapping[str, Any], there: Mapping[str, Any] | None) -> Judged:
    """Hold the body of the root `key` here against the one in force there (None: none is)."""
    if there is None:
        return _SEND
    match key.partition("/")[0]:
        case "data":
            return _SAME
        case "results":
            if _ids(here.get("outs")) == _ids(there.get("outs")):
                return _SAME
            return Judged(
                Verdict.CONFLICT,
                f"stage {here.get('stage')} left other outs there (run {there.get('run')}) "
                f"than here (run {here.get('run')})",
            )
        case "runs":
            return _judge_run(here, there)
    if here.get("snapshot", {}).get("id") == there.get("snapshot", {}).get("id"):
        return _SAME
    return Judged(Verdict.CONFLICT, "this version has other files there")


def _judge_run(here: Mapping[str, Any], there: Mapping[str, Any]) -> Judged:
    if here.get("state") == "running":
        return _SAME  # it is as far there, or farther
    if there.get("state") == "running":
        return _SEND
    if _but_tags(here) != _but_tags(there):
        return Judged(Verdict.CONFLICT, "this run has another record there")
    mine, theirs = here.get("tags") or {}, there.get("tags") or {}
    other = [tag for tag in mine if tag in theirs and theirs[tag] != mine[tag]]
    if other:
        tag = min(other)
        return Judged(
            Verdict.CONFLICT,
            f"its tag {tag} is {shown(str(mine[tag]))} here and {shown(str(theirs[tag]))} there",
        )
    if mine.keys() <= theirs.keys():
        return _SAME
    return Judged(Verdict.SEND, merged={**there, "tags": {**theirs, **mine}})


def _but_tags(body: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in body.items() if key not in ("tags", "stages")}
    kept["stages"] = [
        {**stage, "outs": _ids(stage.get("outs"))}
        for stage in body.get("stages") or ()
        if isinstance(stage, dict)
    ]
    return kept


def _ids(outs: Any) -> dict[str, str]:
    return {path: ref.get("id", "") for path, ref in (outs or {}).items() if isinstance(ref, dict)}


def relocated(
    key: str, body: Mapping[str, Any], where: Mapping[tuple[str, str], SnapshotRef]
) -> dict[str, Any]:
    """The body of a root with every reference to a snapshot by (id, txn) in `where` replaced by the one there.
    What it does not know stays as it is."""
    moved: dict[str, Any] = msgspec.to_builtins(dict(body))  # a copy, all the way down
    match key.partition("/")[0]:
        case "results":
            _relocate(moved.get("outs"), where)
        case "runs":
            for stage in moved.get("stages") or ():
                _relocate(stage.get("outs"), where)
        case "models":
            _relocate(moved, where, ("snapshot",))
        case "checkpoints":
            for checkpoint in moved.get("kept") or ():
                _relocate(checkpoint, where, ("snapshot",))
    return moved


def _relocate(
    holder: Any, where: Mapping[tuple[str, str], SnapshotRef], names: Collection[str] | None = None
) -> None:
    if not isinstance(holder, dict):
        return
    for path in names or list(holder):
        ref = holder.get(path)
        if isinstance(ref, dict):
            found = where.get((ref.get("id", ""), ref.get("txn", "")))
            if found is not None:
                holder[path] = {**ref, "txn": found.txn}


class Standing(Enum):
    """Where an alias there stands, seen from here."""

    EQUAL = "equal"
    BEHIND = "behind"
    AHEAD = "ahead"
    APART = "apart"


def standing(here: Sequence[AliasMove], there: Sequence[AliasMove]) -> Standing:
    """Hold two whole histories of one alias, newest move first, against each other."""
    if len(there) <= len(here) and list(here[len(here) - len(there) :]) == list(there):
        return Standing.EQUAL if len(here) == len(there) else Standing.BEHIND
    if list(there[len(there) - len(here) :]) == list(here):
        return Standing.AHEAD
    return Standing.APART
