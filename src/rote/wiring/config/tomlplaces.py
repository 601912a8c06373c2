"""Where a value stands in a TOML text."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from rote.laws.pipeline.overriding import Place

_HEADER = re.compile(r"[ \t]*(\[\[?)(.*?)\]\]?[ \t]*(?:#.*)?\Z")


def spans(text: str) -> Iterator[tuple[Place, int, int]]:
    """Each `key = value` of a text that is valid TOML: its place, and where its value begins and ends."""
    table: Place = ()
    counts: dict[Place, int] = {}
    at = 0
    while at < len(text):
        end = _line_end(text, at)
        line = text[at:end].rstrip("\r")
        stripped = line.strip(" \t")
        if stripped.startswith("["):
            table = _header(line, counts)
        elif stripped and not stripped.startswith("#"):
            found = _assignment(text, at, end)
            if found is None:
                return
            keys, start, stop = found
            yield (*table, *keys), start, stop
            end = _line_end(text, stop)
        at = end + 1


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _header(line: str, counts: dict[Place, int]) -> Place:
    found = _HEADER.match(line)
    keys = _keys(found.group(2)) if found else None
    if found is None or keys is None:
        return ("\0",)  # a place that nothing asks for
    resolved: Place = ()
    for index, name in enumerate(keys):
        resolved = (*resolved, name)
        last = index == len(keys) - 1
        if last and found.group(1) == "[[":
            counts[resolved] = counts.get(resolved, -1) + 1
        if resolved in counts:
            resolved = (*resolved, counts[resolved])
    return resolved


def _keys(text: str) -> tuple[str, ...] | None:
    """A dotted key, as TOML itself reads it."""
    try:
        content: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return None
    keys: list[str] = []
    while isinstance(content, dict):
        [(name, content)] = content.items()
        keys.append(name)
    return tuple(keys)


def _assignment(text: str, at: int, end: int) -> tuple[tuple[str, ...], int, int] | None:
    """The keys, and the value's first and last character: the value is the shortest text that TOML takes for one."""
    equals = text.find("=", at, end)
    while equals >= 0:
        keys = _keys(text[at:equals])
        if keys is not None:
            start = equals + 1
            while start < end and text[start] in " \t":
                start += 1
            stop = _value_end(text, start)
            return None if stop is None else (keys, start, stop)
        equals = text.find("=", equals + 1, end)
    return None


def _value_end(text: str, start: int) -> int | None:
    """The end of the value: of the first lines, as few as make a whole value, without a comment behind it."""
    end = _line_end(text, start)
    while True:
        candidate = text[start:end]
        if _is_value(candidate):
            break
        if end >= len(text):
            return None
        end = _line_end(text, end + 1)
    last = text.rfind("\n", start, end) + 1 or start
    for mark in re.finditer("#", text[last:end]):
        before = text[start : last + mark.start()].rstrip()
        if before and _is_value(before):
            return start + len(before)
    return start + len(text[start:end].rstrip())


def _is_value(text: str) -> bool:
    try:
        tomllib.loads(f"x = {text}\n")
    except tomllib.TOMLDecodeError:
        return False
    return True
