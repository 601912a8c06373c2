"""Asking again: how often, how long, and when not. The clock is held; nothing here waits."""

from __future__ import annotations

import threading

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.adapters.stores.retry import QUIET, Patience, RetryBudget, RetryingStore
from rote.errors import Conflict, NotFound, StoreFull, StoreUnavailable, Unknown
from rote.services.store import conditional
from rote.testing import faults
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore, Fault, FaultyStore


class Recorded(StillClock):
    """A clock that remembers its sleeps."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        super().sleep(seconds)


def refusing(times: int, error: StoreUnavailable | None = None) -> MemoryStore:
    """A store whose first `times` heads fail."""

    class Refusing(MemoryStore):
        left = times

        def head(self, key: str):
            if self.left:
                self.left -= 1
                raise error or StoreUnavailable("busy", where="memory:")
            return super().head(key)

    store = Refusing()
    store.create("a", b"1")
    return store


def test_full_jitter() -> None:
    """Each wait lies between nothing and a limit that doubles up to the cap, and is drawn anew each time."""
    patience = Patience(base=1.0, cap=8.0, deadline=1e9, burst=1e6)
    waits: list[list[float]] = [[] for _ in range(8)]
    for seed in range(200):
        clock = Recorded(seed)
        RetryingStore(refusing(8), clock, patience).head("a")
        for n, wait in enumerate(clock.sleeps):
            waits[n].append(wait)
    for n, drawn in enumerate(waits):
        limit = min(8.0, 2.0**n)
        assert len(drawn) == 200
        assert 0 <= min(drawn) < 0.1 * limit
        assert 0.9 * limit < max(drawn) <= limit
        assert 0.4 * limit < sum(drawn) / 200 < 0.6 * limit


def test_the_deadline_is_for_all_tries_together() -> None:
    clock = Recorded()
    store = RetryingStore(refusing(10**9), clock, Patience(deadline=30.0))
    with pytest.raises(StoreUnavailable, match=r"busy \(tried \d+ times in \d+ seconds\)") as caught:
        store.head("a")
    assert caught.value.retry
    assert clock.monotonic() <= 30.0
    assert 5 < store.retries < 40


def test_what_waiting_cannot_help_is_not_tried_again() -> None:
    final = StoreUnavailable("no credentials")
    final.retry = False
    clock = Recorded()
    for store, error in [(refusing(1, final), StoreUnavailable), (MemoryStore(), NotFound)]:
        with pytest.raises(error):
            RetryingStore(store, clock).head("a" if error is StoreUnavailable else "none")
    with pytest.raises(StoreFull):
        RetryingStore(FaultyStore(MemoryStore(), faults.at(0, Fault.FULL)), clock).create("a", b"")
    assert clock.sleeps == []


def test_what_the_store_asks_for_is_waited_for() -> None:
    error = StoreUnavailable("busy")
    error.retry_after = 17.0
    clock = Recorded()
    RetryingStore(refusing(1, error), clock).head("a")
    assert 17.0 <= clock.sleeps[0] <= 17.1


def test_a_store_that_asks_for_longer_than_the_deadline_is_given_up_at_once() -> None:
    error = StoreUnavailable("busy")
    error.retry_after = 3600.0
    clock = Recorded()
    with pytest.raises(StoreUnavailable):
        RetryingStore(refusing(1, error), clock).head("a")
    assert clock.sleeps == []


def test_the_budget_bounds_the_tries() -> None:
    """However many ask at once: no more tries again than the burst, a share of what was served, and a trickle."""
    patience = Patience(burst=10, share=0.5, trickle=0.1, deadline=60)
    clock = StillClock()
    inner = CountingStore(FaultyStore(MemoryStore(), lambda n, kind, key: Fault.UNAVAILABLE))
    store = RetryingStore(inner, clock, patience)
    given_up = 0
    for _ in range(50):
        with pytest.raises(StoreUnavailable):
            store.head("a")
        given_up += 1
    assert given_up == 50
    assert store.retries <= 10 + clock.monotonic() * 0.1
    assert inner.total == 50 + store.retries


def test_a_store_that_works_again_earns_its_tries_back() -> None:
    budget = RetryBudget(Patience(burst=2, share=0.5, trickle=0.25), StillClock())
    assert [budget.take(), budget.take(), budget.take(), budget.take()] == [0, 0, 4, 8]
    budget.give_back()
    for _ in range(100):
        budget.served()
    assert [budget.take(), budget.take(), budget.take()] == [0, 0, 4], "never more than the burst"


@pytest.mark.parametrize("seed", range(5))
def test_a_third_refused_for_a_while_costs_at_most_twice_the_requests(seed: int) -> None:
    """1,000 writes and reads, of which 30 % are refused at first; and the same without."""

    def work(store) -> None:
        for n in range(500):
            assert conditional.put(store, f"k/{n}", b"%d" % n, None).etag
            store.get(f"k/{n}")
        assert sum(1 for _ in store.list("k/")) == 500

    calm = CountingStore(MemoryStore())
    work(calm)
    inner = MemoryStore()
    plan = faults.by_chance(seed, 0.3, [Fault.UNAVAILABLE])
    stormy = CountingStore(FaultyStore(inner, lambda n, kind, key: plan(n, kind, key) if n < 1200 else None))
    work(RetryingStore(stormy, StillClock(seed=seed)))
    assert stormy.total > calm.total * 1.2
    assert stormy.total <= calm.total * 2
    assert {m.key: inner.get(m.key).data for m in inner.list("")} == {f"k/{n}": b"%d" % n for n in range(500)}


@pytest.mark.parametrize("fault", [Fault.LOST_BEFORE, Fault.LOST_AFTER])
def test_a_lost_reply_is_read_back_by_the_writer(fault: Fault) -> None:
    """No false failure and nothing twice, and a second sending is a try again that waits and pays."""
    clock = Recorded()
    inner = MemoryStore()
    store = RetryingStore(FaultyStore(inner, faults.each_write_once(fault)), clock)
    for n in range(20):
        put = conditional.put(store, f"k/{n}", b"one %d" % n, None)
        assert conditional.put(store, f"k/{n}", b"two %d" % n, put.etag).etag
        conditional.put_pack(store, f"p/{n}", b"pack")
    assert {m.key: inner.get(m.key).data for m in inner.list("k/")} == {
        f"k/{n}": b"two %d" % n for n in range(20)
    }
    assert len(list(inner.list("p/"))) == 20
    assert store.retries == (60 if fault is Fault.LOST_BEFORE else 0)
    assert len(clock.sleeps) == store.retries


def test_a_write_whose_reply_is_always_lost_stays_unknown() -> None:
    clock = Recorded()
    inner = CountingStore(MemoryStore())
    store = RetryingStore(
        FaultyStore(inner, lambda n, kind, key: Fault.LOST_BEFORE if kind == "create" else None), clock
    )
    with pytest.raises(Unknown):
        conditional.put(store, "k", b"1", None)
    assert len(clock.sleeps) == conditional.TRIES - 1
    assert list(inner.list("")) == []


def test_who_was_beaten_does_not_come_back_at_once() -> None:
    clock = Recorded()
    store = RetryingStore(MemoryStore(), clock)
    etag = store.create("k", b"1")
    for n in range(3):
        with pytest.raises(Conflict):
            store.replace("k", b"2", "another")
        assert len(clock.sleeps) == n
    assert store.retries == 0, "that is no try again"
    store.replace("k", b"2", etag)
    clock.sleeps.clear()
    with pytest.raises(Conflict):
        store.replace("k", b"3", "a third")
    clock.move(3600)
    with pytest.raises(Conflict):
        store.replace("k", b"3", "a third")
    assert clock.sleeps == [], "an old story is forgotten"


@pytest.mark.parametrize("after", ["", "k/0003"])
def test_a_listing_goes_on_where_it_broke(after: str) -> None:
    inner = MemoryStore()
    for n in range(50):
        inner.create(f"k/{n:04d}", b"")

    class Breaking(CountingStore):
        def list(self, prefix: str, after: str = ""):
            found = super().list(prefix, after)
            for n, meta in enumerate(found):
                if n == 7:
                    raise StoreUnavailable("cut")
                yield meta

    store = RetryingStore(Breaking(inner), StillClock())
    keys = [m.key for m in store.list("k/", after)]
    assert keys == [f"k/{n:04d}" for n in range(4 if after else 0, 50)]
    assert store.retries == len(keys) // 7


def test_a_listing_that_cannot_even_begin_ends_at_the_deadline() -> None:
    clock = StillClock()
    store = RetryingStore(
        FaultyStore(MemoryStore(), lambda n, kind, key: Fault.UNAVAILABLE), clock, Patience(deadline=10)
    )
    with pytest.raises(StoreUnavailable):
        list(store.list("k/"))
    assert clock.monotonic() <= 10


def test_it_is_said_once_when_it_takes_longer() -> None:
    said: list[str] = []
    for times in (QUIET - 1, QUIET, QUIET + 3):
        RetryingStore(refusing(times), StillClock(), say=said.append).head("a")
    assert said == ["memory:: busy; trying again for 120 seconds"] * 2


def test_threads_share_one_budget() -> None:
    patience = Patience(burst=5, share=0.0, trickle=1e-9, deadline=10)
    inner = CountingStore(FaultyStore(MemoryStore(), lambda n, kind, key: Fault.UNAVAILABLE))
    store = RetryingStore(inner, StillClock(), patience)

    def ask() -> None:
        with pytest.raises(StoreUnavailable):
            store.head("a")

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert store.retries == 5
    assert inner.total == 21


def test_where_nothing_ever_answered_the_address_is_probably_wrong() -> None:
    nobody = StoreUnavailable("no route")
    nobody.reached = False
    clock = Recorded()
    with pytest.raises(StoreUnavailable):
        RetryingStore(refusing(10**9, nobody), clock).head("a")
    assert clock.monotonic() <= 5
    clock = Recorded()
    store = RetryingStore(refusing(10**9, nobody), clock)
    store.get("a")
    with pytest.raises(StoreUnavailable):
        store.head("a")
    assert clock.monotonic() > 60, "it was there a moment ago"
