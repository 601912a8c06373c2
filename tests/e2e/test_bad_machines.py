"""Machines that misbehave under a run: a disk that is really full, and clocks that jump."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest
from place import Place

sys.path.insert(0, str(Path(__file__).parents[1] / "fault"))

from test_folder_full import tiny_disk

import rote
from rote.adapters.clock import SystemClock
from rote.ports import Silence
from rote.wiring.parts import Wiring

PIPELINE = """\
stages:
  good: {cmd: cp in.txt good.txt, deps: [in.txt], outs: [good.txt]}
  bad:
    cmd: echo filling; sh fill.sh
    outs: [out]
"""


@pytest.mark.parametrize("options", ["size=12m", "size=12m,nr_inodes=300"])
def test_a_stage_that_fills_the_disk(tmp_path: Path, options: str) -> None:
    """Its out takes all that is left (or its files all the inodes). What was done is kept; what failed is told, and where
    what it had written lies; with room again everything goes on."""
    many = "mkdir out\nfor n in $(seq 2000); do : > out/$n || exit 9; done\n"
    filling = many if "inodes" in options else "cat /dev/zero > out\n"
    root = tmp_path / "disk"
    root.mkdir()
    with tiny_disk(root, options) as mounted:
        if not mounted:  # then the limit of a process has to do: test_bad_stages.py
            return
        place = Place(root)
        place.rote("init")
        place.write("rote.yaml", PIPELINE)
        place.write("in.txt", "in\n")
        place.write("fill.sh", filling)
        place.rote("run", "good")
        told = place.rote("run", code=1)
        said = told.out + told.err
        assert "bad: failed" in said
        assert (
            ".rote/aside/" in said or "stays where it is, and counts for nothing" in said
        )  # where the room went
        if "no space left" in told.err:
            assert "make room" in told.err
        for command in (["plan"], ["store", "check"], ["run", "good"], ["status"]):
            place.rote(*command, code=None)  # no traceback, whatever can be done without room
        for left in [*(root / ".rote/aside").rglob("out*"), *root.glob("out")]:
            if left.is_dir():
                for file in left.iterdir():
                    file.unlink()
            else:
                left.unlink()
        place.write("fill.sh", "echo 1 > out\n")
        told = place.rote("run")
        assert "good: hit" in told.out
        assert "bad: done" in told.out
        assert "all is sound" in place.rote("store", "check", "--read-data").out
        states = [row["state"] for row in place.rote("runs", "--json").json]
        assert "running" not in states  # the one that could not be recorded is known to be over


class Jumping(SystemClock):
    """A clock of day that somebody sets all the time: years ahead, and back before 1980. Seconds that pass are what they
    are."""

    def __init__(self) -> None:
        self.jumps = [0, 4e8, -1.4e9, 3600, -86400 * 400, 1]
        self.asked = 0

    def now(self) -> float:
        self.asked += 1
        return super().now() + self.jumps[self.asked % len(self.jumps)]


class JumpingWiring(Wiring):
    """A project on a machine with such a clock."""

    @property
    def clock(self) -> Jumping:
        return self.__dict__.setdefault("jumping", Jumping())


def jumping(root: Path) -> rote.Project:
    return rote.Project(
        str(root), wiring=JumpingWiring(str(root), store=None, progress=Silence(), cwd=str(root))
    )


def test_a_clock_that_jumps(place: Place, tmp_path: Path) -> None:
    """Runs, results, hits, checkpoints, a release and a collection, with the time of day anywhere."""
    place.write("in.txt", "a\n")
    place.write(
        "rote.yaml",
        "stages:\n  one: {cmd: cp in.txt one.txt, deps: [in.txt], outs: [one.txt]}\n"
        "  two:\n    cmd: cat one.txt one.txt > two.txt; echo '{\"n\":1}' > m.json; echo said\n    deps: [one.txt]\n"
        "    outs: [two.txt]\n    metrics: [m.json]\n    checkpoints: ckpt\n    timeout: 1h\n"
        "models: {m: {files: [two.txt], gates: [n >= 1]}}\n",
    )
    first = jumping(place.root).run(deadline=3600)
    assert first.ok
    assert [s.outcome for s in first.stages] == ["done", "done"]
    assert 0 <= first.run.seconds < 3600  # no jump is in it
    assert all(0 <= s.seconds < 3600 for s in first.stages)
    again = jumping(place.root).run()
    assert (again.recorded, [s.outcome for s in again.stages]) == (False, ["hit", "hit"])
    ids = {first.run.id}
    for text in ("b\n", "c\n", "a\n", "d\n"):
        place.write("in.txt", text)
        outcome = jumping(place.root).run()
        assert outcome.ok
        assert place.read("two.txt") == text * 2
        ids.add(outcome.run.id)
    assert len(ids) == 4  # "a" was a hit of the first
    project = jumping(place.root)
    assert {str(row[0]) for row in project.runs(columns=["id"]).rows} == set(ids)
    assert b"".join(project.logs(first.run.id)).endswith(b"said\n")
    place.write("in.txt", "e\n")
    forced = jumping(place.root).run(force=True)
    assert msgspec.json.encode(forced.run)  # what a record says of times can be told
    gone = jumping(place.root).store.gc(delete=True, keep_last=1, grace_hours=0)
    assert gone.done
    assert jumping(place.root).store.check(read_data=True).ok
    assert [s.outcome for s in jumping(place.root).run().stages] == ["hit", "hit"]
