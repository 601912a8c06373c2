"""Judging: what gates ask for is looked up, once, and what is not there is said."""

from __future__ import annotations

import msgspec
import pytest
from modelbench import Bench, model

from rote.laws.gates.gates import parse
from rote.services.releases.judging import Evaluated, Judging, Timed
from rote.services.releases.releasing import GateRefused, Releasing
from rote.words.pipeline import At, PredictionsFile

AT = At("rote.yaml", 30, "models.digits")


def csv(answers, labels="0" * 40):
    rows = [f"{k},{label},{answer}" for k, (label, answer) in enumerate(zip(labels, answers, strict=True))]
    return "\n".join(["id,label,prediction", *rows]).encode()


class Evaluators(Bench):
    """A bench whose versions may be evaluated again."""

    def __init__(self, evaluate=None, measure=None):
        super().__init__()
        self.asked = []
        self.all_runs = {}

        def noted(model, run, version, wanted):
            self.asked.append((version.version, list(wanted)))
            return evaluate(version) if evaluate else Evaluated()

        self.judging = Judging(
            registry=self.registry, snapshots=self.snapshots, run=self.all_runs.__getitem__, evaluate=noted,
            measure=measure,
        )  # fmt: skip

    def made(self, answers, metrics, **more):
        run = self.run({"m": answers.encode(), "p.csv": csv(answers)}, metrics, **more)
        self.all_runs[run.id] = run
        return run

    def described(self, *gates):
        found = model(["m"], gates)
        return msgspec.structs.replace(found, predictions=PredictionsFile(path="p.csv"))

    def released(self, answers, metrics, alias=None):
        version = self.releasing.release(self.described(), self.made(answers, metrics)).version
        if alias:
            self.registry.promote("digits", version.version, alias)
        return version

    def verdicts(self, run, *gates, **more):
        return self.judging.verdicts(self.described(), run, [parse(g, AT) for g in gates], **more)


def test_a_version_is_evaluated_once_for_all_that_is_asked_of_it():
    bench = Evaluators()
    bench.released("0" * 20 + "1" * 20, {"accuracy": 0.5, "loss": 1.0}, "prod")
    run = bench.made("0" * 40, {"accuracy": 1.0, "loss": 0.5})
    found = bench.verdicts(
        run, "accuracy > prod.accuracy", "loss <= best(loss)", "better(accuracy)", "accuracy > 0.5"
    )
    assert [v.passed for v in found] == [True] * 4
    assert bench.asked == [("1.0.0", ["metrics.json", "p.csv"])]


def test_gates_that_compare_with_nothing_ask_nothing():
    bench = Evaluators()
    bench.released("0" * 40, {"accuracy": 0.5}, "prod")
    run = bench.made("0" * 40, {"accuracy": 1.0})
    bench.store.reset()
    bench.verdicts(run, "accuracy > 0.5")
    assert bench.asked == []
    assert sum(bench.store.requests.values()) == 0


def test_the_best_is_the_one_with_the_best_recorded_figure_the_newest_of_several():
    bench = Evaluators()
    for answers, accuracy in (("0" * 40, 0.7), ("1" * 40, 0.9), ("01" * 20, 0.9), ("10" * 20, 0.8)):
        bench.released(answers, {"accuracy": accuracy})
    run = bench.made("0" * 40, {"accuracy": 0.85})
    (verdict,) = bench.verdicts(run, "accuracy >= best(accuracy)")
    assert (verdict.passed, verdict.threshold) == (False, 0.9)
    assert bench.asked == [("1.0.2", ["metrics.json"])]


def test_figures_of_an_evaluation_count_and_are_told():
    bench = Evaluators(lambda version: Evaluated(metrics={"metrics.json": {"accuracy": 0.3}}, again=True))
    bench.released("0" * 40, {"accuracy": 0.9}, "prod")
    run = bench.made("0" * 40, {"accuracy": 0.5})
    (verdict,) = bench.verdicts(run, "accuracy > prod.accuracy")
    assert (verdict.passed, verdict.threshold) == (True, 0.3)
    assert verdict.evidence.evaluated == "again"
    (verdict,) = bench.verdicts(run, "accuracy > prod.accuracy", recorded=True)
    assert (verdict.passed, verdict.threshold) == (False, 0.9)
    assert verdict.evidence.evaluated == "recorded"


