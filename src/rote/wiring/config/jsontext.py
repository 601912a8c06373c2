"""JSON text -> Nodes: no duplicate keys, no NaN, bounded depth, and each value knows where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from rote.errors import ConfigError
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.scalars import NotPlain, finite, whole
from rote.words.ids import shown
from rote.words.pipeline import At

DEPTH: Final = 100
_scan: Final[Callable[[str, int, bool], tuple[str, int]]] = json.decoder.scanstring  # type: ignore[attr-defined]  # the stubs leave it out
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}
_WORD = re.compile(r"[-+A-Za-z_][A-Za-z_0-9]*")


def read(text: str, file: str) -> Node:
    """The document; nothing but spaces is None's Node. Raises ConfigError with the line."""
    reader = _Reader(text, file)
    start = reader.skip(0)
    if start == len(text):
        return Node(None, 1)
    node = reader.value(start, 0)
    if reader.skip(node.end) != len(text):
        raise reader.refused(reader.skip(node.end), "the file goes on after its value; expected the end")
    return node


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.keys: list[str] = []
        self.line, self.counted = 1, 0

    def refused(self, at: int, what: str, next: str | None = None) -> ConfigError:
        """A ConfigError at this character."""
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        return refused(At(self.file, line, ".".join(self.keys[:10])), f"{what} (column {column})", next)

    def skip(self, at: int) -> int:
        """Past spaces."""
        found = _SPACE.match(self.text, at)
        return found.end() if found else at

    def line_at(self, at: int) -> int:
        """The line of a character not before the one asked for last."""
        self.line += self.text.count("\n", self.counted, at)
        self.counted = at
        return self.line

    def value(self, at: int, depth: int) -> Node:
        """The value that begins here."""
        first = self.text[at : at + 1]
        line = self.line_at(at)
        if first in ("{", "[") and depth >= DEPTH:
            raise self.refused(at, f"values nest deeper than {DEPTH} levels")
        if first == "{":
            return self.mapping(Node({}, line, at), depth)
        if first == "[":
            return self.list(Node([], line, at), depth)
        if first == '"':
            value, end = self.string(at)
            return Node(value, line, at, end, value)
        return self.scalar(at, line)

    def scalar(self, at: int, line: int) -> Node:
        """A number, true, false or null."""
        number = _NUMBER.match(self.text, at)
        if number:
            text = number.group()
            try:
                inexact = number.group(2) or number.group(3)
                value: Any = finite(float(text), text) if inexact else whole(text, 10)
            except NotPlain as e:
                raise self.refused(at, str(e), e.next) from e
            return Node(value, line, at, number.end(), text)
        word = _WORD.match(self.text, at)
        if word and word.group() in _WORDS:
            return Node(_WORDS[word.group()], line, at, word.end(), word.group())
        if word and word.group() in ("NaN", "Infinity", "-Infinity"):
            raise self.refused(
                at, f"{word.group()} is not a finite number", 'write it as text: "inf" or "nan"'
            )
        found = shown(word.group() if word else self.text[at : at + 1]) if at < len(self.text) else "the end"
        raise self.refused(at, f"this is not JSON: expected a value, found {found}")

    def string(self, at: int) -> tuple[str, int]:
        """A string and where it ends."""
        try:
            value, end = _scan(self.text, at + 1, True)
        except json.JSONDecodeError as e:
            raise self.refused(e.pos, f"this is not JSON: {e.msg}") from e
        if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
            raise self.refused(at, "half of a surrogate pair is not text", "write the whole character")
        return value, end

    def mapping(self, node: Node, depth: int) -> Node:
        """An object, from its `{`."""
        at = self.skip(node.start + 1)
        while self.text[at : at + 1] != "}":
            if self.text[at : at + 1] != '"':
                raise self.refused(at, "this is not JSON: expected a key in double quotes, or }")
            name, end = self.string(at)
            line = self.line_at(at)
            self.keys.append(name)
            if name in node.lines:
                what = f"the key {shown(name)} stands here twice; first in line {node.lines[name]}"
                raise self.refused(at, what, "remove one")
            if not name:
                raise self.refused(at, "a key is empty; expected a name", "give it a name")
            node.lines[name] = line
            at = self.skip(end)
            if self.text[at : at + 1] != ":":
                raise self.refused(at, "this is not JSON: expected : after a key")
            node.value[name] = self.value(self.skip(at + 1), depth + 1)
            self.keys.pop()
            at = self.comma(node.value[name].end, "}")
        node.end = at + 1
        return node

    def list(self, node: Node, depth: int) -> Node:
        """An array, from its `[`."""
        at = self.skip(node.start + 1)
        while self.text[at : at + 1] != "]":
            self.keys.append(str(len(node.value)))
            node.value.append(self.value(at, depth + 1))
            self.keys.pop()
            at = self.comma(node.value[-1].end, "]")
        node.end = at + 1
        return node

    def comma(self, at: int, close: str) -> int:
        """Past a comma to the next element, or to `close`."""
        at = self.skip(at)
        if self.text[at : at + 1] == close:
            return at
        if self.text[at : at + 1] != ",":
            raise self.refused(at, f"this is not JSON: expected , or {close}")
        comma, at = at, self.skip(at + 1)
        if self.text[at : at + 1] == close:
            raise self.refused(comma, f"this is not JSON: a comma before {close}", "remove the comma")
        return at
