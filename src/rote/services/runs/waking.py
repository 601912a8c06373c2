"""Waiting that can be cut short: by a thread of this process, or by another process through a FIFO."""

from __future__ import annotations

import os
import select
import stat
import threading
from contextlib import suppress

NAME = "wake"
"""What the FIFO is called in the folder of a run."""


class Waker:
    """One thread waits; others wake it. `fifo` is the path at which another process can (where there are FIFOs)."""

    def __init__(self, fifo: str | None = None) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)
        self._lock = threading.Lock()
        self._closed = False
        self._path = fifo
        self._fifo = None if fifo is None else _made(fifo)

    def wake(self) -> None:
        """End the wait, or the next one. Never blocks; from any thread."""
        with self._lock, suppress(BlockingIOError):  # it is full: whoever waits is awake
            if not self._closed:
                os.write(self._writing, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait at most so long. True if another process cut it short."""
        poll = select.poll()
        poll.register(self._reading, select.POLLIN)
        if self._fifo is not None:
            poll.register(self._fifo, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll(max(0.0, seconds) * 1000)]
        for descriptor in ready:
            with suppress(BlockingIOError):
                os.read(descriptor, 4096)
        return self._fifo in ready

    def close(self) -> None:
        """Nobody waits any more, and nobody wakes."""
        if self._fifo is not None and self._path is not None:
            with suppress(OSError):
                os.unlink(self._path)
            os.close(self._fifo)
            self._fifo = None
        with self._lock:
            self._closed = True
            os.close(self._reading)
            os.close(self._writing)


def _made(path: str) -> int | None:
    """A FIFO at the path, open; None where there can be none: then others are heard a little later."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(path)
        os.mkfifo(path, 0o600)
        # For writing too: otherwise it would count as ended whenever nobody else has it open.
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except (OSError, AttributeError):
        return None


def poke(path: str) -> bool:
    """Wake whoever waits at the FIFO. False if nobody does."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return False
        os.write(descriptor, b"!")
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
