"""What may be taken from a working tree, in which order, and what is refused by name."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from rote.adapters.worktree import Workspace
from rote.adapters.worktree.scan import all_plain
from rote.errors import BadPath, Changed, Missing
from rote.words.paths import why_bad
from rote.words.snapshot import FILE

from .trees import rows, write


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_paths_come_in_the_order_of_their_bytes(tmp_path: Path, place: Workspace) -> None:
    names = [
        "a",
        "a-b",
        "a.txt",
        "b/c",
        "b.c",
        "b-c/x",
        "b/é",
        "b/z/1",
        "b/z.1",
        "b/zz",
        "ä",
        "Z",
        "𝔘",
        "~",
        "ﬀ",
    ]
    write(tmp_path / "d", {n: n.encode() for n in names})
    assert [r[0] for r in rows(place.tree("d"))] == sorted(names, key=str.encode)


def test_rows_say_size_mode_and_content(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"x": b"abc", "run.sh": b""})
    (tmp_path / "d/run.sh").chmod(0o755)
    assert rows(place.tree("d")) == [
        ("run.sh", 0, True, blake3(b"").digest()),
        ("x", 3, False, blake3(b"abc").digest()),
    ]


def test_a_single_file_is_a_tree_of_one(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"one.bin": b"123"})
    tree = place.tree("one.bin")
    assert tree.single
    assert rows(tree) == [(FILE, 3, False, blake3(b"123").digest())]


def test_an_empty_folder_is_a_tree_without_rows(tmp_path: Path, place: Workspace) -> None:
    (tmp_path / "d/e/f").mkdir(parents=True)
    assert rows(place.tree("d")) == []


def test_nothing_there_is_missing(place: Workspace) -> None:
    with pytest.raises(Missing, match="nowhere"):
        place.tree("nowhere")


def test_links_to_files_are_followed_wherever_they_lead(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"elsewhere/big": b"big", "d/own": b"own"})
    (tmp_path / "d/a").symlink_to("../elsewhere/big")
    (tmp_path / "d/b").symlink_to("own")
    tree = place.tree("d")
    assert [(r[0], r[1]) for r in rows(tree)] == [("a", 3), ("b", 3), ("own", 3)]
    assert set(tree.linked) == {"a", "b"}


def test_a_link_to_a_folder_inside_is_followed(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"real/x": b"x"})
    (tmp_path / "d/again").symlink_to("real")
    tree = place.tree("d")
    assert [r[0] for r in rows(tree)] == ["again/x", "real/x"]
    assert list(tree.linked) == ["again"]


def test_the_tree_itself_may_be_a_link(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"disk/x": b"x", "disk/deep/y": b"y"})
    (tmp_path / "d").symlink_to("disk")
    (tmp_path / "disk/loop").symlink_to("deep")
    assert [r[0] for r in rows(place.tree("d"))] == ["deep/y", "loop/y", "x"]


def _link_outside(d: Path) -> str:
    (d.parent / "outside").mkdir()
    (d / "out").symlink_to("../outside")
    return "outside of what is added"


def _link_up(d: Path) -> str:
    (d / "sub").mkdir()
    (d / "sub/out").symlink_to("..")
    return "a folder that it lies in"


def _links_at_each_other(d: Path) -> str:
    write(d, {"a/x": b"", "b/y": b""})
    (d / "a/out").symlink_to("../b")
    (d / "b/out").symlink_to("../a")
    return "a folder that it lies in"


def _link_to_itself(d: Path) -> str:
    (d / "out").symlink_to("out")
    return "leads to itself"


def _dangling(d: Path) -> str:
    (d / "out").symlink_to("gone")
    return "a link to nothing"


def _pipe(d: Path) -> str:
    os.mkfifo(d / "out")
    return "a pipe"


def _link_to_a_pipe(d: Path) -> str:
    os.mkfifo(d.parent / "fifo")
    (d / "out").symlink_to("../fifo")
    return "a link to a pipe"


def _socket(d: Path) -> str:
    here = os.getcwd()
    os.chdir(d)  # the path of a socket may have 107 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.bind("out")
    finally:
        os.chdir(here)
    return "a socket"


def _not_utf8(d: Path) -> str:
    with open(os.path.join(os.fsencode(d), b"out\xff"), "wb"):
        return "not valid UTF-8"


def _control(d: Path) -> str:
    write(d, {"out\n": b""})
    return "a control character"


def _backslash(d: Path) -> str:
    write(d, {"out\\x": b""})
    return "a backslash"


def _reserved(d: Path) -> str:
    write(d, {"out/AUX.txt": b""})
    return "reserved by Windows"


def _dot_at_the_end(d: Path) -> str:
    write(d, {"out.": b""})
    return "ends with a dot"


def _not_nfc(d: Path) -> str:
    write(d, {"oute\u0301": b""})
    return "NFC"


def _case(d: Path) -> str:
    write(d, {"Out": b"", "out": b""})
    return "only in case from"


def _case_of_folders(d: Path) -> str:
    write(d, {"Out/a": b"", "out/b": b""})
    return "only in case from"


def _case_beyond_ascii(d: Path) -> str:
    write(d, {"outÄ": b"", "outä": b""})
    return "only in case from"


HOSTILE = [
    _link_outside, _link_up, _links_at_each_other, _link_to_itself, _dangling, _pipe, _link_to_a_pipe, _socket,
    _not_utf8, _control, _backslash, _reserved, _dot_at_the_end, _not_nfc, _case, _case_of_folders,
    _case_beyond_ascii,
]  # fmt: skip


@pytest.mark.parametrize("make", HOSTILE, ids=lambda f: f.__name__.strip("_"))
def test_hostile_things_are_refused_by_name(make, tmp_path: Path, place: Workspace) -> None:
    d = tmp_path / "d"
    write(d, {"sound": b"sound"})
    why = make(d)
    with pytest.raises(BadPath) as caught:
        place.tree("d")
    assert why in caught.value.what
    assert "out" in caught.value.what.lower()
    caught.value.what.encode()  # fit to be shown: no lone surrogates, no control characters
    assert caught.value.what.isprintable()
    assert caught.value.safe
    assert caught.value.next


def test_names_that_were_sound_are_judged_again_when_others_come(tmp_path: Path, place: Workspace) -> None:
    from .trees import settle

    write(tmp_path / "d", {"a": b"", "b": b""})
    settle(place.tree("d"))
    write(tmp_path / "d", {"A": b""})
    with pytest.raises(BadPath, match="only in case"):
        place.tree("d")
    (tmp_path / "d/A").unlink()
    (tmp_path / "d/B").mkdir()
    with pytest.raises(BadPath, match="only in case"):
        place.tree("d")


def test_several_troubles_are_told_at_once(tmp_path: Path, place: Workspace) -> None:
    d = tmp_path / "d"
    d.mkdir()
    for i in range(8):
        (d / f"link{i}").symlink_to("gone")
    with pytest.raises(BadPath) as caught:
        place.tree("d")
    assert "link0" in caught.value.what
    assert "link4" in caught.value.what
    assert "and 3 more" in caught.value.what


def test_a_very_deep_tree_is_no_trouble(tmp_path: Path, place: Workspace) -> None:
    depth = 1200
    here = os.getcwd()
    (tmp_path / "d").mkdir()
    try:
        os.chdir(tmp_path / "d")
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        Path("x").write_bytes(b"x")
        assert [r[0] for r in rows(place.tree("d"))] == ["d/" * depth + "x"]
        os.unlink("x")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")
    finally:
        os.chdir(here)


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder of a user who may not read everything."""
    with tempfile.TemporaryDirectory(prefix="rote-test-") as made:
        root = os.geteuid() == 0
        if root:
            os.chmod(made, 0o777)
            os.seteuid(65534)
        try:
            yield Path(made)
        finally:
            if root:
                os.seteuid(0)


