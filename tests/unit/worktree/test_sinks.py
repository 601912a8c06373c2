"""Writing into the working tree: whole, or old; never outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from blake3 import blake3

from rote.adapters.worktree import Workspace
from rote.errors import BadPath, Corrupt, RoteError, Unsaved
from rote.words.pointer import Pointer
from rote.words.snapshot import FILE

from .trees import content, rows, settle, write

ANY = Pointer("0" * 64, 0, 0)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "p"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    return tmp_path / "p"


def put(sink, path: str, data: bytes, executable: bool = False) -> None:
    sink.file(path, len(data), executable, blake3(data).digest(), [data[:1], memoryview(data)[1:]])


def staged(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if "staging" in p.name and p.is_dir() and any(p.iterdir())]


class TestWhole:
    def test_nothing_is_there_before_and_all_of_it_after(self, root: Path, place: Workspace) -> None:
        with place.whole("x/d", single=False) as sink:
            put(sink, "a", b"1")
            put(sink, "b/c/e", b"22", True)
            assert not (root / "x").exists()
            sink.place(ANY)
        assert content(root / "x/d") == {"a": b"1", "b/c/e": b"22"}
        assert os.access(root / "x/d/b/c/e", os.X_OK)
        assert not (root / "x/d/a").stat().st_mode & 0o111
        assert not staged(root)

    def test_what_was_written_is_known_without_reading(self, root: Path, place: Workspace) -> None:
        with place.whole("d", single=False) as sink:
            put(sink, "b/c/e", b"22")
            put(sink, "a", b"1")
            sink.place(ANY)
        # Whatever is not known is unsure, and read: either way the rows are right.
        assert rows(place.tree("d")) == rows(place.tree("d", fresh=True))

    def test_an_empty_folder(self, root: Path, place: Workspace) -> None:
        with place.whole("d", single=False) as sink:
            sink.place(ANY)
        assert (root / "d").is_dir()

    def test_a_single_file(self, root: Path, place: Workspace) -> None:
        for data in (b"one", b"three"):
            with place.whole("f", single=True) as sink:
                put(sink, FILE, data)
                sink.place(ANY, replace=True)
            assert (root / "f").read_bytes() == data
            assert rows(place.tree("f")) == rows(place.tree("f", fresh=True))

    def test_without_place_there_is_no_trace(self, root: Path, place: Workspace) -> None:
        with pytest.raises(KeyError), place.whole("d", single=False) as sink:
            put(sink, "a", b"1")
            raise KeyError
        assert not (root / "d").exists()
        assert not staged(root)

    def test_what_came_meanwhile_is_not_overwritten(self, root: Path, place: Workspace) -> None:
        for single, name in ((False, "a"), (True, FILE)):
            with pytest.raises(Unsaved), place.whole("d", single=single) as sink:
                put(sink, name, b"1")
                write(root / "d", {"mine": b"mine"})
                sink.place(ANY)
            assert content(root / "d") == {"mine": b"mine"}

    def test_a_wrong_length_is_corrupt(self, root: Path, place: Workspace) -> None:
        with pytest.raises(Corrupt), place.whole("d", single=False) as sink:
            sink.file("a", 3, False, bytes(32), [b"12"])

    @pytest.mark.parametrize(
        "path", ["../x", "/x", "a/../../x", "a//b", "", ".", "a\\b", "c:x", "a\0b", "n/"]
    )
    def test_never_outside(self, path: str, root: Path, place: Workspace) -> None:
        for single in (False, True):
            with pytest.raises(BadPath), place.whole("d", single=single) as sink:
                put(sink, path, b"1")
        assert not (root.parent / "x").exists()

    def test_what_killed_processes_left_is_cleared(self, root: Path, place: Workspace) -> None:
        pid = os.fork()
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        left = root / ".rote/cache/staging" / f"{pid}-0/tree"
        left.mkdir(parents=True)
        mine = root / ".rote/cache/staging" / f"{os.getpid()}-999999"
        mine.mkdir()
        with place.whole("d", single=False):
            pass
        assert not left.parent.exists()
        assert mine.exists()


class TestEdit:
    def test_files_are_replaced_added_and_removed(self, root: Path, place: Workspace) -> None:
        write(root / "d", {"a": b"1", "b/c": b"2", "b/d": b"3", "e/f/g": b"4"})
        settle(place.tree("d"))
        with place.edit("d") as sink:
            sink.remove(["b/d", "e/f/g", "not/there"])
            put(sink, "a", b"one")
            put(sink, "n/e/w", b"5", True)
            sink.finish()
        assert content(root / "d") == {"a": b"one", "b/c": b"2", "n/e/w": b"5"}
        assert not (root / "d/e").exists()
        assert rows(place.tree("d")) == rows(place.tree("d", fresh=True))

    def test_a_folder_with_other_things_stays(self, root: Path, place: Workspace) -> None:
        write(root / "d", {"b/x": b"", "b/y": b""})
        (root / "d/keep").mkdir()
        with place.edit("d") as sink:
            sink.remove(["b/x"])
        assert content(root / "d") == {"b/y": b""}
        assert (root / "d/keep").is_dir()

    def test_a_file_where_empty_folders_were(self, root: Path, place: Workspace) -> None:
        (root / "d/a/b/c").mkdir(parents=True)
        with place.edit("d") as sink:
            put(sink, "a", b"1")
        assert content(root / "d") == {"a": b"1"}

    def test_a_hard_link_elsewhere_is_not_changed(self, root: Path, place: Workspace) -> None:
        write(root / "d", {"a": b"old"})
        os.link(root / "d/a", root / "other")
        with place.edit("d") as sink:
            put(sink, "a", b"new")
        assert (root / "other").read_bytes() == b"old"

    def test_links_are_replaced_not_followed(self, root: Path, place: Workspace) -> None:
        write(root, {"other": b"old", "d/x": b""})
        (root / "d/a").symlink_to("../other")
        with place.edit("d") as sink:
            put(sink, "a", b"new")
        assert (root / "other").read_bytes() == b"old"
        assert not (root / "d/a").is_symlink()

    def test_nothing_is_written_through_a_linked_folder(self, root: Path, place: Workspace) -> None:
        (root.parent / "outside").mkdir()
        (root / "d").mkdir()
        (root / "d/l").symlink_to("../../outside")
        with pytest.raises(RoteError, match="in the way"), place.edit("d") as sink:
            put(sink, "l/a", b"new")
        assert content(root.parent / "outside") == {}

    def test_a_reader_that_has_the_file_open_keeps_the_old_one(self, root: Path, place: Workspace) -> None:
        write(root / "d", {"a": b"old"})
        with (root / "d/a").open("rb") as reader, place.edit("d") as sink:
            put(sink, "a", b"new!")
            assert reader.read() == b"old"

    @pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
    def test_never_outside(self, path: str, root: Path, place: Workspace) -> None:
        write(root, {"x": b"", "d/a": b""})
        with place.edit("d") as sink:
            with pytest.raises(BadPath):
                put(sink, path, b"1")
            with pytest.raises(BadPath):
                sink.remove([path])
        assert (root / "x").read_bytes() == b""


@pytest.mark.parametrize("path", ["../out", "/tmp/x", ".rote/x", ".git/hooks", "a/../b", "link/x", ".GIT/x"])
def test_paths_that_lead_out_of_the_project_are_refused(path: str, root: Path, place: Workspace) -> None:
    (root.parent / "outside").mkdir()
    (root / "link").symlink_to("../outside")
    with pytest.raises(BadPath):
        place.tree(path)
    with pytest.raises(BadPath), place.whole(path, single=False):
        pass
    with pytest.raises(BadPath), place.edit(path):
        pass
    with pytest.raises(BadPath):
        place.delete(path)
    with pytest.raises(BadPath):
        place.put_aside(path, "x")
    with pytest.raises(BadPath):
        place.write_pointer(path, ANY)


def test_a_path_that_is_a_link_is_not_written_through(root: Path, place: Workspace) -> None:
    (root.parent / "disk").mkdir()
    (root / "d").symlink_to("../disk")
    with pytest.raises(BadPath, match="links"), place.edit("d"):
        pass
    for single, name in ((False, "a"), (True, FILE)):
        with pytest.raises(Unsaved), place.whole("d", single=single) as sink:
            put(sink, name, b"1")
            sink.place(ANY)
    assert content(root.parent / "disk") == {}
    place.delete("d")
    assert (root.parent / "disk").is_dir()
