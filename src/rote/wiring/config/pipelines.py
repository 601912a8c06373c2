"""rote.yaml's text -> Pipeline."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

import msgspec

from rote.errors import BadName
from rote.laws.gates import gatetext
from rote.laws.pipeline import graph, smoking
from rote.wiring.config import (
    budgeting,
    caching,
    carding,
    channeling,
    identifying,
    places,
    predicting,
    stagefiles,
    yamltext,
)
from rote.wiring.config.expressions import Options
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.sources import Sources
from rote.wiring.config.vocabulary import ELSEWHERE, MODEL, OPTIONS, TOP
from rote.words.ids import name as model_name
from rote.words.ids import shown
from rote.words.pipeline import Gate, Model, Pipeline, Stage

FILE: Final = "rote.yaml"
BELOW: Final = ("vars", "stages")
"""What a rote.yaml in a subfolder may say."""


def read(text: str, file: str = FILE, sources: Sources | None = None) -> Pipeline:
    """The whole pipeline, found sound: every key known, every value of its type, the stages orderable, no two outs in
    each other's way. Nothing at all is an empty pipeline. `sources` reads the other files. Raises ConfigError."""
    sources = sources or Sources(None, {file: text.encode()})
    node = yamltext.read(text, file)
    if node.value is None:
        return Pipeline()
    top = _top(node, file)
    top.known(tuple(TOP), "rote.yaml")
    options = _options(top)
    found = stagefiles.read(top, ".", sources, options=options)
    files = [file]
    for folder, below in _below(top, sources):
        more = stagefiles.read(below, folder, sources, options=options)
        for name in found.keys() & more.keys():
            raise refused(
                more[name].at,
                f"this makes a stage {shown(name)}, as {found[name].at} does",
                "rename one of them",
            )
        found |= more
        files.append(below.file)
    if top.flag("strict"):
        found = {name: msgspec.structs.replace(stage, strict=True) for name, stage in found.items()}
    graph.check_outs(found)
    graph.check_checkpoints(found)
    graph.order(found)
    smoking.check(found)
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
        named=tuple(name for name, data in sources.seen.items() if data is not None and name not in files),
        files=tuple(files),
    )


def _top(node: Node, file: str) -> Section:
    top = Section(node, file, "")
    if not isinstance(node.value, dict):
        raise refused(
            top.at(), f"expected a mapping with {', '.join(TOP)}, found {node.kind}", "write stages: …"
        )
    for key in node.value:
        if key not in TOP and key in ELSEWHERE:
            raise refused(
                top.at(key), f"unknown key {shown(key)}; expected one of: {', '.join(TOP)}", ELSEWHERE[key]
            )
    return top


def _options(top: Section) -> Options:
    """How a mapping in a command is written, in DVC's words."""
    node = top.get("options")
    if node is None:
        return Options()
    if not isinstance(node.value, dict):
        raise top.wrong("options", node, "a mapping")
    section = Section(node, top.file, "options")
    section.known(tuple(OPTIONS), "options")
    for name, words in OPTIONS.items():
        said = section.get(name)
        if said is not None and said.value not in words:
            raise section.wrong(name, said, " or ".join(words))
    return Options(
        off=section.text("bool") == OPTIONS["bool"][1], each=section.text("list") == OPTIONS["list"][1]
    )


def _below(top: Section, sources: Sources) -> Iterator[tuple[str, Section]]:
    """The pipeline files of `pipelines`, each with its folder."""
    seen: dict[str, int] = {}
    for text, node in top.texts("pipelines"):
        at = top.at("pipelines", node)
        path = places.path(text.removesuffix(f"/{FILE}"), ".", at, "pipeline")
        if path in seen:
            raise refused(at, f"{shown(path)} stands here twice; first in line {seen[path]}", "list it once")
        seen[path] = node.line
        python = path.endswith(".py")
        folder, file = (posixpath.dirname(path) or ".", path) if python else (path, f"{path}/{FILE}")
        if sources.read(file) is None:
            raise refused(at, f"there is no file {file}", f"write {file}, or take it out of `pipelines`")
        if python:
            from rote.wiring.config import functions  # most pipelines are YAML

            yield folder, Section(functions.read(sources.text(file), file), file, "")
            continue
        content = yamltext.read(sources.text(file), file)
        if content.value is None:
            continue
        below = _top(content, file)
        for key in below.node.value:
            if key in TOP and key not in BELOW:
                raise refused(
                    below.at(key),
                    f"`{key}` belongs to the rote.yaml at the project's root",
                    f"move it to {FILE}",
                )
        below.known(BELOW, "a rote.yaml in a subfolder")
        yield folder, below


def _gates(section: Section) -> tuple[Gate, ...]:
    found = []
    for place, node in section.items("gates", "gates"):
        gate = Gate(section.string(place, node, "text (a condition)"), section.at(place, node))
        gatetext.parse(gate.text, gate.at)
        found.append(gate)
    return tuple(found)


def _signature(section: Section) -> str:
    text = section.text("signature")
    return places.path(text, ".", section.at("signature"), "file") if text else ""


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
        predictions=predicting.read(section),
        desc=section.text("desc"),
        signature=_signature(section),
        keys=channeling.keys(section),
        identity=identifying.read(section),
        expires=channeling.expires(section),
        stamp=section.flag("stamp"),
        licence=section.text("licence"),
        limits=section.text("limits"),
        card=carding.card(section),
        publish=channeling.publish(section),
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
