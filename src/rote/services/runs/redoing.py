"""A stage that was done again: what it left beside what the result says that it left before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rote.errors import RoteError
from rote.services.data.data import HERE, Data
from rote.services.runs.stagework import Done
from rote.words.result import Result
from rote.words.run import Compared, Differing
from rote.words.snapshot import FILE

MOST = 20
"""So many differences are recorded."""


def compared(data: Data, result: Result, left: Done) -> Compared:
    """How what a stage has just left in the working tree of `data` compares with a result of it."""
    found = differences(data, result, left)
    return Compared(run=result.run, differing=len(found), first=found[:MOST])


def differences(data: Data, result: Result, left: Done) -> list[Differing]:
    """Every file and every metric that is another now."""
    return [*_outs(data, result, left), *_metrics(result.metrics, left.metrics)]


def told(one: Differing) -> str:
    """A difference in words."""
    values = "" if one.was is None and one.now is None else f": {one.was} -> {one.now}"
    return f"{one.name} differs{values}"


def _outs(data: Data, result: Result, left: Done) -> Iterable[Differing]:
    for path, ref in result.outs.items():
        if left.ids.get(path) != ref.id:
            try:
                changed = data.changes(path, ref, HERE).changes()
            except (
                RoteError
            ):  # the former out is no longer whole in the store, or the new one is a file or folder too much
                changed = []
            names = [path if change.path == FILE else f"{path}/{change.path}" for change in changed]
            yield from (Differing(name=name) for name in names or [path])
    yield from (Differing(name=path) for path, id in result.beside.items() if left.ids.get(path) != id)


def _metrics(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[Differing]:
    old, new = dict(_flat(was)), dict(_flat(now))
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield Differing(name=name, was=old.get(name), now=new.get(name))


def _flat(values: Mapping[str, Any], above: str = "", joint: str = ":") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, name + joint, ".")
        else:
            yield name, value
