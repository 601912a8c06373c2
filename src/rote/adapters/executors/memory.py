"""How much memory a stage has, and who took it away."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from rote.adapters.executors.census import Census, resident

_SHORTEST, _LONGEST = 0.02, 0.5
_GROWTH = 4e9
"""Bytes in a second by which a stage may be expected to grow at most: that much may be between two looks."""


class MemoryWatch:
    """Looks at a stage's memory until it is closed, the more often the nearer it is to its limit. Calls `exceeded` once
    if there is more."""

    def __init__(self, census: Census, mark: bytes, limit: int, exceeded: Callable[[], None]) -> None:
        self.peak = 0
        """The most bytes that were seen."""
        self._census = census
        self._mark = mark
        self._limit = limit
        self._exceeded = exceeded
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="rote-memory", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more looks."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        pause = _SHORTEST
        while not self._closed.wait(pause):
            used = resident(self._census.of(self._mark), self._limit)
            self.peak = max(self.peak, used)
            if used > self._limit:
                self._exceeded()
                return
            pause = min(max((self._limit - used) / _GROWTH, _SHORTEST), _LONGEST)


def kernel_kills() -> int:
    """How many processes the kernel has killed so far because there was no memory left: here, as far as it tells."""
    return max(_counted(place) for place in (*_groups(), "/proc/vmstat"))


def _groups() -> list[str]:
    with suppress(OSError), open("/proc/self/cgroup", encoding="ascii", errors="replace") as f:
        for line in f:
            number, _, path = line.rstrip("\n").split(":", 2)
            if number == "0":
                return [os.path.join("/sys/fs/cgroup", path.lstrip("/"), "memory.events")]
    return []


def _counted(place: str) -> int:
    with suppress(OSError), open(place, encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
