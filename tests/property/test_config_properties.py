"""Properties of reading and writing params, of overriding, and of the order of stages."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rote.errors import UsageError
from rote.laws.pipeline import graph, overriding
from rote.wiring.config import overrides, params, pipelines, yamltext
from rote.wiring.config.rendering import _Dumper, render
from rote.wiring.config.scalars import NotPlain, resolve, surprise
from rote.words.pipeline import Out, Stage

NAMES = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Co", "Cn")), min_size=1, max_size=6)
TEXTS = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Co", "Cn")), max_size=12),
    st.sampled_from(["on", "no", "1e-3", "010", "1_0", "12:30", "2026-11-21", ".inf", "~", "null", "a: b", "# c", "- x", "'", '"', "<<", "=", "0x1", "a\nb", " a ", "\t"]),
)  # fmt: skip
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(NAMES, v, max_size=3), max_leaves=8
)
FILES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


def places(content: Any, above: overriding.Place = ()) -> list[overriding.Place]:
    found: list[overriding.Place] = [above] if above else []
    pairs = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content)
        if isinstance(content, list)
        else ()
    )
    for name, value in pairs:
        found += places(value, (*above, name))
    return found


def without_null(value: Any) -> Any:
    """TOML has no null, and 64-bit numbers with a sign."""
    if isinstance(value, dict):
        return {name: without_null(below) for name, below in value.items()}
    if isinstance(value, list):
        return [without_null(below) for below in value]
    return 0 if value is None else value


def outcome(call: Callable[[], Any]) -> tuple[Any, UsageError | None]:
    """What a call returns, or the refusal it raises; every other exception is a defect."""
    try:
        return call(), None
    except UsageError as e:
        return None, e


@pytest.mark.parametrize("file", ["p.yaml", "p.json", "p.toml"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_rendered_file_reads_as_what_was_asked_for(file: str, data: st.DataObject) -> None:
    content, value = data.draw(FILES), data.draw(VALUES)
    if file == "p.toml":
        content, value = without_null(content), without_null(value)
    text = render("{}" if file == "p.json" else "", file, [((), content)])
    assert params.decode(text, file) == content
    place = data.draw(st.sampled_from(places(content)))
    kept = copy.deepcopy(content)
    wanted = overriding.replaced(content, place, value)
    new = render(text, file, [(place, value)])
    assert params.decode(new, file) == wanted
    assert content == kept, "what was given is not changed"


@settings(max_examples=150, deadline=None)
@given(FILES)
def test_what_rote_writes_a_reader_of_yaml_1_1_sees_alike(content: dict[str, Any]) -> None:
    assert yaml.safe_load(yaml.dump(content, Dumper=_Dumper, allow_unicode=True, width=1 << 30)) == content


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text("0123456789.eE+-_:xoabinfNT", min_size=1, max_size=8), st.text(max_size=8)))
@example("yes")
@example("1e3")
@example("0x1_0")
@example("1.")
@example(".5")
@example("+.5")
@example("08")
def test_a_scalar_that_is_no_surprise_reads_alike(text: str) -> None:
    """Where `surprise` is silent, PyYAML and rote agree on plain numbers and words."""
    try:
        ours = resolve(text)
    except NotPlain:
        return
    if surprise(text) is None and isinstance(ours, int | float) and not isinstance(ours, bool):
        theirs = yaml.safe_load(text)
        assert theirs == ours


@settings(max_examples=400, deadline=None)
@given(st.text("abn01:-[]{}#&*!|>'\"%@` \n\t,?<~.=", max_size=40))
def test_any_text_is_read_or_refused_and_pyyaml_agrees_on_its_shape(text: str) -> None:
    found, refusal = outcome(lambda: yamltext.read(text, "f.yaml").bare())
    if refusal:
        assert (refusal.where or "").startswith("f.yaml:")
        return
    theirs = yaml.load(text, yaml.CBaseLoader)
    assert isinstance(theirs, dict) == isinstance(found, dict)
    assert isinstance(theirs, list) == isinstance(found, list)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    root = tmp_path_factory.getbasetemp() / "bytes"
    root.mkdir(exist_ok=True)
    for name in ("p.yaml", "p.json", "p.toml"):
        (root / name).write_bytes(data)
        _, refusal = outcome(lambda name=name: params.read_one(str(root), name))
        assert refusal is None or (refusal.where or "").startswith(name)


@settings(max_examples=200, deadline=None)
@given(FILES, VALUES)
def test_a_pipeline_of_anything_is_read_or_refused(content: dict[str, Any], value: Any) -> None:
    whole = {
        "stages": {"a": {"cmd": value, "deps": [value], **content}},
        "models": {"m": value},
        "gates": value,
    }
    for document in (
        whole,
        content,
        {"stages": content},
        {"stages": {"s": {"cmd": "x", "outs": [content], "params": [content]}}},
    ):
        text = yaml.dump(document, Dumper=_Dumper, allow_unicode=True)
        _, refusal = outcome(lambda text=text: pipelines.read(text))
        assert refusal is None or (refusal.where or "").startswith("rote.yaml")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_any_override_is_parsed_or_refused(text: str) -> None:
    found, refusal = outcome(lambda: overrides.parse([text])[0].text)
    assert refusal.exit_code == 2 if refusal else found == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_an_order_keeps_every_need_or_a_true_circle_is_named(edges: list[tuple[int, int]]) -> None:
    wanted = {n: sorted({b for a, b in edges if a == n and b != n}) for n in range(10)}
    stages = {
        f"s{n}": Stage(name=f"s{n}", cmd=("x",), deps=tuple(f"o{b}" for b in wanted[n]), outs=(Out(f"o{n}"),))
        for n in wanted
    }
    try:
        order = graph.order(stages)
    except graph.GraphError as e:
        names = [*e.stages, e.stages[0]]
        for user, maker in itertools.pairwise(names):
            assert int(maker[1:]) in wanted[int(user[1:])]
        return
    assert sorted(order) == sorted(stages)
    assert all(order.index(f"s{b}") < order.index(f"s{n}") for n in wanted for b in wanted[n])
