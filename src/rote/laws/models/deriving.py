"""Which part of a version number changes: what two versions were made of, held against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.laws.data import diff
from rote.laws.models import signatures
from rote.words.ids import SnapshotId

AUTO = "auto"
"""What stands for a part when the part is to be derived."""

INTERFACE, CODE, PARAMS, ENVIRONMENT, DATA, UNKNOWN = (
    "interface",
    "code",
    "params",
    "environment",
    "data",
    "unknown",
)
_PARTS = {INTERFACE: "major", CODE: "minor", PARAMS: "minor", ENVIRONMENT: "minor", UNKNOWN: "minor"}
_ORDER = (INTERFACE, CODE, PARAMS, ENVIRONMENT, UNKNOWN, DATA)


class Ingredients(msgspec.Struct, frozen=True, kw_only=True):
    """What a version was made of, and what it shows to the outside.

    `names` are the top names of its files; `params` those that the stages behind the files depend on, by file; `code`
    is what these stages read that is no data, path -> digest; `commands` stage -> command lines; `around` the lock
    files, images, variables and versions of Python that belong to stage keys; `keys` the keys of the stages, which
    cover all of this. `unknown` says what cannot be known.
    """

    names: frozenset[str] = frozenset()
    signature: Mapping[str, Any] = {}
    data: Mapping[str, SnapshotId] = {}
    params: Mapping[str, Mapping[str, Any]] = {}
    code: Mapping[str, str] = {}
    commands: Mapping[str, Sequence[str]] = {}
    around: Mapping[str, str] = {}
    keys: Mapping[str, str] = {}
    unknown: Sequence[str] = ()


class Change(msgspec.Struct, frozen=True):
    """One thing that differs: of which kind, and what in words."""

    kind: str
    text: str


def changes(old: Ingredients, new: Ingredients) -> list[Change]:
    """What differs, the weightiest first."""
    found = [Change(INTERFACE, text) for text in _interface(old, new)]
    if old.keys and old.keys == new.keys:
        return found  # then nothing else is another, whatever is still known of it
    found += [Change(CODE, text) for text in _mapping("the command of stage ", old.commands, new.commands)]
    found += [Change(CODE, text) for text in _mapping("", old.code, new.code)]
    for file, values in sorted(_by_file(old.params, new.params).items()):
        found += [Change(PARAMS, f"{file}: {_value(value)}") for value in values]
    found += [Change(ENVIRONMENT, text) for text in _mapping("", old.around, new.around)]
    found += [Change(DATA, text) for text in _mapping("the data in ", old.data, new.data)]
    found += [Change(UNKNOWN, text) for text in dict.fromkeys([*old.unknown, *new.unknown])]
    return sorted(found, key=lambda change: _ORDER.index(change.kind))


def part(found: Sequence[Change]) -> str:
    """Which part of the number these changes raise: major, if what goes in or comes out of the model is another; minor,
    if code, params or the environment are; patch, if only data is, or nothing that is known."""
    parts = {_PARTS.get(change.kind, "patch") for change in found}
    return next((name for name in ("major", "minor") if name in parts), "patch")


def reasons(found: Sequence[Change]) -> list[str]:
    """Why, in words: what decided first, at most ten of it."""
    if not found:
        return ["the files are others, although data, params and code are the same"]
    told = [change.text for change in found]
    return told if len(told) <= _TOLD else [*told[: _TOLD - 1], f"and {len(told) - _TOLD + 1} more"]


_TOLD = 10


def _interface(old: Ingredients, new: Ingredients) -> Iterator[str]:
    yield from signatures.changes(old.signature, new.signature)
    for name in sorted(old.names - new.names):
        if not any(path == name or path.startswith(name + "/") for path in old.signature):
            yield f"{name} is not among its files any more"


def _mapping(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if name not in new:
            yield f"{what}{name} is gone"
        elif name not in old:
            yield f"{what}{name} is new"
        elif old[name] != new[name]:
            yield f"{what}{name} changed"


def _by_file(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[diff.ValueChange]]:
    found: dict[str, list[diff.ValueChange]] = {}
    for change in diff.values(old, new):
        found.setdefault(change.file, []).append(change)
    return found


def _value(change: diff.ValueChange) -> str:
    return f"{change.key} was {_short(change.before)}, is {_short(change.after)}"


def _short(value: Any) -> str:
    if value is None:
        return "not there"
    text = "".join(c if c.isprintable() else " " for c in str(value))
    return text if len(text) <= 40 else text[:39] + "…"
