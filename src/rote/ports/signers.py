"""The ports to those who sign: the keys that sign channel documents, and a notary that signs files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rote.words.signatory import Signatory


class Signer(Protocol):
    """Secret keys that are here."""

    def held(self, wanted: Sequence[str]) -> list[str]:
        """Of these public keys those whose secret is here, and those that they took the place of; the wanted ones
        first."""

    def sign(self, public: str, message: bytes) -> bytes:
        """The 64 bytes of an Ed25519 signature by a key that is held. Raises MissingExtra."""


class Notary(Protocol):
    """Signs for whoever an identity provider says that is here, and tells who signed."""

    def sign(self, statement: bytes) -> bytes:
        """A signed statement: a Sigstore bundle, as JSON. Raises Refused (nobody vouches for who is here), Untrusted,
        StoreUnavailable, MissingExtra, ConfigError."""

    def opened(self, bundle: bytes, signatory: Signatory, where: str, safe: str) -> bytes:
        """The statement in a bundle, which that signatory has signed. Raises Untrusted, StoreUnavailable, MissingExtra,
        ConfigError."""
