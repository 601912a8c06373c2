from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import BadName, Conflict, Corrupt, Missing, RoteError, StoreUnavailable, UsageError
from rote.services.runs.livelog import LOG, MAGIC, Item, pack_segment, unpack_segment
from rote.services.runs.recording import needs_of
from rote.words.encoding import with_check
from rote.words.ids import Digest, SnapshotId
from rote.words.record import LIVE, Root
from rote.words.run import Commit, Run, StageOutcome
from rote.words.snapshot import SnapshotRecord, SnapshotRef
from run_worlds import World, plant


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, secrets=("s3cr3t-value",))


def snapshot(world: World, name: str) -> SnapshotRef:
    """An empty snapshot that is in force nowhere yet."""
    with world.transactions.begin() as write:
        id = SnapshotId(Digest(name * 64))
        ref = write.add_snapshot(SnapshotRecord(id=id, txn=write.id, files=0, size=0, packs=[], nodes=[]))
        body = world.run()
        write.root(f"data/{name * 2}/{id}", body, [ref])
        write.commit()
    return ref


def test_a_run_is_there_while_it_runs_and_changes_once_it_ends(world: World) -> None:
    run = world.run()
    recorder = world.runs.start(msgspec.structs.replace(run, state="running"))
    assert world.runs.get(run.id).state == "running"
    recorder.finish(run)
    assert world.runs.get(run.id) == run
    with pytest.raises(Conflict):
        world.runs.start(run)
    assert world.runs.get(run.id) == run


def test_the_record_keeps_what_its_stages_left(world: World) -> None:
    one, two = snapshot(world, "a"), snapshot(world, "b")
    stages = [
        StageOutcome(stage="x", outcome="done", outs={"one": one, "again": one}),
        StageOutcome(stage="y", outcome="hit", outs={"two": two}),
    ]
    run = world.run(stages=stages)
    assert needs_of(run) == [one, two]
    recorder = world.runs.start(msgspec.structs.replace(run, state="running", stages=[]))
    recorder.finish(run)
    found = world.roots.get(f"runs/{run.id}/record", Run)
    assert found is not None
    assert found[0] == run
    assert (found[1].state, found[1].needs) == (LIVE, [one, two])


def test_finish_in_a_write_counts_from_its_commit(world: World) -> None:
    ref = snapshot(world, "a")
    run = world.run(stages=[StageOutcome(stage="x", outcome="done", outs={"one": ref})])
    recorder = world.runs.start(msgspec.structs.replace(run, state="running"))
    lost = world.transactions.begin()
    recorder.finish(run, lost)
    assert world.runs.get(run.id).state == "running"
    lost.abort()
    assert world.runs.get(run.id).state == "running"
    with world.transactions.begin() as write:
        recorder.finish(run, write)
        write.commit()
    assert world.runs.get(run.id) == run


def test_a_snapshot_that_is_gone_does_not_stop_the_record(world: World) -> None:
    ref = SnapshotRef(id=SnapshotId(Digest("ab" * 32)), txn=snapshot(world, "a").txn, files=1, size=1)
    run = world.run(state="failed", stages=[StageOutcome(stage="x", outcome="done", outs={"one": ref})])
    world.runs.start(msgspec.structs.replace(run, state="running")).finish(run)
    found = world.roots.get(f"runs/{run.id}/record", Run)
    assert found is not None
    assert (found[0], found[1].needs) == (run, [])


