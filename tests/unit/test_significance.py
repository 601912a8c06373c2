"""Statistical tests against closed forms, exact enumeration and known answers."""

from __future__ import annotations

import math

import pytest

from rote.laws.gates import significance
from rote.laws.gates.significance import Kinds, Means, draw, lower_bound, mcnemar, mcnemar_margin


@pytest.mark.parametrize(
    ("better", "worse"), [(0, 0), (1, 0), (0, 1), (5, 1), (12, 7), (20, 5), (50, 50), (300, 250)]
)
def test_mcnemar_is_the_binomial_tail(better, worse):
    count = better + worse
    exact = sum(math.comb(count, k) for k in range(better, count + 1)) / 2**count
    assert mcnemar(better, worse) == pytest.approx(exact, rel=1e-9)


def test_mcnemar_of_very_many():
    assert 0 < mcnemar(50_500, 49_500) < 0.001
    assert mcnemar(50_000, 50_000) == pytest.approx(0.5, abs=0.01)
    assert mcnemar(100_000, 0) == 0.0


def test_without_a_margin_it_is_mcnemars():
    assert mcnemar_margin(12, 7, 360, 0.0) == mcnemar(12, 7)
    # As the margin vanishes, Tango's statistic becomes McNemar's with the continuity correction.
    z = (12 - 7 - 0.5) / math.sqrt(12 + 7)
    assert mcnemar_margin(12, 7, 360, 1e-9) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-4)


@pytest.mark.parametrize(
    ("better", "worse", "examples", "margin"), [(5, 9, 300, 0.02), (0, 3, 100, 0.05), (7, 7, 90, 0.1)]
)
def test_the_most_likely_share_is_that_of_the_likelihood(better, worse, examples, margin):
    """The statistic with the share of `worse` that a search over the likelihood finds is the one that we have."""

    def likelihood(share):
        one, rest = share - margin, 1 - 2 * share + margin
        if one < 0 or rest <= 0 or (one == 0 and better):
            return -math.inf
        found = worse * math.log(share) + (examples - better - worse) * math.log(rest)
        return found + (better * math.log(one) if better else 0)

    best = max((margin + k / 200_000 for k in range(1, 100_000)), key=likelihood)
    variance = examples * (2 * best - margin * (1 + margin))
    z = (better - worse + examples * margin - 0.5) / math.sqrt(variance)
    assert mcnemar_margin(better, worse, examples, margin) == pytest.approx(
        0.5 * math.erfc(z / math.sqrt(2)), rel=1e-3
    )


def test_few_examples_prove_nothing():
    assert mcnemar_margin(0, 0, 50, 0.01) > 0.05
    assert mcnemar_margin(0, 0, 1000, 0.01) < 0.05
    assert mcnemar_margin(3, 3, 10, 1.5) == 0.0  # worse by more than all cannot be


def errors(examples, margin, share, allowed):
    """The exact probability that the test passes a model that is worse by the margin: over all tables."""
    logs = [0.0]
    for k in range(1, examples + 1):
        logs.append(logs[-1] + math.log(k))
    more = share + margin
    total = 0.0
    for better in range(examples + 1):
        if better and not share:
            break
        for worse in range(examples - better + 1):
            rest = examples - better - worse
            chance = logs[examples] - logs[better] - logs[worse] - logs[rest]
            chance += (better * math.log(share) if better else 0) + (worse * math.log(more) if worse else 0)
            chance += rest * math.log(1 - share - more)
            if chance > -25 and mcnemar_margin(better, worse, examples, margin) <= allowed:
                total += math.exp(chance)
    return total


@pytest.mark.parametrize("examples", [20, 50, 100])
@pytest.mark.parametrize("margin", [0.01, 0.05])
@pytest.mark.parametrize("share", [0, 0.005, 0.03, 0.1])
def test_the_error_of_not_worse_is_at_most_what_is_allowed(examples, margin, share):
    assert errors(examples, margin, share, 0.05) <= 0.05


@pytest.mark.heavy
@pytest.mark.parametrize("examples", [200, 400])
@pytest.mark.parametrize("margin", [0.005, 0.01, 0.02, 0.05])
@pytest.mark.parametrize("allowed", [0.01, 0.05, 0.1])
def test_the_error_of_not_worse_is_at_most_what_is_allowed_with_many(examples, margin, allowed):
    for share in (0, 0.002, 0.005, 0.01, 0.03, 0.1, 0.3):
        assert errors(examples, margin, share, allowed) <= allowed


def test_draws_are_the_same_for_the_same_seed_and_fair():
    first = list(draw(10, 50, b"seed"))
    assert first == list(draw(10, 50, b"seed"))
    assert first != list(draw(10, 50, b"other"))
    assert first[0] == [6, 0, 2, 1, 8, 1, 9, 5, 2, 0]  # on every machine, and for ever
    counts = [sum(each.count(k) for each in draw(10, 2000, b"x")) for k in range(10)]
    assert sum((c - 2000) ** 2 / 2000 for c in counts) < 27.9  # chi-square, 9 degrees, 0.1 %


def normal(size, mean):
    """Numbers that are nearly normal: sums of twelve uniform ones."""
    uniform = [n / 999 for part in draw(1000, -(-12 * size // 1000), b"n") for n in part]
    sums = [sum(uniform[12 * k : 12 * k + 12]) for k in range(size)]
    return [value - sum(sums) / size + mean for value in sums]


def test_the_bound_of_a_mean_is_that_of_the_t_distribution():
    gains = normal(200, 0.5)
    spread = math.sqrt(sum((g - 0.5) ** 2 for g in gains) / (200 * 199))
    bound = lower_bound(Means([gains], lambda g: g), 0.95, b"s")
    assert bound == pytest.approx(0.5 - 1.653 * spread, abs=0.15 * spread)
    assert lower_bound(Means([gains], lambda g: g), 0.99, b"s") < bound


def test_above_many_examples_the_bound_is_the_normal_one(monkeypatch):
    gains = normal(400, 0.1)
    resampled = lower_bound(Means([gains], lambda g: g), 0.95, b"s")
    monkeypatch.setattr(significance, "LARGE", 100)
    assert lower_bound(Means([gains], lambda g: g), 0.95, b"s") == pytest.approx(resampled, abs=0.02)


def test_kinds_and_means_agree():
    rows = [("1",)] * 30 + [("0",)] * 60 + [("-1",)] * 10
    kinds = Kinds(rows, lambda counts: sum(int(k[0]) * n for k, n in counts) / sum(n for _, n in counts))
    means = Means([[float(r[0]) for r in rows]], lambda gain: gain)
    assert kinds.observed == pytest.approx(means.observed)
    assert sorted(kinds.without()) == pytest.approx(sorted(means.without()))
    assert lower_bound(kinds, 0.95, b"s") == pytest.approx(lower_bound(means, 0.95, b"s"))


def test_no_difference_has_a_bound_of_nothing():
    assert lower_bound(Means([[0.0] * 50], lambda g: g), 0.95, b"s") == 0.0
