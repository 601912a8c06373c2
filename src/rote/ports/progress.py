"""The port to whoever watches."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Where work reports how far it is. Called often: an implementation draws at most some times a second."""

    def start(self, what: str, total: int | None = None, unit: str = "") -> None:
        """A piece of work begins; `total` in `unit` (`files`, `bytes`, `stages`) if known."""

    def step(self, amount: int = 1) -> None:
        """So much more is done."""

    def done(self) -> None:
        """The piece of work that began last is over."""

    def say(self, line: str) -> None:
        """A line for the person who watches."""


class Silence:
    """A Progress that shows nothing."""

    def start(self, what: str, total: int | None = None, unit: str = "") -> None:
        """Nothing is shown."""

    def step(self, amount: int = 1) -> None:
        """Nothing is shown."""

    def done(self) -> None:
        """Nothing is shown."""

    def say(self, line: str) -> None:
        """Nothing is shown."""
