"""store check: what it finds besides, samples, and repair from wherever the content still is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from copybench import FIRST, SECOND, SMALL, Store, content, copy, filled, memory
from modelbench import CHANNEL, Files, noise

from rote.adapters.stores.memory import MemoryStore
from rote.laws.store.rooted import is_root
from rote.services.store import founding
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.services.upkeep.check import CheckReport, Sample, StoreCheck
from rote.services.upkeep.repairing import Repairing
from rote.testing.clock import StillClock
from rote.testing.faults import Crashed, Fault, FaultyStore, at
from rote.words.encoding import with_check
from rote.words.record import Root
from rote.words.snapshot import SnapshotRef


def check(store: MemoryStore, deep: bool = True) -> CheckReport:
    return StoreCheck(store).check(deep)


def repair(store: MemoryStore, seed: int = 40, **how: object) -> CheckReport:
    """Repair, and look again."""
    transactions = Transactions(store, StillClock(seed=seed), "fix@lab")
    repairing = Repairing(store, founding.read(store), transactions, **how)
    repairing.repair(StoreCheck(store).check(deep=True))
    return check(store)


def packs_of(store: Store, ref: SnapshotRef) -> list[str]:
    return [f"packs/{p}" for p in store.bench.snapshots.record(ref).packs]


def rot(store: MemoryStore, key: str, where: int = 5000) -> None:
    found = store.get(key)
    data = bytearray(found.data)
    data[where % len(data)] ^= 0xFF
    store.replace(key, bytes(data), found.etag)


def in_force(store: MemoryStore, prefix: str) -> list[SnapshotRef]:
    return [
        n
        for m in store.list(prefix)
        if is_root(m.key) and (r := Roots(store).envelope(m.key))
        for n in r.needs
    ]


def trees(*roots: tuple[str, dict[str, bytes] | bytes]) -> Callable[[str], Files | None]:
    """A working tree: path -> files."""
    there = dict(roots)
    return lambda path: Files(there[path]) if path in there else None


class TestFindings:
    def test_the_beginning_of_a_pack(self) -> None:
        here = Store()
        (pack,) = packs_of(here, here.data("d", FIRST))
        rot(here.store, pack, 2)
        for deep in (False, True):
            (damage,) = check(here.store, deep).damages
            assert damage.why == "it does not begin as a pack does; all that is in it can be read"
            assert [s.files for s in damage.suffering] == [0]
            assert damage.repairs() == ["rote store check --repair"]

    def test_an_alias_on_a_version_that_is_gone(self) -> None:
        here = Store()
        here.release("1.0.0", b"model", "prod")
        Roots(here.store).remove("models/digits/versions/1.0.0")
        (damage,) = check(here.store).damages
        assert (damage.key, damage.why) == (CHANNEL, "it names version 1.0.0, which is not there")
        assert damage.repairs() == ["rote promote digits@VERSION prod"]

    def test_what_an_alias_names_is_needed(self) -> None:
        here = Store()
        here.release("1.0.0", noise(3000), "prod")
        for key in ("models/digits/versions/1.0.0", *here.keys("data/")):
            Roots(here.store).remove(key)
        here.store.delete(here.keys("packs/")[-1])
        names = {root.name for d in check(here.store).damages for s in d.suffering for root in s.roots}
        assert names == {"alias digits@prod"}

    def test_what_nothing_needs_and_writes_left_open(self) -> None:
        here = filled()
        Roots(here.store).remove(here.keys("results/")[0])
        write = here.bench.transactions.begin()
        here.bench.writer(write).save(Files({"x": noise(100)}))
        report = check(here.store)
        assert report.ok
        assert (report.unused_records, report.unused_packs) == (1, 2)
        assert [w.by for w in report.open_writes] == ["ada@lab"]
        write.abort()

    def test_a_sample_reads_some_packs_others_each_day_all_in_time(self) -> None:
        here = Store()
        for n in range(20):
            here.data(f"d{n}", noise(2000, n))
        rotten = here.keys("packs/")[7]
        rot(here.store, rotten, 500)
        assert check(here.store, deep=False).ok
        seen, found = set(), 0
        for day in range(60):
            sample = Sample(0.1, f"2026-11-{day:02d}")
            report = StoreCheck(here.store).check(sample=sample)
            assert report.read == StoreCheck(here.store).check(sample=sample).read
            assert len(report.read) == 2
            seen.update(report.read)
            found += not report.ok
            assert report.ok == (rotten.removeprefix("packs/") not in report.read)
        assert len(seen) == 20
        assert found
        assert len(StoreCheck(here.store).check(sample=Sample(0.0001, "x")).read) == 1


class TestRepairFromAnotherStore:
    def test_everything_that_a_mirror_has(self) -> None:
        here, mirror = filled(), memory()
        copy(here.store, mirror)
        expected = {ref.id: content(here.store, ref) for ref in in_force(here.store, "") if ref}
        for n, key in enumerate(here.keys("packs/")):
            if n % 2:
                rot(here.store, key)
            else:
                here.store.delete(key)
        for key in here.keys("snapshots/")[:2]:
            rot(here.store, key, 100)
        report = repair(here.store, other=mirror)
        assert report.ok, report.damages
        assert {ref.id: content(here.store, ref) for ref in in_force(here.store, "")} == expected
        assert here.bench.registry.get("digits", "prod").version == "1.1.0"
        moves = here.bench.registry.history("digits", "prod")
        assert [m.seq for m in moves] == [2, 1], "a repair is no move"

    def test_a_repair_that_is_cut_can_be_done_again(self) -> None:
        here, mirror = Store(), memory()
        here.data("d", SECOND, here.data("d", FIRST))
        copy(here.store, mirror)
        rot(here.store, here.keys("packs/")[0])
        objects = {meta.key: here.store.get(meta.key).data for meta in here.store.list("")}
        for number in range(200):
            broken = MemoryStore()
            for key, data in objects.items():
                broken.create(key, data)
            try:
                repair(FaultyStore(broken, at(number, Fault.CRASH_AFTER)), other=mirror)
            except Crashed:
                assert repair(broken, seed=41, other=mirror).ok
                continue
            break
        assert number > 20

    def test_a_mirror_with_other_snapshots_has_the_chunks(self) -> None:
        here, other = Store(), Store(seed=3)
        here.data("d", FIRST)
        other.data(
            "e", {"another": FIRST["big.bin"], "more": b"x" * 100, **{f"s/{n}": v for n, v in SMALL.items()}}
        )
        rot(here.store, here.keys("packs/")[0])
        assert not check(here.store).ok
        assert repair(here.store, other=other.store).ok


class TestRepairFromTheWorkingTree:
    def test_files_that_are_the_same(self) -> None:
        here = Store()
        ref = here.data("d", FIRST)
        rot(here.store, packs_of(here, ref)[0])
        changed = {**FIRST, "small/059": b"edited since"}  # not in the block that is damaged
        assert repair(here.store, tree_at=trees(("d", changed))).ok
        (now,) = in_force(here.store, "data/")
        assert now.txn != ref.txn
        assert content(here.store, now) == FIRST

    def test_a_whole_tree_where_nodes_are_lost(self) -> None:
        here = Store()
        ref = here.data("d", FIRST)
        for pack in packs_of(here, ref):
            here.store.delete(pack)
        assert not repair(here.store, tree_at=trees(("d", {**FIRST, "x": b"y"}))).ok
        assert repair(here.store, seed=42, tree_at=trees(("d", FIRST))).ok
        assert content(here.store, in_force(here.store, "data/")[0]) == FIRST

    def test_outs_of_results_and_runs(self) -> None:
        here = Store()
        out = noise(4000, 8)
        here.result(1, out, "20261121-110000-aaaaaa")
        here.run("20261121-110000-aaaaaa", {"out": {"m.bin": noise(500, 7)}})
        for key in here.keys("packs/"):
            here.store.delete(key)
        report = repair(here.store, tree_at=trees(("m.bin", out), ("out", {"m.bin": noise(500, 7)})))
        assert report.ok, report.damages

    def test_what_nobody_has_is_named_and_the_rest_repaired(self) -> None:
        here = Store()
        lost, kept = here.data("lost", noise(2000, 1)), here.data("kept", noise(2000, 2))
        for key in here.keys("packs/"):
            rot(here.store, key, 500)
        report = repair(here.store, tree_at=trees(("kept", noise(2000, 2)), ("lost", noise(2000, 3))))
        (damage,) = report.damages
        assert damage.suffering[0].snapshot.id == lost.id
        assert damage.repairs() == ["rote add --force lost"]
        assert kept.id in {ref.id for ref in in_force(here.store, "data/")}


class TestRepairFromTheStoreItself:
    def test_another_pack_with_the_same_chunks(self) -> None:
        here = Store()
        here.data("d", FIRST)
        here.data("e", {**FIRST, "more": b"x"})  # stored again: no parent
        rot(here.store, here.keys("packs/")[0])
        assert repair(here.store).ok

    def test_only_the_beginning_of_a_pack(self) -> None:
        here = Store()
        (pack,) = packs_of(here, here.data("d", FIRST))
        rot(here.store, pack, 2)
        assert repair(here.store).ok
        assert content(here.store, in_force(here.store, "data/")[0]) == FIRST

    def test_another_record_of_the_snapshot(self) -> None:
        here = Store()
        ref = here.data("d", FIRST)
        copy(here.store, mirror := memory())
        other = Store(seed=9, store=here.store)
        other.data("d", FIRST)  # now the data root names this one; a result still names the first
        here.store.create(
            "results/aa/" + "a" * 64, with_check(Root(state="live", txn=ref.txn, needs=[ref], body={}))
        )
        here.store.delete(f"snapshots/{ref.key}")
        assert not check(here.store).ok
        assert repair(here.store).ok
        assert mirror.url

    def test_damaged_packs_are_forgotten(self) -> None:
        here = Store()
        (pack,) = packs_of(here, here.data("d", FIRST))
        rot(here.store, pack)
        forgotten: list[str] = []
        repair(here.store, tree_at=trees(("d", FIRST)), forget=forgotten.extend)
        assert forgotten == [pack.removeprefix("packs/")]


@pytest.mark.parametrize("deep", [False, True])
def test_a_sound_store_is_left_as_it_is(deep: bool) -> None:
    here = filled()
    before = list(here.store.list(""))
    assert check(here.store, deep).ok
    assert repair(here.store).ok
    assert list(here.store.list("")) == before
