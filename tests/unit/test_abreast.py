"""Requests to a store that is far go side by side; to one that is near they are made one by one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest
from snapshots.treebench import Bench, DictSink, DictTree, noise

from rote.adapters.stores.memory import MemoryStore
from rote.ports import Meta
from rote.services.data import reading
from rote.services.store import abreast
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.words.ids import Digest

PATIENCE = 60
"""Seconds for which the requests of a test wait for each other, so that a test fails rather than hangs."""


class Far(MemoryStore):
    """A store whose address is one of a network. Requests of a kind that has a barrier wait there for each other."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: threading.Barrier | None = None
        self.ranges: threading.Barrier | None = None

    @property
    def url(self) -> str:
        return "far://away"

    def head(self, key: str) -> Meta:
        if self.heads:
            self.heads.wait(PATIENCE)
        return super().head(key)

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if self.ranges:
            self.ranges.wait(PATIENCE)
        return super().get_ranges(key, ranges)


def test_each_in_order_whoever_ends_first() -> None:
    turn = threading.Barrier(4)

    def work(number: int) -> int:
        turn.wait(PATIENCE)  # nobody ends before all have begun
        return number * number

    assert abreast.each(Far(), work, [1, 2, 3, 4]) == [1, 4, 9, 16]


def test_the_first_error_is_raised_once_all_that_began_have_ended() -> None:
    began, ended = [], []
    turn = threading.Barrier(3)

    def work(number: int) -> None:
        began.append(number)
        if number <= 3:
            turn.wait(PATIENCE)
        ended.append(number)
        if number in (2, 3):
            raise ValueError(number)

    with pytest.raises(ValueError, match="2"):
        abreast.each(Far(), work, [1, 2, 3, 4])
    assert sorted(ended) == sorted(began)
    assert {1, 2, 3} <= set(ended)


def test_near_everything_is_done_here_one_by_one() -> None:
    here = threading.get_ident()
    store = MemoryStore()
    assert set(abreast.each(store, lambda _: threading.get_ident(), [1, 2, 3])) == {here}
    asked = []

    def items() -> Iterator[int]:
        for number in range(3):
            asked.append(number)
            yield number

    for done, who in enumerate(abreast.ahead(store, lambda _: threading.get_ident(), items(), 2)):
        assert who == here
        assert asked == list(range(done + 1)), "nothing is taken before it is needed"


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_ahead_is_bounded_and_in_order(depth: int) -> None:
    lock = threading.Lock()
    taken, busy, most = 0, 0, 0
    meet = threading.Barrier(depth)

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(depth * 4):
            taken += 1
            yield number

    def work(number: int) -> int:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        meet.wait(PATIENCE)
        with lock:
            busy -= 1
        return number

    done = []
    for number in abreast.ahead(Far(), work, items(), depth):
        done.append(number)
        assert taken <= len(done) + depth
    assert done == list(range(depth * 4))
    assert most == depth


def test_who_stops_early_leaves_nothing_running() -> None:
    before = threading.active_count()
    results = abreast.ahead(Far(), lambda n: n, iter(range(100)), 3)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]  # it is a generator
    assert threading.active_count() == before


def test_packs_are_looked_at_together() -> None:
    store = Far()
    transactions = Transactions(store, StillClock(), "t")
    with transactions.begin() as write:
        packs = [write.put_pack(Digest(f"{n:064x}"), b"pack %d" % n) for n in range(6)]
        write.commit()
    store.heads = threading.Barrier(7)
    with Transactions(store, StillClock(seed=1), "t").begin() as write:
        assert write.usable([*packs, "absent/" + "0" * 64]) == set(packs)


def test_windows_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "WINDOW", 1 << 20)
    store = Far()
    files = {str(n): noise(1 << 20, n) for n in range(4)}
    bench = Bench(store)
    record = bench.save(DictTree(files))
    nodes = list(bench.snapshots.nodes(record))
    monkeypatch.setattr(bench.snapshots, "nodes", lambda *_: iter(nodes))

    def met() -> None:
        store.ranges = None

    # Two readings wait for each other: if the second came only after the first, nothing would go on.
    store.ranges = threading.Barrier(2, met)
    sink = DictSink()
    bench.snapshots.restore(record, sink)
    assert store.ranges is None
    assert sink == files
