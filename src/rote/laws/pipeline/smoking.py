"""Smoke runs: what stages say they are content with -> the overrides and samples of one run, and what a sample is."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rote.errors import ConfigError
from rote.laws.pipeline.overriding import Override, changes, touch
from rote.words.encoding import canonical, digest_of
from rote.words.ids import shown
from rote.words.pipeline import At, Stage, Values

RECORDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".txt")
"""Suffixes of the files that a number of records can be taken of."""
SMOKE = "ROTE_SMOKE"
"""The variable that says to a stage that it is one of a smoke run."""
_QUOTING = (".csv", ".tsv")


def overrides(stages: Mapping[str, Stage]) -> list[tuple[Override, At]]:
    """The params of a smoke run, and who says so. Raises ConfigError if two stages disagree."""
    found: dict[str, tuple[Any, At]] = {}
    for stage in stages.values():
        if stage.smoke:
            for name, value in stage.smoke.params.items():
                _agreed(found, name, value, stage.smoke.at, "the param")
    return [(_override(name, value), at) for name, (value, at) in found.items()]


def _override(name: str, value: Any) -> Override:
    file, _, key = name.partition(":")
    return Override(file=file, key=key, value=value, text=name)


def samples(stages: Mapping[str, Stage]) -> dict[str, int | str]:
    """Which data a smoke run has less of. Raises ConfigError if two stages disagree."""
    found: dict[str, tuple[Any, At]] = {}
    for stage in stages.values():
        if stage.smoke:
            for path, wanted in stage.smoke.sample.items():
                _agreed(found, path, wanted, stage.smoke.at, "the sample of")
    return {path: wanted for path, (wanted, _) in found.items()}


def _agreed(found: dict[str, tuple[Any, At]], name: str, value: Any, at: At, what: str) -> None:
    known = found.setdefault(name, (value, at))
    if canonical(known[0]) != canonical(value):
        raise ConfigError(
            f"{what} {shown(name)} is another in {known[1]}; a smoke run has one for all stages",
            where=str(at),
            next="write the same in both",
        )


def check(stages: Mapping[str, Stage]) -> None:
    """Refuse samples of what a stage makes, and stages that disagree. Raises ConfigError."""
    overrides(stages)
    makers = {out.path: stage.name for stage in stages.values() for out in stage.outs}
    for path in samples(stages):
        for out, maker in makers.items():
            if _meet(path, out):
                at = next(s.smoke.at for s in stages.values() if s.smoke and path in s.smoke.sample)
                raise ConfigError(
                    f"{shown(path)} is made by the stage {maker}; a sample is taken of data that no stage makes",
                    where=str(at),
                    next=f"let {maker} make less: a sample of its deps, or other params",
                )


def _meet(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")


def joined(values: Values, stages: Mapping[str, Stage], typed: Sequence[Override]) -> list[Override]:
    """The overrides of a smoke run: its own, except where something was typed. Raises ConfigError."""
    taken = changes(values, typed)
    found = []
    for override, at in overrides(stages):
        try:
            [change] = changes(values, [override])
        except ConfigError as e:
            raise ConfigError(e.what, where=str(at), safe="nothing was changed", next=e.next) from e
        if not any(t.file == change.file and touch(t.place, change.place) for t in taken):
            found.append(override)
    return [*found, *typed]


# ---- what a sample is --------------------------------------------------------------------------------------------


def chosen(paths: Iterable[str], count: int) -> list[str]:
    """`count` of the files of a folder, sorted: from each of its folders in turn, in each in an order that has nothing
    to do with their names. A file more or less changes little of it."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folders.setdefault(posixpath.dirname(path), []).append(path)
    for names in folders.values():
        names.sort(key=lambda path: digest_of(path.encode("utf-8", "surrogateescape")), reverse=True)
    found: list[str] = []
    waiting = [folders[name] for name in sorted(folders)]
    while waiting and len(found) < count:
        found += [names.pop() for names in waiting[: count - len(found)]]
        waiting = [names for names in waiting if names]
    return sorted(found)


def records(lines: Iterable[bytes], count: int, name: str) -> Iterator[bytes]:
    """The first `count` records of a file that is given line by line; with the head of a table besides. In a table a
    record may have line feeds in quotes."""
    left = count + 1 if name.lower().endswith(_QUOTING) else count
    quoted = False
    for line in lines:
        if left <= 0:
            return
        yield line
        if name.lower().endswith(_QUOTING) and line.count(b'"') % 2:
            quoted = not quoted
        if not quoted:
            left -= 1
