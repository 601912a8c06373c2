"""Files of tensors: where the tensors lie and how many bytes a number has, as far as the header can be believed.

What is found here is a hint for cutting and packing. A wrong one costs space, never content.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from typing import Annotated

import msgspec

MAX_HEADER = 4 << 20
"""Bytes that the header of a safetensors file may have; a file with a longer one is a file like any other."""
ALIGN = 1 << 16
"""A tensor of so many bytes is cut by itself; smaller ones share a stretch of about as many."""
_LENGTH = 8
_MAX_RANK = 16
_WIDTHS = {
    "F64": 8,
    "I64": 8,
    "U64": 8,
    "F32": 4,
    "I32": 4,
    "U32": 4,
    "F16": 2,
    "BF16": 2,
    "I16": 2,
    "U16": 2,
}
_BYTES = {"F8_E5M2": 1, "F8_E4M3": 1, "I8": 1, "U8": 1, "BOOL": 1}
_Natural = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Stretch(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a file that are cut by themselves: up to `end` (from the one before). `width` is the bytes of a number
    in it; 0 if that is not known, or differs within it."""

    end: int
    width: int


class Tensor(msgspec.Struct, gc=False):
    """One tensor, as the header of a safetensors file tells."""

    dtype: str
    shape: Annotated[list[_Natural], msgspec.Meta(max_length=_MAX_RANK)]
    data_offsets: tuple[_Natural, _Natural]


def stretches(front: bytes | memoryview, size: int) -> list[Stretch]:
    """The stretches of a file of `size` bytes that begins with `front` (the whole file, or at least 8 bytes more than
    MAX_HEADER). They fill it. A file that is no safetensors file, or has a header with an error, is a single one."""
    plain = [Stretch(size, 0)]
    if len(front) <= _LENGTH or front[_LENGTH] != 0x7B:
        return plain
    header = int.from_bytes(front[:_LENGTH], "little")
    begin = _LENGTH + header
    if header > MAX_HEADER or begin > size or begin > len(front):
        return plain
    tensors = _tensors(front[_LENGTH:begin], size - begin)
    return _grouped(tensors, begin, size) if tensors else plain


def _tensors(header: bytes | memoryview, size: int) -> list[tuple[int, int, int]]:
    """(begin, end, bytes of a number) of each tensor, in order; none if anything is wrong with one."""
    try:
        entries = msgspec.json.decode(header, type=dict[str, msgspec.Raw])
        entries.pop("__metadata__", None)
        found = sorted(_range(msgspec.json.decode(entry, type=Tensor)) for entry in entries.values())
    except (msgspec.DecodeError, ValueError, RecursionError):  # not what it looked like: bytes like any other
        return []
    if any(after[0] < before[1] for before, after in pairwise(found)) or (found and found[-1][1] > size):
        return []
    return found


def _range(tensor: Tensor) -> tuple[int, int, int]:
    begin, end = tensor.data_offsets
    width = _WIDTHS.get(tensor.dtype, 0)
    known = width or _BYTES.get(tensor.dtype)
    if begin > end or (known and prod(tensor.shape) * known != end - begin):
        raise ValueError("the range of a tensor is not that of its shape")
    return begin, end, width


def _grouped(tensors: list[tuple[int, int, int]], base: int, size: int) -> list[Stretch]:
    """One stretch for the header, one for each large tensor, and the small ones together."""
    found = [Stretch(base, 0)]
    end = base
    widths: set[int] = set()

    def close() -> None:
        if end > found[-1].end:
            found.append(Stretch(end, widths.pop() if len(widths) == 1 else 0))
        widths.clear()

    for first, last, width in tensors:
        if last - first >= ALIGN or end - found[-1].end >= ALIGN:
            close()
        if base + first > end:
            widths.add(0)  # bytes of no tensor come before it
        widths.add(width)
        end = base + last
        if last - first >= ALIGN:
            close()
    close()
    if end < size:
        found.append(Stretch(size, 0))
    return found