def test_logs_come_back_from_the_store_alone(world: World, tmp_path: Path) -> None:
    run = world.run(stages=[StageOutcome(stage="quiet", outcome="hit")])
    recorder = world.runs.start(run)
    for stage, data in (("a", b"1\n"), ("b", b"\xff\0"), ("a", b"2"), ("a", b"3\n"), ("b", b"")):
        recorder.log(stage, data)
    assert b"".join(world.runs.logs(run.id)) == b"1\n23\n\xff\0", (
        "under way: from the local files, stage by stage"
    )
    recorder.finish(run)
    (tmp_path / "runs").rename(tmp_path / "elsewhere")
    assert b"".join(world.runs.logs(run.id)) == b"1\n\xff\x0023\n"
    assert b"".join(world.runs.logs(run.id, "a")) == b"1\n23\n"
    assert b"".join(world.runs.logs(run.id, "b")) == b"\xff\0"
    assert b"".join(world.runs.logs(run.id, "quiet")) == b""
    with pytest.raises(Missing, match="no stage 'quite'") as caught:
        list(world.runs.logs(run.id, "quite"))
    assert "quiet" in str(caught.value.next)


def test_a_killed_run_keeps_its_log_on_this_machine(world: World) -> None:
    run = world.run(state="running")
    recorder = world.runs.start(run)
    recorder.log("a", b"sent\n")
    recorder.pulse._seal()
    recorder.log("a", b"not sent\n")
    # no finish: the process is gone
    assert b"".join(world.runs.logs(run.id)) == b"sent\nnot sent\n"
    recorder.close()


