"""The stores that ask again and that count are stores themselves, and what is inside them fails and is counted as told."""

from __future__ import annotations

import pytest
from test_memory import TestMemoryStore as InMemory

from rote.adapters.stores.budget import BudgetStore, Tally
from rote.adapters.stores.memory import MemoryStore
from rote.adapters.stores.retry import Patience, RetryingStore
from rote.testing import faults
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore, Fault, FaultyStore


class TestRetryingStore(InMemory):
    def make(self, place):
        return RetryingStore(MemoryStore(), StillClock())

    def raw_put(self, store, place, key, data):
        super().raw_put(store.inner, place, key, data)

    def raw_get(self, store, place, key):
        return super().raw_get(store.inner, place, key)


class TestBudgetStore(TestRetryingStore):
    def make(self, place):
        return BudgetStore(MemoryStore(), Tally(), coalesce=100, looks=True)


class TestAskedAgain(InMemory):
    """The whole contract on a store that does not serve a third of what it is asked."""

    def make(self, place):
        broken = FaultyStore(MemoryStore(), faults.by_chance(7, 0.33, [Fault.UNAVAILABLE]))
        return RetryingStore(broken, StillClock(), Patience(deadline=1e9))

    def raw_put(self, store, place, key, data):
        super().raw_put(store.inner.inner, place, key, data)

    def raw_get(self, store, place, key):
        return super().raw_get(store.inner.inner, place, key)


@pytest.mark.parametrize("looks", [True, False])
def test_it_counts_what_goes_over_the_wire(looks: bool) -> None:
    inner = CountingStore(MemoryStore())
    tally = Tally()
    store = BudgetStore(inner, tally, coalesce=10, looks=looks)
    etag = store.create("a", bytearray(100))
    store.get("a")
    store.head("a")
    store.get_range("a", 5, 5)
    store.get_ranges("a", [(60, 10), (0, 10), (15, 5), (31, 9)])  # 0-20 in one, with the gap; 31-40; 60-70
    store.get_ranges("a", [])
    store.get_ranges("a", [(7, 0)])
    etag = store.replace("a", b"xyz", etag)
    store.delete("a", etag)
    store.delete("b")
    for n in range(2001):
        inner.inner.create(f"m/{n:04d}", b"")
    assert len(list(store.list("m/"))) == 2001
    used = tally.usage()
    heads = 3 + looks
    assert used.requests == {"create": 1, "get": 5, "head": heads, "replace": 1, "delete": 2, "list": 3}
    assert (used.sent, used.received) == (103, 100 + 5 + 20 + 9 + 10)
    assert (used.writes, used.reads, used.total) == (5, 5 + heads, 12 + heads)
    store.head("m/0000")
    assert used.total == 12 + heads, "what was given out stays as it is"


def test_in_a_folder_ranges_are_one_request() -> None:
    tally = Tally()
    store = BudgetStore(MemoryStore(), tally)
    store.create("a", bytes(1000))
    store.get_ranges("a", [(0, 1), (900, 1)])
    assert tally.usage().requests == {"create": 1, "get": 1}
    assert tally.usage().received == 2


def test_every_try_counts() -> None:
    tally = Tally()
    failing = FaultyStore(MemoryStore(), faults.on("create", "", Fault.UNAVAILABLE, times=3))
    store = RetryingStore(BudgetStore(failing, tally), StillClock())
    store.create("a", b"12345")
    assert tally.usage().requests == {"create": 4}
    assert store.retries == 3
