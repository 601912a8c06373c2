"""The grammar of gates, its errors, and what gates decide."""

from __future__ import annotations

import msgspec
import pytest

from rote.errors import ConfigError
from rote.laws.gates.gateneeds import needs
from rote.laws.gates.gates import Baseline, evaluate, parse
from rote.laws.gates.predictions import decode
from rote.laws.publishing.releasenotes import verdict_figures
from rote.words.pipeline import At, Gate, PredictionsFile

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
        ("accuracy > 0.5", {"text": "x"}, "the run has no metric 'accuracy', nor any other"),
        ("'other.json:accuracy' > 0.5", {"accuracy": 1}, "has no metric 'other.json:accuracy'"),
        ("accuracy > 0.5", {"accuracy": float("nan")}, "not a finite number"),
        ("accuracy != 0.5", {"accuracy": float("nan")}, "not a finite number"),
        ("accuracy < 0.5", {"accuracy": float("-inf")}, "not a finite number"),
        ("accuracy > 0.5", {"accuracy": "0.9"}, "has no metric 'accuracy'"),
        ("accuracy / (a - a) > 0", {"accuracy": 1, "a": 1}, "divides by zero"),
        ("accuracy > prod.f1", {"accuracy": 1}, "digits@1.0.0, which holds prod, has no metric 'f1'"),
        ("prod.accuracy > 0", {"prod": {"accuracy": 1}}, "write @prod.accuracy or 'prod.accuracy' in quotes"),
        ("accuracy > dev.accuracy", {"accuracy": 1}, "If dev is an alias, write @dev.accuracy"),
        ("latency < 20 ms", {"accuracy": 1}, "the run has no metric 'latency'; write latency(p95)"),
        ("size < 20 MB", {"accuracy": 1}, "the run has no metric 'size'; write size()"),
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
    "text", ["accuracy >= @prdo.accuracy", "size() < size(of=prdo)", "better(accuracy, than=prdo)"]
)
def test_an_alias_that_nobody_holds_and_that_is_nearly_one_that_is_held_is_told(text):
    rows = decode(b"label,prediction\n1,1\n", PredictionsFile(path="p.csv"), "the run")
    run = Baseline("the run", {}, sizes={"a": 1}, predictions=rows)
    verdict = judged(text, {"accuracy": 1}, run=run, held=lambda: ["staging", "prod"])
    assert verdict.passed
    assert verdict.why == "nobody holds prdo yet; is it prod?"


@pytest.mark.parametrize(
    ("text", "value", "threshold", "why"),
    [
        ("size() <= 20 MB", "21.5 MB", "20 MB", "21.5 MB is above 20 MB"),
        ("size('small') >= 1 KiB", "293 B", "1.024 kB", "293 B is below 1.024 kB"),
        ("size('small') * 2 > 1 + 600", "586 B", "601 B", "586 B is not above 601 B"),
        ("size('big') <= 21499707 B", "21,499,708 B", "21,499,707 B", None),
        ("latency(p50) <= 1.5 ms", "2.5 ms", "1.5 ms", "2.5 ms is above 1.5 ms"),
        ("latency(max) / latency(p50) <= 1", "1.2", "1", "1.2 is above 1"),
        ("steps <= 20 us", "3 s", "20 us", "3 s is above 20 us"),
        ("accuracy >= 0.9500001", "0.95", "0.9500001", None),
    ],
)
def test_bytes_and_seconds_are_told_as_such(text, value, threshold, why):
    run = Baseline("the run", {}, sizes={"big": 21_499_708, "small": 293}, seconds=(0.002, 0.0025, 0.003))
    verdict = judged(text, {"accuracy": 0.95, "steps": 3}, run=run)
    if text == "size() <= 20 MB":
        assert verdict.unit == "bytes"
    assert verdict_figures(verdict) == (value, threshold)
    assert verdict.why == (why or f"{value} is {'below' if '>=' in text else 'above'} {threshold}")


@pytest.mark.parametrize(
    "text", ["acuracy > prod.accuracy", "accuracy > prod.accuracy + typo", "accuracy > stagin.accuracy"]
)
def test_a_typo_is_not_excused_by_an_alias_that_nobody_holds(text):
    assert not decide(text, {"accuracy": 0.9}, {}).passed


def test_which_aliases_are_asked_for():
    texts = ["a > 1", "a.b > @c.d", "prod.x > 'q.r'"]
    assert set(needs([parse(text, AT) for text in texts], {}).aliases) == {"a", "c", "prod"}


SLICES = {"slices": {"day": {"recall": 0.95}, "night": {"recall": 0.7}, "fog": {"recall": 0.75}}, "loss": 2.0}


