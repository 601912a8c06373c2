"""A stage's log, cut to a size: its beginning and its end are kept, and how much lies between is told."""

from __future__ import annotations

HEAD = 256 << 20
"""Bytes that are kept from the beginning of a stage's log."""
TAIL = 64 << 10
"""Bytes that are kept from its end, if it is longer than that."""


class LogCut:
    """Takes what a stage writes, in pieces, and gives what is to be kept of it."""

    def __init__(self, head: int = HEAD, tail: int = TAIL) -> None:
        self._room = head
        self._head = head
        self._most = tail
        self._tail = bytearray()
        self._beyond = 0

    def feed(self, piece: bytes) -> bytes:
        """What of this piece is kept now."""
        kept, rest = piece[: self._room], piece[self._room :]
        self._room -= len(kept)
        if not rest:
            return kept
        if not self._beyond:
            kept += (
                b"\n[rote: this log is longer than %d MiB: what follows is left out, but for its end]\n"
                % (self._head >> 20)
            )
        self._beyond += len(rest)
        self._tail += rest[-self._most :]
        del self._tail[: -self._most]
        return kept

    def rest(self) -> bytes:
        """No more comes: the end, with a line that tells how much is left out before it."""
        left = self._beyond - len(self._tail)
        end = bytes(self._tail)
        self._tail.clear()
        if not end:
            return b""
        return b"[rote: %d bytes are left out here]\n" % left + end if left else end
