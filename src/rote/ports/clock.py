"""The port to time and chance."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time and chance, so that tests can hold both still."""

    def now(self) -> float:
        """Seconds since 1970, UTC. Only shown and stored for people; never decides correctness."""

    def monotonic(self) -> float:
        """Seconds from some fixed point, never running backwards."""

    def token(self, count: int) -> str:
        """`count` random bytes as hexadecimal digits."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
