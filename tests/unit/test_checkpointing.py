"""Stages that are cut and go on: real processes, a real working tree, a store in memory."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from runbench import Bench, outcomes, stage

from rote.errors import StoreUnavailable
from rote.laws.pipeline.stagekey import Inputs
from rote.services.runs.attempt import Task
from rote.services.runs.checkpoints import checkpoints_key
from rote.services.store.roots import Roots
from rote.testing.faults import CountingStore
from rote.words.unfinished import Checkpoints

TRAINER = Path(__file__).parent / "trainer.py"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "project")
    yield bench
    bench.executor.close()


class Started:
    """A companion of every stage, and its aid: it remembers the process that runs now."""

    environment: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.pid = 0

    @contextmanager
    def along(self, task: Task) -> Iterator[Started]:
        yield self

    def started(self, process: Any, found: Any) -> None:
        self.pid = process.pid


def training(
    bench: Bench, *, how: str = "mark", last: int = 100, pauses: tuple[int, ...] = (), rule: str = "ckpt"
) -> None:
    """A project with one stage that trains."""
    shutil.copy(TRAINER, bench.root / "trainer.py")
    bench.environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    bench.stages(
        f"  train:\n    cmd: {sys.executable} trainer.py {how} {last} '{json.dumps(pauses)}'\n"
        f"    deps: [trainer.py]\n    outs: [model.json]\n    metrics: [metrics.json]\n    checkpoints: {rule}\n"
    )
    if not bench.exists("up"):
        os.mkfifo(bench.root / "up")
    if not bench.companions:
        bench.watch_checkpoints()
        bench.companions.append(Started())


def kept(bench: Bench) -> list[str]:
    """The steps of the checkpoints in the store, newest first."""
    found = list(Roots(bench.store).list("checkpoints/"))
    steps = []
    for key in found:
        root = Roots(bench.store).get(key, Checkpoints)
        steps += [c.step for c in root[0].kept] if root else []
    return steps


def cut(bench: Bench, number: int = 15) -> None:
    """Run, and tell the stage to end (or kill it) when it says where it is."""

    def watch() -> None:
        with open(bench.root / "up") as up:
            up.read()
        started = bench.companions[-1]
        assert isinstance(started, Started)
        os.killpg(started.pid, number)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert outcomes(bench.run()) == {"train": "failed"}
    watcher.join()


def whole(tmp_path: Path) -> tuple[str, str]:
    """What an uninterrupted training leaves."""
    other = Bench(tmp_path / "whole", seed=9)
    training(other)
    assert other.run().ok
    other.executor.close()
    return other.read("model.json"), other.read("metrics.json")


@pytest.mark.parametrize("how", ["mark", "rename"])
def test_cut_in_every_way_and_resumed_it_leaves_the_same(bench: Bench, tmp_path: Path, how: str) -> None:
    training(bench, how=how, pauses=(24, 47, 71))
    cut(bench)  # TERM: what it writes then is taken too
    cut(bench, 9)
    shutil.rmtree(bench.root / ".rote")  # a machine that is gone, and another clone
    (bench.root / ".rote" / "cache").mkdir(parents=True)
    shutil.rmtree(bench.root / "ckpt")
    cut(bench)
    done = bench.run()
    assert outcomes(done) == {"train": "done"}
    assert (bench.read("model.json"), bench.read("metrics.json")) == whole(tmp_path)
    assert b"begins at 71 " in bench.log(done)
    assert kept(bench) == []


def test_the_stage_is_told_and_its_log_says_from_which_step(bench: Bench) -> None:
    training(bench, pauses=(24,))
    cut(bench)
    assert kept(bench)[0] == "24"
    done = bench.run()
    first, second = bench.log(done).splitlines()[:2]
    assert first.startswith(b"rote: train starts from the checkpoint of step 24, taken 2026-")
    assert second == b"begins at 24 told 24"
    assert any("train: starts from the checkpoint of step 24" in line for line in bench.told.lines)


def test_what_the_stage_did_not_vouch_for_is_not_used_after_a_kill(bench: Bench) -> None:
    """The trainer marks each tenth step in place. A kill between two writes leaves the last one marked."""
    training(bench, pauses=(24,))
    cut(bench, 9)
    assert kept(bench)[0] == "20"
    assert b"begins at 20 told 20" in bench.log(bench.run())


def test_a_file_cut_half_way_is_never_taken(bench: Bench) -> None:
    bench.stages(
        "  train: {cmd: 'echo whole > ckpt/.a; mv ckpt/.a ckpt/a; head -c 5 ckpt/a > ckpt/b; exit 1', outs: [o], checkpoints: ckpt}\n"
    )
    bench.watch_checkpoints(look=30.0)
    assert not bench.run().ok
    assert kept(bench) == []
    assert "no checkpoint could be taken: 'b' has just been written in place" in "\n".join(bench.told.lines)


def test_force_and_other_keys_start_from_nothing(bench: Bench) -> None:
    training(bench, pauses=(24,))
    cut(bench)
    done = bench.run(force=True)
    assert b"begins at 0 told None" in bench.log(done)
    training(bench, pauses=(24,), last=90)
    assert b"begins at 0 told None" in bench.log(bench.run())


def test_the_folder_is_no_out_and_is_cleared(bench: Bench) -> None:
    training(bench, pauses=(24,))
    cut(bench)
    bench.write("ckpt/left-over", "of another run")
    done = bench.run()
    assert sorted(stage(done, "train").outs) == ["metrics.json", "model.json"]
    assert not bench.exists("ckpt/left-over")
    assert "/ckpt\n" in bench.read(".gitignore")


def test_only_the_last_ones_are_kept_and_the_bytes_are_shared(bench: Bench) -> None:
    training(bench, rule="{path: ckpt, keep: 1, every: 0}", pauses=(24, 47, 71))
    for expected in ("24", "47", "71"):
        cut(bench)
        assert kept(bench) == [expected]


def test_another_machine_goes_on_and_the_first_one_hits(bench: Bench, tmp_path: Path) -> None:
    training(bench, pauses=(24,))
    cut(bench)
    other = Bench(tmp_path / "other", bench.store, seed=1)
    training(other)
    (other.root / "passed-24").touch()
    other.write("rote.yaml", bench.read("rote.yaml"))
    done = other.run()
    assert b"begins at 24 " in other.log(done)
    assert outcomes(bench.run()) == {"train": "hit"}
    assert bench.read("model.json") == other.read("model.json")
    other.executor.close()


def test_a_damaged_checkpoint_gives_way_to_the_one_before(bench: Bench) -> None:
    training(bench, rule="{path: ckpt, every: 0}", pauses=(24, 47))
    cut(bench)
    cut(bench)
    assert kept(bench)[:2] == ["47", "24"] or kept(bench)[0] == "47"
    [key] = list(Roots(bench.store).list("checkpoints/"))
    found = Roots(bench.store).get(key, Checkpoints)
    assert found is not None
    newest, before = found[0].kept[:2]
    bench.store.delete(f"snapshots/{newest.snapshot.key}")
    done = bench.run()
    assert f"begins at {before.step} ".encode() in bench.log(done)
    assert any("is no longer whole in the store" in line for line in bench.told.lines)


def test_what_a_killed_rote_left_is_saved_first(bench: Bench) -> None:
    """The stage went on marking after rote was gone (or rote had no time to take it): the next one takes it."""
    training(bench, pauses=(24,))
    cut(bench)
    state = json.loads(bench.read("ckpt/state.json"))
    bench.write("ckpt/state.json", json.dumps(state | {"step": 31}))
    os.environ["ROTE_CHECKPOINTS"] = str(bench.root / "ckpt")
    try:
        import rote

        assert rote.checkpoint(str(bench.root / "ckpt/state.json"), 31)
    finally:
        del os.environ["ROTE_CHECKPOINTS"]
    done = bench.run()
    assert b"begins at 31 told 31" in bench.log(done)


def test_the_first_one_is_saved_as_well_where_a_kill_came_while_it_was_sent(bench: Bench) -> None:
    """What the stage had read by then is noted before its first checkpoint is sent, which may take minutes."""
    training(bench, pauses=(24,), rule="{path: ckpt, every: 0}")
    checkpointing = bench.companions[0]
    take = checkpointing._store.take  # type: ignore[attr-defined]

    def cut_off(*_: object) -> None:
        raise StoreUnavailable("the line is cut while it is sent")

    checkpointing._store.take = cut_off  # type: ignore[attr-defined,method-assign]
    cut(bench, 9)
    assert kept(bench) == []
    checkpointing._store.take = take  # type: ignore[attr-defined,method-assign]
    done = bench.run()
    assert b"begins at 20 told 20" in bench.log(done)
    assert any("that was left here is in the store now" in line for line in bench.told.lines)


def test_a_store_that_is_away_stops_no_training(bench: Bench) -> None:
    """A checkpoint that cannot be saved is told once; the stage goes on."""
    training(bench, rule="{path: ckpt, every: 0}")
    checkpointing = bench.companions[0]

    def away(*_: object) -> None:
        raise StoreUnavailable("the store cannot be reached")

    checkpointing._store.take = away  # type: ignore[attr-defined,method-assign]
    assert bench.run().ok


def test_stages_without_checkpoints_ask_the_store_nothing_more(bench: Bench) -> None:
    counting = CountingStore(bench.store)
    other = Bench(bench.root.parent / "counted", counting, seed=3)
    other.watch_checkpoints()
    other.stages("  a: {cmd: echo a > a, outs: [a]}\n")
    assert other.run().ok
    assert not [key for _, key in counting.journal if key.startswith(("checkpoints/", "leases/"))]
    other.executor.close()


def test_what_a_checkpoint_costs(tmp_path: Path) -> None:
    """docs/cost.md says the same in words."""
    counting = CountingStore(Bench(tmp_path / "store").store)
    bench = Bench(tmp_path / "project", counting, seed=3)
    training(bench, rule="{path: ckpt, every: 0}", pauses=(24, 47))
    cut(bench)
    assert bench.checkpoints is not None
    take, spent = bench.checkpoints.take, []

    def counted(*args: Any) -> Any:
        before = len(counting.journal)
        kept = take(*args)
        spent.append([f"{kind} {key.split('/')[0]}" for kind, key in counting.journal[before:]])
        return kept

    bench.checkpoints.take = counted  # type: ignore[method-assign]
    cut(bench)
    bench.executor.close()
    writes = [[one for one in each if one.split()[0] in ("create", "replace")] for each in spent]
    assert writes[0] == [
        *["create txns", "create packs", "replace txns", "create snapshots"],
        *["replace checkpoints", "replace txns", "replace checkpoints"],
    ]
    assert len(spent[0]) - len(writes[0]) <= 8


def test_the_key_of_the_root() -> None:
    key = Inputs(cmd=("x",)).key()
    assert checkpoints_key(key) == f"checkpoints/{key[:2]}/{key}"
