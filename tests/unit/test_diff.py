"""What changed: tables for values, and laws for trees."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rote.laws.data import diff
from rote.ports import Columns

Files = dict[str, tuple[int, bool, bytes]]


def columns(files: Files, size: int = 3) -> list[Columns]:
    """A tree as columns, some files in each."""
    paths = sorted(files)
    return [
        Columns(
            part,
            [files[p][0] for p in part],
            bytearray(files[p][1] for p in part),
            [files[p][2] for p in part],
        )
        for part in (paths[i : i + size] for i in range(0, len(paths), size))
    ]


def tree(**files: str) -> Files:
    return {p.replace("__", "/"): (len(c), False, c.encode().ljust(32)) for p, c in files.items()}


def test_every_kind_of_change() -> None:
    old = tree(a="1", b="2", c="33", x__moved="4", e="")
    new = tree(a="1", b="two", d="5", y__moved="4", f="")
    found = diff.trees(columns(old), columns(new))
    assert [(c.path, c.size_after) for c in found.added] == [("d", 1), ("f", 0)]
    assert [(c.path, c.size_before) for c in found.removed] == [("c", 2), ("e", 0)]
    assert [(c.path, c.size_before, c.size_after) for c in found.modified] == [("b", 1, 3)]
    assert [(c.before, c.path) for c in found.renamed] == [("x/moved", "y/moved")]
    assert found.same == 1
    assert [c.path for c in found.changes()] == ["b", "c", "d", "e", "f", "y/moved"]


def test_a_rename_prefers_the_same_name_and_uses_each_file_once() -> None:
    old = tree(a__one="x", a__two="x")
    new = tree(b__two="x", b__three="x", b__zero="x")
    found = diff.trees(columns(old), columns(new))
    assert {(c.before, c.path) for c in found.renamed} == {("a/one", "b/three"), ("a/two", "b/two")}
    assert [c.path for c in found.added] == ["b/zero"]


def test_a_mode_is_a_change() -> None:
    digest = bytes(32)
    found = diff.trees(columns({"a": (1, False, digest)}), columns({"a": (1, True, digest)}))
    assert [(c.path, c.mode_only) for c in found.modified] == [("a", True)]


def test_a_digest_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="a"):
        list(diff.rows([Columns(["a"], [1], bytearray(1), [None])]))


files = st.dictionaries(
    st.text("abé/.", min_size=1, max_size=4),
    st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from([bytes(32), b"1" * 32, b"2" * 32])),
    max_size=12,
)


@given(old=files, new=files, size=st.integers(1, 5))
def test_the_difference_is_exactly_what_leads_from_one_to_the_other(
    old: Files, new: Files, size: int
) -> None:
    found = diff.trees(columns(old, size), columns(new))
    made = dict(old)
    for change in [*found.removed, *found.renamed]:
        moved = made.pop(change.before or change.path)
        if change.kind == "renamed":
            assert moved[2] == new[change.path][2]
    for change in [*found.added, *found.modified, *found.renamed]:
        made[change.path] = new[change.path]
        assert change.size_after == new[change.path][0]
    assert made == new
    assert found.same == sum(old[p] == new.get(p) for p in old)
    assert bool(found) == (old != new)


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        ({}, {}, []),
        ({"p": {"a": {"b": 1}}}, {"p": {"a": {"b": 1.5}}}, [("modified", "p", "a.b", 1, 1.5, 0.5)]),
        ({"p": {"a": 1}}, {}, [("removed", "p", "a", 1, None, None)]),
        ({}, {"p": {"a": {}}}, [("added", "p", "a", None, {}, None)]),
        ({"p": {"a": [1]}}, {"p": {"a": [2]}}, [("modified", "p", "a", [1], [2], None)]),
        ({"p": {"a": True}}, {"p": {"a": 1}}, [("modified", "p", "a", True, 1, None)]),
        ({"p": {"a": 1}}, {"p": {"a": 1.0}}, []),
        ({"p": {"a": math.nan}}, {"p": {"a": math.nan}}, []),
        ({"p": {"a": "x"}}, {"p": {"a": {"b": 1}}}, [("removed", "p", "a", "x", None, None), ("added", "p", "a.b", None, 1, None)]),
        ({"q": {"z": 1}, "p": {"b": 1, "a": 1}}, {"q": {"z": 2}, "p": {"b": 2, "a": 2}},
         [("modified", "p", "a", 1, 2, 1), ("modified", "p", "b", 1, 2, 1), ("modified", "q", "z", 1, 2, 1)]),
    ],
)  # fmt: skip
def test_values(old: dict[str, Any], new: dict[str, Any], want: list[tuple[Any, ...]]) -> None:
    found = diff.values(old, new)
    assert [(c.kind, c.file, c.key, c.before, c.after, c.change) for c in found] == want
