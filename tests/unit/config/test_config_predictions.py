"""`models.NAME.predictions`: what it means, and what is refused where."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.wiring.config import pipelines
from rote.words.pipeline import PredictionsFile

HEAD = "models:\n  m:\n    files: [x]\n    predictions: "


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("p.csv", PredictionsFile(path="p.csv")),
        ("./out//p.JSONL", PredictionsFile(path="out/p.JSONL")),
        ("{path: p.csv, id: image, label: y}", PredictionsFile(path="p.csv", id="image", label="y")),
        ("{path: p.ndjson, prediction: 'y pred'}", PredictionsFile(path="p.ndjson", prediction="y pred")),
    ],
)
def test_what_it_means(text: str, means: PredictionsFile) -> None:
    assert pipelines.read(HEAD + text).models["m"].predictions == means


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "p.parquet",
            "rote.yaml:4: models.m.predictions: predictions are CSV or JSON lines, and p.parquet is neither",
        ),
        ("[p.csv]", "expected text or a mapping, found a list"),
        ("3", "expected text or a mapping"),
        ("../p.csv", "models.m.predictions"),
        ("{id: image}", "models.m.predictions: this has no `path`"),
        ("{path: p.csv, ids: image}", "unknown key 'ids'"),
        ("{path: p.csv, id: label}", "id, label and prediction are three columns"),
        ("{path: p.txt}", "models.m.predictions.path: predictions are CSV or JSON lines"),
    ],
)
def test_what_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        pipelines.read(HEAD + text)
    assert says in str(caught.value)
