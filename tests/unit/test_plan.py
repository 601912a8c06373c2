"""Verdicts and their reasons."""

from __future__ import annotations

import pytest

from rote.laws.pipeline.plan import ABSENT, Change, Plan, blocked, changes, decide, waits
from rote.laws.pipeline.stagekey import Inputs
from rote.words.ids import RunId
from rote.words.result import Result

OLD = Inputs(cmd=("x",), deps={"d": "0" * 64}, params={"p": {"a": 1}}, outs={"o": "out"})
RUN = RunId("20261121-104434-1f09ab")


def result(inputs: Inputs) -> Result:
    return Result(stage="s", key=inputs.key(), outs={}, run=RUN, seconds=1.0, made="2026-11-21T10:44:34Z")


@pytest.mark.parametrize(
    ("has", "force", "always", "verdict", "why"),
    [
        (True, False, False, "hit", f"made by run {RUN}"),
        (False, False, False, "run", "its last result is no longer in the store"),
        (True, True, False, "run", "forced"),
        (True, False, True, "run", "always_changed"),
        (False, True, True, "run", "forced"),
    ],
)
def test_verdicts(has: bool, force: bool, always: bool, verdict: str, why: str) -> None:
    found = decide("s", OLD, result(OLD) if has else None, last=OLD, force=force, always_changed=always)
    assert (found.verdict, found.why, found.key, found.certain) == (verdict, [why], OLD.key(), True)


def test_a_stage_without_a_past() -> None:
    assert decide("s", OLD, None, last=None).why == ["it has no result yet"]


def test_what_was_added_and_taken_away() -> None:
    new = Inputs(cmd=("x",), deps={"e": "0" * 64}, params={"q": {"": [1]}}, outs={"o": "plots"}, wdir="sub")
    assert [str(c) for c in changes(OLD, new)] == [
        "wdir changed: . -> sub",
        "dep d is no longer listed",
        "dep e is new",
        "param p:a is no longer listed",
        "param q is new",
        "out o changed: out -> plots",
    ]


def test_long_values_are_cut_when_shown() -> None:
    shown = str(Change(kind="param", name="p:a", old="x" * 200, new=list(range(100))))
    assert len(shown) < 160
    assert shown.count("…") == 2


def test_a_value_that_reads_like_a_mark_is_a_value() -> None:
    one = Inputs(cmd=("x",), params={"p": {"a": "absent"}})
    two = Inputs(cmd=("x",), params={"p": {"a": "present"}})
    assert [str(c) for c in changes(one, two)] == ["param p:a changed: absent -> present"]
    assert ABSENT == "(absent)"


def test_stages_by_verdict() -> None:
    plan = Plan([waits("b", ["a"]), blocked("c", "needs d")])
    assert (plan.of("run"), plan.of("blocked"), plan.of("hit")) == (["b"], ["c"], [])
    assert plan.decisions[0].why == ["after a"]
    assert not plan.decisions[0].certain
