"""The dvc.yaml files of a project -> its pipeline, as far as rote has the features."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Final

import msgspec

from rote.errors import BadName
from rote.laws.pipeline import graph
from rote.wiring.config import places, stagefiles, yamltext
from rote.wiring.config.dvc import settings
from rote.wiring.config.nodes import Node
from rote.wiring.config.params import SUFFIXES
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.sources import Sources
from rote.words.ids import name as model_name
from rote.words.pipeline import Model, Out, Pipeline, Stage

TOP: Final = ("vars", "stages", "metrics", "plots", "params", "artifacts", "datasets")
"""What stands at the top of a dvc.yaml. Plots and params listed there are only for showing."""


def read(files: tuple[str, ...], sources: Sources) -> Pipeline:
    """All stages of these files, in one graph. Raises ConfigError, which names what rote lacks with its line."""
    stages: dict[str, Stage] = {}
    models: dict[str, Model] = {}
    shown: set[str] = set()
    options = settings.options(sources)
    for file in files:
        node = yamltext.read(sources.text(file), file)
        if node.value is None:
            continue
        folder = posixpath.dirname(file) or "."
        top = _top(node, file)
        stages |= stagefiles.read(top, folder, sources, options=options, dvc=True)
        models |= _models(top, folder)
        shown |= set(_metrics(top, folder))
    stages = {name: _marked(stage, shown) for name, stage in stages.items()}
    graph.check_outs(stages)
    graph.order(stages)
    named = tuple(
        f for f, data in sources.seen.items() if data is not None and f not in (*files, *settings.FILES)
    )
    return Pipeline(stages=stages, models=models, named=named, files=files, dvc=True)


def _top(node: Node, file: str) -> Section:
    top = Section(node, file, "")
    if not isinstance(node.value, dict):
        raise refused(
            top.at(), f"expected a mapping with {', '.join(TOP)}, found {node.kind}", "write stages: …"
        )
    top.known(TOP, "dvc.yaml")
    if (datasets := top.get("datasets")) is not None:
        raise refused(
            top.at("datasets", datasets),
            "rote has no datasets of DataChain or clouds",
            "fetch the data in a stage, or add it as files: rote add PATH",
        )
    return top


def _metrics(top: Section, folder: str) -> Iterator[str]:
    """Files listed as metrics of the whole file."""
    for place, node in top.items("metrics", "paths"):
        if isinstance(node.value, str) and "${" not in node.value:
            yield places.path(node.value, folder, top.at(place, node), "metrics file")


def _marked(stage: Stage, shown: set[str]) -> Stage:
    """Outs that are listed as metrics of the file are metrics; metrics that are no mapping of numbers are plain outs.
    A stage with neither deps nor outs always runs."""
    outs = tuple(_kind(out, shown) for out in stage.outs)
    callback = not (stage.deps or stage.params or stage.outs or stage.frozen)
    return msgspec.structs.replace(stage, outs=outs, always_changed=stage.always_changed or callback)


def _kind(out: Out, shown: set[str]) -> Out:
    readable = out.path.lower().endswith(SUFFIXES)
    if out.kind == "metrics" and not readable:
        return msgspec.structs.replace(out, kind="out")
    if out.kind == "out" and readable and out.path in shown:
        return msgspec.structs.replace(out, kind="metrics", cache=True)
    return out


def _models(top: Section, folder: str) -> dict[str, Model]:
    """`artifacts` with a path, as models."""
    found = {}
    for name, section in top.sections("artifacts", "artifacts"):
        node = section.get("path")
        if node is None or not isinstance(node.value, str) or "${" in node.value:
            continue
        try:
            model_name(name, "model name")
        except BadName as e:
            raise refused(section.at(), e.what, e.next) from e
        path = places.path(node.value, folder, section.at("path", node), "file")
        desc = section.get("desc")
        text = desc.value if desc is not None and isinstance(desc.value, str) else ""
        found[name] = Model(name=name, files=(path,), desc=text, at=section.at())
    return found
