"""Sixteen processes at the same objects: each creation has one winner, no compare-and-swap is lost."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from rote.adapters.stores.folder import FolderStore, writing

RACERS = Path(__file__).parent / "folder_racers.py"
PROCESSES, ROUNDS = 16, 12


def test_sixteen_processes_race(tmp_path: Path) -> None:
    where = tmp_path / "store"
    ran = subprocess.run(
        [sys.executable, RACERS, where, str(PROCESSES), str(ROUNDS)],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    won = dict(line.split() for line in ran.stdout.splitlines())
    assert len(ran.stdout.splitlines()) == len(won) == ROUNDS
    store = FolderStore(str(where), create=False)
    for key, winner in won.items():
        assert store.get(key).data == f"{winner} ".encode() * 5000
    ledger = Counter(store.get("ledger").data.decode().split())
    assert ledger == Counter(f"{me}.{n}" for me in range(PROCESSES) for n in range(ROUNDS))
    assert os.listdir(where / "~tmp") == []


def test_a_draft_under_way_is_not_swept(tmp_path: Path) -> None:
    where = str(tmp_path / "store")
    FolderStore(where).create("a", b"")
    (tmp_path / "store/~tmp/4711-dead").write_bytes(b"left over")
    with writing.draft(where, b"half") as made:
        FolderStore(where).create("b", b"")
        assert os.listdir(tmp_path / "store/~tmp") == [os.path.basename(made.path)]
        writing.link_or_rename(where, made, f"{where}/c")
    assert FolderStore(where).get("c").data == b"half"
    assert os.listdir(tmp_path / "store/~tmp") == []


def test_a_draft_swept_before_it_was_locked_is_made_again(tmp_path: Path, monkeypatch) -> None:
    where = tmp_path / "store"
    store = FolderStore(str(where))
    store.create("a", b"")
    flock, robbed = fcntl.flock, []

    def rob(fd: int, how: int) -> None:
        if not robbed:
            robbed.extend(os.listdir(where / "~tmp"))
            os.unlink(where / "~tmp" / robbed[0])
        flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", rob)
    store.create("b", b"data")
    assert len(robbed) == 1
    assert store.get("b").data == b"data"


def test_a_process_forked_under_the_lock_does_not_keep_it(tmp_path: Path, monkeypatch) -> None:
    store = FolderStore(str(tmp_path / "store"))
    etag = store.create("a", b"1")
    wait, go = os.pipe()
    children = []
    rename = os.rename

    def fork_and_rename(source: str, target: str) -> None:
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)
            os._exit(0)
        children.append(child)
        rename(source, target)

    monkeypatch.setattr(os, "rename", fork_and_rename)
    store.replace("a", b"2", etag)
    try:
        with open(tmp_path / "store" / writing.LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError if the child has it still
    finally:
        os.close(go)
        os.close(wait)
        assert [os.waitpid(child, 0)[1] for child in children] == [0]
