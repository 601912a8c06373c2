"""Pointers, .gitignore lines, names as people type them, and what is put aside."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rote.adapters.worktree import Workspace
from rote.errors import BadPath, ConfigError, TooNew
from rote.words.ids import SnapshotId, TxnId
from rote.words.pointer import Pointer
from rote.words.snapshot import SnapshotRef

from .trees import content, write

ONE = Pointer(SnapshotId("1" * 64), 2, 3)  # type: ignore[arg-type]
TWO = Pointer(SnapshotId("2" * 64), 1, 5, single=True)  # type: ignore[arg-type]


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_a_pointer_is_written_and_read(tmp_path: Path, place: Workspace) -> None:
    (tmp_path / "data").mkdir()
    assert place.pointer("data/d") is None
    assert place.write_pointer("data/d", ONE)
    assert not place.write_pointer("data/d", ONE)
    assert place.pointer("data/d") == ONE
    assert place.write_pointer("data/d", TWO)
    assert place.pointer("data/d") == TWO
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["d.rote"]


def test_every_pointer_is_found_and_data_is_not_looked_into(tmp_path: Path, place: Workspace) -> None:
    write(
        tmp_path,
        {"a/b/x": b"", "node_modules/y": b"", "venv/pyvenv.cfg": b"", "sub/.rote/z": b"", "d/in/w": b""},
    )
    for path in ("a/b/c", "z", "d", "d/in/hidden", "node_modules/m", "venv/v", "sub/s", ".git/g/x", "a/-b"):
        full = tmp_path / f"{path}.rote"
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(ONE.text())
    (tmp_path / "link").symlink_to("a")
    (tmp_path / ".rote").mkdir()
    (tmp_path / "a/.rote.yaml").write_text("not a pointer")
    assert [p for p, _ in place.pointers()] == ["a/-b", "a/b/c", "d", "z"]


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"rote: 1\nsnapshot: x\n", b"what\n", ONE.text().encode() * 2]
)
def test_a_damaged_pointer_names_its_file(text: bytes, tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"a/d.rote": text})
    for ask in (place.pointers, lambda: place.pointer("a/d")):
        with pytest.raises(ConfigError) as caught:
            ask()
        assert (caught.value.where or "").startswith("a/d.rote")


def test_a_pointer_of_a_newer_rote(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"d.rote": ONE.text().replace("rote: 1", "rote: 2").encode()})
    with pytest.raises(TooNew):
        place.pointer("d")


@pytest.mark.parametrize(
    "name", ["plain", "#hash", "!bang", "star*", "what?", "br[a]ck", "sp ace", "ümlaut", "-dash", "a.b"]
)
def test_git_ignores_the_path_and_nothing_else(name: str, tmp_path: Path, place: Workspace) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "core.quotepath=off"]
    subprocess.run([*git, "init", "-q"], check=True)
    write(
        tmp_path,
        {f"d/{name}/x": b"", f"d/{name}2/x": b"", f"d/sub/{name}": b"", "d/starry": b"", "d/whats": b""},
    )
    write(tmp_path, {"d/.gitignore": b"*.log"})
    assert place.ignore(f"d/{name}")
    assert not place.ignore(f"d/{name}")
    seen = subprocess.run([*git, "ls-files", "-oz", "--exclude-standard"], check=True, capture_output=True)
    assert set(seen.stdout.decode().split("\0")) == {
        "", "d/.gitignore", f"d/{name}2/x", f"d/sub/{name}", "d/starry", "d/whats",
    }  # fmt: skip
    assert (tmp_path / "d/.gitignore").read_bytes().startswith(b"*.log\n")


def test_line_endings_and_permissions_of_a_gitignore_stay(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {".gitignore": b"a\r\nb\r\n"})
    (tmp_path / ".gitignore").chmod(0o600)
    place.ignore("d")
    assert (tmp_path / ".gitignore").read_bytes() == b"a\r\nb\r\n/d\r\n"
    assert (tmp_path / ".gitignore").stat().st_mode & 0o777 == 0o600
    write(tmp_path, {".gitignore": b"/d/\n"})
    assert not place.ignore("d")


def test_names_as_people_type_them(tmp_path: Path, place: Workspace) -> None:
    (tmp_path / "sub").mkdir()
    sub = str(tmp_path / "sub")
    assert place.name("d/") == "d"
    assert place.name("./a//b") == "a/b"
    assert place.name("x", sub) == "sub/x"
    assert place.name("../x", sub) == "x"
    assert place.name(str(tmp_path / "a/b"), sub) == "a/b"
    for bad in (".", "..", "../x", "/etc", ".rote/x", ".git", "a/\udcff", "sub/.."):
        with pytest.raises(BadPath):
            place.name(bad)


def test_a_name_through_a_link_to_the_project(tmp_path: Path) -> None:
    (tmp_path / "real/data").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    place = Workspace(str(tmp_path / "link"))
    assert place.root == str(tmp_path / "real")
    assert place.name(str(tmp_path / "link/data")) == "data"
    assert place.name(str(tmp_path / "real/data")) == "data"


def test_kinds(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"d/f": b""})
    (tmp_path / "l").symlink_to("d")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert [place.kind(p) for p in ("d", "d/f", "l", "x", "d/f/x")] == [
        "folder",
        "file",
        "folder",
        None,
        None,
    ]
    for bad, why in (("gone", "a link to nothing"), ("pipe", "a pipe")):
        with pytest.raises(BadPath, match=why):
            place.kind(bad)


def test_put_aside_keeps_everything(tmp_path: Path, place: Workspace) -> None:
    assert place.put_aside("out", "run-1") is None
    for number, where in ((1, ".rote/aside/run-1/a/out"), (2, ".rote/aside/run-1/a/out.2")):
        write(tmp_path, {"a/out/x": b"%d" % number})
        assert place.put_aside("a/out", "run-1") == where
        assert not (tmp_path / "a/out").exists()
        assert content(tmp_path / where) == {"x": b"%d" % number}
    (tmp_path / "link").symlink_to("nowhere")
    assert place.put_aside("link", "run-1") == ".rote/aside/run-1/link"


def test_delete_does_not_follow_links(tmp_path: Path, place: Workspace) -> None:
    write(tmp_path, {"keep/x": b"", "d/y": b"", "f": b""})
    (tmp_path / "d/l").symlink_to("../keep")
    (tmp_path / "l").symlink_to("keep")
    for path in ("d", "l", "f", "nothing"):
        place.delete(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keep"]
    assert (tmp_path / "keep/x").exists()


def test_bases_are_remembered_by_path(tmp_path: Path, place: Workspace) -> None:
    refs = [SnapshotRef(SnapshotId(c * 64), TxnId("20261121T110000-" + c * 16), 1, 2) for c in "ab"]  # type: ignore[arg-type]
    assert place.bases("d") == []
    place.set_bases("d", refs)
    assert Workspace(str(tmp_path)).bases("d") == refs
    assert place.bases("e") == []
    (file,) = (tmp_path / ".rote/cache/bases").iterdir()
    file.write_bytes(b"{}")
    assert place.bases("d") == []