def test_a_large_log_goes_in_bounded_pieces_from_many_threads(world: World) -> None:
    run = world.run()
    recorder = world.runs.start(run)
    piece = bytes(range(256)) * 1024

    def work(stage: str) -> None:
        for _ in range(12):
            recorder.log(stage, piece)

    threads = [threading.Thread(target=work, args=(f"s{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.finish(run)
    keys = [meta.key for meta in world.store.list(f"runs/{run.id}/live/")]
    assert keys == [f"runs/{run.id}/live/{n:08d}" for n in range(1, len(keys) + 1)]
    assert len(keys) >= 3
    for key in keys:
        assert sum(len(item.data) for item in unpack_segment(world.store.get(key).data, key)) <= 5 << 20
    for i in range(4):
        assert b"".join(world.runs.logs(run.id, f"s{i}")) == piece * 12


class Away(MemoryStore):
    """A memory store that can be out of reach."""

    away = False

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        if self.away and "/live/" in key:
            raise StoreUnavailable("the network is down")
        return super().create(key, data)


def test_a_store_that_is_away_loses_no_line(tmp_path: Path) -> None:
    world = World(tmp_path)
    away = Away()
    world = _on(world, away, tmp_path)
    run = world.run()
    recorder = world.runs.start(msgspec.structs.replace(run, state="running"))
    away.away = True
    recorder.log("a", b"one\n")
    with pytest.raises(StoreUnavailable):
        recorder.finish(run)
    assert world.runs.get(run.id).state == "running"
    assert b"".join(world.runs.logs(run.id)) == b"one\n"


def _on(world: World, store: MemoryStore, folder: Path) -> World:
    from rote.services.runs.runs import Runs
    from rote.services.store.roots import Roots  # this test alone exchanges the store
    from rote.services.store.transactions import Transactions

    world.store = store
    world.transactions = Transactions(store, world.clock, "ada@mill")
    world.runs = Runs(store, Roots(store), world.transactions, world.clock, folder=str(folder / "runs"))
    return world


def test_a_hostile_stage_name_writes_nowhere(world: World, tmp_path: Path) -> None:
    recorder = world.runs.start(world.run())
    with pytest.raises(BadName):
        recorder.log("../../x", b"x")
    recorder.close()
    assert not list(tmp_path.rglob("*.log"))


def test_a_log_that_cannot_be_written_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    recorder = world.runs.start(world.run())
    with pytest.raises(RoteError, match="cannot write the log"):
        recorder.log("a", b"x")


def test_segments() -> None:
    items = [Item(LOG, "a", b"x" * 100_000), Item(9, "later", b""), Item(LOG, "b", b"\0")]
    data = pack_segment(items)
    assert data[:8] == MAGIC
    assert list(unpack_segment(data, "k")) == items
    for at in (0, 10, 40, len(data) - 1):
        bad = bytearray(data)
        bad[at] ^= 1
        with pytest.raises(Corrupt, match="damaged"):
            list(unpack_segment(bytes(bad), "k"))
    with pytest.raises(Corrupt):
        list(unpack_segment(data[:20], "k"))


def test_no_secret_gets_into_the_record(world: World) -> None:
    run = world.run(
        command="rote run --token abc123 -S key=s3cr3t-value",
        commit=Commit(diff="+password = 'hunter2!'\n+x = 's3cr3t-value'\n"),
        overrides=["db.password=hunter2!"],
        params={"p.yaml": {"db": {"password": "hunter2!"}, "list": ["s3cr3t-value"]}},
        tags={"note": "s3cr3t-value"},
        error="cannot reach https://bob:hunter2!@host/x",
        stages=[StageOutcome(stage="x", outcome="failed", why="s3cr3t-value is wrong")],
    )
    world.runs.start(msgspec.structs.replace(run, state="running")).finish(run)
    data = world.store.get(f"runs/{run.id}/record").data
    for secret in (b"s3cr3t", b"hunter2", b"abc123"):
        assert secret not in data
    assert data.count(b"***") >= 8


def test_names_of_runs(world: World) -> None:
    with pytest.raises(Missing, match="no run yet"):
        world.runs.resolve("last")
    first, second = world.add(), world.add()
    world.clock.move(400 * 86_400)
    assert world.runs.resolve("last") == second
    third = world.add()
    assert world.runs.resolve("last") == third
    assert world.runs.resolve(first) == first
    assert world.runs.resolve(third[:8]) == third
    assert world.runs.resolve(first[-6:]) == first
    assert world.runs.resolve(first[-4:]) == first
    with pytest.raises(UsageError, match="2 runs fit"):
        world.runs.resolve(first[:8])
    wrong = first[:-1] + ("0" if first[-1] != "0" else "1")
    with pytest.raises(Missing) as caught:
        world.runs.resolve(wrong)
    assert first in str(caught.value.next)
    for bad in ("", "../x", "latest", "runs/x"):
        with pytest.raises(BadName):
            world.runs.resolve(bad)


def test_tags(world: World) -> None:
    ref = snapshot(world, "a")
    run = world.run(stages=[StageOutcome(stage="x", outcome="done", outs={"one": ref})], tags={"old": "1"})
    world.runs.start(msgspec.structs.replace(run, state="running")).finish(run)
    assert world.runs.tag(run.id, {"owner": "x", "old": ""}).tags == {"owner": "x"}
    found = world.roots.get(f"runs/{run.id}/record", Run)
    assert found is not None
    assert found[0].tags == {"owner": "x"}
    assert found[1].needs == [ref], "what the run keeps stays kept"
    with pytest.raises(BadName):
        world.runs.tag(run.id, {"a b": "x"})
    with pytest.raises(Missing):
        world.runs.tag(world.runs.new_id(), {"a": "x"})


def test_a_record_of_a_newer_rote_or_another_shape_is_told(world: World) -> None:
    run = world.run()
    plant(world.store, run)
    key = f"runs/{run.id}/record"
    found = world.store.get(key)
    root = Root(state=LIVE, txn=snapshot(world, "a").txn, body={"id": run.id})
    world.store.replace(key, with_check(root), found.etag)
    with pytest.raises(Corrupt, match="not what it should be"):
        world.runs.get(run.id)


def test_how_many_requests_a_run_costs(world: World) -> None:
    calls: list[str] = []
    for kind in ("get", "create", "replace", "list", "head"):
        inner = getattr(world.store, kind)
        setattr(world.store, kind, lambda *a, kind=kind, inner=inner: (calls.append(kind), inner(*a))[1])
    run = world.run()
    recorder = world.runs.start(run)
    assert calls == ["create"]
    recorder.finish(run)
    assert calls == ["create", "get", "replace"]
    assert os.path.basename(world.runs._folder) == "runs"
