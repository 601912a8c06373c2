"""A copy that is cut at every request, at either store and on either side of it: the next one goes on from there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from copybench import Store, copy, filled, memory, same_roots
from modelbench import CHANNEL, noise

from rote.adapters.stores.memory import MemoryStore
from rote.errors import RoteError
from rote.ports import ObjectStore
from rote.services.store.roots import Roots
from rote.services.store.transactions import Write
from rote.services.upkeep.check import StoreCheck
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore, Crashed, Fault, FaultyStore, at, each_write_once


@pytest.fixture(autouse=True)
def small_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several writes, and several packs a write."""
    monkeypatch.setattr("rote.services.upkeep.copying.ROOTS", 3)
    monkeypatch.setattr("rote.services.upkeep.carrying.PACK", 150_000)


@pytest.fixture(scope="module")
def source() -> Store:
    return filled()


def twin(store: MemoryStore) -> MemoryStore:
    other = MemoryStore()
    for meta in store.list(""):
        other.create(meta.key, store.get(meta.key).data)
    return other


def packs(store: ObjectStore) -> dict[str, int]:
    """Digest of each pack's table of contents -> how many packs have it."""
    found: dict[str, int] = {}
    for meta in store.list("packs/"):
        digest = meta.key.rpartition("/")[2]
        found[digest] = found.get(digest, 0) + 1
    return found


def requests(source: Store) -> tuple[int, int]:
    """How many requests a whole copy makes to the source and to the target."""
    here, there = FaultyStore(source.store), FaultyStore(memory())
    copy(here, there)
    return here.requests, there.requests


def cut_and_go_on(
    source: Store, wrap: Callable[[ObjectStore, ObjectStore], tuple[ObjectStore, ObjectStore]]
) -> None:
    target = memory()
    with pytest.raises((Crashed, RoteError)):
        copy(*wrap(source.store, target), seed=1)
    before, had = packs(target), {m.key for m in target.list("")}
    counted = CountingStore(target)
    copied = copy(source.store, counted, seed=2)
    assert copied.ok
    assert same_roots(source.store, target, read=False) == 8
    assert target.get(CHANNEL).data
    report = StoreCheck(target).check(deep=True)
    assert report.ok, report.damages
    # Only what was missing: no pack twice, no log segment twice, no root that was in force.
    after = packs(target)
    assert [d for d, n in after.items() if n > 1] == []
    sent = [key for kind, key in counted.journal if kind == "create" and key.startswith("packs/")]
    assert len(sent) == copied.packs == len(after) - len(before)
    created = {key for kind, key in counted.journal if kind == "create"}
    assert not created & {key for key in had if key.startswith(("packs/", "snapshots/")) or "/live/" in key}
    assert sum(copied.sent.values()) + sum(copied.there.values()) == 9


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=["before", "after"])
class TestKilledAtEveryRequest:
    def test_to_the_target(self, source: Store, fault: Fault) -> None:
        for number in range(requests(source)[1]):
            cut_and_go_on(source, lambda here, there, n=number: (here, FaultyStore(there, at(n, fault))))

    def test_to_the_source(self, source: Store, fault: Fault) -> None:
        for number in range(requests(source)[0]):
            cut_and_go_on(source, lambda here, there, n=number: (FaultyStore(here, at(n, fault)), there))


def test_a_run_that_is_brought_up_to_date_and_cut(source: Store) -> None:
    """The key of a root that is there is held by a copy that is dead: the next one ends it."""
    here = Store(twin(source.store), seed=30)
    here.run("20261121-150000-eeeeee", {"out": noise(900, 4)}, state="running")
    begun = memory()
    copy(here.store, begun)
    here.bench.transactions.write(lambda write: _finish(here, write))
    for number in range(200):
        target = twin(begun)
        try:
            copy(here.store, FaultyStore(target, at(number, Fault.CRASH_AFTER)), seed=1)
        except Crashed:
            assert copy(here.store, target, seed=2).ok
            root = Roots(target).envelope("runs/20261121-150000-eeeeee/record")
            assert root is not None
            assert root.body["state"] == "finished"
            assert same_roots(here.store, target, read=False) == 9
            continue
        break
    assert number > 15


def _finish(here: Store, write: Write) -> None:
    key = "runs/20261121-150000-eeeeee/record"
    root = Roots(here.store).envelope(key)
    assert root is not None
    write.root(key, {**root.body, "state": "finished"}, root.needs, replace=True)


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.FULL])
def test_a_target_that_fails_once_at_every_request(source: Store, fault: Fault) -> None:
    """An error, or none where the request was not needed: then the copy is whole."""
    for number in range(requests(source)[1]):
        target = memory()
        try:
            copy(source.store, FaultyStore(target, at(number, fault)), seed=1)
        except RoteError:
            assert copy(source.store, target, seed=2).ok
        assert same_roots(source.store, target, read=False) == 8
        assert all(n == 1 for n in packs(target).values())


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_every_reply_of_a_write_lost_once(source: Store, fault: Fault) -> None:
    target = memory()
    copied = copy(source.store, FaultyStore(target, each_write_once(fault)), seed=1)
    assert copied.ok
    assert same_roots(source.store, target) == 8
    assert all(n == 1 for n in packs(target).values())
    assert copy(source.store, target, seed=2).sent == {}


def test_rot_on_the_way_out_of_the_source_never_arrives(source: Store) -> None:
    for number in range(requests(source)[0]):
        target = memory()
        try:
            copy(FaultyStore(source.store, at(number, Fault.ROT)), target, seed=1)
        except RoteError:
            pass  # it was told
        report = StoreCheck(target).check(deep=True)
        assert report.ok, (number, report.damages)
        copy(source.store, target, seed=2)
        assert same_roots(source.store, target) == 8


def test_two_copies_at_once_end_as_one(source: Store) -> None:
    """Another copy is done whole in the middle of this one, at every request of it."""
    for number in range(0, requests(source)[1], 3):
        target = memory()
        met = []

        class Meddled(FaultyStore):
            def _before(self, fault: Fault | None, kind: str, key: str) -> None:
                if self.requests == number + 1 and not met:
                    met.append(number)
                    copy(source.store, target, seed=7)
                super()._before(fault, kind, key)

        copied = copy(source.store, Meddled(target), seed=1)
        assert copied.ok, copied.conflicts
        assert same_roots(source.store, target) == 8
        assert StoreCheck(target).check(deep=True).ok


def test_a_source_that_changes_meanwhile(source: Store) -> None:
    """What is added while a copy runs is in it, or in the next one."""
    here = Store(twin(source.store), seed=30)
    target = memory()

    class Busy(FaultyStore):
        def _before(self, fault: Fault | None, kind: str, key: str) -> None:
            if self.requests == 20:
                here.data("later", noise(3000, 5))
            super()._before(fault, kind, key)

    assert copy(Busy(here.store), target).ok
    copy(here.store, target, seed=6)
    assert same_roots(here.store, target) == 9
    assert StillClock().now() == here.bench.clock.now()
