"""Params: finding a value by its dotted key, and putting others in its place (`-S train.lr=0.1`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import ConfigError, UsageError
from rote.words.ids import nearest, shown
from rote.words.pipeline import Values

Place = tuple[str | int, ...]
"""Where a value stands in a decoded file: keys of mappings and indexes of lists."""

DEFAULT_FILE = "params.yaml"


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One `-S`: `file` is None where none was named. `text` is what was typed."""

    file: str | None
    key: str
    value: Any
    text: str


class Change(msgspec.Struct, frozen=True):
    """An override that has found its place: in this file, here, this value."""

    file: str
    place: Place
    value: Any


def parse(text: str, decode: Callable[[str], Any]) -> Override:
    """Parse `key=value` or `file:key=value`; `decode` reads the value. Raises UsageError, and what `decode` raises."""
    left, equals, right = text.partition("=")
    file, colon, key = left.rpartition(":")
    key, file = key.strip(), file.strip()
    if not equals or not key or (colon and not file):
        raise UsageError(
            f"cannot read the override {shown(text)}: expected KEY=VALUE or FILE:KEY=VALUE",
            where="-S",
            next="for example: rote run -S train.lr=0.1, or -S params/other.yaml:train.lr=0.1",
        )
    return Override(file=file or None, key=key, value=decode(right.strip()), text=text)


def locate(content: Any, key: str) -> Place | None:
    """The place that a dotted key names (`train.lr`, `layers.0.units`, `layers[0].units`), or None.

    A key that itself has dots is found too: a longer name goes before a shorter one. An empty key is the whole.
    """
    if not key:
        return ()
    if isinstance(content, Mapping):
        return _in_mapping(content, key)
    if isinstance(content, list | tuple):
        index, rest = _index(key)
        if index is not None and index < len(content):
            below = locate(content[index], rest)
            return None if below is None else (index, *below)
    return None


def _in_mapping(content: Mapping[str, Any], key: str) -> Place | None:
    if key in content:
        return (key,)
    for end in range(len(key) - 1, 0, -1):
        if key[end] in ".[" and key[:end] in content:
            below = locate(content[key[:end]], key[end + (key[end] == ".") :])
            if below:
                return (key[:end], *below)
    return None


def _index(key: str) -> tuple[int | None, str]:
    """The list index that a key begins with, and the rest of the key."""
    if key.startswith("["):
        digits, close, rest = key[1:].partition("]")
        if not close or (rest and rest[0] not in ".["):
            return None, ""
    else:
        end = min((key.find(mark) for mark in ".[" if mark in key), default=len(key))
        digits, rest = key[:end], key[end:]
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        return None, ""
    return int(digits), rest.removeprefix(".")


def value_at(content: Any, place: Place) -> Any:
    """The value at a place that `locate` found."""
    for step in place:
        content = content[step]
    return content


def keys(content: Any, prefix: str = "", limit: int = 2000) -> list[str]:
    """The dotted keys of a decoded file, mappings and lists included, at most `limit`."""
    found: list[str] = []
    waiting = [(prefix, content)]
    while waiting and len(found) < limit:
        above, here = waiting.pop()
        pairs: Iterable[tuple[Any, Any]] = ()
        if isinstance(here, Mapping):
            pairs = here.items()
        elif isinstance(here, list | tuple):
            pairs = enumerate(here)
        below = [(f"{above}.{name}" if above else str(name), value) for name, value in pairs]
        found.extend(name for name, _ in below)
        waiting.extend(reversed(below))
    return found[:limit]


def changes(values: Values, overrides: Sequence[Override]) -> list[Change]:
    """Find the place of each override. Without a file that is `params.yaml`, else the one other file that has the key.

    Raises ConfigError, with the nearest key, where no file has it, where several have it, where a mapping would be
    replaced by something else, and where two overrides name one place.
    """
    found: list[Change] = []
    for override in overrides:
        file, place = _home(values, override)
        old = value_at(values[file], place)
        if isinstance(old, Mapping) and not isinstance(override.value, Mapping):
            below = [f"{override.key}.{name}" for name in old][:20]
            raise _refused(
                override, f"{shown(override.key)} in {file} is a mapping", f"name one of: {_list(below)}"
            )
        for other in found:
            if other.file == file and touch(other.place, place):
                raise _refused(
                    override, f"{shown(override.key)} in {file} is overridden twice", "say it once"
                )
        found.append(Change(file, place, override.value))
    return found


def touch(one: Place, two: Place) -> bool:
    """Whether one of two places is the other, or lies in it."""
    short = min(len(one), len(two))
    return one[:short] == two[:short]


def _home(values: Values, override: Override) -> tuple[str, Place]:
    if override.file is not None:
        if override.file not in values:
            near = nearest(override.file, list(values))
            what = f"no stage has params in the file {shown(override.file)}" + _meant(near)
            raise _refused(override, what, f"name one of: {_list(list(values))}")
        place = locate(values[override.file], override.key)
        if not place:
            raise _unknown(override, {override.file: values[override.file]})
        return override.file, place
    homes = [(file, place) for file in values if (place := locate(values[file], override.key))]
    if not homes:
        raise _unknown(override, values)
    for file, place in homes:
        if file == DEFAULT_FILE or len(homes) == 1:
            return file, place
    named = _list([f"{file}:{override.key}" for file, _ in homes])
    raise _refused(override, f"{shown(override.key)} stands in several files", f"name one of: {named}")


def _unknown(override: Override, values: Values) -> ConfigError:
    known = [name for content in values.values() for name in keys(content)]
    near = nearest(override.key, known)
    if near is None:  # train.lr may have been meant by lr alone
        tail = override.key.rpartition(".")[2]
        near = next((name for name in known if name.rpartition(".")[2] == tail), None)
    what = f"no param is called {shown(override.key)} in {_list(list(values)) or 'any params file'}{_meant(near)}"
    return _refused(
        override, what, f"known: {_list(known[:20])}" if known else f"write it into {DEFAULT_FILE} first"
    )


def _refused(override: Override, what: str, next: str) -> ConfigError:
    return ConfigError(what, where=f"-S {override.text}", safe="nothing was changed", next=next)


def _meant(near: str | None) -> str:
    return f"; did you mean {shown(near)}?" if near else ""


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)


def apply(values: Values, overrides: Sequence[Override]) -> dict[str, Any]:
    """The values with the overrides in place; what was given is not changed. Raises as `changes`."""
    result: dict[str, Any] = dict(values)
    for change in changes(values, overrides):
        result[change.file] = replaced(result[change.file], change.place, change.value)
    return result


def replaced(content: Any, place: Place, value: Any) -> Any:
    """`content` with `value` at `place`, copied only along the way."""
    if not place:
        return value
    copied = list(content) if isinstance(content, list | tuple) else dict(content)
    copied[place[0]] = replaced(content[place[0]], place[1:], value)  # type: ignore[index]  # a list has int steps only
    return copied
