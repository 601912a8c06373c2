"""The schema says what the reader does, and the docs say every key."""

from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml
from test_config_bad_pipelines import BAD
from test_config_pipelines import WHOLE

from rote.errors import ConfigError
from rote.wiring import config
from rote.wiring.config import pipelines, starter, vocabulary
from rote.wiring.config.sources import Sources

DOCS = Path(__file__).parents[3] / "docs"


def valid(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(config.schema()).is_valid(yaml.load(text, yaml.BaseLoader)))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(config.schema())


def test_the_example_is_valid() -> None:
    jsonschema.validate(yaml.safe_load(WHOLE), config.schema())


@pytest.mark.parametrize(
    "name",
    [
        "top is a list", "top unknown", "top vars", "store list", "stages list", "stage null", "stage text", "stage name",
        "stage key unknown", "foreach", "no cmd", "cmd number", "deps text", "deps number", "out options several",
        "metrics text", "frozen yes", "frozen quoted", "always_changed number", "wdir list", "env text", "env name", "desc number",
        "params text", "params number", "gates text", "gate mapping", "models list", "model name", "model unknown",
        "model without files", "model files number",
    ],
)  # fmt: skip
def test_what_the_reader_refuses_by_shape_the_schema_refuses(name: str) -> None:
    text, _, _ = BAD[name]
    loaded = yaml.load(text, yaml.SafeLoader)
    if name == "frozen yes":
        loaded = {"stages": {"train": {"cmd": "x", "frozen": "yes"}}}  # PyYAML reads YAML 1.1
    assert not jsonschema.Draft202012Validator(config.schema()).is_valid(loaded)
    with pytest.raises(ConfigError):
        pipelines.read(text)


@pytest.mark.parametrize("key", vocabulary.keys())
def test_every_key_is_documented(key: str) -> None:
    text = (DOCS / "rote-yaml.md").read_text()
    assert f"### `{key}`" in text, f"docs/rote-yaml.md has no heading ### `{key}`"


def test_the_docs_document_no_key_that_is_not_there() -> None:
    text = (DOCS / "rote-yaml.md").read_text()
    headings = [
        line.removeprefix("### `").rstrip("`") for line in text.splitlines() if line.startswith("### `")
    ]
    assert headings == vocabulary.keys()


NAMED = {
    "conf/shared.yaml": "seed: 1",
    "conf/model.json": '{"width": 8, "depth": 2}',
    "speech/rote.yaml": "stages: {train: {cmd: x, outs: [metrics.json]}}",
    "vision/digits/rote.yaml": "",
}
"""The other files that the examples name."""


@pytest.mark.parametrize("page", ["rote-yaml.md", "coming-from-dvc.md"])
def test_every_yaml_example_of_the_docs_is_read(page: str) -> None:
    blocks = (DOCS / page).read_text().split("```yaml\n")[1:]
    examples = [block.split("```")[0] for block in blocks]
    assert examples
    for example in examples:
        if example.startswith("# rote.yaml"):
            there = {file: text.encode() for file, text in NAMED.items()} | {"rote.yaml": example.encode()}
            pipeline = pipelines.read(example, sources=Sources(None, there))
            assert pipeline.stages or pipeline.models or pipeline.gates or pipeline.store


@pytest.mark.parametrize("key", [*vocabulary.ELSEWHERE])
def test_what_dvc_has_and_rote_has_not_is_said(key: str) -> None:
    assert f"`{key}`" in (DOCS / "coming-from-dvc.md").read_text()


def test_the_starter_is_an_empty_pipeline_and_a_whole_one_without_its_marks() -> None:
    assert pipelines.read(starter.pipeline_text()).stages == {}
    assert pipelines.read(starter.pipeline_text("s3://b/ü\"'")).store == "s3://b/ü\"'"
    lines = starter.pipeline_text("/data/store").splitlines()
    shown = [
        line.removeprefix("# ")
        for line in lines
        if not line.startswith("# ") or (line[2:3] in " sgm" and ":" in line) or line.startswith("#   ")
    ]
    pipeline = pipelines.read("\n".join(shown))
    assert list(pipeline.stages) == ["train"]
    assert list(pipeline.models) == ["my-model"]
    assert pipeline.gates


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "/.rote/\n/rote.local.yaml\n"),
        ("*.pyc", "*.pyc\n/.rote/\n/rote.local.yaml\n"),
        (".rote\nrote.local.yaml\n", ".rote\nrote.local.yaml\n"),
        ("/.rote/\n/rote.local.yaml", "/.rote/\n/rote.local.yaml"),
    ],
)
def test_the_ignore_file(before: str, after: str) -> None:
    assert starter.ignore_text(before) == after
    assert starter.ignore_text(after) == after
