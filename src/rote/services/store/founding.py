"""What makes a place a store: `rote.json`, created once and never changed (docs/format.md, 6.1)."""

from __future__ import annotations

from rote.errors import Corrupt, Missing, NotFound, StoreError, TooNew
from rote.ports import Clock, ObjectStore
from rote.services.store import conditional
from rote.words.encoding import with_check, without_check
from rote.words.record import StoreInfo

KEY = "rote.json"
CHUNK_MIN, CHUNK_AVG, CHUNK_MAX = 64 << 10, 256 << 10, 1 << 20
"""Bytes; of new stores. A store keeps those it was founded with, so that its chunks stay the same."""


def found(store: ObjectStore, clock: Clock, like: StoreInfo | None = None) -> StoreInfo:
    """What the store is; founds it first if there is nothing at all, with the chunk sizes of `like`.

    Raises TooNew for a newer format, Corrupt, and StoreError where there is something that is not a store.
    """
    there = conditional.look(store, KEY)
    if there is None:
        _must_be_empty(store)
        sizes = (
            (like.chunk_min, like.chunk_avg, like.chunk_max) if like else (CHUNK_MIN, CHUNK_AVG, CHUNK_MAX)
        )
        info = StoreInfo(id=clock.token(16), chunk_min=sizes[0], chunk_avg=sizes[1], chunk_max=sizes[2])
        put = conditional.put(store, KEY, with_check(info), None)
        if put.etag is not None:
            return info
        there = put.found  # somebody founded it at the same moment
    if there is None:
        raise StoreError("the store vanished while it was being founded", where=store.url, next="try again")
    return _decoded(store, there.data)


def read(store: ObjectStore) -> StoreInfo:
    """What the store is. Raises Missing if there is none, TooNew, Corrupt."""
    there = conditional.look(store, KEY)
    if there is None:
        _must_be_empty(store)
        raise Missing("there is no store here", where=store.url, next=f"rote init --store {store.url}")
    return _decoded(store, there.data)


def refuse_newer(store: ObjectStore) -> None:
    """Raise TooNew if the store has a newer format than this rote reads. A `rote.json` that is lost or damaged is no
    reason not to read what else is there: who only reads needs nothing of it."""
    try:
        _decoded(store, store.get(KEY).data)
    except (NotFound, Corrupt):
        pass


def _decoded(store: ObjectStore, data: bytes) -> StoreInfo:
    try:
        return without_check(data, StoreInfo, f"{store.url}: {KEY}")
    except TooNew as e:
        what = e.what.replace("this record has", "this store has")
        raise TooNew(what, where=store.url, safe="nothing was changed", next=e.next) from None
    except Corrupt as e:
        raise Corrupt(
            f"{KEY} is not what rote writes: it is damaged, or this is no store",
            where=store.url,
            safe="nothing was changed",
            next=f"check the address; if it is right, put {KEY} back from a copy of the store",
        ) from e


def _must_be_empty(store: ObjectStore) -> None:
    # What a probe left behind that was killed is nobody's.
    other = next((meta for meta in store.list("") if not meta.key.startswith("probe/")), None)
    if other is not None:
        raise StoreError(
            f"this is not a store: it holds other things ({other.key}) but no {KEY}",
            where=store.url,
            safe="nothing was written there",
            next="name an empty or new place: rote init --store URL",
        )
