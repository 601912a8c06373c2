"""How a block is stored: as it is, as a zstd frame, or in planes that are zstd frames (docs/format.md, 5.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Iterable

import zstandard

from rote.laws.data import planes
from rote.services.store.packs import LEVEL
from rote.words.snapshot import RAW, ZSTD

PROBE = 1 << 16
_HOLDS = 8

Bytes = bytes | bytearray | memoryview


class Prober:
    """Chooses the codec of one block after the other by the first 64 KiB of it. One thread.

    Neighbours are probably pieces of the same file: what noise or tensors are stored as holds for the next few.
    """

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._left = 0
        self._last: tuple[int, int] = (RAW, 0)

    def choose(self, data: Bytes, width: int = 0) -> int:
        """The codec to try. `width` is the bytes of a number in the block, 0 if that is not known."""
        if self._left and self._holds(data, width):
            self._left -= 1
            return self._last[0]
        codec = self._probe(bytes(memoryview(data)[:PROBE]), width)
        self._left = 0 if codec == ZSTD or len(data) >= _HOLDS * PROBE else _HOLDS
        self._last = codec, width
        return codec

    def _holds(self, data: Bytes, width: int) -> bool:
        codec, before = self._last
        if width != before:
            return False
        return planes.looks_like_noise(data) if codec == RAW else bool(width) or planes.suspected(data)

    def _probe(self, probe: bytes, width: int) -> int:
        plain = len(self._compressor.compress(probe))
        if width in planes.CODECS:
            widths: Iterable[int] = (width,)
        elif plain > len(probe) // 2 and planes.suspected(probe):  # what shrinks more is text or a table
            widths = planes.CODECS
        else:
            widths = ()
        codec, least = ZSTD, plain - plain // 32 + 1
        for each in widths:
            size = len(in_planes(probe, each, self._compressor))
            if size < least:
                codec, least = planes.CODECS[each], size - size // 64  # a greater width has to win clearly
        saved = len(probe) - (plain if codec == ZSTD else least)
        return codec if saved >= len(probe) // 16 else RAW


def packed(data: Bytes, codec: int) -> bytes:
    """A block as this codec stores it. For any thread."""
    compressor = zstandard.ZstdCompressor(level=LEVEL)
    if codec == ZSTD:
        return compressor.compress(data)
    return in_planes(bytes(data), planes.WIDTHS[codec], compressor)


def in_planes(data: bytes, width: int, compressor: zstandard.ZstdCompressor) -> bytes:
    """A block stored in planes."""
    stored = []
    for plane in planes.split(data, width):
        frame = compressor.compress(plane)
        stored.append(frame if len(frame) < len(plane) else plane)
    return planes.bind(stored)