@pytest.mark.parametrize("thing", ["file", "folder", "single"])
def test_what_may_not_be_read_is_refused_before_anything_is_read(thing: str) -> None:
    with ordinary_user() as root:
        write(root / "d", {"a": b"a", "secret/x": b"x", "z": b"z"})
        closed = {"file": root / "d/a", "folder": root / "d/secret", "single": root / "d/a"}[thing]
        closed.chmod(0)
        try:
            with pytest.raises(BadPath) as caught:
                Workspace(str(root)).tree("d/a" if thing == "single" else "d")
            assert closed.name in caught.value.what
            assert "read" in caught.value.what
        finally:
            closed.chmod(0o700)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"log": b"one"})
    tree = place.tree("d")
    write(tmp_path / "d", {"log": b"one two"})
    with pytest.raises(Changed, match="d/log"):
        tree.read("log", 3)
    with pytest.raises(Changed, match="d/log"), tree.stream("log", 3):
        pass


def test_a_file_that_shrinks_goes_or_becomes_something_else(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"123", "b": b"123", "c": b"123"})
    tree = place.tree("d")
    write(tmp_path / "d", {"a": b"1"})
    (tmp_path / "d/b").unlink()
    (tmp_path / "d/c").unlink()
    os.mkfifo(tmp_path / "d/c")
    for name in "abc":
        with pytest.raises(Changed, match=f"d/{name}"):
            tree.read(name, 3)


def test_a_file_that_is_replaced_by_one_of_the_same_size(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"123"})
    tree = place.tree("d")
    write(tmp_path, {"new": b"456"})
    os.replace(tmp_path / "new", tmp_path / "d/a")
    with pytest.raises(Changed, match="d/a"):
        tree.read("a", 3)


def test_a_streamed_file_that_changes_is_told_on_leaving(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b"123", "b": b"123"})
    tree = place.tree("d")
    memory = bytearray(2)
    with tree.stream("b", 3) as fill:
        assert (fill(memoryview(memory)), memory) == (2, b"12")
        assert (fill(memoryview(memory)), memory) == (1, b"32")
        assert fill(memoryview(memory)) == 0
    with pytest.raises(Changed, match="d/a"), tree.stream("a", 3) as fill:
        assert fill(memoryview(memory)) == 2
        write(tmp_path / "d", {"a": b"1234"})


def test_an_empty_file_can_be_streamed(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path / "d", {"a": b""})
    with place.tree("d").stream("a", 0) as fill:
        assert fill(memoryview(bytearray(1))) == 0


@given(
    st.text(st.sampled_from("aZ0_.-cCoOnNuUlLpPtTmMrRxX1 \\:\u00e9\n\0/$"), max_size=8),
    st.sampled_from(["", "d/"]),
)
def test_the_quick_judgement_never_accepts_what_the_grammar_refuses(name: str, prefix: str) -> None:
    if all_plain(name.encode(), prefix):
        assert all(why_bad(prefix + part) is None for part in name.split("\0"))


@pytest.mark.parametrize("name", ["con", "CON.txt", "nul", "com1.x", "LPT9", "a.", "", "a" * 256, "a b", "."])
def test_the_quick_judgement_leaves_doubts_to_the_grammar(name: str) -> None:
    assert not all_plain(name.encode(), "")
    assert not all_plain(b"sound\0" + name.encode(), "")


def test_the_quick_judgement_accepts_common_names() -> None:
    assert all_plain(b"image_00001.png\0a\0.hidden\0x.tar.gz\0conx\0" + b"a" * 255, "d/")
    assert not all_plain(b"a", "d" * 4000 + "/")
