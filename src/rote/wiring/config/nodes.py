"""A decoded file that remembers where each value was written."""

from __future__ import annotations

from typing import Any

Scalar = str | int | float | bool | None

KINDS = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}


class Node:
    """One value: `value` is a dict of name -> Node, a list of Nodes, or a scalar. `line` counts from 1; `text` is a
    scalar as written; `start` and `end` are where it stands in the file, in characters. `lines` has each key's line.
    A text is `settled` once its templates are resolved: what looks like one then is meant literally."""

    __slots__ = ("end", "line", "lines", "plain", "settled", "start", "text", "value")

    def __init__(
        self,
        value: Any,
        line: int,
        start: int = 0,
        end: int = 0,
        text: str = "",
        *,
        plain: bool = False,
        settled: bool = False,
    ) -> None:
        self.value: Any = value
        self.line = line
        self.start = start
        self.end = end
        self.text = text
        self.plain = plain
        self.settled = settled
        self.lines: dict[str, int] = {}

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return "nothing" if self.value is None else KINDS[type(self.value)]

    def having(self, value: Any) -> Node:
        """A mapping or list at the same place with another content."""
        return Node(value, self.line, self.start, self.end, self.text)

    def bare(self) -> Any:
        """The value without places: dicts, lists and scalars. Shared parts (YAML's anchors) stay shared."""
        return _bare(self, {})


def _bare(node: Node, done: dict[int, Any]) -> Any:
    value = node.value
    if isinstance(value, dict):
        if id(node) not in done:
            done[id(node)] = {name: _bare(below, done) for name, below in value.items()}
        return done[id(node)]
    if isinstance(value, list):
        if id(node) not in done:
            done[id(node)] = [_bare(below, done) for below in value]
        return done[id(node)]
    return value
