"""What statistical gates decide by predictions, and how often they are wrong: A/A simulations."""

from __future__ import annotations

import random

import pytest

from rote.laws.gates.gatetext import parse
from rote.laws.gates.predictions import Predictions, Unusable
from rote.laws.gates.scoring import compared
from rote.words.pipeline import At, PredictionsFile

AT = At("rote.yaml", 1)
NAMES = PredictionsFile(path="p.csv")


def of(whose="the run", **columns):
    return Predictions(f"p.csv of {whose}", {k: [str(v) for v in c] for k, c in columns.items()}, NAMES)


def decide(text, run, other):
    return compared(parse(text, AT), run, other, "d@1.0.0")


def classes(better, worse, both, neither, labels=("0", "1")):
    """Predictions of two models: on so many examples only the run is right, only the other, both, neither."""
    mine, theirs, truth = [], [], []
    for count, a, b in ((better, 1, 0), (worse, 0, 1), (both, 1, 1), (neither, 0, 0)):
        for _ in range(count):
            label = len(truth) % 2
            truth.append(labels[label])
            mine.append(labels[label if a else 1 - label])
            theirs.append(labels[label if b else 1 - label])
    ids = range(len(truth))
    return of(id=ids, label=truth, prediction=mine), of("d@1.0.0", id=ids, label=truth, prediction=theirs)


def test_better_by_mcnemar():
    found = decide("better(accuracy, than=prod)", *classes(20, 5, 300, 35))
    assert found.passed
    assert (found.score, found.other) == (pytest.approx(320 / 360), pytest.approx(305 / 360))
    assert found.why == "360 examples, 20 better and 5 worse: p = 0.002, at most 0.05"
    evidence = found.evidence
    assert (evidence.against, evidence.method, evidence.examples) == ("d@1.0.0", "mcnemar", 360)
    assert (evidence.better, evidence.worse, evidence.p) == (20, 5, pytest.approx(0.00204, abs=1e-5))
    found = decide("better(accuracy, than=prod)", *classes(12, 7, 300, 41))
    assert (found.passed, found.why) == (False, "360 examples, 12 better and 7 worse: p = 0.18, above 0.05")
    assert not decide("better(accuracy, confidence=0.999)", *classes(20, 5, 300, 35)).passed
    found = decide("not_worse(accuracy, margin=0.5)", *classes(0, 0, 5000, 0))
    assert found.why == "5000 examples, 0 better and 0 worse: p below 1e-300, at most 0.05"


def test_not_worse_by_a_margin():
    assert decide("not_worse(accuracy, margin=0.02)", *classes(5, 5, 900, 90)).passed
    assert not decide("not_worse(accuracy, margin=0.02)", *classes(5, 5, 90, 9)).passed
    assert not decide("not_worse(accuracy, margin=0.02)", *classes(5, 25, 900, 70)).passed
    assert not decide("not_worse(accuracy, margin=0.02)", *classes(0, 0, 20, 0)).passed


@pytest.mark.parametrize("score", ["accuracy", "recall", "f1"])
def test_the_bootstrap_of_classes(score):
    text = f"better({score}, method=bootstrap)"
    found = decide(text, *classes(30, 5, 300, 25))
    assert found.passed
    assert found.evidence.low > 0
    assert "with 0.95 confidence" in found.why
    assert found == decide(text, *classes(30, 5, 300, 25))  # the same predictions, the same verdict
    assert not decide(text, *classes(12, 10, 300, 38)).passed
    assert decide(f"not_worse({score}, margin=0.1, method=bootstrap)", *classes(12, 10, 300, 38)).passed


def test_too_few_for_the_bootstrap():
    found = decide("better(f1)", *classes(9, 0, 300, 0))
    assert not found.passed
    assert "too few to tell: at least 30 are needed, and 10 on which they differ" in found.why
    assert not decide("not_worse(f1, margin=0.5)", *classes(0, 0, 300, 0)).passed
    assert not decide("better(f1)", *classes(20, 0, 0, 0)).passed


def numbers(shift, size=200, seed=2):
    chance = random.Random(seed)
    truth = [chance.gauss(0, 1) for _ in range(size)]
    mine = [t + chance.gauss(0, 1) for t in truth]
    theirs = [t + chance.gauss(0, 1) * (1 + shift) for t in truth]
    ids = range(size)
    return of(id=ids, label=truth, prediction=mine), of("d@1.0.0", id=ids, label=truth, prediction=theirs)


@pytest.mark.parametrize("score", ["mae", "mse", "rmse"])
def test_errors_of_numbers(score):
    found = decide(f"better({score})", *numbers(0.5))
    assert found.passed
    assert found.score < found.other
    assert not decide(f"better({score})", *numbers(0)).passed
    assert not decide(f"better({score})", *reversed(numbers(0.5))).passed
    assert not decide(f"not_worse({score}, margin=0.01)", *reversed(numbers(0.5))).passed
    assert decide(f"not_worse({score}, margin=0.5)", *numbers(0)).passed


