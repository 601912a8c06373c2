"""A params file's text with some values changed: comments and layout stay wherever that is possible."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from rote.errors import ConfigError
from rote.laws.pipeline import overriding
from rote.laws.pipeline.overriding import Place
from rote.wiring.config import jsontext, params, tomlplaces, tomltext, tomlvalue, yamltext
from rote.wiring.config.nodes import Node
from rote.wiring.config.reading import BOM
from rote.wiring.config.scalars import NotPlain, resolve

_WIDTH: Final = 1 << 30


def render(text: str, file: str, changes: Sequence[tuple[Place, Any]]) -> str:
    """`text` (what `file` holds) with each place's value replaced.

    Only these values are rewritten if the result then reads as it should; else the whole file is written anew, without
    its comments. Raises ConfigError if the text cannot be read, or its format cannot hold a value.
    """
    bom = BOM if text.startswith(BOM) else ""
    text = text.removeprefix(BOM)
    wanted: Any = params.decode(text, file)
    for place, value in changes:
        wanted = overriding.replaced(wanted, place, value)
    kind = file.rpartition(".")[2].lower()
    edited = _edited(text, file, kind, changes)
    if edited is not None and _reads_as(edited, file, wanted):
        return bom + edited
    return bom + _whole(text, file, kind, changes, wanted)


def _reads_as(text: str, file: str, wanted: Any) -> bool:
    try:
        return _same(params.decode(text, file), wanted)
    except ConfigError:
        return False


def _same(one: Any, two: Any) -> bool:
    """Equal, with 1, 1.0 and True told apart."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        return list(one) == list(two) and all(_same(one[name], two[name]) for name in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and bool(one == two)


def _edited(text: str, file: str, kind: str, changes: Sequence[tuple[Place, Any]]) -> str | None:
    """The text with spans replaced, or None if a place has no span of its own."""
    edits = []
    table = {place: (start, end) for place, start, end in tomlplaces.spans(text)} if kind == "toml" else {}
    root = None if kind == "toml" else (jsontext if kind == "json" else yamltext).read(text, file)
    for place, value in changes:
        span = table.get(place) if root is None else _span(root, place)
        if span is None:
            return None
        edits.append((*span, _inline(value, kind)))
    for start, end, new in sorted(edits, reverse=True):
        text = _put(text, start, end, new, kind)
    return text


def _put(text: str, start: int, end: int, new: str, kind: str) -> str:
    """One value replaced by another, written on one line."""
    before, old = text[:start], text[start:end]
    if kind in ("json", "toml"):
        return before + new + text[end:]
    tail = old[len(old.rstrip()) :]  # a block ends where the next thing begins
    lead = before.rstrip()
    if lead.endswith(":") and (lead == before or "\n" in before[len(lead) :]):
        before = lead + " "  # a key with nothing after it, or with a block below it
    return before + new + tail + text[end:]


def _span(node: Node, place: Place) -> tuple[int, int] | None:
    for step in place:
        node = node.value[step]
    return node.start, node.end


def _inline(value: Any, kind: str) -> str:
    if kind == "toml":
        return tomlvalue.inline(value)
    if kind == "json":
        return json.dumps(value, ensure_ascii=False)
    shown = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=True, width=_WIDTH, allow_unicode=True, sort_keys=False
    )
    return str(shown).removesuffix("...\n").rstrip("\n")


def _whole(text: str, file: str, kind: str, changes: Sequence[tuple[Place, Any]], wanted: Any) -> str:
    if kind == "json":
        return json.dumps(wanted, ensure_ascii=False, indent=_indent(text)) + "\n"
    if kind == "toml":
        content: Any = tomltext.parse(text, file)  # dates as dates
        for place, value in changes:
            content = overriding.replaced(content, place, value)
        return tomlvalue.document(content)
    return str(yaml.dump(wanted, Dumper=_Dumper, width=_WIDTH, allow_unicode=True, sort_keys=False))


def _indent(text: str) -> int | None:
    second = text.partition("\n")[2]
    return (len(second) - len(second.lstrip(" "))) or None


class _Dumper(yaml.SafeDumper):
    """Writes what YAML 1.1 and 1.2 readers agree on; nothing shared is written as an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always: what is shared in memory is written out each time."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    try:
        plain = resolve(value) == value and value.isprintable()
    except NotPlain:
        plain = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _text)
