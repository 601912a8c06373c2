"""What of a file is read, and how much of it at a time."""

from __future__ import annotations

from rote.laws.publishing.stretches import BATCH, GAP, Piece, batches, requests

MIB = 1 << 20


def pieces(*lengths: tuple[int, bool]) -> list[Piece]:
    found, start = [], 0
    for length, here in lengths:
        found.append(Piece(start, length, None, here))
        start += length
    return found


def test_no_more_is_read_at_a_time_than_can_be_held() -> None:
    found = list(batches(pieces(*[(3 * MIB, False)] * 7)))
    assert [len(batch) for batch in found] == [2, 2, 2, 1]
    assert all(sum(p.length for p in batch) <= BATCH for batch in found)
    assert [len(batch) for batch in batches(pieces((20 * MIB, False), (1, False)))] == [1, 1]


def test_what_is_here_takes_no_room() -> None:
    spread = pieces(*[(MIB // 2, False), (9 * MIB, True)] * 10)
    assert [len(batch) for batch in batches(spread)] == [20]
    assert requests(spread) == 10
    assert next(batches(spread)) == spread
    assert sum(len(batch) for batch in batches(pieces(*[(1, True)] * 120_000))) == 120_000
    assert len(list(batches(pieces(*[(1, True)] * 120_000)))) == 3


def test_small_gaps_are_read_over() -> None:
    assert requests(pieces((1, False), (GAP, True), (1, False))) == 1
    assert requests(pieces((1, False), (GAP + 1, True), (1, False))) == 2
    assert requests(pieces((5, True))) == requests([]) == 0
