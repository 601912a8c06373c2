"""The order of stages, and what stands against one."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.laws.pipeline import graph
from rote.laws.pipeline.graph import GraphError
from rote.words.pipeline import At, Out, Param, Stage


def stages(*written: str) -> dict[str, Stage]:
    """`name: deps -> outs`, deps with a `:` being params files."""
    found = {}
    for line, text in enumerate(written, 1):
        name, _, rest = text.partition(": ")
        deps, _, outs = rest.partition("->")
        found[name] = Stage(
            name=name,
            cmd=("x",),
            deps=tuple(dep for dep in deps.split() if ":" not in dep),
            params=tuple(Param(*dep.split(":")) for dep in deps.split() if ":" in dep),
            outs=tuple(Out(out) for out in outs.split()),
            at=At("rote.yaml", line, f"stages.{name}"),
        )
    return found


def test_stages_come_after_what_they_need_and_else_as_written() -> None:
    assert graph.order(stages("c: b -> c", "x: -> x", "b: a -> b", "a: -> a")) == ["a", "b", "c", "x"]


@pytest.mark.parametrize(
    ("dep", "out"),
    [("d", "d"), ("d/e", "d"), ("d/e/f", "d"), ("d", "d/e"), ("d", "d/e/f"), ("p.yaml:k", "p.yaml")],
)
def test_what_makes_an_edge(dep: str, out: str) -> None:
    assert graph.needs(stages(f"a: {dep} -> x", f"b: -> {out}")) == {"a": ("b",), "b": ()}


@pytest.mark.parametrize(("dep", "out"), [("d", "de"), ("de", "d"), ("d/e", "d/f"), ("a/d", "d"), ("D", "d")])
def test_what_makes_none(dep: str, out: str) -> None:
    assert graph.needs(stages(f"a: {dep} -> x", f"b: -> {out}")) == {"a": (), "b": ()}


def test_needs_are_listed_once_in_the_order_of_the_file() -> None:
    found = graph.needs(stages("a: -> a1 a2", "b: -> b", "c: b a2 a1 -> c"))
    assert found["c"] == ("a", "b")


def test_a_cycle_is_named_whole_and_without_what_leads_to_it() -> None:
    with pytest.raises(GraphError) as caught:
        graph.order(stages("start: a -> s", "a: c -> a", "b: a -> b", "c: b -> c"))
    assert caught.value.stages == ("a", "c", "b")
    assert str(caught.value) == (
        "rote.yaml:2: stages.a: the stages form a cycle: a needs 'c' of c; c needs 'b' of b; b needs 'a' of a"
    )


def test_a_stage_that_needs_itself() -> None:
    with pytest.raises(GraphError, match="both a dep and an out"):
        graph.order(stages("a: x -> x"))
    with pytest.raises(GraphError, match="lie one inside the other"):
        graph.order(stages("a: d -> d/x"))


def test_a_chain_of_ten_thousand_needs_no_deep_stack() -> None:
    written = [f"s{i}: o{i + 1} -> o{i}" for i in range(10_000)]
    assert graph.order(stages(*written)) == [f"s{i}" for i in reversed(range(10_000))]


def test_targets_and_what_they_need() -> None:
    found = stages("a: -> a", "b: a -> b", "c: -> c/d", "e: b -> e")
    assert graph.needed(found) == ["a", "b", "c", "e"]
    assert graph.needed(found, ["b"]) == ["a", "b"]
    assert graph.needed(found, ["c/d", "a"]) == ["a", "c"]
    assert graph.after(found, ["a"]) == ["b", "e"]
    assert graph.after(found, ["e"]) == []


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        graph.needed(stages("train: -> model.onnx"), ["trian"])
    assert caught.value.lines() == [
        "rote.yaml: no stage is called 'trian', and none makes it; did you mean 'train'?",
        "next: name one of: train",
    ]
    with pytest.raises(ConfigError, match=r"did you mean 'model\.onnx'"):
        graph.needed(stages("train: -> model.onnx"), ["model.onx"])
    with pytest.raises(ConfigError) as caught:
        graph.needed({}, ["x"])
    assert caught.value.next == "write a stage into rote.yaml first"


def test_outs_in_each_others_way() -> None:
    graph.check_outs(stages("a: -> x d/e", "b: -> y d/f"))
    for one, two in (("x", "x"), ("x", "X"), ("d", "d/e"), ("d/e", "d"), ("D", "d/e"), ("é", "É")):
        with pytest.raises(GraphError) as caught:
            graph.check_outs(stages(f"a: -> {one}", f"b: -> {two}"))
        assert set(caught.value.stages) == {"a", "b"}
