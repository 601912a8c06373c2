"""The real clock and real chance."""

from __future__ import annotations

import os
import time


class SystemClock:
    """A ports.Clock over the system's clocks and its source of randomness."""

    def now(self) -> float:
        """Seconds since 1970, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds from some fixed point, never running backwards."""
        return time.monotonic()

    def token(self, count: int) -> str:
        """`count` random bytes as hexadecimal digits."""
        return os.urandom(count).hex()

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)
