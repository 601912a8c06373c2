"""What a metrics file may say: numbers by name, or mappings of such."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rote.errors import ConfigError, StageFailed
from rote.words.ids import shown

_NEXT = 'write numbers by name, such as {"accuracy": 0.97}; put anything else into an out of its own'

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1


def checked(content: Any, file: str) -> dict[str, Any]:
    """The decoded content of a metrics file, if it is a mapping from text to finite numbers or to such mappings.

    Raises StageFailed that names the file, the dotted key and what was found there.
    """
    if not isinstance(content, Mapping):
        raise _refused(file, "", f"it holds {_kind(content)}")
    return _mapping(content, file, "")


def numbers(content: Any) -> dict[str, Any]:
    """What of a decoded file is a number, or a mapping with numbers in it: DVC takes metrics files with anything in
    them."""
    found: dict[str, Any] = {}
    for name, value in content.items() if isinstance(content, Mapping) else ():
        if isinstance(value, Mapping):
            if below := numbers(value):
                found[str(name)] = below
        elif _is_number(value):
            found[str(name)] = value
    return found


def _mapping(content: Mapping[Any, Any], file: str, above: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{above}.{name}" if above else str(name)
        if not isinstance(name, str):
            raise _refused(file, key, f"the name {shown(str(name))} is {_kind(name)}, not text")
        if isinstance(value, Mapping):
            found[name] = _mapping(value, file, key)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise _refused(file, key, f"it is {_kind(value)}, not a number")
        elif isinstance(value, float) and not math.isfinite(value):
            raise _refused(file, key, f"it is {value}, not a finite number")
        elif isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise _refused(file, key, "it is a whole number beyond 64 bits")
        else:
            found[name] = value
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {shown(value, 40)}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a {type(value).__name__}"


def unreadable(error: ConfigError) -> StageFailed:
    """The error for a metrics file that is no text of its format, or holds no mapping at all."""
    return StageFailed(
        f"a metrics file must be a mapping of numbers: {error.what}", where=error.where, next=_NEXT
    )


def _refused(file: str, key: str, why: str) -> StageFailed:
    where = f"{file}: {key}" if key else file
    return StageFailed(
        f"a metrics file must be a mapping of numbers: {why}",
        where=where,
        next=_NEXT,
    )


def _is_number(value: object) -> bool:
    """Whether a value can stand in a catalogue: finite, and of a size that it can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return isinstance(value, float) or _LEAST <= value <= _MOST