def judged(text, metrics, baselines=None, **more):
    (verdict,) = evaluate([Gate(text, AT)], {"m.json": metrics}, baselines or {}, **more)
    return verdict


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("accuracy >= bets(accuracy)", 13, "there is no function 'bets'; is it best?"),
        ("accuracy >= frobnicate(x)", 13, "there is no function 'frobnicate'; there are best"),
        ("accuracy == best(accuracy)", 13, "write highest(…) or lowest(…)"),
        ("accuracy >= loss * best(accuracy)", 20, "write highest(…) or lowest(…)"),
        ("accuracy >= 1 / best(loss)", 17, "write highest(…) or lowest(…)"),
        ("accuracy >= best(@prod.accuracy)", 18, "that of all versions, not of an alias"),
        ("accuracy >= best(0.9)", 18, "expected a metric"),
        ("accuracy >= best(accuracy", 26, "expected ')'"),
        ("min(accuracy) >= 1", 5, "is of several metrics"),
        ("slices.*.recall > prod.*.*.f1", 1, "different numbers of '*'"),
        ("size(model.onnx) < 3", 6, "the name of a file stands in quotes: size('model.onnx')"),
        ("size('a') < 3 s", 11, "this compares bytes with seconds"),
        ("a < 1 MB + latency(p95) * 2", 3, "this compares bytes with seconds"),
        ("highest(size()) < 3", 9, "highest(…) is of a metric, not of size(…)"),
        ("size(of=prod, of=dev) < 3", 15, "of is there twice"),
        ("size('a' 'b') < 3", 10, "expected of="),
        ("size() < 20 MX", 13, "expected the end"),
        ("latency(p42) < 1 s", 9, "expected one of p50"),
        ("better(accuracy) >= 0.9", 18, "expected the end of the gate"),
        ("0.9 <= better(accuracy)", 8, "better(…) is a gate of its own"),
        ("better()", 8, "expected a score"),
        ("better(accuracy, margin=0.1)", 18, "expected than= or confidence= or method= or want="),
        ("better(accuracy than=prod)", 17, "expected ',' or ')'"),
        ("not_worse(accuracy, than=prod)", 21, "such as margin=0.01"),
        ("not_worse(accuracy, margin=-1)", 28, "expected a value"),
        ("better(accuracy, confidence=1)", 18, "confidence is a number between 0.5 and 1"),
        ("better(accuracy, confidence=high)", 18, "confidence is a number"),
        ("better(accuracy, method=guess)", 18, "expected method=mcnemar or method=bootstrap"),
        ("better(mae, method=mcnemar)", 13, "McNemar's test is for accuracy"),
        ("better(mae, want=higher)", 13, "of mae, lower is good"),
        ("better(reward)", 14, "say which way is good, want=higher or want=lower"),
        ("better(accuracy, want=more)", 18, "say which way is good"),
        ("'*.recall > 1", 1, "quote is not closed"),
        ("slices.* .recall > 1", 10, "'.' has no meaning here"),
    ],
)
def test_an_error_in_a_function_points_at_the_column(text, column, says):
    with pytest.raises(ConfigError) as caught:
        parse(text, AT)
    first, _, caret = str(caught.value).split("\n")
    assert says in first
    assert f"(column {column})" in first
    assert caret.index("^") - 4 == column - 1


class TestSlices:
    def test_a_star_stands_for_every_slice_and_the_worst_is_told(self):
        verdict = judged("slices.*.recall >= 0.8", SLICES)
        assert not verdict.passed
        assert (verdict.value, verdict.threshold) == (0.7, 0.8)
        assert verdict.why == "night: 0.7 is below 0.8; so fail fog (2 of 3)"

    def test_all_pass_and_the_closest_is_told(self):
        verdict = judged("slices.*.recall >= 0.6", SLICES)
        assert (verdict.passed, verdict.value, verdict.why) == (True, 0.7, "all 3, closest: night")

    def test_the_same_slice_on_both_sides(self):
        prod = {
            "prod": Baseline(
                "d@1.0.0", {"m.json": {"slices": {"day": {"recall": 0.9}, "night": {"recall": 0.9}}}}
            )
        }
        verdict = judged("slices.*.recall >= prod.slices.*.recall - 0.1", SLICES, prod)
        assert not verdict.passed
        assert (
            verdict.why == "night: 0.7 is below 0.8 (1 of 3)"
        )  # fog is new, and has nothing to be compared with
        gone = {"prod": Baseline("d@1.0.0", {"m.json": {"slices": {"rain": {"recall": 0.1}}}})}
        verdict = judged("slices.*.recall >= prod.slices.*.recall - 0.1", SLICES, gone)
        assert not verdict.passed
        assert "rain: the run has no metric 'slices.rain.recall'" in verdict.why

    def test_nobody_holds_the_alias_yet(self):
        assert judged("slices.*.recall >= prod.slices.*.recall", SLICES).passed
        assert not judged("slices.*.racall >= prod.slices.*.racall", SLICES).passed

    def test_no_slice_at_all_fails(self):
        verdict = judged("slices.*.f1 >= 0.8", SLICES)
        assert (verdict.passed, verdict.why) == (False, "the run has no metric like slices.*.f1")

    def test_names_with_odd_characters_and_files(self):
        metrics = {"per site": {"a-b": 0.9, "c d": 0.7}}
        assert judged("'per site.*' > 0.6", metrics).passed
        assert judged("'m.json:per site.*' > 0.8", metrics).why == "c d: 0.7 is not above 0.8 (1 of 2)"
        assert "no metric like" in judged("'x.json:per site.*' > 0.8", metrics).why

    def test_two_stars(self):
        metrics = {"s": {"a": {"x": 1, "y": 2}, "b": {"x": 3}}}
        assert judged("s.*.* <= 2", metrics).why == "b, x: 3 is above 2 (1 of 3)"

    def test_multiplication_is_still_there(self):
        assert judged("a * b >= 6", {"a": 2, "b": 3}).passed
        assert judged("slices.*.recall*2 >= 1.4", SLICES).passed

    @pytest.mark.parametrize(
        ("text", "passed"),
        [
            ("min(slices.*.recall) >= 0.7", True),
            ("mean(slices.*.recall) == 0.8", True),
            ("max(slices.*.recall) - min(slices.*.recall) <= 0.2", False),
            ("mean(slices.*.nothing) > 0", False),
        ],
    )
    def test_together(self, text, passed):
        assert judged(text, SLICES).passed is passed


