"""One process at a time in a working tree; the others say who it is, and wait or refuse."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rote.adapters.worktree import Workspace, lock
from rote.errors import Locked

HOLD = """
import sys
from rote.adapters.worktree import Workspace
with Workspace(sys.argv[1]).lock("rote run train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def start(root: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    return holder


def test_the_second_is_told_who_has_it(tmp_path: Path) -> None:
    holder = start(tmp_path)
    try:
        with pytest.raises(Locked) as caught, Workspace(str(tmp_path)).lock("rote run", wait=False):
            pass
        assert "rote run train" in caught.value.what
        assert f"process {holder.pid}" in caught.value.what
        assert os.uname().nodename in caught.value.what
        assert "since 20" in caught.value.what
    finally:
        holder.communicate(timeout=60)
    with Workspace(str(tmp_path)).lock("rote run", wait=False):
        said = lock.holder(str(tmp_path / ".rote/lock"))
        assert said
        assert (said.pid, said.command) == (os.getpid(), "rote run")


def test_the_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    holder = start(tmp_path)
    said: list[str] = []
    waiting, got = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.set()

    def second() -> None:
        with Workspace(str(tmp_path)).lock("rote checkout", say=say):
            got.set()

    thread = threading.Thread(target=second, daemon=True)
    thread.start()
    assert waiting.wait(60)
    assert not got.is_set()
    holder.communicate(timeout=60)
    assert got.wait(60)
    thread.join(60)
    assert len(said) == 1
    assert f"process {holder.pid}" in said[0]


def test_a_killed_holder_has_let_go(tmp_path: Path) -> None:
    holder = start(tmp_path)
    holder.kill()
    holder.wait(60)
    with Workspace(str(tmp_path)).lock("rote run", wait=False):
        pass


def test_a_lock_file_with_rubbish_in_it(tmp_path: Path) -> None:
    (tmp_path / ".rote").mkdir()
    (tmp_path / ".rote/lock").write_bytes(b"\xff rubbish")
    assert lock.holder(str(tmp_path / ".rote/lock")) is None
    with Workspace(str(tmp_path)).lock("a", wait=False), pytest.raises(Locked, match="`a`"):
        with Workspace(str(tmp_path)).lock("b", wait=False):
            pass


def test_who_was_last_is_known_by_machine(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    assert not lock.foreign(str(file))
    with lock.held(str(file), "rote run", wait=False, say=None):
        assert not lock.foreign(str(file))
        there = file.read_text()
    assert not lock.foreign(str(file))
    file.write_text(there.replace(f'"host":"{os.uname().nodename}"', '"host":"another"'))
    assert lock.foreign(str(file))
