"""Checks in the graph: what waits for them, and what does not."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.laws.pipeline import graph
from rote.words.pipeline import At, Check, Out, Param, Stage, Table


def stages(*written: str) -> dict[str, Stage]:
    """`name: deps -> outs`; what stands in `?` before the deps is checked, params files have a `:`."""
    found = {}
    for line, text in enumerate(written, 1):
        name, _, rest = text.partition(": ")
        read, _, outs = rest.partition("->")
        checked, _, deps = read.rpartition("?")
        paths = tuple(dep for dep in [*checked.split(), *deps.split()] if ":" not in dep)
        found[name] = Stage(
            name=name, cmd=("x",), deps=paths, outs=tuple(Out(out) for out in outs.split()),
            params=tuple(Param(*dep.split(":")) for dep in deps.split() if ":" in dep),
            check=Check(tables=tuple(Table(name="data", path=path) for path in checked.split())) if checked else None,
            at=At("rote.yaml", line, f"stages.{name}"),
        )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("read", "checked"), [("d", "d"), ("d/e", "d"), ("d", "d/e"), ("d/e/f", "d"), ("p.yaml:k", "p.yaml")]
)
def test_who_reads_what_is_checked_waits(read: str, checked: str) -> None:
    found = stages(f"train: {read} -> m", f"sound: {checked}?")
    assert graph.needs(found) == {"train": ("sound",), "sound": ()}
    assert graph.makers(found) == {"train": (), "sound": ()}
    assert graph.order(found) == ["sound", "train"]
    assert graph.needed(found, ["train"]) == ["sound", "train"]
    assert graph.needed(found, ["sound"]) == ["sound"]


@pytest.mark.parametrize(("read", "checked"), [("d", "de"), ("d/e", "d/f"), ("x", "d")])
def test_others_do_not(read: str, checked: str) -> None:
    assert graph.needs(stages(f"train: {read} -> m", f"sound: {checked}?")) == {"train": (), "sound": ()}


def test_what_the_check_reads_besides_is_not_vouched_for() -> None:
    found = stages("sound: d? src", "train: src -> m")
    assert graph.needs(found)["train"] == ()


def test_a_check_comes_between_who_makes_the_data_and_who_reads_it() -> None:
    found = stages("train: clean -> m", "evaluate: m", "sound: clean?", "prepare: raw -> clean")
    assert graph.order(found) == ["prepare", "sound", "train", "evaluate"]
    assert graph.needs(found)["train"] == ("sound", "prepare")
    assert graph.after(found, ["sound"]) == ["train", "evaluate"]


def test_what_a_check_needs_itself_does_not_wait_for_it() -> None:
    found = stages("prepare: raw -> clean", "same: raw clean?", "train: clean -> m", "look: raw")
    assert graph.needs(found) == {
        "prepare": (), "same": ("prepare",), "train": ("prepare", "same"), "look": ("same",),
    }  # fmt: skip


def test_checks_do_not_wait_for_each_other() -> None:
    found = stages("a: d?", "b: d?", "train: d -> m")
    assert graph.needs(found) == {"a": (), "b": (), "train": ("a", "b")}


def test_checks_that_wait_for_each_other_by_way_of_others_are_a_cycle() -> None:
    found = stages("one: x? q", "r1: x -> p", "two: y? p", "r2: y -> q")
    with pytest.raises(ConfigError) as caught:
        graph.order(found)
    assert str(caught.value) == (
        "rote.yaml:1: stages.one: the stages form a cycle: one needs 'q' of r2; r2 waits for the check two;"
        " two needs 'p' of r1; r1 waits for the check one"
    )
