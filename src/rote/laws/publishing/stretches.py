"""What of a file has to be read where parts of it are here: in as few stretches as can be, and not too much at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

BATCH: Final = 8 << 20
"""Bytes that are asked for, and held, at a time; or one piece, where that is larger."""
GAP: Final = 256 << 10
"""Two stretches with so many bytes between them, or fewer, are read as one."""
_MOST: Final = 50_000


class Piece(msgspec.Struct, frozen=True):
    """A piece of a file; `digest` where it is a chunk, `here` where that need not be read."""

    start: int
    length: int
    digest: bytes | None = None
    here: bool = False


def batches(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """The pieces in order, so many at a time that those to be read can be held. What is here is not held, and lies
    between them: a file of which a little changed everywhere is one batch."""
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        wanted = 0 if piece.here else piece.length
        if batch and (size + wanted > BATCH or len(batch) >= _MOST):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += wanted
    if batch:
        yield batch


def requests(pieces: Iterable[Piece]) -> int:
    """How many requests read what is not here."""
    count = 0
    for batch in batches(pieces):
        end = -GAP - 1
        for piece in batch:
            if not piece.here:
                count += piece.start - end > GAP
                end = piece.start + piece.length
    return count
