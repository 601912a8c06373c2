"""Conditional writes with a lost reply, and pending roots: what a reader may believe (docs/format.md, 6.3 and 6.5)."""

from __future__ import annotations

from enum import Enum

import msgspec

from rote.words.record import COMMITTED, LIVE, OPEN, PENDING, TOMBSTONE, Root


class Verdict(Enum):
    """What reading back told about a conditional write."""

    MINE = "mine"
    """It was applied: what lies there is what was sent."""
    UNTOUCHED = "untouched"
    """It was not applied yet: sending the same again is safe, for the condition still holds, and only once."""
    THEIRS = "theirs"
    """Somebody else was there first, or has been there since."""


def judge(sent: bytes, expected: str | None, found: bytes | None, etag: str | None) -> Verdict:
    """Judge a conditional write of `sent` over the etag `expected` (None: nothing may be there) by what a later read
    found: its bytes and etag, both None if there is nothing.

    Bodies hold a transaction's id, its state and a nonce, so that equal bytes mean the same write.
    """
    if found == sent:
        return Verdict.MINE
    return Verdict.UNTOUCHED if etag == expected else Verdict.THEIRS


def in_force(root: Root | None, txn_state: str | None = None) -> Root | None:
    """The root that counts under a key that holds `root`, or None.

    `txn_state` is the state of a pending root's transaction; None if that is missing (and the root, read again after
    it was missed, is still the same).
    """
    if root is None or root.state == TOMBSTONE:
        return None
    if root.state != PENDING:
        return root
    if txn_state == COMMITTED:
        return msgspec.structs.replace(root, state=LIVE, before=None)
    return msgspec.convert(root.before, Root) if root.before is not None else None


def settled(root: Root, txn_state: str | None) -> Root | None:
    """What a pending root becomes once its transaction is over, or None while there is nothing to settle."""
    if root.state != PENDING or txn_state == OPEN:
        return None
    return in_force(root, txn_state) or tombstone(root)


def tombstone(root: Root) -> Root:
    """What lies where `root` was removed."""
    return Root(state=TOMBSTONE, txn=root.txn)


def over(former: Root | None) -> dict[str, object] | None:
    """The field `before` of a pending root that is hung over `former`, the root in force."""
    if former is None:
        return None
    kept: dict[str, object] = msgspec.to_builtins(former)
    kept["before"] = None
    return kept
