"""Which stages lie between a model and its figures."""

from __future__ import annotations

import pytest

from rote.laws.gates.evaluation import between, in_version
from rote.words.pipeline import Out, Stage


def stage(name, deps, outs, metrics=()):
    made = [*(Out(path) for path in outs), *(Out(path, "metrics") for path in metrics)]
    return Stage(name=name, cmd=("x",), deps=tuple(deps), outs=tuple(made))


def pipeline(*stages):
    return {each.name: each for each in stages}


USUAL = pipeline(
    stage("prepare", ["data"], ["build/train", "build/test"]),
    stage("train", ["build/train"], ["build/weights"]),
    stage("export", ["build/weights"], ["build/model.onnx"]),
    stage("predict", ["build/model.onnx", "build/test"], ["build/predictions.csv"]),
    stage("score", ["build/predictions.csv", "score.py"], [], ["metrics.json"]),
    stage("report", ["metrics.json"], ["report.html"]),
)


@pytest.mark.parametrize(
    ("files", "wanted", "stages", "given", "measured"),
    [
        (["build/model.onnx"], ["metrics.json"], ["predict", "score"], ["build/model.onnx"], ["metrics.json"]),
        (
            ["build/model.onnx", "metrics.json"],  # a version may hold its figures: they are measured all the same
            ["metrics.json", "build/predictions.csv"],
            ["predict", "score"],
            ["build/model.onnx"],
            ["metrics.json", "build/predictions.csv"],
        ),
        (["build/model.onnx"], ["build/predictions.csv"], ["predict"], ["build/model.onnx"], ["build/predictions.csv"]),
        (["build/weights"], ["metrics.json"], ["export", "predict", "score"], ["build/weights"], ["metrics.json"]),
        (["build/weights", "build/model.onnx"], ["metrics.json"], ["predict", "score"], ["build/model.onnx"], ["metrics.json"]),
        (["labels.txt"], ["metrics.json"], [], [], []),
        (["build/model.onnx"], ["nothing.json"], [], [], []),
        (["build/model.onnx/"], ["metrics.json"], ["predict", "score"], ["build/model.onnx"], ["metrics.json"]),
    ],
)  # fmt: skip
def test_between(files, wanted, stages, given, measured):
    found = between(USUAL, files, wanted)
    assert list(found.stages) == stages
    assert (found.given, found.measured) == (set(given), set(measured))


def test_a_stage_that_makes_the_model_does_not_evaluate_it():
    stages = pipeline(stage("train", ["data"], ["model"], ["metrics.json"]))
    assert between(stages, ["model"], ["metrics.json"]).stages == ()


def test_two_ways_from_the_model_to_the_figures_are_both_gone():
    stages = pipeline(
        stage("train", ["data"], ["model"]),
        stage("a", ["model"], ["a.csv"]),
        stage("b", ["model"], ["b.csv"]),
        stage("score", ["a.csv", "b.csv"], [], ["m.json"]),
    )
    assert between(stages, ["model"], ["m.json"]).stages == ("a", "b", "score")


@pytest.mark.parametrize(
    ("dep", "files", "place"),
    [
        ("build/model.onnx", ["build/model.onnx"], "model.onnx"),
        ("build/words/a.txt", ["build/words/"], "words/a.txt"),
        ("build", ["build/model.onnx"], None),
        ("buildings/x", ["build"], None),
    ],
)
def test_where_a_dep_is_in_a_version(dep, files, place):
    assert in_version(dep, files) == place
