"""Params files: YAML, JSON or TOML, told by their suffix, decoded to plain values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from rote.laws.pipeline import overriding
from rote.wiring.config import reading
from rote.wiring.config.refusal import refused
from rote.words.ids import nearest, shown
from rote.words.pipeline import At, Pipeline, Values

SUFFIXES = (".yaml", ".yml", ".json", ".toml")


def read(root: str, files: Iterable[str], overrides: Sequence[overriding.Override] = ()) -> Values:
    """What each of `files` (relative to `root`) holds, with the overrides in place.

    An empty file is an empty mapping. Raises ConfigError if a file is not there or cannot be meant.
    """
    values = {file: read_one(root, file) for file in dict.fromkeys(files)}
    return overriding.apply(values, overrides) if overrides else values


def read_one(root: str, file: str, at: At | None = None) -> dict[str, Any]:
    """One params file; `at` is where it is asked for. Raises ConfigError."""
    data = reading.read_bytes(root, file)
    if data is None:
        raise reading.missing(file, at)
    return decode(reading.decode(data, file), file)


def decode(text: str, file: str) -> dict[str, Any]:
    """The text of a params file. Raises ConfigError with the line."""
    kind = file.rpartition(".")[2].lower()
    if kind == "toml":
        from rote.wiring.config import tomltext  # tomllib is loaded only where a TOML file is

        return tomltext.read(text, file)
    if kind == "json":
        from rote.wiring.config import jsontext  # the same for JSON

        node = jsontext.read(text, file)
    else:
        from rote.wiring.config import yamltext  # PyYAML takes longer to load than a cached pipeline

        node = yamltext.read(text, file)
    if node.value is None:
        return {}
    if not isinstance(node.value, dict):
        raise refused(
            At(file, node.line),
            f"expected a mapping of names to values, found {node.kind}",
            "write NAME: VALUE",
        )
    found: dict[str, Any] = node.bare()
    return found


def surprises(root: str, files: Iterable[str]) -> list[str]:
    """What a training script that reads YAML 1.1 (PyYAML does) sees otherwise than rote: a line each."""
    from rote.wiring.config import yamltext  # as above

    told = []
    for file in dict.fromkeys(files):
        data = reading.read_bytes(root, file) if file.endswith((".yaml", ".yml")) else None
        if data is not None:
            told += yamltext.surprises(reading.decode(data, file), file)
    return told


def files_of(pipeline: Pipeline) -> list[str]:
    """Every params file that a stage or a template names, in the order of the pipeline."""
    files = dict.fromkeys(param.file for stage in pipeline.stages.values() for param in stage.params)
    return list(files | dict.fromkeys(pipeline.named))


def of(root: str, pipeline: Pipeline, overrides: Sequence[overriding.Override] = ()) -> Values:
    """The params of a whole pipeline, with the overrides in place, and every param that a stage names found in them.

    A file that is not there is left out if a stage makes it. Raises ConfigError with the stage's place otherwise.
    """
    made = {out.path for stage in pipeline.stages.values() for out in stage.outs}
    values: dict[str, Any] = {}
    for stage in pipeline.stages.values():
        for file in dict.fromkeys(param.file for param in stage.params):
            below_made = any(file == path or file.startswith(f"{path}/") for path in made)
            if file in values or (below_made and not os.path.lexists(os.path.join(root, file))):
                continue
            at = At(stage.at.file, stage.at.line, f"stages.{stage.name}.params")
            values[file] = read_one(root, file, at)
    for file in pipeline.named:
        if file not in values and file.endswith(SUFFIXES):
            values[file] = read_one(root, file)
    found = overriding.apply(values, overrides)
    check(pipeline, found)
    return found


def check(pipeline: Pipeline, values: Values) -> None:
    """Every param of every stage is there. Raises ConfigError that names the stage's place and the nearest key.

    Files that are not in `values` are left out: a stage may make them.
    """
    for stage in pipeline.stages.values():
        for param in stage.params:
            content = values.get(param.file)
            if content is None or overriding.locate(content, param.key) is not None:
                continue
            known = overriding.keys(content)
            near = nearest(param.key, known)
            meant = f"did you mean {shown(near)}?" if near else f"write {param.key} into {param.file}"
            at = At(stage.at.file, stage.at.line, f"stages.{stage.name}.params")
            raise refused(at, f"{param.file} has no param {shown(param.key)}", meant)
