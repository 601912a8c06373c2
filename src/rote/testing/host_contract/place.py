"""The host that is held to the contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import pytest

from rote.ports.hosting import ReleaseHost


class HostPlace(ABC):
    """The host under test, and how to look behind its back: what a test file says of it."""

    drafts = False
    """Say True if a draft is kept before it has an asset, and is hidden from the public whatever it holds."""
    exact_moves = True
    """Say False for a host without a compare-and-swap: of two that move a channel at once both may win then."""
    notes_for_all = True
    """Say False if a client that may only read does not get the notes."""

    @abstractmethod
    def make(self, place: Path) -> ReleaseHost:
        """A new, empty host."""

    @abstractmethod
    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        """Another client of the same host."""

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        """A client that may only read."""
        return self.again(host, place)

    @abstractmethod
    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        """Give an asset other bytes behind the port's back; None takes it away."""

    @abstractmethod
    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        """Put a channel document behind the port's back."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the host may put things."""
        return tmp_path

    @pytest.fixture
    def host(self, place: Path) -> ReleaseHost:
        """The host under test."""
        return self.make(place)
