"""Byte planes: numbers of 2, 4 or 8 bytes, taken apart so that their like bytes stand together (docs/format.md, 5.2).

The bytes with the exponents of a tensor shrink well once they stand alone; the low bytes of the mantissas are noise.
"""

from __future__ import annotations

from collections.abc import Sequence

WIDTHS = {2: 2, 3: 4, 4: 8}
"""Codec -> bytes of a number."""
CODECS = {width: codec for codec, width in WIDTHS.items()}
"""Bytes of a number -> codec."""
LAST = max(WIDTHS)
"""The highest codec that is known."""

_SIZE = 4
_SAMPLE = 1024
_FACTOR = 4, 3
_FEW = 64
_NOISE = 46


def split(data: bytes, width: int) -> list[bytes]:
    """The planes of `data`: plane i is the bytes i, i + width, i + 2 * width, …"""
    return [data[i::width] for i in range(width)]


def join(planes: Sequence[bytes | memoryview], length: int) -> bytearray:
    """The bytes whose planes these are. `length` in bytes; the planes have the lengths that `lengths` says."""
    width = len(planes)
    made = bytearray(length)
    for i, plane in enumerate(planes):
        made[i::width] = plane
    return made


def lengths(length: int, width: int) -> list[int]:
    """Bytes of each plane of `length` bytes."""
    return [(length - i + width - 1) // width for i in range(width)]


def bind(stored: Sequence[bytes]) -> bytes:
    """The stored form of a block: the sizes of the planes as they are stored, and these, back to back."""
    return b"".join((*(len(plane).to_bytes(_SIZE, "little") for plane in stored), *stored))


def unbind(data: bytes | memoryview, length: int, width: int) -> list[tuple[memoryview, int]]:
    """The planes of a block of `length` bytes as they are stored, each with its length. Raises ValueError if they do
    not fill the stored form, or if one is longer than it should be."""
    view = memoryview(data)
    at = _SIZE * width
    if len(view) < at:
        raise ValueError("the sizes of its planes are cut off")
    found: list[tuple[memoryview, int]] = []
    for i, own in enumerate(lengths(length, width)):
        size = int.from_bytes(view[i * _SIZE : i * _SIZE + _SIZE], "little")
        if size > own:
            raise ValueError("a plane is longer than it should be")
        found.append((view[at : at + size], own))
        at += size
    if at != len(view):
        raise ValueError("its planes do not fill it")
    return found


def suspected(data: bytes | bytearray | memoryview) -> bool:
    """Whether these look like numbers of several bytes: some bytes take far fewer values than others. A hint that costs
    microseconds; says nothing of less than 1 KiB."""
    if len(data) < _SAMPLE:
        return False
    begin = (len(data) - _SAMPLE) // 2
    sample = bytes(data[begin : begin + _SAMPLE])
    values = [len(set(sample[i::8])) for i in range(8)]
    return max(values) * _FACTOR[1] > min(values) * _FACTOR[0]


def looks_like_noise(data: bytes | bytearray | memoryview) -> bool:
    """Whether 64 bytes from the middle take as many values as those of compressed data do. A hint."""
    begin = max(len(data) - _FEW, 0) // 2
    return len(set(bytes(data[begin : begin + _FEW]))) > _NOISE
