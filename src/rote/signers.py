"""The port to the keys that sign channel documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Signer(Protocol):
    """Secret keys that are here."""

    def held(self, wanted: Sequence[str]) -> list[str]:
        """Of these public keys those whose secret is here, and those that they took the place of; the wanted ones
        first."""

    def sign(self, public: str, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature by a key that is held. Raises MissingExtra."""
