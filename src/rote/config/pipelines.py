"""rote.yaml's text -> Pipeline."""

from __future__ import annotations

from typing import Final

from rote import gates as gates_law
from rote import graph
from rote.config import budgeting, caching, places, stages, yamltext
from rote.config.nodes import Node
from rote.config.refusal import refused
from rote.config.section import Section
from rote.config.vocabulary import ELSEWHERE, MODEL, TOP
from rote.errors import BadName
from rote.ids import name as model_name
from rote.ids import shown
from rote.pipeline import Gate, Model, Pipeline, Stage

FILE: Final = "rote.yaml"


def read(text: str, file: str = FILE) -> Pipeline:
    """The whole pipeline, found sound: every key known, every value of its type, the stages orderable, no two outs in
    each other's way. Nothing at all is an empty pipeline. Raises ConfigError."""
    node = yamltext.read(text, file)
    if node.value is None:
        return Pipeline()
    if not isinstance(node.value, dict):
        top = Section(node, file, "")
        raise refused(
            top.at(), f"expected a mapping with {', '.join(TOP)}, found {node.kind}", "write stages: …"
        )
    top = Section(node, file, "")
    for key in node.value:
        if key not in TOP and key in ELSEWHERE:
            raise refused(
                top.at(key), f"unknown key {shown(key)}; expected one of: {', '.join(TOP)}", ELSEWHERE[key]
            )
    top.known(tuple(TOP), "rote.yaml")
    found = {name: stages.read(name, section) for name, section in top.sections("stages", "stages")}
    graph.check_outs(found)
    graph.order(found)
    gates = _gates(top)
    return Pipeline(
        stages=found,
        models={
            name: _model(name, section, gates, found) for name, section in top.sections("models", "models")
        },
        gates=gates,
        store=top.text("store") or None,
        cache=caching.read(top),
        budget=budgeting.read(top),
    )


def _gates(section: Section) -> tuple[Gate, ...]:
    found = []
    for place, node in section.items("gates", "gates"):
        gate = Gate(section.string(place, node, "text (a condition)"), section.at(place, node))
        gates_law.parse(gate.text, gate.at)
        found.append(gate)
    return tuple(found)


def _model(name: str, section: Section, gates: tuple[Gate, ...], found: dict[str, Stage]) -> Model:
    try:
        model_name(name, "model name")
    except BadName as e:
        raise refused(section.at(), e.what, e.next) from e
    section.known(tuple(MODEL), "a model")
    files: dict[str, None] = {}
    for text, node in section.texts("files"):
        path = places.path(text, ".", section.at("files", node), "file")
        _meant(section, path, node, found)
        files[path] = None
    if not files:
        raise refused(
            section.at(), "this model has no `files`; expected a list of paths", "write files: [PATH]"
        )
    return Model(
        name=name,
        files=tuple(files),
        gates=(*gates, *_gates(section)),
        desc=section.text("desc"),
        at=section.at(),
    )


def _meant(section: Section, path: str, node: Node, found: dict[str, Stage]) -> None:
    """Refuse a file that differs from an out only in case: it would be found on one machine and not on another."""
    outs = [out.path for stage in found.values() for out in stage.outs]
    meant = [out for out in outs if out.lower() == path.lower()]
    if meant and path not in outs:
        raise refused(
            section.at("files", node), f"no stage makes {shown(path)}", f"did you mean {shown(meant[0])}?"
        )
