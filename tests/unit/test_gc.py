"""Collecting garbage of a real store: nothing that is needed goes, and the bytes come back, cut at any request."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.adapters.worktree import Workspace
from rote.errors import Corrupt, Locked, Missing, Refused
from rote.laws.store.retention import Rules
from rote.ports import ObjectStore
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.models.registry import Registry
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.services.upkeep.gc import Garbage, GcReport
from rote.testing.clock import StillClock
from rote.testing.faults import Crashed, Fault, FaultyStore, at
from rote.words.encoding import with_check
from rote.words.ids import SnapshotId, TxnId, digest
from rote.words.record import DataRoot, Root, StoreInfo
from rote.words.snapshot import SnapshotRef
from rote.words.version import Version

INFO = StoreInfo(id="0" * 32, chunk_min=65536, chunk_avg=262144, chunk_max=1048576)
ALL = Rules(grace=0.0, repository="here")
LET_GO = Rules(grace=0.0, repository="here", unpinned_data=True)
SEEDS = iter(range(10**6))


class Bench:
    """A store and a folder; `on` gives the services on any store in front of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = MemoryStore()
        self.workspace = Workspace(str(root))
        self.clock = StillClock(seed=next(SEEDS))

    def write(self, name: str, files: dict[str, bytes]) -> None:
        for path, content in files.items():
            (self.root / name).mkdir(exist_ok=True)
            (self.root / name / path).write_bytes(content)

    def save(
        self, name: str, on: ObjectStore | None = None, parent: SnapshotRef | None = None
    ) -> SnapshotRef:
        store = on or self.store
        transactions = Transactions(store, self.clock, "me")
        with transactions.begin() as write:
            saving = SnapshotWriter(store, write, info=INFO)
            record = saving.save(
                self.workspace.tree(name), parent=Snapshots(store).record(parent) if parent else None
            )
            about = DataRoot(path=name, repository="here", added="", by="me")
            write.root(f"data/{record.id[:2]}/{record.id}", about, [record.ref()], replace=True)
            write.commit()
        return record.ref()

    def garbage(self, on: ObjectStore | None = None, *pinned: SnapshotId) -> Garbage:
        store = on or self.store
        return Garbage(
            store, self.clock, snapshots=Snapshots(store), transactions=Transactions(store, self.clock, "gc"),
            writer=lambda write: SnapshotWriter(store, write, info=INFO), pinned=frozenset(pinned), workers=1,
        )  # fmt: skip

    def gc(self, rules: Rules = ALL, *pinned: SnapshotId) -> GcReport:
        return self.garbage(None, *pinned).collect(rules)

    def content(self, ref: SnapshotRef | SnapshotId) -> dict[str, bytes]:
        snapshots = Snapshots(self.store)
        record = snapshots.record(ref if isinstance(ref, SnapshotRef) else snapshots.find(ref))
        return {e.path: b"".join(snapshots.read(record, e.path)) for e in snapshots.entries(record)}

    def bytes(self) -> dict[str, int]:
        """Every object but the fence, with its size."""
        return {m.key: m.size for m in self.store.list("") if m.key != "gc/fence"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def noise(seed: int, count: int, size: int = 2000) -> dict[str, bytes]:
    rng = random.Random(seed)
    return {f"f{n:03}": rng.randbytes(size) for n in range(count)}


def saved(bench: Bench, name: str, files: dict[str, bytes]) -> SnapshotRef:
    bench.write(name, files)
    return bench.save(name)


def test_what_is_needed_stays_and_a_report_changes_nothing(bench: Bench) -> None:
    files = noise(1, 5)
    ref = saved(bench, "a", files)
    bench.gc()
    before = bench.bytes()
    report = bench.garbage().report(LET_GO)
    assert not report.done
    assert [g.name for g in report.going] == ["data a"]
    assert report.later.objects == 2
    assert bench.bytes() == before
    assert bench.gc().freed.objects == 0
    assert bench.content(ref) == files


def test_removed_undone_and_removed_for_good(bench: Bench) -> None:
    files = noise(2, 5)
    ref = saved(bench, "a", files)
    kept = saved(bench, "b", noise(3, 5))
    pinned = kept.id
    report = bench.gc(LET_GO, pinned)
    assert [g.name for g in report.going] == ["data a"]
    assert Roots(bench.store).envelope(f"data/{ref.id[:2]}/{ref.id}") is None
    assert [g.name for g in bench.garbage().trash()] == ["data a"]
    assert [g.name for g in bench.garbage().undo()] == ["data a"]
    assert bench.garbage().undo() == []
    assert bench.content(ref.id) == files
    bench.gc(LET_GO, pinned)
    report = bench.gc(ALL, pinned)
    assert report.freed.objects == 2
    assert bench.garbage().undo() == []
    with pytest.raises(Missing):
        bench.content(ref)
    assert bench.content(kept) == noise(3, 5)


def test_what_a_run_left_that_is_over_goes_and_of_one_under_way_stays(bench: Bench) -> None:
    kept = []
    for state, name in (("running", "20200101-000000-aaaaaa"), ("stopped", "20200101-000000-bbbbbb")):
        body = {"id": name, "state": state, "began": "", "by": "me", "command": "rote run"}
        root = Root(state="live", txn=TxnId("20200101T000000-0000000000000000"), body=body)
        bench.store.create(f"runs/{name}/record", with_check(root))
        for what in ("now", "ask"):
            bench.store.create(f"runs/{name}/{what}", name.encode())
            kept += [f"runs/{name}/{what}"] if state == "running" else []
    bench.gc()
    assert [key for key in bench.bytes() if key.endswith(("/now", "/ask"))] == sorted(kept)


def test_what_is_new_is_left_alone(bench: Bench) -> None:
    with Transactions(bench.store, bench.clock, "me").begin() as write:
        write.put_pack(digest("0" * 64), b"never committed")
    report = bench.gc(Rules())
    assert report.waiting.objects == 1
    assert report.freed.objects == 0
    bench.clock.move(72 * 3600)
    assert bench.gc(Rules()).freed.objects == 1
    bench.clock.move(72 * 3600)
    bench.gc(Rules())
    assert bench.bytes() == {}


def test_a_pointer_keeps_a_snapshot_whose_root_is_gone(bench: Bench) -> None:
    ref = saved(bench, "a", noise(4, 3))
    Roots(bench.store).remove(f"data/{ref.id[:2]}/{ref.id}")
    assert bench.gc(ALL, ref.id).freed.objects == 0
    assert bench.content(ref.id) == noise(4, 3)
    assert bench.gc(ALL).freed.objects == 2


def test_what_it_does_not_know_it_does_not_delete(bench: Bench) -> None:
    strange = [
        "packs/strange",
        "packs/x/y",
        "snapshots/a/b",
        "history/2026",
        "leases/l",
        "packs/20260101T000000-x/1",
    ]
    for key in strange:
        bench.store.create(key, b"?")
    bench.gc()
    assert sorted(bench.bytes()) == sorted(strange)


def test_who_cannot_read_a_root_deletes_nothing(bench: Bench) -> None:
    ref = saved(bench, "a", noise(5, 3))
    bench.store.create("data/aa/" + "a" * 64, b"rotten")
    Roots(bench.store).remove(f"data/{ref.id[:2]}/{ref.id}")
    before = bench.bytes()
    with pytest.raises(Corrupt) as error:
        bench.gc()
    assert "nothing was deleted" in (error.value.safe or "")
    assert bench.bytes() == before


# ---- repacking ---------------------------------------------------------------------------------------------------------


def large(seed: int) -> dict[str, bytes]:
    return {f"f{n}": random.Random(f"{seed} {n}").randbytes(200_000) for n in range(6)} | noise(seed, 40)


def half_dead(bench: Bench) -> tuple[SnapshotRef, dict[str, bytes]]:
    """A snapshot that needs little of a pack, whose own snapshot is gone."""
    files = large(6)
    first = saved(bench, "a", files)
    for name in list(files):
        if name not in ("f0", "f001", "f002"):
            (bench.root / "a" / name).unlink()
            del files[name]
    bench.write("a", {"new": b"n" * 100_000})
    files["new"] = b"n" * 100_000
    second = bench.save("a", parent=first)
    assert {pack.split("/")[0] for pack in Snapshots(bench.store).record(second).packs} == {
        first.txn,
        second.txn,
    }
    Roots(bench.store).remove(f"data/{first.id[:2]}/{first.id}")
    return second, files


def test_a_mostly_dead_pack_is_emptied(bench: Bench) -> None:
    ref, files = half_dead(bench)
    old = {key for key in bench.bytes() if key.startswith("packs/") and ref.txn not in key}
    report = bench.gc()
    assert [f"packs/{sparse.pack}" for sparse in report.repacked.packs] == sorted(old)
    assert (report.repacked.snapshots, report.repacked.roots) == (1, 1)
    assert bench.content(ref) == files  # who was just reading it can finish
    assert bench.content(ref.id) == files
    assert bench.gc().freed.objects >= 2
    assert old.isdisjoint(bench.bytes())
    assert bench.content(ref.id) == files
    total = sum(bench.bytes().values())
    assert total < 350_000
    assert bench.gc().repacked.packs == []


def test_a_pack_that_a_version_needs_is_left_alone(bench: Bench) -> None:
    ref, files = half_dead(bench)
    release(bench, "1.0.0", ref)
    assert bench.gc().repacked.packs == []
    assert bench.content(ref) == files


# ---- versions and aliases ----------------------------------------------------------------------------------------------


def release(bench: Bench, number: str, ref: SnapshotRef) -> Registry:
    version = Version(
        model="m", version=number, snapshot=ref, files=[], run=None, commit=None, released="", by="me"
    )
    with Transactions(bench.store, bench.clock, "me").begin() as write:
        assert write.use(ref)
        write.root(f"models/m/versions/{number}", version, [ref])
        write.commit()
    return Registry(bench.store, Roots(bench.store), bench.clock, "me")


def forget(number: str) -> Rules:
    return Rules(grace=0.0, forget_versions=frozenset([f"models/m/versions/{number}"]))


def test_a_version_that_an_alias_names_is_not_forgotten(bench: Bench) -> None:
    ref = saved(bench, "a", noise(7, 3))
    registry = release(bench, "1.0.0", ref)
    registry.promote("m", "1.0.0", "prod")
    with pytest.raises(Refused, match="prod names it"):
        bench.gc(forget("1.0.0"))
    with pytest.raises(Refused, match="no version m@9"):
        bench.gc(forget("9.0.0"))
    release(bench, "1.1.0", ref)
    registry.promote("m", "1.1.0", "prod")
    assert [g.name for g in bench.gc(forget("1.0.0")).going] == ["version m@1.0.0"]
    assert [str(v) for v in registry.numbers("m")] == ["1.1.0"]


class Meanwhile(FaultyStore):
    """Does something just before the first write below a prefix."""

    def __init__(self, inner: ObjectStore, prefix: str, act: Callable[[], object]) -> None:
        super().__init__(inner)
        self.prefix, self.act = prefix, act

    def _now(self, key: str) -> None:
        if key.startswith(self.prefix) and self.act:
            act, self.act = self.act, lambda: None
            act()

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        self._now(key)
        return super().create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        self._now(key)
        return super().replace(key, data, etag)


def test_an_alias_that_moves_to_a_version_just_removed_moves_back(bench: Bench) -> None:
    ref, other = saved(bench, "a", noise(8, 3)), saved(bench, "b", noise(9, 3))
    registry = release(bench, "1.0.0", ref)
    release(bench, "2.0.0", other)
    registry.promote("m", "1.0.0", "prod")

    def gone() -> None:
        bench.gc(forget("2.0.0"))
        bench.gc(LET_GO, ref.id)
        bench.gc(ALL, ref.id)

    store = Meanwhile(bench.store, "models/m/aliases/", gone)
    with pytest.raises(Refused, match="was removed while"):
        Registry(store, Roots(store), bench.clock, "me").promote("m", "2.0.0", "prod")
    assert registry.get("m", "prod").version == "1.0.0"
    assert [move.version for move in registry.history("m", "prod")] == ["1.0.0", "2.0.0", "1.0.0"]
    assert bench.content(ref) == noise(8, 3)


def test_a_version_that_an_alias_moves_to_while_it_is_removed_stays(bench: Bench) -> None:
    registry = release(bench, "1.0.0", saved(bench, "a", noise(10, 3)))
    store = Meanwhile(bench.store, "models/m/versions/", lambda: registry.promote("m", "1.0.0", "prod"))
    with pytest.raises(Refused, match="prod names it"):
        bench.garbage(store).collect(forget("1.0.0"))
    assert registry.get("m", "prod").version == "1.0.0"


# ---- cut at every request ----------------------------------------------------------------------------------------------


def scene(root: Path) -> tuple[Bench, dict[SnapshotId, dict[str, bytes]]]:
    """A store with something to free, to repack, to empty from the trash and to remove."""
    root.mkdir()
    bench = Bench(root)
    ref, files = half_dead(bench)
    gone = saved(bench, "b", noise(11, 3))
    bench.gc(LET_GO, ref.id)  # `b` lies in the trash, the pack is emptied
    assert gone.id != ref.id
    other = saved(bench, "c", noise(12, 3))
    with Transactions(bench.store, bench.clock, "me").begin() as write:
        write.put_pack(digest("1" * 64), b"given up")
    return bench, {ref.id: files, other.id: noise(12, 3)}


def rest(bench: Bench) -> dict[str, tuple[int, int]]:
    """What is left after collections alone, by kind: objects, and bytes to the nearest 64, for a node names packs by
    random ids, which shrink by a byte more or less."""
    for _ in range(3):
        bench.gc()
        bench.clock.move(86_400)  # tombstones stay for a day
    assert not list(bench.store.list("txns/"))
    kinds: dict[str, list[int]] = {}
    for key, size in bench.bytes().items():
        kinds.setdefault(key.split("/")[0], []).append(size)
    return {kind: (len(sizes), (sum(sizes) + 32) // 64) for kind, sizes in kinds.items()}


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=["before", "after"])
def test_a_collection_that_crashes_at_any_request_loses_nothing_and_the_next_one_frees_all(
    tmp_path: Path, fault: Fault
) -> None:
    bench, _ = scene(tmp_path / "all")
    baseline = rest(bench)
    number = 0
    while True:
        bench, needed = scene(tmp_path / f"{number}")
        store = FaultyStore(bench.store, at(number, fault))
        try:
            bench.garbage(store).collect(ALL)
        except Crashed:
            pass
        else:
            break
        for id, files in needed.items():
            assert bench.content(id) == files, f"request {number}"
        assert rest(bench) == baseline, f"request {number}"
        for id, files in needed.items():
            assert bench.content(id) == files, f"request {number}"
        number += 1
    assert number > 30


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=["before", "after"])
def test_a_save_that_crashes_at_any_request_leaves_nothing_that_stays(tmp_path: Path, fault: Fault) -> None:
    number = 0
    while True:
        root = tmp_path / f"{number}"
        root.mkdir()
        bench = Bench(root)
        first = saved(bench, "a", large(13))
        baseline = rest(bench)
        bench.write("a", {"more": b"m" * 70_000})
        try:
            bench.save("a", FaultyStore(bench.store, at(number, fault)), first)
        except Crashed:
            pass
        else:
            break
        kinds = rest(bench)
        if len(list(bench.store.list("data/"))) == 1:
            assert kinds == baseline, f"request {number}"
        assert bench.content(first) == large(13), f"request {number}"
        number += 1
    assert number > 5


def test_two_collections_at_once_are_told_apart(bench: Bench) -> None:
    ref = saved(bench, "a", noise(14, 3))
    Roots(bench.store).remove(f"data/{ref.id[:2]}/{ref.id}")
    store = Meanwhile(bench.store, "gc/fence", lambda: None)
    seen = []

    def other() -> None:
        seen.append(bench.gc().freed.objects)

    store.act = other
    with pytest.raises(Locked, match="another collection"):
        bench.garbage(store).collect(ALL)
    assert seen == [2]


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(20))
def test_a_save_and_a_collection_that_both_crash(tmp_path: Path, block: int) -> None:
    """10,000 random double crashes: nothing that was committed is lost, and the bytes come back."""
    rng = random.Random(block)
    for number in range(500):
        bench, needed = scene(tmp_path / f"{number}")
        bench.write("d", noise(number, 2))
        save, collect = rng.randrange(8), rng.randrange(90)
        for doing, cut in (("save", save), ("collect", collect)):
            store = FaultyStore(bench.store, at(cut, rng.choice([Fault.CRASH_BEFORE, Fault.CRASH_AFTER])))
            try:
                if doing == "save":
                    bench.save("d", store)
                else:
                    bench.garbage(store).collect(ALL)
            except Crashed:
                pass
        kinds = rest(bench)
        for id, files in needed.items():
            assert bench.content(id) == files, f"block {block}, {number}"
        assert kinds["data"][0] in (2, 3), f"block {block}, {number}"
        assert kinds["snapshots"][0] == kinds["data"][0], f"block {block}, {number}"
