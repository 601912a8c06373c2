"""YAML text -> Nodes: safe tags only, the 1.2 core schema, no duplicate keys, one document, bounded size and depth.

Read event by event and without recursion, because the parser's own composing overflows the stack on hostile nesting.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from rote.errors import ConfigError
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.scalars import NotPlain, finite, resolve, surprise, whole
from rote.words.ids import shown
from rote.words.pipeline import At

DEPTH: Final = 100
"""Levels that values may nest."""
NODES: Final = 2_000_000
"""Values that a file may have after its anchors are expanded."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml the same, slower
_TAG = "tag:yaml.org,2002:"
_MERGE = "\0<<"  # no text has a NUL, so that a quoted "<<" is a key like any other


def read(text: str, file: str) -> Node:
    """The document. A file with nothing in it is None's Node. Raises ConfigError with the line."""
    return _Reader(file).document(text)


def surprises(text: str, file: str) -> list[str]:
    """What a YAML 1.1 reader sees otherwise, a line each with its place. Raises as `read`."""
    reader = _Reader(file)
    reader.document(text)
    return [f"{At(file, line)}: {told}" for line, plain in reader.plains if (told := surprise(plain))]


class _Open:
    """A mapping or a list that is being read."""

    __slots__ = ("anchor", "key", "key_line", "merges", "node")

    def __init__(self, node: Node, anchor: str | None) -> None:
        self.node = node
        self.anchor = anchor
        self.key: str | None = None
        self.key_line = 0
        self.merges: list[Node] = []


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.plains: list[tuple[int, str]] = []
        self.anchors: dict[str, Node] = {}
        self.sizes: dict[int, int] = {}
        self.count = 0
        self.open: list[_Open] = []
        self.root: Node | None = None

    def document(self, text: str) -> Node:
        """Read all events."""
        try:
            loader = _Loader(text)
            try:
                self._events(loader)
            finally:
                loader.dispose()
        except yaml.YAMLError as e:
            raise self._bad_syntax(e, text) from e
        return self.root if self.root is not None else Node(None, 1)

    def _events(self, loader: Any) -> None:
        documents = 0
        while True:
            event = loader.get_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
                self._start(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
                self._end(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self._refused(
                        event, "a second document begins; expected one", "remove the line `---`"
                    )
            elif kind is yaml.StreamEndEvent:
                return

    def _refused(self, event: Any, what: str, next: str | None = None) -> ConfigError:
        return refused(At(self.file, event.start_mark.line + 1, self._key()), what, next)

    def _key(self) -> str:
        steps: list[str] = []
        for place in self.open:
            if isinstance(place.node.value, list):
                steps.append(str(len(place.node.value)))
            elif place.key is not None:
                steps.append(place.key.removeprefix("\0"))
        return ".".join(steps[:10])

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        plain = event.implicit[0]
        text = event.value
        into = self.open[-1] if self.open else None
        if into is not None and into.key is None and isinstance(into.node.value, dict):
            self._new_key(into, event, _MERGE if plain and text == "<<" else text)
            return
        try:
            value = resolve(text) if plain else self._tagged(event)
        except NotPlain as e:
            raise self._refused(event, str(e), e.next) from e
        node = Node(value, mark.line + 1, mark.index, event.end_mark.index, text, plain=plain)
        if plain:
            self.plains.append((node.line, text))
        self._add(node, event)

    def _tagged(self, event: Any) -> Any:
        """A quoted scalar, or one with a tag."""
        tag, text = event.tag, event.value
        if tag in (None, "!", _TAG + "str"):
            return text
        try:
            if tag == _TAG + "int":
                return whole(text, 10)
            if tag == _TAG + "float":
                return finite(float(text), text)
        except NotPlain:
            raise
        except ValueError:
            raise self._refused(event, f"{shown(text)} is not what its tag says") from None
        if tag in (_TAG + "bool", _TAG + "null"):
            value = resolve(text)
            if type(value) is (bool if tag == _TAG + "bool" else type(None)):
                return value
            raise self._refused(event, f"{shown(text)} is not what its tag says")
        raise self._refused(event, f"the tag {shown(tag)} is not for configuration", "remove the tag")

    def _new_key(self, into: _Open, event: Any, name: str) -> None:
        line = event.start_mark.line + 1
        if name == "":
            raise self._refused(event, "a key is empty; expected a name", "give it a name")
        if event.anchor:
            self.anchors[event.anchor] = Node(name, line, text=name)
        if name in into.node.lines:
            into.key = name
            first = into.node.lines[name]
            raise self._refused(
                event,
                f"the key {shown(name.removeprefix(chr(0)))} stands here twice; first in line {first}",
                "remove one",
            )
        into.node.lines[name] = line
        into.key, into.key_line = name, line

    def _start(self, event: Any, value: Any) -> None:
        if self.open and self.open[-1].key is None and isinstance(self.open[-1].node.value, dict):
            raise self._refused(event, "a mapping or list stands as a key; expected a name")
        if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
            raise self._refused(
                event, f"the tag {shown(event.tag)} is not for configuration", "remove the tag"
            )
        if len(self.open) >= DEPTH:
            raise self._refused(event, f"values nest deeper than {DEPTH} levels")
        node = Node(value, event.start_mark.line + 1, event.start_mark.index)
        self.open.append(_Open(node, event.anchor))

    def _end(self, event: Any) -> None:
        done = self.open.pop()
        done.node.end = event.end_mark.index
        if done.merges:
            self._merge(done)
        self._add(done.node, event, done.anchor)

    def _alias(self, event: Any) -> None:
        node = self.anchors.get(event.anchor)
        if node is None:
            what = f"there is no anchor &{event.anchor} before this"
            if any(place.anchor == event.anchor for place in self.open):
                what = f"the anchor &{event.anchor} holds itself"
            raise self._refused(event, what, "write the value out")
        into = self.open[-1] if self.open else None
        if into is not None and into.key is None and isinstance(into.node.value, dict):
            if not isinstance(node.value, str | int | float | bool):
                raise self._refused(event, "a mapping or list stands as a key; expected a name")
            self._new_key(into, event, node.text)
            return
        self.count += self.sizes.get(id(node), 1)
        self._add(node, event)

    def _add(self, node: Node, event: Any, anchor: str | None = None) -> None:
        """A value is complete: put it where it belongs."""
        self.count += 1
        if self.count > NODES:
            raise self._refused(event, f"this file has more than {NODES:,} values, its anchors expanded")
        anchor = anchor or getattr(event, "anchor", None)
        if anchor and not isinstance(event, yaml.AliasEvent):
            self.anchors[anchor] = node
            self.sizes[id(node)] = self._size(node)
        if not self.open:
            self.root = node
            return
        into = self.open[-1]
        if isinstance(into.node.value, list):
            into.node.value.append(node)
        elif into.key == _MERGE:
            self._note_merge(into, node, event)
            into.key = None
        else:
            into.node.value[into.key] = node
            into.key = None

    def _size(self, node: Node) -> int:
        """How many values a node stands for when all in it is written out; what is anchored is counted once."""
        if id(node) in self.sizes:
            return self.sizes[id(node)]
        below = node.value.values() if isinstance(node.value, dict) else node.value
        return 1 + sum(self._size(each) for each in below) if isinstance(node.value, dict | list) else 1

    def _note_merge(self, into: _Open, node: Node, event: Any) -> None:
        sources = node.value if isinstance(node.value, list) else [node]
        for source in sources:
            if not isinstance(source.value, dict):
                raise self._refused(event, f"`<<` takes a mapping, not {source.kind}", "write << : *NAME")
            into.merges.append(source)

    def _merge(self, done: _Open) -> None:
        """`<<`: what is written in the mapping itself wins, then the earlier source."""
        for source in done.merges:
            for name, node in source.value.items():
                if name not in done.node.value:
                    done.node.value[name] = node
                    done.node.lines[name] = source.lines.get(name, source.line)
                    self.count += self._size(node)
        done.node.lines.pop(_MERGE)

    def _bad_syntax(self, e: yaml.YAMLError, text: str) -> ConfigError:
        mark = getattr(e, "problem_mark", None)
        if mark is None:
            position = getattr(e, "position", None)
            before = text.encode()[:position].decode(errors="ignore") if isinstance(position, int) else ""
            bad = next((c for c in text if not c.isprintable() and c not in "\t\r\n\x85\u2028\u2029"), "")
            line = (text.count("\n", 0, text.index(bad)) if bad else before.count("\n")) + 1
            return refused(
                At(self.file, line), f"the character {shown(bad)} may not stand in YAML", "remove it"
            )
        line = mark.line + 1
        lines = text.splitlines()
        here = lines[mark.line] if mark.line < len(lines) else ""
        problem = str(getattr(e, "problem", "") or "cannot be read")
        if "\t" in here[: mark.column + 1] and ("\\t" in problem or "tab" in problem or "token" in problem):
            what = "a tab stands in the indentation; YAML takes spaces only"
            return refused(At(self.file, line, self._key()), what, "replace the tab by spaces")
        if "mapping values are not allowed" in problem:
            problem += " (text that has ': ' in it needs quotes; or the line is indented wrongly)"
        if "${" in here:
            problem += " (a template inside {…} or […] needs quotes)"
        begun = getattr(e, "context_mark", None)
        context = getattr(e, "context", None)
        since = f", {context} that begins in line {begun.line + 1}" if begun and context else ""
        what = f"this is not YAML: {problem} at column {mark.column + 1}{since}"
        return refused(At(self.file, line, self._key()), what, None)
