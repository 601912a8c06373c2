"""Scores of predictions, and what a statistical gate decides by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from blake3 import blake3

from rote.laws.gates import significance
from rote.laws.gates.gatewords import BETTER, MCNEMAR, SCORES, TestExpr
from rote.laws.gates.predictions import Pair, Predictions, Unusable, pair, plain
from rote.laws.gates.significance import Kind, Kinds, Means, Sample
from rote.words.ids import shown
from rote.words.verdict import Evidence

_SQUARED = ("mse", "rmse")


class Compared(msgspec.Struct, frozen=True):
    """What a test decided: the scores of the run and of the other, and why."""

    passed: bool
    score: float
    other: float
    why: str
    evidence: Evidence


class _Sides(msgspec.Struct, frozen=True):
    """The score of each side, their difference as a sample (positive: the run is better), and on how many examples one
    is better than the other."""

    run: float
    other: float
    sample: Sample
    better: int
    worse: int


def compared(test: TestExpr, run: Predictions, other: Predictions, against: str) -> Compared:
    """Decide a statistical gate. Raises Unusable if the predictions cannot be compared."""
    found = pair(run, other)
    sides = _sides(test.score, found, 1 if test.want == "higher" else -1)
    size = sides.sample.size
    evidence = Evidence(
        against=against, method=test.method, confidence=test.confidence, examples=size,
        better=sides.better, worse=sides.worse,
    )  # fmt: skip
    decide = _by_mcnemar if test.method == MCNEMAR else _by_bootstrap
    passed, why, evidence = decide(test, sides, evidence, _seed(test, found))
    counted = f"{size} examples, {sides.better} better and {sides.worse} worse"
    return Compared(passed, sides.run, sides.other, f"{counted}: {why}", evidence)


def _by_mcnemar(test: TestExpr, sides: _Sides, evidence: Evidence, seed: bytes) -> tuple[bool, str, Evidence]:
    size = sides.sample.size
    p = significance.mcnemar_margin(sides.better, sides.worse, size, test.margin)
    allowed = 1 - test.confidence
    passed = p <= allowed
    told = f"p = {p:.2g}" if p else "p below 1e-300"  # too small for a float
    chance = f"{told}, at most {allowed:.3g}" if passed else f"{told}, above {allowed:.3g}"
    return passed, chance, msgspec.structs.replace(evidence, p=p)


def _by_bootstrap(
    test: TestExpr, sides: _Sides, evidence: Evidence, seed: bytes
) -> tuple[bool, str, Evidence]:
    size, unlike = sides.sample.size, sides.better + sides.worse
    if size < significance.LEAST or unlike < significance.LEAST_UNLIKE:
        few = (
            f"at least {significance.LEAST} are needed, and {significance.LEAST_UNLIKE} on which they differ"
        )
        return False, f"too few to tell: {few}", evidence
    low = significance.lower_bound(sides.sample, test.confidence, seed)
    passed = low > 0 if test.kind == BETTER else low >= -test.margin
    much = f"the gain is {sides.sample.observed:.3g}, and at least {low:.3g} with {test.confidence:.4g} confidence"
    return passed, much, msgspec.structs.replace(evidence, low=low)


def _seed(test: TestExpr, pair: Pair) -> bytes:
    """The same predictions, the same draws."""
    digest = blake3(test.score.encode())
    for side in (pair.run, pair.other):
        for name in sorted(side.columns):
            digest.update(f"\0{name}\0{len(side)}\0".encode())
            digest.update("\0".join(side.columns[name]).encode("utf-8", "surrogatepass"))
    return digest.digest()


def _sides(score: str, pair: Pair, way: int) -> _Sides:
    if score in ("accuracy", "recall", "f1"):
        return _classes(score, pair)
    if score in SCORES:
        return _errors(score, pair)
    mine = pair.run.numbers(score)
    theirs = _ordered(pair, pair.other.numbers(score))
    return _means(mine, theirs, way)


def _ordered(pair: Pair, values: Sequence[float]) -> list[float]:
    return [values[at] for at in pair.order]


def _means(mine: Sequence[float], theirs: Sequence[float], way: int, root: bool = False) -> _Sides:
    """Scores that are means over the examples, or roots of such."""

    def figure(value: float) -> float:
        return math.sqrt(max(value, 0.0)) if root else value

    size = len(mine)
    scores = figure(math.fsum(mine) / size), figure(math.fsum(theirs) / size)
    gains = [way * (a - b) for a, b in zip(mine, theirs, strict=True)]
    sample = (
        Means([mine, theirs], lambda a, b: way * (figure(a) - figure(b)))
        if root
        else Means([gains], lambda gain: gain)
    )
    return _Sides(*scores, sample, sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains))


def _errors(score: str, pair: Pair) -> _Sides:
    names = pair.run.names
    truth = pair.run.numbers(names.label)
    mine = pair.run.numbers(names.prediction)
    theirs = _ordered(pair, pair.other.numbers(names.prediction))

    def errors(values: Sequence[float]) -> list[float]:
        away = [abs(value - true) for value, true in zip(values, truth, strict=True)]
        return [each * each for each in away] if score in _SQUARED else away

    sides = _means(errors(mine), errors(theirs), -1, root=score == "rmse")
    if not all(map(math.isfinite, (sides.run, sides.other))):
        raise Unusable(f"the {score} of {pair.run.at} or {pair.other.at} is beyond all numbers")
    return sides


def _classes(score: str, pair: Pair) -> _Sides:
    """Accuracy, and the mean over the labels (macro) of recall and f1."""
    names = pair.run.names
    labels = [plain(text) for text in pair.run.texts(names.label)]
    if "" in labels:
        row = labels.index("") + 1
        raise Unusable(f"{pair.run.at}: row {row} of column {shown(names.label)} is empty")
    mine = [plain(text) for text in pair.run.texts(names.prediction)]
    other = [plain(text) for text in pair.other.texts(names.prediction)]
    theirs = [other[at] for at in pair.order]
    right = [a == label for a, label in zip(mine, labels, strict=True)]
    wrong = [b == label for b, label in zip(theirs, labels, strict=True)]
    if score == "accuracy":
        return _means([float(a) for a in right], [float(b) for b in wrong], 1)
    macro = _recall if score == "recall" else _f1

    def figure(counts: Sequence[tuple[Kind, int]]) -> float:
        return macro(counts, 1) - macro(counts, 2)

    sample = Kinds(list(zip(labels, mine, theirs, strict=True)), figure)
    whole = sample.counts
    unlike = [a - b for a, b in zip(right, wrong, strict=True)]
    return _Sides(macro(whole, 1), macro(whole, 2), sample, unlike.count(1), unlike.count(-1))


def _recall(counts: Sequence[tuple[Kind, int]], side: int) -> float:
    there: dict[str, int] = {}
    found: dict[str, int] = {}
    for kind, count in counts:
        if count:
            label = kind[0]
            there[label] = there.get(label, 0) + count
            if kind[side] == label:
                found[label] = found.get(label, 0) + count
    return sum(found.get(label, 0) / number for label, number in there.items()) / len(there) if there else 0.0


def _f1(counts: Sequence[tuple[Kind, int]], side: int) -> float:
    both: dict[str, int] = {}  # how often a label is there or is predicted, together
    found: dict[str, int] = {}
    for kind, count in counts:
        if count:
            for label in (kind[0], kind[side]):
                both[label] = both.get(label, 0) + count
            if kind[side] == kind[0]:
                found[kind[0]] = found.get(kind[0], 0) + count
    return (
        sum(2 * found.get(label, 0) / number for label, number in both.items()) / len(both) if both else 0.0
    )
