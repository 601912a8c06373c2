"""The etag of a file: made from its stat, so that a listing need not open files.

Every write gives its file a modification time of its own: the present second, nanoseconds by chance, and later than
that of the file it replaces. So the etag changes with each write, also for equal bodies and within one clock tick.
It does not depend on the inode's number, which some network file systems make up anew each time they are asked; only
where the file system keeps whole seconds, the inode has to stand in for the nanoseconds.
"""

from __future__ import annotations

import os
import time

_SECOND = 1_000_000_000
_COARSEST = 2 * _SECOND
"""FAT keeps times to two seconds; nothing is coarser."""


def of(stat: os.stat_result) -> str:
    """The etag of the file that has this stat."""
    if stat.st_mtime_ns % _SECOND:
        return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"


def stamp(fd: int, after: int) -> str:
    """Give the open file a modification time of its own, later than `after` (ns); returns the etag it has now."""
    chance = int.from_bytes(os.urandom(8), "big") % (_SECOND - 1) + 1
    wanted = time.time_ns() // _SECOND * _SECOND + chance
    if wanted <= after:  # replaced within the same second, or the clock was set back
        wanted = after + chance
    os.utime(fd, ns=(wanted, wanted))
    stat = os.fstat(fd)
    if stat.st_mtime_ns <= after:
        os.utime(fd, ns=(wanted, after + _COARSEST))
        stat = os.fstat(fd)
    return of(stat)
