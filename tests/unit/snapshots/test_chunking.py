"""Cuts follow the content, whatever pieces it arrives in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from treebench import noise

from rote.laws.data.chunking import Cutter

LEAST, AVERAGE, MOST = 1024, 4096, 16384


def cut(data: bytes, piece: int) -> list[int]:
    """The chunks' lengths of data that arrives `piece` bytes at a time."""
    cutter, found, rest, at = Cutter(LEAST, AVERAGE, MOST), [], b"", 0
    while at < len(data) or rest:
        rest, at = rest + data[at : at + piece], at + piece
        lengths = cutter.cut(memoryview(rest), at >= len(data))
        found += lengths
        rest = rest[sum(lengths) :]
    return found


@given(st.integers(0, 300_000), st.integers(0, 9), st.integers(MOST * 2, 100_000))
@settings(max_examples=60, deadline=None)
def test_cuts_do_not_depend_on_pieces(size: int, seed: int, piece: int) -> None:
    data = noise(size, seed)
    lengths = cut(data, piece)
    assert lengths == cut(data, size + 1)
    assert sum(lengths) == size
    assert all(LEAST <= length <= MOST for length in lengths[:-1])


def test_bytes_in_front_move_few_cuts() -> None:
    data = noise(1_000_000)

    def chunks(data: bytes) -> set[bytes]:
        found, at = set(), 0
        for length in cut(data, 200_000):
            found.add(data[at : at + length])
            at += length
        return found

    before, after = chunks(data), chunks(b"x" * 100 + data)
    assert len(before) > 100
    assert len(before - after) <= 3


def test_content_without_change_is_cut_at_the_most() -> None:
    assert cut(bytes(100_000), 50_000) == [MOST] * 6 + [100_000 - 6 * MOST]
