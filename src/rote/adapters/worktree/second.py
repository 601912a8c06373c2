"""A second process that looks at folders from the other end of a scan's list: a scan is system calls and Python between
them, so a second core halves it, and threads do not.

The process is a fork that makes no thread, opens no connection and ends by itself; what it found lies in memory that
both share. Who takes which folder is settled by two numbers, each written by one side only: at worst both look at the
same folder once, and the answer of the fork is left unread.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_HEAD = 16
"""Bytes before each answer: which item it is for, and how long it is."""


def possible() -> bool:
    """Whether a fork is sound here: on Linux, and while no other thread might hold a lock that the fork would keep."""
    return sys.platform == "linux" and hasattr(os, "memfd_create") and threading.active_count() == 1


class Second:
    """A forked process that works through items 0, 1, 2 … while this one takes them from the last one down.

    `work` gives the answer for an item in bytes, or None for an item that is not worth it. Raises OSError if the
    system has no process or memory to give.
    """

    def __init__(self, items: int, work: Callable[[int], bytes | None]) -> None:
        import mmap  # most folders are too small for a second process
        import signal

        self._shared = mmap.mmap(-1, 16)
        # [0]: the lowest item that this process has taken; [1]: the highest that the other has.
        self._taken = memoryview(self._shared).cast("q")
        self._taken[0], self._taken[1] = items, -1
        self._read_to = 0
        self._answers: dict[int, bytes] = {}
        self._memory = os.memfd_create("rote")
        self._bell, ring = os.pipe()
        # No handler of ours may run in the fork.
        before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _end_with(lambda: self._answer(items, work, ring))
        except OSError:
            os.close(self._bell)
            os.close(self._memory)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(ring)

    def take(self, item: int) -> bytes | None:
        """The other's answer for an item, or None: then it is for this process to do."""
        self._taken[0] = item
        if self._taken[1] < item:
            return None
        while item not in self._answers:
            if not os.read(self._bell, 1):
                return None  # it has ended early, or found the item not worth an answer
            self._take_answer()
        return self._answers.pop(item) or None

    def _take_answer(self) -> None:
        head = memoryview(os.pread(self._memory, _HEAD, self._read_to)).cast("q")
        start = self._read_to + _HEAD
        self._read_to = start + head[1]
        parts = []
        while start < self._read_to:
            parts.append(os.pread(self._memory, self._read_to - start, start))
            start += len(parts[-1])
        self._answers[head[0]] = b"".join(parts)

    def close(self) -> None:
        """End the process if it has not ended, and leave nothing of it."""
        import signal  # see __init__

        os.close(self._bell)
        os.kill(self._pid, signal.SIGKILL)  # it is not reaped yet, so the id is its own
        os.waitpid(self._pid, 0)
        os.close(self._memory)
        self._taken.release()
        self._shared.close()

    # ---- in the fork -------------------------------------------------------------------------------------------

    def _answer(self, items: int, work: Callable[[int], bytes | None], ring: int) -> None:
        for item in range(items):
            if self._taken[0] <= item:
                return
            self._taken[1] = item
            data = work(item) or b""
            head = item.to_bytes(8, sys.byteorder) + len(data).to_bytes(8, sys.byteorder)
            view = memoryview(head + data)
            while view:
                view = view[os.write(self._memory, view) :]
            os.write(ring, b".")


def _end_with(work: Callable[[], None]) -> None:
    """Do the work and end the process at once: nothing that the other process has open or waiting is touched."""
    try:
        work()
    finally:
        os._exit(0)
