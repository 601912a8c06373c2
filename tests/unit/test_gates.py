"""The grammar of gates, its errors, and what gates decide."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.gates import Baseline, aliases, evaluate, parse
from rote.pipeline import At, Gate

AT = At("rote.yaml", 12, "gates[0]")
PROD = {"prod": Baseline("digits@1.0.0", {"m.json": {"accuracy": 0.91, "loss": 2.0}})}


def decide(text, metrics=None, baselines=PROD):
    (verdict,) = evaluate([Gate(text, AT)], {"metrics.json": metrics or {"accuracy": 0.9}}, baselines)
    return verdict


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "expected a number or a metric, the gate ends"),
        ("accuracy", 9, "expected a comparison"),
        ("accuracy >=", 12, "the gate ends"),
        ("accuracy = 0.9", 10, "write '=='"),
        ("accuracy >= 95%", 15, "write 0.95 for 95 %"),
        ("accuracy >= 0.9 and loss < 1", 17, "write each as a gate of its own"),
        ("0.1 < accuracy < 0.9", 16, "write two gates"),
        ("1 > 2", 1, "it names no metric"),
        ("(accuracy > 1", 11, "expected ')'"),
        ("accuracy > 1)", 13, "expected the end"),
        ("accuracy > 1e999", 12, "too large"),
        ("'m.json:a > 1", 1, "this quote is not closed"),
        ("@prod > 1", 6, "comes '.' and a metric"),
        ("a > ''", 5, "name no metric"),
        ("accuracy >= 0.9 $(reboot)", 17, "'$' has no meaning here"),
        ("a\x1b[31m > 1", 2, "'\\x1b' has no meaning here"),
        ("(" * 60 + "a" + ")" * 60 + " > 1", 51, "nested too deeply"),
        ("-" * 60 + "a > 1", 51, "nested too deeply"),
        ("a > 1 2", 7, "expected the end"),
    ],
)
def test_an_error_points_at_the_column(text, column, says):
    with pytest.raises(ConfigError) as caught:
        parse(text, AT)
    first, shown, caret = str(caught.value).split("\n")
    assert first.startswith("rote.yaml:12: gates[0]: ")
    assert says in first
    assert f"(column {column})" in first
    assert caret.index("^") - 4 == column - 1
    assert len(shown) == len(text) + 4
    assert shown.isprintable()


def test_a_gate_that_is_too_long_is_refused():
    with pytest.raises(ConfigError, match="longer than 1000"):
        parse("a > " + "1+" * 1000 + "1", AT)


@pytest.mark.parametrize(
    ("text", "metrics", "passed"),
    [
        ("accuracy >= 0.9", {"accuracy": 0.9}, True),
        ("accuracy > 0.9", {"accuracy": 0.9}, False),
        ("accuracy >= 0.95", {"accuracy": 0.94}, False),
        ("0.9 <= accuracy", {"accuracy": 0.9}, True),
        ("accuracy == 1", {"accuracy": 1}, True),
        ("accuracy != 1", {"accuracy": 1.0}, False),
        ("ok == 1", {"ok": True}, True),
        ("a - b - c == 1", {"a": 6, "b": 3, "c": 2}, True),
        ("a / b / c == 1", {"a": 12, "b": 4, "c": 3}, True),
        ("a + b * c == 14", {"a": 2, "b": 3, "c": 4}, True),
        ("(a + b) * c == 20", {"a": 2, "b": 3, "c": 4}, True),
        ("-a < +b", {"a": 1, "b": 0}, True),
        ("2e-1 < a", {"a": 0.3}, True),
        ("test.per_class.7 > 0.5", {"test": {"per_class": {"7": 0.6}}}, True),
        ("'metrics.json:accuracy' > 0.5", {"accuracy": 0.6}, True),
        ('"accuracy" > 0.5', {"accuracy": 0.6}, True),
        (
            "accuracy >= prod.accuracy - 0.01",
            {"accuracy": 0.9},
            True,
        ),  # exact: 0.91 - 0.01 is above 0.9 in binary
        ("accuracy >= prod.accuracy - 0.01", {"accuracy": 0.8999999}, False),
        ("accuracy >= @prod.accuracy", {"accuracy": 0.92}, True),
        ("0.1 + a == 0.3", {"a": 0.2}, True),
        ("a > b", {"a": 10**30 + 1, "b": 10**30}, True),
    ],
)
def test_what_gates_decide(text, metrics, passed):
    verdict = decide(text, metrics)
    assert verdict.passed is passed
    assert verdict.gate == text
    assert bool(verdict.why) is not passed


def test_the_verdict_shows_value_and_threshold():
    verdict = decide("accuracy >= prod.accuracy + 0.02", {"accuracy": 0.92})
    assert (verdict.value, verdict.threshold, verdict.passed) == (0.92, 0.93, False)
    assert verdict.why == "0.92 is below 0.93"


@pytest.mark.parametrize(
    ("text", "metrics", "says"),
    [
        ("acuracy > 0.5", {"accuracy": 1}, "the run has no metric 'acuracy'; is it accuracy?"),
        ("'other.json:accuracy' > 0.5", {"accuracy": 1}, "has no metric 'other.json:accuracy'"),
        ("accuracy > 0.5", {"accuracy": float("nan")}, "not a finite number"),
        ("accuracy != 0.5", {"accuracy": float("nan")}, "not a finite number"),
        ("accuracy < 0.5", {"accuracy": float("-inf")}, "not a finite number"),
        ("accuracy > 0.5", {"accuracy": "0.9"}, "has no metric 'accuracy'"),
        ("accuracy / (a - a) > 0", {"accuracy": 1, "a": 1}, "divides by zero"),
        ("accuracy > prod.f1", {"accuracy": 1}, "digits@1.0.0, which holds prod, has no metric 'f1'"),
        ("prod.accuracy > 0", {"prod": {"accuracy": 1}}, "write @prod.accuracy or 'prod.accuracy' in quotes"),
    ],
)
def test_what_cannot_be_decided_fails_and_says_why(text, metrics, says):
    verdict = decide(text, metrics)
    assert not verdict.passed
    assert says in verdict.why


def test_one_metric_with_two_values_fails_and_equal_ones_do_not():
    files = {"a.json": {"f1": 0.5}, "b.json": {"f1": 0.75}}
    gates = [Gate(t, AT) for t in ("f1 > 0", "'b.json:f1' > 0.6", "'a.json:f1' > 0.6")]
    assert [v.passed for v in evaluate(gates, files, {})] == [False, True, False]
    assert "different values in a.json, b.json" in evaluate(gates, files, {})[0].why
    assert evaluate(gates[:1], {"a.json": {"f1": 0.5}, "b.json": {"f1": 0.5}}, {})[0].passed


@pytest.mark.parametrize(
    "text",
    ["accuracy >= prod.accuracy - 0.01", "prod.accuracy - 0.01 <= accuracy", "accuracy >= @staging.accuracy"],
)
def test_when_nobody_holds_the_alias_the_gate_passes_and_says_so(text):
    verdict = decide(text, {"accuracy": 0.1}, {})
    assert verdict.passed
    assert verdict.why.startswith("nobody holds ")


@pytest.mark.parametrize(
    "text", ["acuracy > prod.accuracy", "accuracy > prod.accuracy + typo", "accuracy > stagin.accuracy"]
)
def test_a_typo_is_not_excused_by_an_alias_that_nobody_holds(text):
    assert not decide(text, {"accuracy": 0.9}, {}).passed


def test_which_aliases_are_asked_for():
    texts = ["a > 1", "a.b > @c.d", "prod.x > 'q.r'"]
    assert aliases(parse(text, AT) for text in texts) == {"a", "c", "prod"}
