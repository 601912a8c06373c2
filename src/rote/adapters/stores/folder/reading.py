"""Reading objects: opened safely, whole or in ranges that are read together."""

from __future__ import annotations

import os
import stat as mode
from collections.abc import Sequence

from rote.errors import Corrupt

GAP = 32 * 1024
"""Bytes that are rather read and dropped than jumped over with one more system call."""
RUN = 8 * 1024 * 1024
"""Ranges are not joined beyond this many bytes."""

# A named pipe that somebody put here must not block us, and a link must not lead us out.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_object(path: str) -> tuple[int, os.stat_result] | None:
    """The object's file, open, and its stat; None if no object is there. Raises OSError."""
    try:
        fd = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        if stat_object(path) is None:  # a link or a socket is not an object, and cannot be opened so
            return None
        raise
    try:
        stat = os.fstat(fd)
    except OSError:
        os.close(fd)
        raise
    if not mode.S_ISREG(stat.st_mode):
        os.close(fd)
        return None
    return fd, stat


def stat_object(path: str) -> os.stat_result | None:
    """The stat of the object's file; None if no object is there. Raises OSError."""
    try:
        stat = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat if mode.S_ISREG(stat.st_mode) else None


def read_ranges(fd: int, size: int, ranges: Sequence[tuple[int, int]], key: str, where: str) -> list[bytes]:
    """Several (start, length) of an open file of `size` bytes, in the order asked; neighbours are read together.

    Raises Corrupt if the file ends before one of them does.
    """
    for start, length in ranges:
        if start < 0 or length < 0 or start + length > size:
            raise _too_short(key, where, size, start, length)
    found = [b""] * len(ranges)
    for first, end, members in _runs(ranges):
        data = _pread(fd, end - first, first)
        if len(data) < end - first:
            raise _too_short(key, where, first + len(data), first, end - first)
        for i in members:
            start, length = ranges[i]
            found[i] = data if length == len(data) else data[start - first : start - first + length]
    return found


def _runs(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int, list[int]]]:
    """(first byte, end, indices of the ranges in it) of each stretch that is read with one call."""
    runs: list[tuple[int, int, list[int]]] = []
    for i in sorted(range(len(ranges)), key=ranges.__getitem__):
        start, length = ranges[i]
        end = start + length
        if runs:
            first, so_far, members = runs[-1]
            if start <= so_far + GAP and max(end, so_far) - first <= RUN:
                members.append(i)
                runs[-1] = (first, max(end, so_far), members)
                continue
        runs.append((start, end, [i]))
    return runs


def _pread(fd: int, length: int, start: int) -> bytes:
    """`length` bytes from `start`, fewer only where the file ends."""
    data = os.pread(fd, length, start)
    if len(data) == length or not data:
        return data
    parts = [data]  # one call gives at most 2 GiB, and a network file system may give less
    got = len(data)
    while got < length:
        data = os.pread(fd, length - got, start + got)
        if not data:
            break
        parts.append(data)
        got += len(data)
    return b"".join(parts)


def _too_short(key: str, where: str, size: int, start: int, length: int) -> Corrupt:
    return Corrupt(
        f"the object {key} has {size} bytes, not {length} from {start} on",
        where=where,
        next="rote store check",
    )
