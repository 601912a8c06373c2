"""`foreach` with `do`, and `matrix`: one entry under `stages` -> the stages that it stands for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rote.wiring.config import places
from rote.wiring.config.context import Context
from rote.wiring.config.expressions import written
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.templating import Templating
from rote.words.ids import shown

JOIN: Final = "@"
LIMIT: Final = 100_000
"""Stages that one entry may stand for."""


def stages(name: str, section: Section, templating: Templating) -> Iterator[tuple[str, Section]]:
    """Each stage of an entry: its name, and its mapping without templates. Raises ConfigError."""
    content = section.node.value
    if "foreach" in content or "do" in content:
        every, body = _foreach(section, templating), _do(section)
    elif "matrix" in content:
        every = _matrix(section, templating)
        body = section.node.having({key: node for key, node in content.items() if key != "matrix"})
        body.lines = section.node.lines
    else:
        yield name, _resolved(name, section.node, section, templating, templating.context)
        return
    for key, values in every:
        full = f"{name}{JOIN}{key}"
        yield full, _resolved(full, body, section, templating, templating.context.with_values(values))


def _resolved(name: str, body: Node, section: Section, templating: Templating, context: Context) -> Section:
    key = section.key.rpartition("stages.")[0] + f"stages.{name}"
    raw = Section(body, section.file, key)
    if "vars" in body.value:
        wdir = raw.get("wdir")
        said = "." if wdir is None else raw.string("wdir", templating.node(wdir, context, f"{key}.wdir"))
        context = templating.own(raw, places.folder(said, raw.at("wdir"), templating.folder), context)
        body = body.having({each: node for each, node in body.value.items() if each != "vars"})
        body.lines = raw.node.lines
    done = templating.node(body, context, key)
    done.line = section.node.line
    return Section(done, section.file, key)


def _do(section: Section) -> Node:
    section.known(("foreach", "do"), "an entry with `foreach`")
    node = section.get("do")
    if node is None or not isinstance(node.value, dict):
        found = node.kind if node else "nothing"
        raise refused(
            section.at("do"), f"expected the stage to make for each item, found {found}", "write do: {cmd: …}"
        )
    return node


def _foreach(section: Section, templating: Templating) -> Iterator[tuple[str, dict[str, Any]]]:
    node = section.get("foreach")
    at = section.at("foreach", node)
    if node is None:
        raise refused(section.at(), "this entry has `do` without `foreach`", "write foreach: [ITEM, …]")
    data = templating.data(node, templating.context, at.key)
    lines = [each.line for each in node.value] if isinstance(node.value, list) else []
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield key, {"item": value, "key": key}
        return
    if not isinstance(data, list):
        raise refused(
            at, f"expected a list or a mapping to go through, found {shown(str(data))}", "foreach: [a, b]"
        )
    composite = any(isinstance(each, Mapping | list) for each in data)
    names: dict[str, int] = {}
    for index, value in enumerate(data):
        key = str(index) if composite else written(value)
        if key in names:
            here = section.at(f"foreach[{index}]", node.value[index]) if lines else at
            raise refused(
                here, f"the item {shown(key)} stands here twice", "each item makes a stage: list it once"
            )
        names[key] = index
        yield key, {"item": value}


def _matrix(section: Section, templating: Templating) -> Iterator[tuple[str, dict[str, Any]]]:
    node = section.get("matrix")
    at = section.at("matrix", node)
    data = templating.data(node, templating.context, at.key) if node else None
    if not isinstance(data, Mapping) or not data:
        raise refused(at, "expected a mapping of names to lists", "matrix: {model: [cnn, mlp], size: [1, 2]}")
    axes: list[list[tuple[str, Any]]] = []
    count = 1
    for axis, values in data.items():
        place = section.at(
            f"matrix.{axis}", node.value[axis] if node and isinstance(node.value, dict) else None
        )
        if not isinstance(values, list):
            raise refused(place, f"expected a list, found {shown(str(values))}", f"write {axis}: [a, b]")
        axes.append([(_part(axis, i, value), value) for i, value in enumerate(values)])
        parts = [part for part, _ in axes[-1]]
        twice = next((part for i, part in enumerate(parts) if part in parts[:i]), None)
        if twice is not None:
            raise refused(place, f"the value {shown(twice)} stands here twice", "list it once")
        count *= len(values)
    if count > LIMIT:
        raise refused(
            at, f"this stands for {count:,} stages; at most {LIMIT:,} are possible", "take values away"
        )
    for chosen in itertools.product(*axes):
        key = "-".join(part for part, _ in chosen)
        yield key, {"key": key, "item": {axis: value for axis, (_, value) in zip(data, chosen, strict=True)}}


def _part(axis: str, index: int, value: Any) -> str:
    return f"{axis}{index}" if isinstance(value, Mapping | list) else written(value)
