"""What the system refuses arrives as rote's errors: no rights, no disk, no reply, and odd things in the folder."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rote.adapters.stores.folder import FolderStore, reading, writing
from rote.errors import BadName, Conflict, Corrupt, NotFound, StoreUnavailable, Unknown

STRANGER = Path(__file__).parent / "folder_stranger.py"
NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own is closed to others)."""
    place = Path(tempfile.mkdtemp(prefix="rote-shared-"))
    place.chmod(0o755)
    yield place
    for folder in (place / "store").glob("*/"):
        folder.chmod(0o755)
    shutil.rmtree(place)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path / "store"))


def test_without_rights(shared: Path) -> None:
    where = shared / "store"
    store = FolderStore(str(where))
    for key in ("open/a", "open/secret", "closed/x"):
        store.create(key, b"kept")
    (where / "open/secret").chmod(0)
    (where / "closed").chmod(0)
    for folder in (where / "open", where / "~tmp", where):
        folder.chmod(0o555)
    try:
        ran = subprocess.run(
            [sys.executable, STRANGER, where, str(NOBODY)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        where.chmod(0o755)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n") == [
        "read StoreUnavailable final",
        "list StoreUnavailable final",
        "listall StoreUnavailable final",
        "create StoreUnavailable final",
        "replace StoreUnavailable final",
        "delete StoreUnavailable final",
        "make StoreUnavailable final",
        "still kept -",
        "",
    ]


def test_a_folder_that_is_not_there_may_be_an_unmounted_disk(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="mounted") as caught:
        FolderStore(str(tmp_path / "none"), create=False)
    assert caught.value.retry
    assert caught.value.where == str(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_folder_that_goes_away_is_not_made_again(tmp_path: Path, store: FolderStore) -> None:
    etag = store.create("a/b", b"data")
    shutil.move(tmp_path / "store", tmp_path / "elsewhere")
    for ask in (
        lambda: store.get("a/b"),
        lambda: store.head("a/b"),
        lambda: list(store.list("")),
        lambda: store.create("a/c", b""),
        lambda: store.replace("a/b", b"", etag),
        lambda: store.delete("a/b"),
        lambda: store.delete("a/b", etag),
    ):
        with pytest.raises(StoreUnavailable, match="mounted"):
            ask()
    assert not (tmp_path / "store").exists()
    shutil.move(tmp_path / "elsewhere", tmp_path / "store")
    assert store.get("a/b").data == b"data"


def test_a_store_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for create in (True, False):
        with pytest.raises(StoreUnavailable, match="not a folder") as caught:
            FolderStore(str(tmp_path / "file"), create=create)
        assert not caught.value.retry
    with pytest.raises(StoreUnavailable):
        FolderStore(str(tmp_path / "file" / "below"))


def test_a_key_above_or_below_another_is_refused(store: FolderStore) -> None:
    store.create("a/b", b"data")
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(BadName):
            store.create(key, b"")
    assert [m.key for m in store.list("")] == ["a/b"]


def test_a_disk_that_fails_after_the_name_was_given_is_unknown(store: FolderStore, monkeypatch) -> None:
    etag = store.create("a/old", b"1")

    def broken(folder: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), folder)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "sync_folder", broken)
        with pytest.raises(Unknown) as caught:
            store.create("a/new", b"data")
        assert caught.value.key == "a/new"
        with pytest.raises(Unknown):
            store.replace("a/old", b"2", etag)
    assert store.get("a/new").data == b"data", "reading back tells"
    assert store.get("a/old").data == b"2"


@pytest.mark.parametrize("call", ["link", "rename"])
def test_a_reply_that_a_network_disk_lost_is_recognized(store: FolderStore, monkeypatch, call: str) -> None:
    """The system asks again by itself, and is told that it is done already."""
    etag = store.create("a", b"1")
    done = getattr(os, call)

    def twice(source: str, target: str) -> None:
        done(source, target)
        done(source, target)

    monkeypatch.setattr(os, call, twice)
    store.create("b", b"2")
    store.replace("a", b"3", etag)
    with pytest.raises(Conflict):
        store.create("b", b"4")
    assert [store.get(k).data for k in "ab"] == [b"3", b"2"]


def test_no_locks_is_told(store: FolderStore, monkeypatch) -> None:
    def flock(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreUnavailable, match="locks"):
        store.create("a", b"")
    assert list(store.list("")) == []


def test_what_is_no_object_is_passed_over(tmp_path: Path, store: FolderStore) -> None:
    where = tmp_path / "store"
    store.create("a/b", b"data")
    (tmp_path / "outside").write_text("secret")
    (where / "link").symlink_to(tmp_path / "outside")
    (where / "loop").symlink_to(where)
    (where / "dangling").symlink_to("nowhere")
    os.mkfifo(where / "pipe")
    (where / "folder").mkdir()
    (where / ".DS_Store").write_text("x")
    (where / "a copy").write_text("x")
    (where / "lost+found").mkdir()
    (where / "lost+found" / "x").write_text("x")
    assert [m.key for m in store.list("")] == ["a/b"]
    for key in ("link", "loop", "dangling", "pipe", "folder"):
        with pytest.raises(NotFound):
            store.get(key)
        with pytest.raises(NotFound):
            store.head(key)
        with pytest.raises(Conflict):
            store.replace(key, b"", "etag")
        with pytest.raises((Conflict, BadName)):
            store.create(key, b"")
    assert (tmp_path / "outside").read_text() == "secret"


def test_a_file_that_shrinks_while_it_is_read_is_corrupt(
    tmp_path: Path, store: FolderStore, monkeypatch
) -> None:
    store.create("a", bytes(1000))
    opened = reading.open_object

    def shrink(path: str):
        found = opened(path)
        (tmp_path / "store/a").chmod(0o600)
        os.truncate(path, 10)
        return found

    monkeypatch.setattr(reading, "open_object", shrink)
    with pytest.raises(Corrupt):
        store.get("a")


def test_each_object_costs_one_sync_and_one_for_its_folder(tmp_path: Path, monkeypatch) -> None:
    store, count = FolderStore(str(tmp_path / "store")), []
    sync = writing.sync
    monkeypatch.setattr(writing, "sync", lambda fd: (count.append(fd), sync(fd)))

    def syncs(do) -> int:
        count.clear()
        do()
        return len(count)

    assert syncs(lambda: store.create("a/b/c", b"1")) == 4, "two new folders, the file, its folder"
    assert syncs(lambda: store.create("a/b/d", b"1")) == 2
    assert syncs(lambda: store.replace("a/b/d", b"2", store.head("a/b/d").etag)) == 2
    assert syncs(lambda: store.delete("a/b/d")) == 1
    assert syncs(lambda: (store.get("a/b/c"), list(store.list("")))) == 0


def test_neighbouring_ranges_are_read_together(store: FolderStore, monkeypatch) -> None:
    data = os.urandom(3 * reading.RUN)
    store.create("a", data)
    calls, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: (calls.append((at, n)), pread(fd, n, at))[1])
    near = [(n * 1000, 900) for n in range(200)]
    assert store.get_ranges("a", near[::-1]) == [data[s : s + n] for s, n in near[::-1]]
    assert calls == [(0, 199_900)]
    calls.clear()
    far = [(0, 10), (reading.GAP + 11, 10), (2 * reading.RUN, 10)]
    store.get_ranges("a", far)
    assert calls == far
    calls.clear()
    large = [(n * reading.RUN // 2, reading.RUN // 2) for n in range(6)]
    store.get_ranges("a", large)
    assert len(calls) == 3, "joined only up to RUN"