def test_what_cannot_be_evaluated_fails_only_the_gates_that_need_it():
    bench = Evaluators(lambda version: Evaluated(problem="the stage evaluate is frozen"))
    bench.released("0" * 40, {"accuracy": 0.1}, "prod")
    run = bench.made("0" * 40, {"accuracy": 0.5})
    found = bench.verdicts(
        run, "accuracy > prod.accuracy", "accuracy > 0.4", "better(accuracy)", "size(of=prod) > 1"
    )
    assert [v.passed for v in found] == [False, True, False, True]
    assert found[0].why == (
        "digits@1.0.0 cannot be evaluated as the run was (--recorded compares with the figures that it was released "
        "with): the stage evaluate is frozen"
    )
    assert found[2].why == found[0].why


def test_predictions_that_are_not_there():
    bench = Evaluators()
    bench.released("0" * 40, {"accuracy": 0.1}, "prod")
    run = bench.run({"m": b"x"}, {"accuracy": 0.5})
    assert "none of its outs is 'p.csv'" in bench.verdicts(run, "better(accuracy)")[0].why
    bench.all_runs.clear()
    bench.judging = Judging(
        registry=bench.registry, snapshots=bench.snapshots, run=bench.releasing._judging._run
    )
    run = bench.made("0" * 40, {"accuracy": 1.0})
    assert "no predictions of digits@1.0.0" in bench.verdicts(run, "better(accuracy)")[0].why


def test_latencies_that_are_compared_are_measured_in_turn():
    bench = Evaluators(measure=lambda model, run, version: Timed(run=[0.1, 0.2], version=[0.4, 0.2]))
    bench.released("0" * 40, {"accuracy": 0.1}, "prod")
    run = bench.made("0" * 40, {"accuracy": 1.0})
    (verdict,) = bench.verdicts(run, "latency(max) <= latency(max, of=prod)")
    assert (verdict.value, verdict.threshold) == (0.2, 0.4)
    assert "has no column 'seconds'" in bench.verdicts(run, "latency(max) <= 1 s")[0].why
    bench = Evaluators(measure=lambda model, run, version: Timed(problem="no stage makes p.csv"))
    bench.released("0" * 40, {"accuracy": 0.1}, "prod")
    run = bench.made("0" * 40, {"accuracy": 1.0})
    assert bench.verdicts(run, "latency(max) <= latency(max, of=prod)")[0].why == "no stage makes p.csv"


def test_sizes_are_those_of_the_files_that_a_version_would_hold():
    bench = Bench()
    with pytest.raises(GateRefused) as caught:
        bench.release({"build/m": b"12345", "words": {"a": b"1"}}, gates=["size() < 6", "size('words') == 1"])
    assert [(v.value, v.passed) for v in caught.value.verdicts] == [(6.0, False), (1.0, True)]
    assert bench.registry.models() == []


def test_what_the_verdict_rests_on_stands_in_the_version():
    bench = Evaluators(lambda version: Evaluated(metrics={"metrics.json": {"accuracy": 0.3}}, again=True))
    releasing = Releasing(
        transactions=bench.transactions, registry=bench.registry, snapshots=bench.snapshots, writer=bench.writer,
        files=bench.releasing._files, clock=bench.clock, by="ada@lab", judging=bench.judging,
    )  # fmt: skip
    bench.released("0" * 20 + "1" * 20, {"accuracy": 0.5}, "prod")
    described = bench.described("accuracy > prod.accuracy", "better(accuracy)", "accuracy > 0.1")
    version = releasing.release(described, bench.made("0" * 40, {"accuracy": 1.0})).version
    kept = bench.registry.get("digits", version.version)
    assert kept.gates == version.gates
    assert (kept.gates[0].evidence.evaluated, kept.gates[1].evidence.better) == ("again", 20)
    raw = bench.inner.get(f"models/digits/versions/{version.version}").data
    assert raw.count(b'"evidence"') == 2  # a verdict without is what it always was
