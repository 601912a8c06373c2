"""The laws of reading back: table by table."""

from __future__ import annotations

import msgspec
import pytest

from rote.laws.store.readback import Verdict, in_force, judge, over, settled, tombstone
from rote.words.ids import TxnId
from rote.words.record import ABORTED, COMMITTED, LIVE, OPEN, PENDING, TOMBSTONE, Root

T1, T2 = TxnId("20261121T110000-0000000000000001"), TxnId("20261121T110000-0000000000000002")
OLD = Root(state=LIVE, txn=T1, body={"n": 1})
NEW = Root(state=PENDING, txn=T2, body={"n": 2})
OVER = msgspec.structs.replace(NEW, before=over(OLD))
NEW_LIVE = Root(state=LIVE, txn=T2, body={"n": 2})


@pytest.mark.parametrize(
    ("expected", "found", "etag", "verdict"),
    [
        (None, None, None, Verdict.UNTOUCHED),
        (None, b"mine", "2", Verdict.MINE),
        (None, b"theirs", "2", Verdict.THEIRS),
        ("1", b"before", "1", Verdict.UNTOUCHED),
        ("1", b"mine", "2", Verdict.MINE),
        ("1", b"theirs", "2", Verdict.THEIRS),
        ("1", None, None, Verdict.THEIRS),
    ],
)
def test_judge(expected: str | None, found: bytes | None, etag: str | None, verdict: Verdict) -> None:
    assert judge(b"mine", expected, found, etag) is verdict


@pytest.mark.parametrize(
    ("root", "txn_state", "counts", "becomes"),
    [
        (None, None, None, None),
        (OLD, None, OLD, None),
        (tombstone(OLD), None, None, None),
        (NEW, OPEN, None, None),
        (NEW, COMMITTED, NEW_LIVE, NEW_LIVE),
        (NEW, ABORTED, None, tombstone(NEW)),
        (NEW, None, None, tombstone(NEW)),
        (OVER, OPEN, OLD, None),
        (OVER, COMMITTED, NEW_LIVE, NEW_LIVE),
        (OVER, ABORTED, OLD, OLD),
        (OVER, None, OLD, OLD),
    ],
)
def test_in_force_and_settled(
    root: Root | None, txn_state: str | None, counts: Root | None, becomes: Root | None
) -> None:
    assert in_force(root, txn_state) == counts
    if root is not None:
        assert settled(root, txn_state) == becomes


def test_a_root_over_a_root_keeps_one_generation_only() -> None:
    kept = over(OVER)
    assert kept is not None
    assert kept["before"] is None


def test_a_tombstone_needs_and_says_nothing() -> None:
    stone = tombstone(OLD)
    assert (stone.state, stone.txn, stone.needs, stone.body) == (TOMBSTONE, T1, [], {})
