"""Conditional writes that survive a lost reply: read back, compare, send again only what is safe to send again."""

from __future__ import annotations

import msgspec

from rote.errors import Conflict, NotFound, StoreUnavailable, Unknown
from rote.laws.store.readback import Verdict, judge
from rote.ports import Found, ObjectStore

TRIES = 8
"""How often one write is sent whose reply is lost every time."""


class Put(msgspec.Struct, frozen=True):
    """How a conditional write ended: `etag` if what was sent is in place, else `found` (None: nothing is there)."""

    etag: str | None
    found: Found | None = None


def look(store: ObjectStore, key: str) -> Found | None:
    """The object, or None if there is none."""
    try:
        return store.get(key)
    except NotFound:
        return None


def put(store: ObjectStore, key: str, data: bytes, etag: str | None) -> Put:
    """Write `data` over exactly `etag`, or where nothing is if that is None.

    `data` must be unlike the body of every other write of this key. Raises Unknown if it cannot be told whether the
    write was applied; StoreFull and StoreUnavailable as the store does.
    """
    for _ in range(TRIES):
        unknown: Unknown | None = None
        try:
            return Put(store.create(key, data) if etag is None else store.replace(key, data, etag))
        except Conflict:
            pass  # an adapter that tries again by itself may have been in its own way: read back as well
        except Unknown as e:
            unknown = e
        try:
            found = look(store, key)
        except StoreUnavailable as e:
            if unknown:
                raise unknown from e
            raise
        verdict = judge(data, etag, found.data if found else None, found.etag if found else None)
        if verdict is Verdict.MINE and found:
            return Put(found.etag)
        if verdict is Verdict.THEIRS:
            return Put(None, found)
    raise Unknown(key, safe="nothing is half written", next="try again: what was saved is used again")


def delete(store: ObjectStore, key: str) -> None:
    """Delete what nobody ever makes again: after a lost reply it is simply deleted once more. Raises Unknown, and what
    the store raises."""
    for left in range(TRIES - 1, -1, -1):
        try:
            store.delete(key)
            return
        except Unknown:
            if not left:
                raise


def put_pack(store: ObjectStore, key: str, data: bytes | bytearray | memoryview) -> None:
    """Create a pack, whose key (own transaction, own digest) nobody else writes: if it is there, it is ours.

    Raises Unknown, StoreFull and StoreUnavailable.
    """
    for _ in range(TRIES):
        try:
            store.create(key, data)
            return
        except (Conflict, Unknown) as e:
            first = e
        try:
            if store.head(key).size == len(data):
                return
        except NotFound:
            continue
        except StoreUnavailable as e:
            raise first from e
        raise first  # another length under a name that only we know: not something to repair here
    raise Unknown(key, safe="nothing is half written", next="try again: what was saved is used again")
