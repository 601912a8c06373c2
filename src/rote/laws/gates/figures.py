"""What gates hold against each other: the figures of a run, and those of a version."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from rote.laws.gates.gatewords import stars
from rote.laws.gates.predictions import Predictions
from rote.words.ids import nearest, shown

AGAIN, RECORDED = "again", "recorded"


class Undecided(Exception):
    """The gate cannot be decided, and so fails; the text says why."""


class Baseline(msgspec.Struct, frozen=True):
    """Who holds an alias, or had the best figure: the version, and its metrics (metrics file -> content)."""

    version: str
    metrics: Mapping[str, Any]
    recorded: Mapping[str, Any] = {}
    """Metrics it was released with, for what `metrics` does not have."""
    sizes: Mapping[str, int] = {}
    """Path of each of its files -> bytes."""
    seconds: Sequence[float] = ()
    """How long calls took."""
    predictions: Predictions | None = None
    evaluated: str = ""
    """`again`: evaluated for this comparison, as the run was. `recorded`: as released, whatever it was measured on."""
    problem: str = ""
    """Why it could not be evaluated as the run was, and so cannot be compared."""
    no_predictions: str = ""
    """Why there are no predictions."""
    no_seconds: str = ""
    """Why nothing is known of its latency."""


class Figures:
    """The figures of one side: `whose` names it in errors."""

    def __init__(self, of: Baseline, whose: str) -> None:
        self.of = of
        self.whose = whose
        self._found = _flat(of.metrics)
        self._recorded = _flat(of.recorded)

    def has(self, name: str) -> bool:
        """Whether there is a metric of this name."""
        return bool(self._values(name))

    def number(self, name: str) -> Decimal:
        """The metric's value. Raises Undecided if there is none, or files differ."""
        by_file = self._values(name)
        if not by_file:
            near = nearest(name, [".".join(key) for key in self._found])
            hint = f"; is it {near}?" if near else "" if self._found else ", nor any other"
            raise Undecided(f"{self.whose} has no metric {shown(name)}{hint}")
        if len(set(by_file.values())) > 1:
            raise Undecided(
                f"{self.whose} has the metric {name} with different values in {', '.join(by_file)}; "
                f"write '{next(iter(by_file))}:{name}' in quotes"
            )
        value = next(iter(by_file.values()))
        if not value.is_finite():
            raise Undecided(f"the metric {name} of {self.whose} is not a finite number")
        return value

    def bindings(self, name: str) -> list[tuple[str, ...]]:
        """What the `*` of a name stand for, in order: one tuple for each metric that it fits."""
        file, parts = split(name)
        found: dict[tuple[str, ...], None] = {}
        for key, by_file in {**self._recorded, **self._found}.items():
            if len(key) == len(parts) and (not file or file in by_file):
                bound = fits(parts, key)
                if bound is not None:
                    found[bound] = None
        return sorted(found)

    def size(self, path: str) -> Decimal:
        """Bytes of a file or folder, or of all files. Raises Undecided if there is none."""
        sizes = [size for name, size in self.of.sizes.items() if not path or name == path or _in(name, path)]
        if not sizes:
            near = nearest(path, list(self.of.sizes))
            raise Undecided(f"{self.whose} has no file {shown(path)}" + (f"; is it {near}?" if near else ""))
        return Decimal(sum(sizes))

    def latency(self, share: str) -> Decimal:
        """Seconds that a call takes: the share of all calls. Raises Undecided."""
        taken = sorted(self.of.seconds)
        if not taken:
            raise Undecided(self.of.no_seconds or f"the latency of {self.whose} was not measured")
        if share == "mean":
            return Decimal(repr(sum(taken) / len(taken)))
        rank = len(taken) if share == "max" else math.ceil(int(share[1:]) / 100 * len(taken))
        return Decimal(repr(taken[max(rank, 1) - 1]))

    def _values(self, name: str) -> dict[str, Decimal]:
        file, parts = split(name)
        key = tuple(parts)
        by_file = self._found.get(key) or self._recorded.get(key, {})
        return {f: n for f, n in by_file.items() if not file or f == file}


def files_of(name: str, metrics: Mapping[str, Any]) -> Iterator[str]:
    """The metrics files in which a metric of this name is (a `*` stands for any part)."""
    file, parts = split(name)
    for key, by_file in _flat(metrics).items():
        if fits(parts, key) is not None:
            yield from (f for f in by_file if not file or f == file)


def split(name: str) -> tuple[str, list[str]]:
    """The file of a metric's name, if it is named, and its parts."""
    file, _, key = name.rpartition(":")
    return file, key.split(".")


def bound(name: str, binding: Sequence[str]) -> str:
    """The name with what its `*` stand for."""
    if not stars(name):
        return name
    file, parts = split(name)
    values = iter(binding)
    key = ".".join(next(values) if part == "*" else part for part in parts)
    return f"{file}:{key}" if file else key


def fits(parts: Sequence[str], key: Sequence[str]) -> tuple[str, ...] | None:
    """What the `*` among the parts stand for if they fit the key; None if they do not."""
    if len(parts) != len(key) or any(p not in ("*", k) for p, k in zip(parts, key, strict=True)):
        return None
    return tuple(k for p, k in zip(parts, key, strict=True) if p == "*")


def _flat(files: Mapping[str, Any]) -> dict[tuple[str, ...], dict[str, Decimal]]:
    found: dict[tuple[str, ...], dict[str, Decimal]] = {}

    def flatten(file: str, value: Any, key: tuple[str, ...]) -> None:
        if isinstance(value, Mapping):
            for inner, below in value.items():
                flatten(file, below, (*key, *str(inner).split(".")))
        elif isinstance(value, int | float) and key:
            number = Decimal(int(value)) if isinstance(value, int) else Decimal(repr(value))
            found.setdefault(key, {})[file] = number

    for file in sorted(files):
        flatten(file, files[file], ())
    return found


def _in(path: str, folder: str) -> bool:
    return path.startswith(folder + "/")
