"""The second process of a scan: never another answer than that of one process, whatever becomes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from rote.adapters.worktree import second

# In a process of its own: a fork is made only where there is one thread, and a test runner may have more.
HEAD = """
import json, os, sys
from rote.errors import BadPath
from rote.adapters.worktree import scan, second
scan._MANY = 10
forks = []
class Counted(second.Second):
    def __init__(self, *a):
        forks.append(1)
        super().__init__(*a)
second.Second = Counted
def look(root):
    one = scan.Scan(root, {})
    try:
        one.run()
    except BadPath as e:
        return [len(forks), str(e)]
    return [len(forks), [[s[0].prefix, s[0].names[s[1]:s[2]], s[0].stats.hex()] for s in one.stretches], one.linked]
"""


def run(code: str, *args: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(code), *map(str, args)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def forest(root: Path) -> None:
    """Folders of many shapes, with links, and names that sort between folders and their content."""
    for a in range(12):
        for b in range(a % 4):
            folder = root / f"f{a}" / f"g{b}" / "h"
            folder.mkdir(parents=True)
            for c in range(7):
                (folder / f"{c}.txt").write_text("x" * c)
            (folder.parent / "h.txt").write_text("between")
        (root / f"f{a}.bin").write_text("beside")
    (root / "f5" / "link").symlink_to(root / "f7")


ALONE = "second.possible = lambda: False; print(json.dumps(look(sys.argv[1])))"
BOTH = "print(json.dumps(look(sys.argv[1])))"


def same(alone: list[Any], both: list[Any]) -> None:
    assert alone[0] == 0
    assert both[0] == 1
    assert both[1:] == alone[1:]


if sys.platform == "linux":  # elsewhere a scan never forks

    class TestOnLinux:
        def test_two_find_what_one_finds(self, tmp_path: Path) -> None:
            forest(tmp_path)
            same(run(ALONE, tmp_path), run(BOTH, tmp_path))

        def test_what_may_not_be_taken_is_named_by_whoever_finds_it(self, tmp_path: Path) -> None:
            forest(tmp_path)
            for folder in ("f1/g0", "f11/g2"):
                os.mkfifo(tmp_path / folder / "pipe")
            alone = run(ALONE, tmp_path)
            assert "f1/g0/pipe" in alone[1]
            assert "f11/g2/pipe" in alone[1]
            same(alone, run(BOTH, tmp_path))

        @pytest.mark.parametrize("after", [0, 1, 3])
        def test_the_other_dies(self, tmp_path: Path, after: int) -> None:
            forest(tmp_path)
            code = """
            looked, parent = scan.Scan._looked, os.getpid()
            def dies(self, item):
                if len(seen) == int(sys.argv[2]):
                    os.kill(os.getpid(), 9)
                seen.append(item)
                return looked(self, item)
            seen = []
            scan.Scan._looked = dies
            # The first one here is slow, so that the other gets to where it dies.
            take = second.Second.take
            def slow(self, item):
                if not forks[1:]:
                    forks.append(1)
                    os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
                return take(self, item)
            second.Second.take = slow
            found = look(sys.argv[1])
            assert forks == [1, 1]
            found[0] = 1
            print(json.dumps(found))
            """
            same(run(ALONE, tmp_path), run(code, tmp_path, after))

        def test_no_process_is_to_be_had(self, tmp_path: Path) -> None:
            forest(tmp_path)
            code = """
            def no():
                raise BlockingIOError(11, "no more processes")
            os.fork = no
            print(json.dumps([look(sys.argv[1]), len(os.listdir("/proc/self/fd"))]))
            """
            found, open_ = run(code, tmp_path)
            same(run(ALONE, tmp_path), found)
            assert open_ <= 4, "standard streams and the listing itself"

        def test_it_takes_all_and_leaves_nothing_behind(self, tmp_path: Path) -> None:
            """The other takes every item while this process waits; each answer arrives once."""
            code = """
            items = 100
            one = second.Second(items, lambda item: None if item % 7 == 0 else b"x" * item * 1000)
            while one._taken[1] < items - 1:
                os.sched_yield()
            found = [one.take(item) for item in reversed(range(items))]
            one.close()
            told = [None if f is None else len(f) for f in found]
            print(json.dumps([told, len(os.listdir("/proc/self/fd"))]))
            """
            told, open_ = run(code)
            assert told == [None if i % 7 == 0 else i * 1000 for i in reversed(range(100))]
            assert open_ <= 4


def test_never_beside_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threading.active_count", lambda: 2)
    assert not second.possible()
