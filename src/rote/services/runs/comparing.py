"""Runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import UsageError
from rote.words.ids import RunId
from rote.words.run import Run


class Row(msgspec.Struct, frozen=True):
    """One thing that runs have: `key` names it as the query language does, `values` has one value for each run (None:
    it has none)."""

    key: str
    values: list[Any]
    equal: bool


class Comparison(msgspec.Struct, frozen=True):
    """What several runs have, in the order they were named."""

    runs: list[RunId]
    rows: list[Row]


def compare(runs: Sequence[Run], *, equal: bool = False) -> Comparison:
    """What differs between runs: how they went, commit, params, metrics, outcomes and outs of stages, machine and
    packages. With `equal` also what does not. Raises UsageError without a run."""
    if not runs:
        raise UsageError("name the runs to compare", next="rote runs")
    columns = [dict(_facts(run)) for run in runs]
    keys: dict[str, None] = {}
    for column in columns:
        keys.update(dict.fromkeys(column))
    rows = []
    for key in sorted(keys, key=_place):
        values = [column.get(key) for column in columns]
        same = all(_same(value, values[0]) for value in values)
        if equal or not same:
            rows.append(Row(key, values, same))
    return Comparison([run.id for run in runs], rows)


_GROUPS = ("", "tags", "params", "metrics", "stages", "outs", "host", "packages")


def _place(key: str) -> int:
    """Groups in their order; inside a group the order in which the runs have them (sorting is stable)."""
    group = key.partition(".")[0]
    return _GROUPS.index(group) if group in _GROUPS[1:] else 0


def _same(a: Any, b: Any) -> bool:
    # 1 and True are equal to Python, but not to a reader
    return (type(a) is type(b) and bool(a == b)) or (_is_number(a) and _is_number(b) and a == b)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _facts(run: Run) -> Iterator[tuple[str, Any]]:
    yield "state", run.state
    yield "seconds", run.seconds
    yield "by", run.by
    yield "command", run.command
    yield "commit", run.commit.id
    yield "branch", run.commit.branch
    yield "dirty", run.commit.dirty
    if run.smoke:
        yield "smoke", True
    if run.error:
        yield "error", run.error
    for tag, text in sorted(run.tags.items()):
        yield f"tags.{tag}", text
    yield from _files("params", run.params)
    yield from _files("metrics", run.metrics)
    for stage in run.stages:
        yield f"stages.{stage.stage}", stage.outcome
    for stage in run.stages:
        for path, ref in sorted(stage.outs.items()):
            yield f"outs.{path}", ref.id[:12]
    if run.host:
        yield "host.name", run.host.name
        yield "host.system", run.host.system
        yield "host.machine", run.host.machine
        yield "host.cpus", run.host.cpus
        yield "host.python", run.host.python
        for package, version in sorted(run.host.packages.items()):
            yield f"packages.{package}", version


def _files(group: str, files: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Dotted keys; a key that stands in several files is told with its file."""
    found = [(file, key, value) for file, content in sorted(files.items()) for key, value in _leaves(content)]
    count: dict[str, int] = {}
    for _, key, _ in found:
        count[key] = count.get(key, 0) + 1
    for file, key, value in found:
        yield (f"{group}.{file}:{key}" if count[key] > 1 or not key else f"{group}.{key}"), value


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping) and tree:
        for key, inner in tree.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree
