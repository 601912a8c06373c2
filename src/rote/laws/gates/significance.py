"""Statistical tests on paired examples: is the difference between two models more than chance?

Every test is one-sided: it is passed by chance alone with a probability of at most 1 - confidence (exactly for
McNemar's test, nearly for the bootstrap). Sources:

- Q. McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
  Psychometrika 12 (1947), 153-157; exact, as the binomial test of the examples on which the two differ.
- T. Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
  Statistics in Medicine 17 (1998), 891-908: McNemar's test with a margin. Half a step is taken off its numerator
  (F. Yates, "Contingency tables involving small numbers and the chi-square test", Supplement to the Journal of the
  Royal Statistical Society 1 (1934), 217-235), because without it the error exceeds 1 - confidence with few examples.
- The studentized bootstrap over paired examples: B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993),
  chapter 12; why studentized: P. Hall, "Theoretical comparison of bootstrap confidence intervals", Annals of
  Statistics 16 (1988), 927-953; paired examples in machine learning: P. Koehn, "Statistical significance tests for
  machine translation evaluation", EMNLP 2004, 388-395.
- The standard error of a score that is no mean: B. Efron and C. Stein, "The jackknife estimate of variance", Annals
  of Statistics 9 (1981), 586-596.

Draws come from BLAKE3 of a seed, so the same predictions give the same answer on every machine.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Protocol

from blake3 import blake3

RESAMPLES = 2_000
LARGE = 5_000
"""Above so many examples the bound is that of the normal distribution: resampling would change nothing."""
LEAST, LEAST_UNLIKE = 30, 10
"""Fewer examples, or fewer on which the two differ, are too few for the bootstrap."""
_NORMAL = NormalDist()

Kind = tuple[str, ...]
"""What is known of an example, where many are alike."""


class Sample(Protocol):
    """The examples of a comparison, and the difference of the two models in a score."""

    @property
    def size(self) -> int:
        """How many examples."""

    @property
    def observed(self) -> float:
        """The difference over all of them."""

    def without(self) -> list[float]:
        """For each example, the difference without it."""

    def of(self, chosen: Sequence[int]) -> float:
        """The difference over the chosen examples; one may be there several times."""


class Means:
    """A difference that follows from means over the examples: `columns` has for each mean a value of each example."""

    def __init__(self, columns: Sequence[Sequence[float]], figure: Callable[..., float]) -> None:
        self._columns = columns
        self._figure = figure
        self.size = len(columns[0])
        self._sums = [math.fsum(column) for column in columns]
        self.observed = figure(*(total / self.size for total in self._sums))

    def without(self) -> list[float]:
        """See Sample."""
        left = self.size - 1
        return [
            self._figure(*((total - value) / left for total, value in zip(self._sums, row, strict=True)))
            for row in zip(*self._columns, strict=True)
        ]

    def of(self, chosen: Sequence[int]) -> float:
        """See Sample."""
        return self._figure(*(sum(map(column.__getitem__, chosen)) / len(chosen) for column in self._columns))


class Kinds:
    """A difference that follows from how often each kind of example is there."""

    def __init__(self, rows: Sequence[Kind], figure: Callable[[Sequence[tuple[Kind, int]]], float]) -> None:
        self.counts = list(Counter(rows).items())
        position = {row: index for index, (row, _) in enumerate(self.counts)}
        self._kinds = [position[row] for row in rows]
        self._figure = figure
        self.size = len(rows)
        self.observed = figure(self.counts)

    def without(self) -> list[float]:
        """See Sample."""
        left, values = list(self.counts), []
        for index, (row, count) in enumerate(self.counts):
            left[index] = (row, count - 1)
            values.append(self._figure(left))
            left[index] = (row, count)
        return [values[kind] for kind in self._kinds]

    def of(self, chosen: Sequence[int]) -> float:
        """See Sample."""
        found = Counter(map(self._kinds.__getitem__, chosen))
        return self._figure([(self.counts[index][0], times) for index, times in found.items()])


def mcnemar(better: int, worse: int) -> float:
    """The probability that of the examples on which two equally good models differ, at least `better` fall to the one:
    McNemar's exact test, one-sided. `better`: right where the other is wrong; `worse`: the reverse."""
    count = better + worse
    term = -count * math.log(2)
    total = 0.0
    for k in range(count, better - 1, -1):
        total += math.exp(term)
        if k:
            term += math.log(k) - math.log(count - k + 1)
    return min(total, 1.0)


def mcnemar_margin(better: int, worse: int, examples: int, margin: float) -> float:
    """The probability to see at least this if the one model is worse by `margin` in its share of right answers: Tango's
    score test with half a step of continuity, one-sided. Without a margin this is McNemar's."""
    if not 0 < margin < 1:
        return mcnemar(better, worse) if margin <= 0 else 0.0
    a = 2 * examples
    b = -better - worse - (2 * examples - better + worse) * margin
    c = worse * margin * (1 + margin)
    # The most likely share of `worse` if the difference is exactly the margin.
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = examples * (2 * share - margin * (1 + margin))
    if variance <= 0:
        return 1.0
    return math.erfc((better - worse + examples * margin - 0.5) / math.sqrt(2 * variance)) / 2


def lower_bound(sample: Sample, confidence: float, seed: bytes) -> float:
    """The value that the difference exceeds with this confidence. Two examples at least."""
    size = sample.size
    without = sample.without()
    mean = math.fsum(without) / size
    influence = [(size - 1) * (mean - value) for value in without]  # of each example on the difference
    squares = [value * value for value in influence]
    error = math.sqrt(math.fsum(squares) / (size * (size - 1)))
    if not error:
        return sample.observed
    if size > LARGE:
        return sample.observed - _NORMAL.inv_cdf(confidence) * error
    ratios = []
    for chosen in draw(size, RESAMPLES, seed):
        total = sum(map(influence.__getitem__, chosen))
        square = sum(map(squares.__getitem__, chosen)) - total * total / size
        if square > 0:
            away = sample.of(chosen) - sample.observed
            ratios.append(away / math.sqrt(square / (size * (size - 1))))
    ratios.sort()
    return sample.observed - ratios[min(math.ceil(confidence * len(ratios)), len(ratios) - 1)] * error


def draw(size: int, times: int, seed: bytes) -> Iterator[list[int]]:
    """`times` samples of `size` numbers below `size`, drawn with replacement; the same for the same seed."""
    for number in range(times):
        words = array("I")
        stream = blake3(seed + number.to_bytes(4, "little"), derive_key_context="rote 1 bootstrap")
        words.frombytes(stream.digest(length=words.itemsize * size))
        if sys.byteorder == "big":
            words.byteswap()
        yield [word * size >> 32 for word in words]
