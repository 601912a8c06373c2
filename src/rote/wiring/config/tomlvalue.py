"""Values -> TOML text."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rote.errors import ConfigError

_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def inline(value: Any) -> str:
    """One value on one line. Raises ConfigError for null, which TOML has not."""
    if value is None:
        raise ConfigError(
            "TOML has no null", where="-S", next="use another value, or a YAML or JSON params file"
        )
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key(name)} = {inline(below)}" for name, below in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(each) for each in value) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return repr(value)


def _string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, quoted where it has to be."""
    return name if _BARE.match(name) else _string(name)


def document(content: Mapping[str, Any]) -> str:
    """A whole file: plain values first, then a table for each mapping."""
    return "\n".join(_table(content, ())).strip("\n") + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    for name, value in content.items():
        if not isinstance(value, Mapping):
            yield f"{key(name)} = {inline(value)}"
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield ""
            yield f"[{'.'.join(map(key, (*path, name)))}]"
            yield from _table(value, (*path, name))
