"""Content-defined chunks: where a large file is cut depends on its bytes, not on their position (FastCDC, 2020)."""

from __future__ import annotations

SMALL = 1 << 16
"""Files below this many bytes are one chunk and share blocks with their neighbours."""


class Cutter:
    """Cuts a stream that arrives in pieces. Not for two threads at once. Sizes in bytes."""

    def __init__(self, least: int, average: int, most: int) -> None:
        from pyfastcdc import FastCDC  # 14 ms that a write of small files does without

        self._cdc = FastCDC(average, min_size=least, max_size=most)
        self.most = most

    def cut(self, piece: memoryview, last: bool) -> list[int]:
        """The lengths of the chunks at the front of `piece`.

        Unless it is the last piece of the stream, the chunk at its very end is left out, as more bytes might move
        that cut: the caller puts those bytes in front of the next piece.
        """
        lengths = [chunk.length for chunk in self._cdc.cut_buf(piece)]
        return lengths if last else lengths[:-1]
