"""A clock that stands still until a test moves it, and chance that is the same each time."""

from __future__ import annotations

import random
import threading

START = 1_795_258_800.0
"""2026-11-21T11:00:00Z."""


class StillClock:
    """A ports.Clock. Two with the same `seed` give the same tokens. Safe to share between threads."""

    def __init__(self, start: float = START, seed: int = 0) -> None:
        self._now = start
        self._moved = 0.0
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def now(self) -> float:
        """Seconds since 1970: `start` and what the clock was moved by."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that the clock was moved forward."""
        return self._moved

    def token(self, count: int) -> str:
        """The next `count` pseudo-random bytes as hexadecimal digits."""
        with self._lock:
            return self._random.randbytes(count).hex()

    def move(self, seconds: float) -> None:
        """Let time pass. A negative amount sets back the clock that people see, as an administrator might."""
        with self._lock:
            self._now += seconds
            self._moved += max(0.0, seconds)

    def sleep(self, seconds: float) -> None:
        """Let so much time pass, at once."""
        self.move(seconds)