def test_columns_of_ones_own():
    ids = range(100)
    run = of(id=ids, reward=[k % 7 + 1 for k in ids])
    other = of("d@1.0.0", id=reversed(ids), reward=[k % 7 + k % 3 / 10 for k in reversed(ids)])
    assert decide("better(reward, want=higher)", run, other).passed
    assert not decide("better(reward, want=lower)", run, other).passed
    assert decide("better(reward, want=lower)", other, run).passed


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("better(accuracy)", {"label": ["1"]}, "has no column 'prediction'"),
        ("better(accuracy)", {"label": [""], "prediction": [""]}, "row 1 of column 'label' is empty"),
        (
            "better(mae)",
            {"label": ["1"], "prediction": ["x"]},
            "'x' in row 1 of column 'prediction' is no finite",
        ),
        ("better(mse)", {"label": ["1"], "prediction": ["1e200"]}, "beyond all numbers"),
        ("better(reward, want=higher)", {"rewards": ["1"]}, "has no column 'reward'; is it rewards?"),
    ],
)
def test_what_cannot_be_scored(text, columns, says):
    with pytest.raises(Unusable) as caught:
        decide(text, of(**columns), of("d@1.0.0", **columns))
    assert says in str(caught.value)


# ---- A/A: two models that are equally good -------------------------------------------------------------------------


def equals(chance, size, unlike, accuracy):
    """Predictions of two models of the same true accuracy, that differ on some examples."""
    mine, theirs = [], []
    for _ in range(size):
        one = chance.random() < accuracy
        other = not one if chance.random() < unlike else one
        if chance.random() < 0.5:  # which of the two is which is chance: neither is better
            one, other = other, one
        mine.append("0" if one else "1")
        theirs.append("0" if other else "1")
    ids = [str(k) for k in range(size)]
    truth = ["0"] * size
    return of(id=ids, label=truth, prediction=mine), of("d", id=ids, label=truth, prediction=theirs)


def promoted(text, trials, seed, make):
    chance = random.Random(seed)
    test = parse(text, AT)
    return sum(compared(test, *make(chance), "d@1.0.0").passed for _ in range(trials)) / trials


def most(allowed, trials):
    """More than this share of trials is no chance any more (four standard errors)."""
    return allowed + 4 * (allowed * (1 - allowed) / trials) ** 0.5


@pytest.mark.parametrize(("size", "unlike"), [(50, 0.2), (200, 0.05), (200, 0.3), (1000, 0.02)])
def test_a_model_that_is_no_better_is_seldom_promoted(size, unlike):
    trials = 300
    share = promoted("better(accuracy)", trials, size, lambda c: equals(c, size, unlike, 0.9))
    assert share <= most(0.05, trials)


@pytest.mark.parametrize(("size", "margin"), [(200, 0.05), (1000, 0.02)])
def test_a_model_that_is_worse_by_the_margin_is_seldom_promoted(size, margin):
    def worse(chance):
        rows = [chance.random() for _ in range(size)]
        mine = ["1" if r < 0.05 + margin else "0" for r in rows]
        theirs = ["1" if r > 0.95 else "0" for r in rows]
        ids = [str(k) for k in range(size)]
        return of(id=ids, label=["0"] * size, prediction=mine), of(
            "d", id=ids, label=["0"] * size, prediction=theirs
        )

    trials = 300
    assert promoted(f"not_worse(accuracy, margin={margin})", trials, 3, worse) <= most(0.05, trials)


@pytest.mark.heavy
@pytest.mark.parametrize("score", ["mae", "rmse", "reward", "f1"])
@pytest.mark.parametrize("size", [60, 300])
def test_the_bootstrap_seldom_promotes_a_model_that_is_no_better(score, size):
    def make(chance):
        if score == "f1":
            return equals(chance, size, 0.3, 0.8)
        truth = [chance.gauss(0, 1) for _ in range(size)]
        ids = range(size)
        mine, theirs = ([t + chance.gauss(0, 1) for t in truth] for _ in range(2))
        a = of(id=ids, label=truth, prediction=mine, reward=mine)
        return a, of("d", id=ids, label=truth, prediction=theirs, reward=theirs)

    trials = 400
    text = "better(reward, want=higher)" if score == "reward" else f"better({score})"
    assert promoted(text, trials, size, make) <= most(0.05, trials)


@pytest.mark.heavy
def test_false_promotions_of_ten_thousand_releases():
    trials = 10_000
    share = promoted("better(accuracy)", trials, 7, lambda c: equals(c, 300, 0.1, 0.9))
    assert share <= most(0.05, trials)
