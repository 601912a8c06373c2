"""add, bring, status, changes: at the level of the Python API, on a real working tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rote.errors import BadPath, Changed, Missing, Unsaved
from rote.ports import Silence
from rote.services.data.bringing import pointer_to
from rote.services.data.data import HERE
from rote.words.record import DataRoot

from .world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "p")


class TestAdd:
    def test_a_folder(self, world: World) -> None:
        world.write({"data/d/a": b"1", "data/d/b/c": b"22"})
        (added,) = world.data.add(["data/d"], repository="https://example.org/r")
        assert (added.changed, added.saved, added.before) == (True, True, None)
        assert (added.ref.files, added.ref.size, added.ref.single) == (2, 3, False)
        pointer = world.workspace.pointer("data/d")
        assert pointer
        assert pointer.snapshot == added.ref.id
        assert (world.root / "data/.gitignore").read_text() == "/d\n"
        got = world.roots.get(f"data/{added.ref.id[:2]}/{added.ref.id}", DataRoot)
        assert got
        assert got[0] == DataRoot(
            path="data/d", repository="https://example.org/r", added="2026-11-21T11:00:00Z", by="me@here"
        )
        assert [e.path for e in world.snapshots.entries(world.snapshots.record(added.ref))] == ["a", "b/c"]

    def test_again_unchanged_writes_nothing(self, world: World) -> None:
        world.write({"d/a": b"1", "f": b"2"})
        world.data.add(["d", "f"])
        before, files = world.objects(), {p: p.stat().st_mtime_ns for p in world.root.iterdir()}
        os.utime(world.root / "d/a")  # touched, not changed
        again = world.data.add(["d", "f"])
        assert [(a.changed, a.saved) for a in again] == [(False, False)] * 2
        assert world.objects() == before
        assert {p: p.stat().st_mtime_ns for p in world.root.iterdir()} == files

    def test_again_without_any_cache_writes_nothing_either(self, world: World) -> None:
        world.write({"d/a": b"1"})
        world.data.add(["d"])
        before = world.objects()
        assert World(world.root, world.store, seed=1).data.add(["d"])[0].saved is False
        for file in (world.root / ".rote/cache").rglob("*"):
            if file.is_file():
                file.unlink()
        assert World(world.root, world.store, seed=2).data.add(["d"])[0].saved is False
        assert world.objects() == before

    def test_several_paths_are_one_transaction(self, world: World) -> None:
        world.write({"a/x": b"1", "b": b"2", "c/d/e": b"3"})
        world.data.add(["a", "b", "c/d"])
        assert len([k for k in world.objects() if k.startswith("txns/")]) <= 1
        assert len({k.split("/")[1] for k in world.objects() if k.startswith("packs/")}) == 1
        assert [p for p, _ in world.data.pointers()] == ["a", "b", "c/d"]

    def test_the_same_content_twice(self, world: World) -> None:
        world.write({"a/x": b"1", "b/x": b"1"})
        one, two = world.data.add(["a", "b"])
        assert one.ref == two.ref
        (third,) = world.data.add(["a"])
        assert not third.saved
        world.write({"c/x": b"1"})
        before = {k for k in world.objects() if k.startswith(("data/", "snapshots/"))}
        (fourth,) = world.data.add(["c"])
        assert (fourth.changed, fourth.saved) == (True, False)
        assert {k for k in world.objects() if k.startswith(("data/", "snapshots/"))} == before

    def test_a_change_is_saved_beside_what_was(self, world: World) -> None:
        world.write({"d/a": b"1", "d/b": b"2"})
        (one,) = world.data.add(["d"])
        world.write({"d/a": b"one"})
        (two,) = world.data.add(["d"])
        assert two.saved
        assert two.before
        assert two.before.snapshot == one.ref.id
        assert b"".join(world.snapshots.read(world.snapshots.record(one.ref), "a")) == b"1"

    def test_force_stores_anew(self, world: World) -> None:
        world.write({"d/a": b"1"})
        (one,) = world.data.add(["d"])
        (two,) = world.data.add(["d"], force=True)
        assert one.ref.id == two.ref.id
        assert one.ref.txn != two.ref.txn
        assert world.snapshots.find(one.ref.id) == two.ref

    @pytest.mark.parametrize("other", ["d/in", "d", "."])
    def test_one_path_has_one_owner(self, other: str, world: World) -> None:
        world.write({"d/in/side/x": b"1"})
        world.data.add(["d/in/side"])
        before = world.objects()
        with pytest.raises(BadPath):
            world.data.add([other])
        with pytest.raises(BadPath):
            world.data.add(["d/in/side/x"])
        assert world.objects() == before
        assert len(world.data.pointers()) == 1

    def test_paths_of_one_command_may_not_lie_in_each_other(self, world: World) -> None:
        world.write({"d/in/x": b"1"})
        with pytest.raises(BadPath, match="same command"):
            world.data.add(["d", "d/in"])
        assert world.data.pointers() == []

    def test_the_path_of_a_stage_is_refused(self, world: World) -> None:
        world.write({"out/model/x": b"1"})
        for path in ("out", "out/model", "out/model/x"):
            with pytest.raises(BadPath, match="an out of train"):
                world.data.add([path], taken={"out/model": "an out of train"})

    def test_what_git_tracks_is_refused_with_the_way_out(self, world: World) -> None:
        world.write({"d/a": b"1"})
        with pytest.raises(BadPath, match="git tracks") as caught:
            world.data.add(["d"], tracked=lambda path: [f"{path}/a"])
        assert "git rm -r --cached d" in (caught.value.next or "")
        assert not [k for k in world.objects() if k.startswith("packs/")]

    def test_a_pointer_and_nothing_cannot_be_added(self, world: World) -> None:
        world.write({"d/a": b"1"})
        world.data.add(["d"])
        with pytest.raises(BadPath, match="pointer"):
            world.data.add(["d.rote"])
        with pytest.raises(Missing, match="nowhere"):
            world.data.add(["nowhere"])

    def test_a_refusal_is_before_any_byte(self, world: World) -> None:
        world.write({"d/a": b"1", "e/b": b"1"})
        (world.root / "e/link").symlink_to("gone")
        before = world.objects()
        with pytest.raises(BadPath):
            world.data.add(["d", "e"])
        assert world.objects() == before
        assert world.data.pointers() == []

    def test_a_file_that_changes_while_it_is_added(self, tmp_path: Path) -> None:
        class Meddling(Silence):
            """Another process that writes when the tree was looked at, and before it is read."""

            world: World | None = None

            def start(self, what: str, total: int | None = None, unit: str = "") -> None:
                if self.world:
                    self.world.write({"d/z": b"longer than before"})
                    self.world = None

        meddling = Meddling()
        world = World(tmp_path / "p", progress=meddling)
        world.write({"d/a": b"1", "d/z": b"2"})
        meddling.world = world
        with pytest.raises(Changed, match="d/z"):
            world.data.add(["d"])
        assert world.data.pointers() == []
        assert list(world.roots.list("data/")) == []
        world.data.add(["d"])
        assert world.data.status()[0].state == "unchanged"


class TestBring:
    def stored(self, world: World, files: dict[str, bytes]):
        """A snapshot that another clone added."""
        other = World(
            world.root.parent / f"other{len(list(world.root.parent.iterdir()))}", world.store, seed=9
        )
        other.clock.move(100 * len(list(world.root.parent.iterdir())))
        other.write({f"d/{p}": c for p, c in files.items()})
        other.write({"d/.keep": b""})
        return other.data.add(["d"])[0].ref

    def test_a_whole_folder_and_only_what_differs(self, world: World) -> None:
        one = self.stored(world, {"a": b"1", "b/c": b"2", "b/d": b"3"})
        two = self.stored(world, {"a": b"1", "b/c": b"two", "n/e": b"4"})
        assert world.data.bring("d", one).written == 4
        assert world.content() == {".keep": b"", "a": b"1", "b/c": b"2", "b/d": b"3"}
        inode = (world.root / "d/a").stat().st_ino
        did = world.data.bring("d", two)
        assert (did.written, did.removed, did.kept, did.bytes) == (2, 1, 2, 4)
        assert world.content() == {".keep": b"", "a": b"1", "b/c": b"two", "n/e": b"4"}
        assert (world.root / "d/a").stat().st_ino == inode
        assert world.data.bring("d", two).written == 0
        assert world.data.bring("d", one).written == 2

    def test_a_changed_unsaved_file_is_not_overwritten(self, world: World) -> None:
        one = self.stored(world, {"a": b"1", "b": b"2"})
        two = self.stored(world, {"a": b"one", "b": b"2"})
        world.data.bring("d", one)
        world.write({"d/a": b"X"})
        with pytest.raises(Unsaved, match="d/a"):
            world.data.bring("d", two)
        assert world.content()["a"] == b"X"
        assert world.data.bring("d", two, force=True).written == 1
        assert world.content()["a"] == b"one"

    def test_an_unsaved_new_file_is_not_removed(self, world: World) -> None:
        one = self.stored(world, {"a": b"1"})
        world.data.bring("d", one)
        world.write({"d/new": b"X"})
        with pytest.raises(Unsaved, match="d/new"):
            world.data.bring("d", one)
        assert world.content()["new"] == b"X"
        world.data.bring("d", one, force=True)
        assert "new" not in world.content()

    def test_what_was_saved_by_add_may_go(self, world: World) -> None:
        one = self.stored(world, {"a": b"1"})
        world.data.bring("d", one)
        world.write({"d/a": b"mine", "d/new": b"X"})
        (mine,) = world.data.add(["d"])
        world.data.bring("d", one)
        assert world.content()["a"] == b"1"
        world.data.bring("d", mine.ref)
        assert world.content()["a"] == b"mine"

    def test_without_the_cache_it_asks_the_store(self, world: World) -> None:
        one, two = self.stored(world, {"a": b"1"}), self.stored(world, {"a": b"2"})
        world.data.bring("d", one)
        for file in (world.root / ".rote/cache").rglob("*"):
            if file.is_file():
                file.unlink()
        world.data.bring("d", two)
        world.write({"d/a": b"X"})
        for file in (world.root / ".rote/cache").rglob("*"):
            if file.is_file():
                file.unlink()
        with pytest.raises(Unsaved):
            world.data.bring("d", one)

    def test_a_folder_that_rote_never_saw_is_not_overwritten(self, world: World) -> None:
        one = self.stored(world, {"a": b"1"})
        world.write({"d/mine": b"mine"})
        with pytest.raises(Unsaved, match="d/mine"):
            world.data.bring("d", one)
        assert world.content() == {"mine": b"mine"}

    def test_between_file_and_folder(self, world: World) -> None:
        world.write({"d": b"file"})
        (single,) = world.data.add(["d"])
        folder = self.stored(world, {"a": b"1"})
        world.data.bring("d", folder)
        assert world.content()["a"] == b"1"
        world.data.bring("d", single.ref)
        assert (world.root / "d").read_bytes() == b"file"
        (world.root / "d").write_bytes(b"mine")
        for ref in (single.ref, folder):
            with pytest.raises(Unsaved):
                world.data.bring("d", ref)
        world.data.bring("d", folder, force=True)
        assert world.content()["a"] == b"1"

    def test_a_file_where_a_folder_was_and_the_other_way(self, world: World) -> None:
        one = self.stored(world, {"x": b"1", "y/z": b"2"})
        two = self.stored(world, {"x/w": b"3", "y": b"4"})
        for ref, want in ((one, {"x", "y/z"}), (two, {"x/w", "y"}), (one, {"x", "y/z"})):
            world.data.bring("d", ref)
            assert set(world.content()) == want | {".keep"}

    def test_links_become_files_before_what_they_lead_to_changes(self, world: World) -> None:
        world.write({"d/real/x": b"1", "d/own": b"2"})
        (world.root / "d/again").symlink_to("real")
        (world.root / "d/same").symlink_to("own")
        (one,) = world.data.add(["d"])
        (world.root / "d/again").unlink()
        (world.root / "d/same").unlink()
        world.write({"d/real/x": b"one", "d/own": b"two", "d/again/x": b"1", "d/same": b"2"})
        (two,) = world.data.add(["d"])
        world.data.bring("d", one.ref)
        (world.root / "d/again/x").unlink()
        (world.root / "d/again").rmdir()
        (world.root / "d/again").symlink_to("real")
        (world.root / "d/same").unlink()
        (world.root / "d/same").symlink_to("own")
        assert world.data.bring("d", one.ref).written == 0
        world.data.bring("d", two.ref)
        assert world.content() == {"again/x": b"1", "own": b"two", "real/x": b"one", "same": b"2"}

    def test_a_path_that_is_a_link_is_replaced_only_by_force(self, world: World) -> None:
        one = self.stored(world, {"a": b"1"})
        disk = world.root.parent / "disk"
        disk.mkdir()
        (disk / "mine").write_bytes(b"mine")
        (world.root / "d").symlink_to(disk)
        with pytest.raises(BadPath, match="link"):
            world.data.bring("d", one)
        world.data.bring("d", one, force=True)
        assert not (world.root / "d").is_symlink()
        assert (disk / "mine").read_bytes() == b"mine"

    def test_by_force_over_what_no_snapshot_can_hold(self, world: World) -> None:
        one = self.stored(world, {"a": b"1"})
        world.data.bring("d", one)
        os.mkfifo(world.root / "d/pipe")
        with pytest.raises(BadPath, match="a pipe"):
            world.data.bring("d", one)
        world.data.bring("d", one, force=True)
        assert not (world.root / "d/pipe").exists()

    def test_empty_folders(self, world: World) -> None:
        (world.root / "d").mkdir()
        (empty,) = world.data.add(["d"])
        (world.root / "d").rmdir()
        world.data.bring("d", empty.ref)
        assert world.content() == {}
        assert (world.root / "d").is_dir()

    trees = st.dictionaries(
        st.sampled_from(["a", "b", "c/a", "c/b/a", "d", "d.x", "e/f"]),
        st.sampled_from([b"", b"1", b"2", b"33"]),
    )

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(one=trees, two=trees, edit=trees, force=st.booleans())
    def test_any_tree_to_any_other(
        self,
        tmp_path: Path,
        one: dict[str, bytes],
        two: dict[str, bytes],
        edit: dict[str, bytes],
        force: bool,
    ) -> None:
        number = len(list(tmp_path.iterdir()))
        world = World(tmp_path / f"{number}")
        other = World(tmp_path / f"{number}-other", world.store, seed=7)
        refs = []
        for number, files in enumerate((one, two)):
            other.write({f"{number}/{p}": c for p, c in files.items()})
            (other.root / str(number)).mkdir(exist_ok=True)
            refs.append(other.data.add([str(number)])[0].ref)
        world.data.bring("d", refs[0])
        assert world.content() == one
        world.write({f"d/{p}": c for p, c in edit.items()})
        mixed = {**one, **edit}
        assert world.content() == mixed
        saved = set(one.values())
        lost = {c for p, c in mixed.items() if two.get(p) != c} - saved
        if mixed != two and mixed != one and lost and not force:
            with pytest.raises(Unsaved):
                world.data.bring("d", refs[1])
            assert world.content() == mixed
        else:
            world.data.bring("d", refs[1], force=force)
            assert world.content() == two
            assert world.data.identify("d", fresh=True).id == refs[1].id


class TestStatus:
    def test_every_state(self, world: World) -> None:
        world.write({"d/a": b"1", "d/b": b"2"})
        assert world.data.status() == []
        (one,) = world.data.add(["d"])

        def state() -> str:
            return world.data.status()[0].state

        assert state() == "unchanged"
        world.write({"d/a": b"X", "d/new": b""})
        (now,) = world.data.status()
        assert now.state == "changed"
        assert now.diff
        assert [c.path for c in now.diff.modified] == ["a"]
        assert [c.path for c in now.diff.added] == ["new"]
        assert world.data.status(details=False)[0].state == "changed"
        (two,) = world.data.add(["d"])
        assert state() == "unchanged"
        world.workspace.write_pointer("d", pointer_to(one.ref))
        assert state() == "behind"
        world.data.checkout()
        assert state() == "unchanged"
        world.workspace.delete("d")
        assert state() == "missing"
        world.workspace.set_bases("d", [])
        assert state() == "absent"
        world.write({"d/x": b""})
        os.mkfifo(world.root / "d/pipe")
        (now,) = world.data.status()
        assert now.state == "refused"
        assert "a pipe" in now.problem
        assert two.ref.id != one.ref.id

    def test_unchanged_asks_no_store(self, world: World) -> None:
        world.write({"d/a": b"1"})
        world.data.add(["d"])
        offline = World(world.root, world.store)
        offline.data._open_snapshots = lambda: pytest.fail("the store was opened")  # type: ignore[method-assign]
        assert offline.data.status()[0].state == "unchanged"

    def test_a_store_that_lost_the_snapshot_is_told(self, world: World) -> None:
        world.write({"d/a": b"1"})
        world.data.add(["d"])
        for key in world.objects():
            if key.startswith(("snapshots/", "data/")):
                world.store.delete(key)
        world.write({"d/a": b"2"})
        (now,) = world.data.status()
        assert now.state == "changed"
        assert "cannot be told" in now.problem


def test_changes_between_snapshots_and_here(world: World) -> None:
    world.write({f"d/{i:04}": b"%d" % i for i in range(3000)})
    (one,) = world.data.add(["d"])
    os.rename(world.root / "d/0007", world.root / "d/moved")
    world.write({"d/0100": b"X"})
    (two,) = world.data.add(["d"])
    found = world.data.changes("d", one.ref, two.ref)
    assert [(c.before, c.path) for c in found.renamed] == [("0007", "moved")]
    assert [c.path for c in found.modified] == ["0100"]
    assert found.same == 2998
    assert world.data.changes("d", one.ref, HERE) == found
    assert not world.data.changes("d", two.ref, HERE)
    assert len(world.data.changes("d", None, HERE).added) == 3000
    assert len(world.data.changes("d", two.ref, None).removed) == 3000
    world.workspace.delete("d")
    assert len(world.data.changes("d", two.ref, HERE).removed) == 3000


def test_checkout_of_some_paths(world: World) -> None:
    world.write({"data/a/x": b"1", "data/b/x": b"2", "c": b"3"})
    world.data.add(["data/a", "data/b", "c"])
    for path in ("data/a", "data/b", "c"):
        world.workspace.delete(path)
    assert [p for p, _ in world.data.checkout(["data"])] == ["data/a", "data/b"]
    assert not (world.root / "c").exists()
    with pytest.raises(Missing, match="dat"):
        world.data.checkout(["dat"])
    world.data.checkout()
    assert (world.root / "c").read_bytes() == b"3"
    assert all(s.state == "unchanged" for s in world.data.status())
