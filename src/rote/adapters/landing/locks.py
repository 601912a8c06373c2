"""A lock on a file, held by one at a time on this machine, and given back when its holder ends however."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD: set[int] = set()


def _left_to_the_parent() -> None:
    """A child that was forked meanwhile has the file open as well, and would hold the lock for as long as it lives."""
    while _HELD:
        os.close(_HELD.pop())


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_left_to_the_parent)


@contextmanager
def held(path: str) -> Iterator[None]:
    """Wait for the lock, and hold it. Not reentrant. Raises OSError."""
    fd = _opened(path)
    try:
        if sys.platform == "win32":
            msvcrt.locking(fd, msvcrt.LK_LOCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        _close(fd)


@contextmanager
def taken(path: str) -> Iterator[bool]:
    """Hold the lock if nobody else does, without waiting; whether it is held. Raises OSError if there are no locks."""
    fd = _opened(path)
    try:
        yield _at_once(fd)
    finally:
        _close(fd)


def _at_once(fd: int) -> bool:
    if sys.platform == "win32":
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _opened(path: str) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    _HELD.add(fd)
    return fd


def _close(fd: int) -> None:
    if fd not in _HELD:
        return  # this is a child that was forked meanwhile, and has closed it
    _HELD.remove(fd)
    if sys.platform != "win32":
        fcntl.flock(fd, fcntl.LOCK_UN)  # also where such a child did not come to that yet
    os.close(fd)
