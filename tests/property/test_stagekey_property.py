"""A stage key changes if and only if an input does."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rote.laws.pipeline.plan import changes
from rote.laws.pipeline.stagekey import Inputs, chosen, inputs, plain
from rote.words.encoding import canonical, tagged
from rote.words.ids import SnapshotId
from rote.words.pipeline import Out, Param, Stage

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3),
    st.dates(), st.datetimes(), st.times(),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.text(max_size=3), st.integers(0, 3), st.just("$int")), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["a", "b", "c/d"])
IDS = st.sampled_from(["0" * 64, "1" * 64])
INPUTS = st.builds(
    lambda cmd, wdir, deps, params, environment, outs: inputs(
        Stage(
            name="s", cmd=tuple(cmd), wdir=wdir, deps=tuple(deps), env=("MODE", "X"),
            params=tuple(Param("p.yaml", key) for key in params),
            outs=tuple(Out(path, kind) for path, kind in outs.items()),
        ),
        deps, {"p.yaml": params} if params else {}, environment,
    ),
    st.lists(st.sampled_from(["x", "y", "x y"]), min_size=1, max_size=2),
    st.sampled_from([".", "sub"]),
    st.dictionaries(NAMES, IDS.map(SnapshotId), max_size=2),
    st.dictionaries(NAMES, SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(["MODE", "X", "OTHER"]), st.sampled_from(["", "1", "None"]), max_size=3),
    st.dictionaries(NAMES, st.sampled_from(["out", "metrics", "plots"]), max_size=2),
)  # fmt: skip


def without_shown(value: Inputs) -> bytes:
    return canonical(msgspec.structs.replace(value, env_shown={}))


@given(INPUTS, INPUTS)
def test_equal_keys_mean_equal_inputs_and_no_changes(one: Inputs, two: Inputs) -> None:
    same = one.key() == two.key()
    assert same == (without_shown(one) == without_shown(two))
    assert same == (changes(one, two) == [])


@given(INPUTS)
def test_a_result_gives_the_inputs_back(one: Inputs) -> None:
    """Stored as JSON and read again, the inputs have the same key: so the next comparison is sound."""
    again = msgspec.convert(msgspec.json.decode(canonical(msgspec.to_builtins(one))), Inputs)
    assert again.key() == one.key()
    assert changes(one, again) == []


def same(one: object, two: object) -> bool:
    """Equality that tells types apart, and finds not-a-number equal to itself."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict) and isinstance(two, dict):
        return _keys(one) == _keys(two) and all(same(one[k], two[k]) for k in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return repr(one) == repr(two)


def _keys(mapping: dict[object, object]) -> set[tuple[str, object]]:
    return {(type(key).__name__, key) for key in mapping}


@given(VALUES, VALUES)
def test_two_values_have_one_form_only_if_they_are_the_same(one: object, two: object) -> None:
    assert (canonical(plain(one)) == canonical(plain(two))) == same(one, two)


@given(VALUES)
def test_the_order_of_a_mapping_does_not_count(value: object) -> None:
    values = {"p.yaml": {"a": 1, "b": value}}
    turned = {"p.yaml": {"b": value, "a": 1}}
    stage = Stage(name="s", cmd=("x",), params=(Param("p.yaml", ""),))
    assert (
        inputs(stage, {}, chosen(stage, values), {}).key()
        == inputs(stage, {}, chosen(stage, turned), {}).key()
    )


@given(st.binary(max_size=40))
def test_no_digest_stands_for_another_purpose(content: bytes) -> None:
    assert len({tagged(domain, content) for domain in ("stage", "env", "node", "snapshot")}) == 4
