"""What this machine remembers of results: a cache that may be lost or damaged at any time."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.laws.pipeline.stagekey import Inputs
from rote.services.runs.results import Last, LastResults
from rote.words.ids import RunId

INPUTS = Inputs(cmd=("x",))
RUN = RunId("20261121-104434-1f09ab")
LAST = Last(key=INPUTS.key(), run=RUN, made="2026-11-21T10:44:34Z", inputs=INPUTS)


def test_it_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "last"
    first = LastResults(str(file))
    assert first.get("a") is None
    first.put("a", LAST)
    first.put_run({"a": LAST.key}, RUN)
    first.save()
    again = LastResults(str(file))
    assert again.get("a") == LAST
    assert again.run_of({"a": LAST.key}) == RUN
    assert again.run_of({"b": LAST.key}) is None
    assert [p.name for p in file.parent.iterdir()] == ["last"]


def test_nothing_new_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "last"
    first = LastResults(str(file))
    first.put("a", LAST)
    first.save()
    file.unlink()
    first.put("a", LAST)
    first.save()
    assert not file.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe"])
def test_damage_is_forgotten(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "last").write_bytes(damage)
    assert LastResults(str(tmp_path / "last")).get("a") is None


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    last = LastResults(str(tmp_path / "file" / "last"))
    last.put("a", LAST)
    last.save()
    assert last.get("a") == LAST


def test_only_the_newest_runs_are_remembered(tmp_path: Path) -> None:
    last = LastResults(str(tmp_path / "last"))
    runs = [RunId(f"20261121-104434-{n:06x}") for n in range(300)]
    for number, run in enumerate(runs):
        last.put_run({f"s{number}": LAST.key}, run)
    assert last.run_of({"s0": LAST.key}) is None
    assert last.run_of({"s299": LAST.key}) == runs[-1]
