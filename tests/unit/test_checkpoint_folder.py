"""The folder that a stage writes checkpoints into: real files, looked at while others write."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rote.adapters.worktree.checkpoints import CheckpointFolder
from rote.adapters.worktree.workspace import Workspace
from rote.errors import BadPath, Changed, RoteError
from rote.laws.pipeline.completeness import MARK, Looks, Stat, is_renamed, marked, read


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    made = CheckpointFolder(Workspace(str(tmp_path)), "run/ckpt", str(tmp_path / ".rote/cache/checkpoints/x"))
    assert made.begin(b"note") is None
    return made


def put(folder: CheckpointFolder, path: str, content: bytes) -> Path:
    place = Path(folder.full) / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def mark(folder: CheckpointFolder, code: str) -> None:
    """Call rote.checkpoint in a process of its own, as a training script does."""
    environment = {**os.environ, "ROTE_CHECKPOINTS": folder.full}
    subprocess.run(
        [sys.executable, "-c", f"import os, rote; top = os.environ['ROTE_CHECKPOINTS']; {code}"],
        env=environment, cwd=folder.full, check=True,
    )  # fmt: skip


def test_the_folder_is_made_ignored_and_cleared(folder: CheckpointFolder, tmp_path: Path) -> None:
    assert (tmp_path / "run/.gitignore").read_text() == "/ckpt\n"
    put(folder, "a/b.bin", b"1")
    assert folder.begin(b"other") is None
    assert os.listdir(folder.full) == []
    assert folder.note() == b"other"


def test_what_rote_did_not_put_there_is_put_aside(folder: CheckpointFolder, tmp_path: Path) -> None:
    other = CheckpointFolder(Workspace(str(tmp_path)), "mine", str(tmp_path / ".rote/cache/checkpoints/y"))
    (tmp_path / "mine").mkdir()
    assert other.begin(b"") is None  # an empty folder is no loss
    third = CheckpointFolder(Workspace(str(tmp_path)), "dear", str(tmp_path / ".rote/cache/checkpoints/z"))
    (tmp_path / "dear").mkdir()
    (tmp_path / "dear/weights").write_bytes(b"years of work")
    aside = third.begin(b"")
    assert aside is not None
    assert (tmp_path / aside / "weights").read_bytes() == b"years of work"


def test_a_look_takes_files_only(folder: CheckpointFolder) -> None:
    put(folder, "a.bin", b"12345")
    put(folder, "deep/er/b.bin", b"")
    os.symlink("a.bin", f"{folder.full}/link")
    os.symlink("deep", f"{folder.full}/folder-link")
    os.mkfifo(f"{folder.full}/pipe")
    found = folder.look()
    assert sorted(found) == ["a.bin", "deep/er/b.bin"]
    assert found["a.bin"].size == 5
    assert not is_renamed(found["a.bin"])
    os.rename(f"{folder.full}/a.bin", f"{folder.full}/c.bin")
    st = os.stat(f"{folder.full}/c.bin")
    assert folder.look()["c.bin"] == Stat(5, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)
    os.rename(f"{folder.full}/deep", f"{folder.full}/../elsewhere")
    assert sorted(folder.look()) == ["c.bin"]


def test_a_folder_that_is_gone_is_empty(folder: CheckpointFolder) -> None:
    os.rmdir(folder.full)
    assert folder.look() == {}
    assert folder.mark() is None


def test_who_writes_is_known(folder: CheckpointFolder) -> None:
    place = put(folder, "a.bin", b"12345")
    assert folder.writing(["a.bin", "gone.bin"]) == set()
    with open(place, "ab"):
        told = {"a.bin"} if sys.platform.startswith("linux") else set()  # others do not tell
        assert folder.writing(["a.bin"]) == told
    assert folder.writing(["a.bin"]) == set()


def test_held_files_are_read_as_they_were_although_they_are_replaced(folder: CheckpointFolder) -> None:
    put(folder, "a.bin", b"old content")
    put(folder, "b.bin", b"x" * 200_000)
    with folder.hold(folder.look()) as held:
        assert held is not None
        put(folder, "a.tmp", b"new content")
        os.replace(f"{folder.full}/a.tmp", f"{folder.full}/a.bin")
        os.unlink(f"{folder.full}/b.bin")
        assert held.is_still()
        [batch] = held.batches()
        assert (batch.paths, batch.sizes, batch.digests) == (["a.bin", "b.bin"], [11, 200_000], [None, None])
        assert held.read("a.bin", 11) == b"old content"
        memory = memoryview(bytearray(300_000))
        with held.stream("b.bin", 200_000) as fill:
            assert fill(memory) == 200_000
            assert fill(memory) == 0


def test_held_files_that_are_written_to_are_refused(folder: CheckpointFolder) -> None:
    place = put(folder, "a.bin", b"old content")
    os.utime(place, ns=(1, 1))
    with folder.hold(folder.look()) as held:
        assert held is not None
        place.write_bytes(b"new content")
        assert not held.is_still()
        with pytest.raises(Changed, match=r"run/ckpt/a\.bin"):
            held.read("a.bin", 11)
        with pytest.raises(Changed):
            with held.stream("a.bin", 11) as fill:
                fill(memoryview(bytearray(20)))


def test_what_is_no_longer_what_was_looked_at_is_not_held(folder: CheckpointFolder) -> None:
    place = put(folder, "a.bin", b"old content")
    files = folder.look()
    os.utime(place, ns=(1, 1))
    with folder.hold(files) as held:
        assert held is None
    place.unlink()
    with folder.hold(files) as held:
        assert held is None


def test_names_that_no_snapshot_may_hold(folder: CheckpointFolder) -> None:
    put(folder, "a\\b", b"1")
    with pytest.raises(BadPath), folder.hold(folder.look()):
        pass
    os.unlink(f"{folder.full}/a\\b")
    put(folder, "A", b"1")
    put(folder, "a", b"1")
    if len(folder.look()) == 2:  # a file system that tells them apart
        with pytest.raises(BadPath, match="differ only in case"), folder.hold(folder.look()):
            pass


class TestMark:
    """`rote.checkpoint`, called as scripts call it."""

    def test_it_names_the_files_of_the_newest_checkpoint(self, folder: CheckpointFolder) -> None:
        put(folder, "old.bin", b"1")
        put(folder, "step-7/model.bin", b"22")
        put(folder, "step-7/.hidden", b"333")
        put(folder, "extra.bin", b"4444")
        mark(
            folder,
            "print(rote.checkpoint(top + '/old.bin', 6)); rote.checkpoint(['step-7', 'extra.bin'], step=7)",
        )
        data = folder.mark()
        assert data is not None
        found = read(data)
        assert (found.step, sorted(found.files)) == ("7", ["extra.bin", "step-7/.hidden", "step-7/model.bin"])
        assert marked(found, folder.look()).files == found.files

    def test_a_write_right_after_it_is_seen(self, folder: CheckpointFolder) -> None:
        """However coarse the file system's clock is: that is what the call waits for."""
        mark(
            folder,
            "f = open('a.bin', 'wb'); f.write(b'old'); f.flush(); rote.checkpoint('a.bin', 1); f.seek(0); f.write(b'new')",
        )
        data = folder.mark()
        assert data is not None
        assert marked(read(data), folder.look()).files is None

    def test_without_rote_nothing_happens(self, tmp_path: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "ROTE_CHECKPOINTS"}
        code = "import rote; print(rote.checkpoint('nowhere', step=1), rote.checkpoint([], 'x'))"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, check=True
        )
        assert done.stdout == b"False False\n"
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize(
        ("path", "said"),
        [
            ("/etc/hostname", "has to lie in the stage's folder"),
            ("..", "has to lie in the stage's folder"),
            ("gone.bin", "No such file"),
            (".", "without a file is none"),
            ("link", "a link is no checkpoint"),
        ],
    )
    def test_what_is_no_checkpoint_is_refused(
        self, folder: CheckpointFolder, path: str, said: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from rote import checkpoint

        Path(folder.full, "../sibling").write_bytes(b"1")
        os.symlink("nothing", f"{folder.full}/link")
        monkeypatch.chdir(folder.full)
        monkeypatch.setenv("ROTE_CHECKPOINTS", folder.full)
        with pytest.raises(RoteError, match=said):
            checkpoint(path, 3)
        assert MARK not in os.listdir(folder.full)

    def test_it_loads_next_to_nothing(self, folder: CheckpointFolder) -> None:
        put(folder, "a.bin", b"1")
        mark(
            folder,
            "import sys; rote.checkpoint('a.bin', 1); "
            "bad = {'msgspec', 'subprocess', 'asyncio', 'yaml', 'click', 'sqlite3'} & set(sys.modules); assert not bad, bad",
        )


# ---- renames that leave no trace -----------------------------------------------------------------------------------


def at_once(folder: CheckpointFolder, path: str, content: bytes) -> None:
    """Write aside and rename, and make sure that the times do not tell."""
    aside = put(folder, f"{path}.tmp", content)
    os.replace(aside, Path(folder.full) / path)


class TestRenames:
    def test_a_rename_is_told_whatever_the_times_say(self, folder: CheckpointFolder) -> None:
        folder.watch()
        at_once(folder, "state", b"1")
        put(folder, "in-place", b"2")
        assert set(folder.renamed()) == {"state"}
        looks = Looks()
        stat = Stat(1, 5, 5, 7)  # one tick for all
        assert looks.judge({"state": stat}, (), folder.renamed()).files == {"state": stat}
        assert looks.judge({"in-place": stat}, (), folder.renamed()).files is None
        assert looks.judge({"state": stat}, ("state",), folder.renamed()).files is None
        folder.close()
        assert set(folder.renamed()) == set()

    def test_what_is_written_or_gone_since_is_not_told(self, folder: CheckpointFolder) -> None:
        folder.watch()
        for name in ("a", "b", "c", "d"):
            at_once(folder, name, b"1")
        assert set(folder.renamed()) == {"a", "b", "c", "d"}
        put(folder, "a", b"in place now")
        os.unlink(Path(folder.full) / "b")
        os.rename(Path(folder.full) / "c", Path(folder.full) / "e")
        assert set(folder.renamed()) == {"d", "e"}
        at_once(folder, "a", b"2")
        assert set(folder.renamed()) == {"a", "d", "e"}
        folder.close()

    def test_folders_in_it(self, folder: CheckpointFolder) -> None:
        (Path(folder.full) / "before").mkdir()
        folder.watch()
        at_once(folder, "before/state", b"1")
        put(folder, "new/other", b"1")
        assert set(folder.renamed()) == {"before/state"}
        at_once(folder, "new/state", b"1")
        assert set(folder.renamed()) == {"before/state", "new/state"}
        os.rename(Path(folder.full) / "before", Path(folder.full) / "after")
        assert set(folder.renamed()) == {"new/state"}
        at_once(folder, "after/state", b"2")
        assert set(folder.renamed()) == {"new/state", "after/state"}
        put(folder, "after/state", b"3")
        shutil.rmtree(Path(folder.full) / "new")
        assert set(folder.renamed()) == set()
        folder.close()

    def test_more_than_the_queue_holds(self, folder: CheckpointFolder) -> None:
        """What was told and not asked for in time is forgotten as a whole; it counts by its times then."""
        folder.watch()
        at_once(folder, "first", b"1")
        limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        assert limit <= 1 << 20
        for _ in range(limit // 2 + 10):  # two names in turn, so that no two events are alike
            os.rename(Path(folder.full) / "first", Path(folder.full) / "second")
            os.rename(Path(folder.full) / "second", Path(folder.full) / "first")
        put(folder, "first", b"written in place, and nobody was told")
        assert set(folder.renamed()) == set()
        at_once(folder, "later", b"1")
        assert set(folder.renamed()) == {"later"}
        folder.close()
