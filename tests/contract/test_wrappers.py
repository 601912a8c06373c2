"""The stores that fail and count are stores themselves, and fail and count what they say."""

from __future__ import annotations

import pytest
from test_memory import TestMemoryStore as InMemory

from rote.adapters.stores.memory import MemoryStore
from rote.errors import NotFound, StoreFull, StoreUnavailable, Unknown
from rote.testing import faults
from rote.testing.faults import CountingStore, Crashed, Fault, FaultyStore
from rote.testing.store_contract import StoreContract


class TestFaultyStore(InMemory):
    def make(self, place):
        return FaultyStore(MemoryStore())

    def raw_put(self, store, place, key, data):
        super().raw_put(store.inner, place, key, data)

    def raw_get(self, store, place, key):
        return super().raw_get(store.inner, place, key)


class TestCountingStore(TestFaultyStore):
    def make(self, place):
        return CountingStore(MemoryStore())


def test_the_contract_cannot_be_bent() -> None:
    with pytest.raises(TypeError, match="overrides test_delete_deletes"):

        class Lax(StoreContract):
            def test_delete_deletes(self) -> None:
                pass


def everything(store) -> list[tuple[str, object]]:
    """One request of each kind, and what came of it."""
    asked = [
        ("create", lambda: store.create("new", b"1")),
        ("get", lambda: store.get("old").data),
        ("get_ranges", lambda: store.get_range("old", 1, 1)),
        ("head", lambda: store.head("old").size),
        ("list", lambda: [m.key for m in store.list("old")]),
        ("replace", lambda: store.replace("old", b"else", store.inner.head("old").etag)),
        ("delete", lambda: store.delete("old")),
    ]
    came = []
    for kind, ask in asked:
        try:
            came.append((kind, ask()))
        except (Crashed, Unknown, StoreFull, StoreUnavailable) as e:
            came.append((kind, type(e)))
    return came


@pytest.fixture
def inner() -> MemoryStore:
    store = MemoryStore()
    store.create("old", b"data")
    return store


def content(store) -> dict[str, bytes]:
    return {m.key: store.get(m.key).data for m in store.list("")}


WHOLE = [{"old": b"data"}, {"old": b"data", "new": b"1"}, {"old": b"else", "new": b"1"}, {"new": b"1"}]


@pytest.mark.parametrize("number", range(7))
@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER])
def test_after_a_crash_nothing_happens_any_more(inner, number: int, fault: Fault) -> None:
    store = FaultyStore(inner, faults.at(number, fault))
    came = everything(store)
    assert [kind for kind, what in came if what is Crashed] == [kind for kind, _ in came[number:]]
    assert store.dead
    applied = number + (fault is Fault.CRASH_AFTER)
    assert content(inner) == WHOLE[0 if applied < 1 else 1 if applied < 6 else 2 if applied < 7 else 3]
    assert [(n, f) for n, _, _, f in store.met] == [(number, fault)]


@pytest.mark.parametrize(
    ("number", "kind"), list(enumerate(["create", "get", "get_ranges", "head", "list", "replace", "delete"]))
)
def test_a_lost_reply_is_unknown_to_a_writer_only(inner, number: int, kind: str) -> None:
    for fault in (Fault.LOST_BEFORE, Fault.LOST_AFTER):
        store = FaultyStore(inner, faults.at(number, fault))
        came = dict(everything(store))
        assert came[kind] is (Unknown if kind in faults.WRITES else StoreUnavailable)
        assert ("new" in content(inner)) is (kind != "create" or fault is Fault.LOST_AFTER)
        assert ("old" in content(inner)) is (kind == "delete" and fault is Fault.LOST_BEFORE)
        for key in list(content(inner)):
            inner.delete(key)
        inner.create("old", b"data")


def test_a_full_store_still_reads(inner) -> None:
    came = everything(FaultyStore(inner, lambda n, kind, key: Fault.FULL))
    assert {kind for kind, what in came if what is StoreFull} == faults.WRITES
    assert content(inner) == {"old": b"data"}


def test_an_unreachable_store_does_nothing(inner) -> None:
    came = everything(FaultyStore(inner, lambda n, kind, key: Fault.UNAVAILABLE))
    assert {what for _, what in came} == {StoreUnavailable}
    assert content(inner) == {"old": b"data"}


def test_rot_is_one_bit(inner) -> None:
    store = FaultyStore(inner, lambda n, kind, key: Fault.ROT)
    assert store.get("old").data == b"daua"
    assert store.get_range("old", 0, 1) == b"e"
    assert content(inner) == {"old": b"data"}


def test_plans(inner) -> None:
    once = FaultyStore(inner, faults.each_write_once(Fault.LOST_BEFORE))
    for _ in range(2):
        with pytest.raises(Unknown):
            once.create("ab"[len(once.met)], b"")
    once.create("a", b"")
    once.create("b", b"")
    twice = FaultyStore(inner, faults.on("get", "o", Fault.UNAVAILABLE, times=2))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            twice.get("old")
    assert twice.get("old").data == b"data"
    with pytest.raises(NotFound):
        twice.get("none")

    def met(seed: int) -> list[tuple[int, str, str, Fault]]:
        store = FaultyStore(inner, faults.by_chance(seed, 0.3, [Fault.UNAVAILABLE, Fault.LOST_BEFORE]))
        for _ in range(100):
            try:
                store.get("old")
            except StoreUnavailable:
                pass
        return store.met

    assert met(1) == met(1) != met(2)
    assert 10 < len(met(1)) < 60


def test_it_counts_by_kind(inner) -> None:
    store = CountingStore(inner)
    everything(store)
    assert store.requests == dict.fromkeys(faults.KINDS, 1)
    assert store.total == 7
    assert store.bytes == {"create": 1, "get": 4, "get_ranges": 1, "replace": 4}
    assert store.journal[:2] == [("create", "new"), ("get", "old")]
    store.reset()
    assert (store.total, store.journal, store.bytes) == (0, [], {})
    for n in range(1500):
        inner.create(f"many/{n}", b"")
    assert sum(1 for _ in store.list("many/")) == 1500
    assert store.requests == {"list": 2}, "a request a thousand keys"
