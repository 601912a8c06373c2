"""Roots: what lies under a key that names what it needs, and whether it is in force (docs/format.md, 6.3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from rote.errors import Corrupt
from rote.laws.store.readback import in_force, settled, tombstone
from rote.ports import Found, ObjectStore
from rote.services.store import conditional
from rote.words.encoding import with_check, without_check
from rote.words.ids import TxnId
from rote.words.record import ABORTED, OPEN, PENDING, Root, Txn

T = TypeVar("T")


class Held(msgspec.Struct, frozen=True):
    """What lies under a root's key: the object as read, the envelope in it, its transaction's state if it is pending
    (None: missing), and the root in force."""

    found: Found | None
    root: Root | None = None
    txn_state: str | None = None
    in_force: Root | None = None


def txn_state(store: ObjectStore, txn: TxnId) -> str | None:
    """The state of a transaction, or None if it is missing. Raises Corrupt, TooNew."""
    key = f"txns/{txn}"
    found = conditional.look(store, key)
    return without_check(found.data, Txn, key).state if found else None


def end_txn(store: ObjectStore, txn: TxnId) -> str | None:
    """Give up on a transaction that is open. Returns the state it has for good, or None if it is missing."""
    key = f"txns/{txn}"
    found = conditional.look(store, key)
    while found:
        body = without_check(found.data, Txn, key)
        if body.state != OPEN:
            return body.state
        # The nonce stays: two who end one transaction write the same bytes, and both are right.
        ended = conditional.put(
            store, key, with_check(msgspec.structs.replace(body, state=ABORTED)), found.etag
        )
        if ended.etag is not None:
            return ABORTED
        found = ended.found
    return None


def held(store: ObjectStore, key: str, found: Found | None, *, end: bool = False) -> Held:
    """Find out what counts under `key`, of which `found` was read just now. With `end`, a transaction that still
    holds the key is given up on, so that the key can be taken."""
    while found is not None:
        root = without_check(found.data, Root, key)
        if root.state != PENDING:
            return Held(found, root, None, in_force(root))
        state = txn_state(store, root.txn)
        if state == OPEN and end:
            state = end_txn(store, root.txn)
        if state is None:
            # Over and tidied away: then the root was settled before, and what was read is old; or it never began.
            again = conditional.look(store, key)
            if again is None or again.etag != found.etag:
                found = again
                continue
        return Held(found, root, state, in_force(root, state))
    return Held(None)


class Roots:
    """Reading roots."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def get(self, key: str, body: type[T]) -> tuple[T, Root] | None:
        """The body and the envelope in force under `key`, or None. Raises Corrupt, TooNew."""
        root = self.envelope(key)
        return None if root is None else (decoded(root, body, key), root)

    def envelope(self, key: str) -> Root | None:
        """The root in force under `key`, its body undecoded, or None. Raises Corrupt, TooNew."""
        return held(self._store, key, conditional.look(self._store, key)).in_force

    def list(self, prefix: str, after: str = "") -> Iterator[str]:
        """Keys below `prefix` that hold something: a hint, for a root found so may not be in force."""
        for meta in self._store.list(prefix, after):
            yield meta.key

    def settle(self, key: str) -> bool:
        """Settle a pending root whose transaction is over. True if it was this call that did."""
        there = held(self._store, key, conditional.look(self._store, key))
        if there.found is None or there.root is None:
            return False
        new = settled(there.root, there.txn_state)
        if new is None:
            return False
        return conditional.put(self._store, key, with_check(new), there.found.etag).etag is not None

    def remove(self, key: str) -> bool:
        """Put a tombstone where a root is in force. False if none was."""
        while True:
            there = held(self._store, key, conditional.look(self._store, key), end=True)
            if there.found is None or there.in_force is None:
                return False
            data = with_check(tombstone(there.in_force))
            if conditional.put(self._store, key, data, there.found.etag).etag is not None:
                return True


def decoded(root: Root, body: type[T], key: str) -> T:
    """The body of a root. Raises Corrupt."""
    try:
        return msgspec.convert(root.body, body)
    except msgspec.ValidationError as e:
        raise Corrupt(f"this record is not what it should be: {e}", where=key, next="rote store check") from e