class TestBest:
    def test_the_direction_follows_from_the_comparison(self):
        def best(text):
            (found,) = needs([parse(text, AT)], {"m": {"accuracy": 1, "loss": 1}}).bests
            return found.sense

        assert best("accuracy >= best(accuracy) - 0.01") == "highest"
        assert best("best(accuracy) - 0.01 < accuracy") == "highest"
        assert best("accuracy - best(accuracy) >= -0.01") == "highest"
        assert best("loss <= 1.1 * best(loss)") == "lowest"
        assert best("loss / 2 <= -(-best(loss)) ") == "lowest"
        assert best("loss <= lowest(loss)") == "lowest"
        assert best("accuracy == highest(accuracy)") == "highest"

    def test_what_it_is_held_against(self):
        (best,) = needs([parse("accuracy >= best(accuracy)", AT)], {"m": {"accuracy": 1}}).bests
        held = {best: Baseline("d@1.2.0", {"m": {"accuracy": 0.95}})}
        verdict = judged("accuracy >= best(accuracy)", {"accuracy": 0.9}, bests=held)
        assert (verdict.passed, verdict.threshold) == (False, 0.95)

    def test_no_version_yet(self):
        assert judged("accuracy >= best(accuracy)", {"accuracy": 0.9}).why == "no version has accuracy yet"
        assert not judged("accuracy >= best(acuracy)", {"accuracy": 0.9}).passed


class TestSizes:
    RUN = Baseline("the run", {}, sizes={"model.onnx": 20_000_000, "words/a": 5, "words/b": 6})

    @pytest.mark.parametrize(
        ("text", "passed"),
        [
            ("size() <= 20 MB", False),
            ("size('model.onnx') <= 20 MB", True),
            ("size('model.onnx') < 20MB", False),
            ("size('model.onnx') <= 20 MiB", True),
            ("size('words') == 11 B", True),
            ("size('words/') == 11", True),
            ("size() <= size(of=prod) * 1.1", True),
            ("size('model.onnx', of=prod) > 0", False),
        ],
    )
    def test_sizes(self, text, passed):
        prod = {"prod": Baseline("d@1.0.0", {}, sizes={"model.bin": 19_000_000})}
        assert judged(text, {}, prod, run=self.RUN).passed is passed

    def test_a_file_that_is_not_there(self):
        verdict = judged("size('model.onn') < 1 kB", {}, run=self.RUN)
        assert verdict.why == "the run has no file 'model.onn'; is it model.onnx?"

    def test_nobody_yet(self):
        assert judged("size() <= size(of=prod)", {}, run=self.RUN).passed


def test_a_metric_with_the_name_of_a_function_or_a_unit():
    assert judged("size < 3", {"size": 2}).passed
    assert judged("best + MB > 3", {"best": 2, "MB": 2}).passed


def test_a_version_that_could_not_be_evaluated_fails_the_gate_and_one_evaluated_again_is_told():
    problem = {
        "prod": Baseline("d@1.0.0", {"m": {"accuracy": 0.1}}, problem="d@1.0.0 cannot be evaluated: so")
    }
    assert (
        judged("accuracy > prod.accuracy", {"accuracy": 1}, problem).why == "d@1.0.0 cannot be evaluated: so"
    )
    assert judged("accuracy > 0.5", {"accuracy": 1}, problem).passed
    again = {"prod": Baseline("d@1.0.0", {"m": {"accuracy": 0.1}}, evaluated="again")}
    verdict = judged("accuracy > prod.accuracy", {"accuracy": 1}, again)
    assert verdict.why == "d@1.0.0 was evaluated again, as the run was"
    assert verdict.evidence.against == "d@1.0.0"
    assert judged("accuracy > 0.5", {"accuracy": 1}, again).evidence is msgspec.UNSET


def test_figures_of_an_evaluation_go_before_those_that_were_recorded():
    prod = Baseline(
        "d@1.0.0", {"new.json": {"accuracy": 0.5}}, recorded={"old.json": {"accuracy": 0.9, "f1": 0.8}}
    )
    assert judged("prod.accuracy == 0.5", {}, {"prod": prod}).passed
    assert judged("prod.f1 == 0.8", {}, {"prod": prod}).passed
