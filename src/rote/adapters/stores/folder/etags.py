"""The etag of a file: made from its stat, so that a listing need not open files.

Every write gives its file a modification time of its own: the present second, nanoseconds by chance, and later than
that of the file it replaces. So the etag changes with each write, also for equal bodies and within one clock tick.
The number of the inode is no part of it: it is used again at once, and some network file systems make it up anew.
"""

from __future__ import annotations

import os
import time

_SECOND = 1_000_000_000
_MANY = 1 << 30


def of(stat: os.stat_result) -> str:
    """The etag of the file that has this stat."""
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


def stamp(fd: int, after: int) -> str:
    """Give the open file a modification time of its own, other than `after` (ns); returns the etag it has now."""
    chance = _chance(_SECOND - 1) + 1
    wanted = time.time_ns() // _SECOND * _SECOND + chance
    if wanted <= after:  # replaced within the same second, or the clock was set back
        wanted = after + chance
    stat = _set(fd, wanted)
    whole = stat.st_mtime_ns % _SECOND == 0
    while whole or stat.st_mtime_ns == after:
        # A file system that keeps whole seconds (or, FAT, every other): these are drawn by chance, out of 34 years.
        # That is no true time any more, but nobody is told it.
        stat = _set(fd, (_MANY + _chance(_MANY)) * _SECOND)
        whole = False
    return of(stat)


def _chance(below: int) -> int:
    return int.from_bytes(os.urandom(8), "big") % below


def _set(fd: int, time_ns: int) -> os.stat_result:
    os.utime(fd, ns=(time_ns, time_ns))
    return os.fstat(fd)
