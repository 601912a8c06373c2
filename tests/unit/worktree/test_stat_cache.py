"""The stat cache spares reading, and is never wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rote.adapters.worktree import Workspace, stamps
from rote.words.pointer import Pointer

from .trees import content, rows, settle, unread, write

SECOND = 1_000_000_000


def age(root: Path, place: Workspace) -> None:
    """Let a tick of the file system's clock pass, by its own measure: until then every new stat is unsure."""
    probe = root / "age"
    probe.write_bytes(b"")
    begun = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns <= begun + 60_000_000:
        probe.write_bytes(b"")
    probe.unlink()


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_an_unchanged_tree_is_not_read_again(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1", "b/c": b"2", "b/d/e": b"3"})
    (tmp_path / "d/empty").mkdir()
    age(tmp_path, place)
    assert unread(place.tree("d")) == ["a", "b/c", "b/d/e"]
    identity = settle(place.tree("d"))
    again = Workspace(str(tmp_path)).tree("d")
    assert again.identity() == identity
    assert unread(again) == []
    assert again.unread() == 0
    assert rows(again) == rows(place.tree("d", fresh=True))


def test_a_single_file_is_not_read_again(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"f": b"1"})
    age(tmp_path, place)
    identity = settle(place.tree("f"))
    assert place.tree("f").identity() == identity
    write(tmp_path, {"f": b"2"})
    assert place.tree("f").identity() is None
    assert place.tree("f").unread() == 1


def test_only_what_changed_is_read_again(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1", "b/c": b"2", "b/d": b"3", "z": b"4"})
    age(tmp_path, place)
    settle(place.tree("d"))
    write(tmp_path / "d", {"b/c": b"two", "new": b"5"})
    (tmp_path / "d/z").unlink()
    tree = place.tree("d")
    assert tree.identity() is None
    assert unread(tree) == ["b/c", "new"]
    assert tree.unread() == 4


def test_an_added_or_removed_empty_folder_changes_no_identity(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1"})
    identity = settle(place.tree("d"))
    (tmp_path / "d/e").mkdir()
    assert settle(place.tree("d")) == identity


def test_the_executable_bit_is_content(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1"})
    age(tmp_path, place)
    before = settle(place.tree("d"))
    (tmp_path / "d/a").chmod(0o755)
    after = settle(place.tree("d"))
    assert before != after
    assert [r[2] for r in rows(place.tree("d"))] == [True]


def test_an_edit_that_keeps_size_and_mtime_is_seen(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"old"})
    os.utime(tmp_path / "d/a", ns=(SECOND, SECOND))
    before = settle(place.tree("d"))
    write(tmp_path / "d", {"a": b"new"})
    os.utime(tmp_path / "d/a", ns=(SECOND, SECOND))
    assert settle(place.tree("d")) != before


def test_a_link_that_leads_elsewhere_is_seen(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"one": b"1", "two": b"2", "d/x": b""})
    (tmp_path / "d/l").symlink_to("../one")
    age(tmp_path, place)
    before = settle(place.tree("d"))
    (tmp_path / "d/l").unlink()
    (tmp_path / "d/l").symlink_to("../two")
    assert settle(place.tree("d")) != before


def test_a_damaged_cache_counts_as_none(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1"})
    age(tmp_path, place)
    identity = settle(place.tree("d"))
    (file,) = (tmp_path / ".rote/cache/trees").iterdir()
    sound = file.read_bytes()
    for damaged in (b"", sound[:-1], sound[:20] + b"X" + sound[21:], sound + b"\0", os.urandom(200)):
        file.write_bytes(damaged)
        tree = place.tree("d")
        assert tree.identity() is None
        assert unread(tree) == ["a"]
        assert settle(tree) == identity


def test_the_cache_of_another_path_is_not_taken(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"d/a": b"1", "e/a": b"2"})
    settle(place.tree("d"))
    (one,) = (tmp_path / ".rote/cache/trees").iterdir()
    settle(place.tree("e"))
    (two,) = set((tmp_path / ".rote/cache/trees").iterdir()) - {one}
    two.write_bytes(one.read_bytes())
    assert place.tree("e").identity() is None


def test_a_tree_that_was_not_read_whole_is_not_vouched_for(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"1", "b": b"2"})
    age(tmp_path, place)
    tree = place.tree("d")
    tree.remember(Pointer("0" * 64, 2, 2))  # type: ignore[arg-type]
    assert place.tree("d").identity() is None
    assert unread(place.tree("d")) == ["a", "b"]


@pytest.mark.parametrize(
    ("stamp", "sure"),
    [
        (100 * SECOND + 1, False),  # the moment itself
        (99 * SECOND + 999_999_999, False),  # within a fine tick
        (99 * SECOND + 900_000_000, True),
        (99 * SECOND, False),  # whole seconds: a coarse clock
        (98 * SECOND, False),
        (97 * SECOND, True),
        (200 * SECOND + 1, False),  # from the future
    ],
)
def test_what_is_younger_than_a_tick_is_unsure(stamp: int, sure: bool) -> None:
    row = stamps.packed([5, stamp, 7, 8, 9])
    kept = stamps.sure(row, 100 * SECOND + 1)
    assert kept == (row if sure else stamps.UNSURE)


edits = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from("abc"), st.integers(0, 255)),
        st.tuples(st.just("keep mtime"), st.sampled_from("abc"), st.integers(0, 255)),
        st.tuples(st.just("replace"), st.sampled_from("abc"), st.integers(0, 255)),
        st.tuples(st.just("swap"), st.sampled_from("abc"), st.sampled_from("abc")),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.just(0)),
        st.tuples(st.just("look"), st.just("a"), st.just(0)),
    ),
    min_size=3,
    max_size=25,
)


def _edit(d: Path, what: str, name: str, value: int | str) -> None:
    path = d / name
    if what in ("write", "keep mtime") and isinstance(value, int):
        before = path.stat() if path.exists() else None
        path.write_bytes(bytes([value]))
        if what == "keep mtime" and before:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "replace" and isinstance(value, int):
        (d / "new").write_bytes(bytes([value]))
        os.replace(d / "new", path)
    elif what == "swap" and path.exists() and (d / str(value)).exists():
        os.rename(path, d / "third")
        if name != value:
            os.rename(d / str(value), path)
        os.rename(d / "third", d / str(value))
    elif what == "delete":
        path.unlink(missing_ok=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits)
def test_no_edit_escapes_however_fast_it_comes(
    tmp_path: Path, edits: list[tuple[str, str, int | str]]
) -> None:
    """Every edit keeps the size, and many fall into one tick of the clock; what the cache says is what is there."""
    place = Workspace(str(tmp_path))
    d = tmp_path / "d"
    d.mkdir(exist_ok=True)
    for what, name, value in [*edits, ("look", "a", 0)]:
        if what != "look":
            _edit(d, what, name, value)
            continue
        settle(place.tree("d"))
        assert [r[0] for r in rows(place.tree("d"))] == sorted(content(d))
        assert rows(place.tree("d")) == rows(place.tree("d", fresh=True))
