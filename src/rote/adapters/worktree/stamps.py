"""The stat of a file as the stat cache keeps it, and the moment after which a stat cannot be trusted.

A file's content is taken as unchanged while its stat is. That is only sound for stats that were *old* when the file
was read: a second edit within the same tick of the file system's clock may leave the stat as it is. So each row whose
stamp is younger than a tick at the moment of the scan is kept as `UNSURE`, and its file is read again next time.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from array import array

WIDTH = 5
"""Numbers in a row: mtime_ns, ctime_ns (0 on Windows), inode, size, mode."""
ROW = WIDTH * 8
"""Bytes of a row."""
UNSURE = b"\xff" * ROW
"""A row that no file ever has."""

_FINE = 50_000_000
_COARSE = 2_100_000_000
INODE = 0x7FFF_FFFF_FFFF_FFFF
"""The bits of an inode that are kept: some file systems use all 64, a signed number has room for 63."""
_NUMBERS = struct.Struct(f"@{WIDTH}q").unpack_from
_POSIX = sys.platform != "win32"


def row(st: os.stat_result) -> tuple[int, int, int, int, int]:
    """The numbers of a file's stat. On POSIX the ctime moves with every change of content, whatever was done to the
    mtime; on Windows that field is the time of creation, and says nothing."""
    return (st.st_mtime_ns, st.st_ctime_ns if _POSIX else 0, st.st_ino & INODE, st.st_size, st.st_mode)


def packed(flat: list[int]) -> bytes:
    """Rows laid one after the other, as bytes."""
    return array("q", flat).tobytes()


def numbers(rows: bytes, index: int) -> tuple[int, ...]:
    """The numbers of one of the packed rows."""
    return _NUMBERS(rows, index * ROW)


def sure(rows: bytes, now: int) -> bytes:
    """The packed rows, with UNSURE for each whose last change lies within a tick of `now` (or after it)."""
    flat = memoryview(rows).cast("q")
    stamps = (flat[1::WIDTH] if _POSIX else flat[0::WIDTH]).tolist()
    if not stamps or max(stamps) < now - _COARSE:
        return rows
    kept = bytearray(rows)
    for index, stamp in enumerate(stamps):
        # A stamp in whole seconds comes from a file system that counts no finer (or two seconds: FAT).
        if stamp >= now - (_COARSE if stamp % 1_000_000_000 == 0 else _FINE):
            kept[index * ROW : (index + 1) * ROW] = UNSURE
    return bytes(kept)


_ASKED = 0.01
"""Seconds for which an answer of the file system's clock serves again."""
_answers: dict[tuple[str, int], tuple[float, int]] = {}


def moment(probe: str, device: int) -> int:
    """See `_moment`. An answer serves for a hundredth of a second, so that a look at a thousand small outs asks some
    times and not a thousand: an earlier moment only makes more rows unsure, never a changed file sure."""
    asked = time.monotonic()
    known = _answers.get((probe, device))
    if known is not None and asked - known[0] < _ASKED:
        return known[1]
    found = _moment(probe, device)
    _answers[probe, device] = asked, found
    return found


def _moment(probe: str, device: int) -> int:
    """Nanoseconds since 1970 by the clock that stamps files on `device`, or a moment before.

    A file server's clock may lag behind ours, so the clock is asked by writing the file `probe`; where that lies on
    another device, the difference is unknown, and the earlier of both clocks is taken less the coarsest tick.
    """
    here = time.time_ns()
    try:
        os.makedirs(os.path.dirname(probe), exist_ok=True)
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError:
        return here - _COARSE
    try:
        os.write(descriptor, b"The stat cache asks the file system for its time here.\n")
        st = os.fstat(descriptor)
    except OSError:
        return here - _COARSE
    finally:
        os.close(descriptor)
    there = min(here, st.st_mtime_ns)
    return there if st.st_dev == device else there - _COARSE
