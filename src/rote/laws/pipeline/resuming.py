"""Going on with a run: with the params it had, whatever the files say now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rote.words.pipeline import Values

_GONE = object()


class Apart(msgspec.Struct, frozen=True):
    """How params files differ from those of a run: overrides that bring the run's values back, and keys (`FILE:KEY`)
    whose values cannot be brought back."""

    overrides: list[str]
    lost: list[str]


def apart(then: Values, now: Values, hidden: str) -> Apart:
    """Hold the params files of a run against those of now. A value of the run in which `hidden` stands was a secret,
    and is not known any more."""
    overrides, lost = [], []
    for file in sorted({*then, *now}):
        old, new = dict(_leaves(then.get(file, {}))), dict(_leaves(now.get(file, {})))
        for key in sorted({*old, *new}):
            was, here = old.get(key, _GONE), new.get(key, _GONE)
            if was == here and type(was) is type(here):
                continue
            if was is _GONE or here is _GONE:
                lost.append(f"{file}:{key}")
            elif hidden in str(was):
                continue  # the same secret, most likely: the stage key tells
            else:
                overrides.append(f"{file}:{key}={msgspec.json.encode(was).decode()}")
    return Apart(overrides, lost)


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; lists count as values."""
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, name)
        else:
            yield name, value
