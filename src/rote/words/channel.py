"""Where an alias stands (docs/format.md, 10): the document that an application polls, and its history."""

from __future__ import annotations

import msgspec

from rote.words.publication import ManifestRef
from rote.words.snapshot import SnapshotRef


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an alias's history."""

    seq: int
    version: str
    at: str
    by: str
    why: str = ""
    nonce: str = ""
    """Random: a writer whose reply was lost finds its own move by it."""
    to: int | None = None
    """For a rollback: the seq of the move whose version is taken again."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed a channel document (the id of a public key), and the 64 bytes of Ed25519 in base64."""

    key: str
    signature: str


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """The object `models/<name>/aliases/<alias>`: the small document an application polls, at most 4 KiB."""

    format: int = 1
    model: str
    alias: str
    seq: int
    version: str
    snapshot: SnapshotRef
    """The version's files; an application reads them without reading the version."""
    issued: str
    by: str
    why: str = ""
    history: list[AliasMove] = []
    """The latest moves, newest first, as many as fit; older ones lie under `aliases/<alias>.history/`."""
    expires: str | msgspec.UnsetType = msgspec.UNSET
    """UTC; from then on a reader says that what it has is stale."""
    keys: list[str] | msgspec.UnsetType = msgspec.UNSET
    """The public keys that applications trust from this document on."""
    manifest: ManifestRef | msgspec.UnsetType = msgspec.UNSET
    """At a place where the version's files lie plainly; a store has packs."""
    signatures: list[Signature] | msgspec.UnsetType = msgspec.UNSET


class AliasArchive(msgspec.Struct, frozen=True, kw_only=True):
    """The object `models/<name>/aliases/<alias>.history/<first>-<last>`: moves that the channel document dropped."""

    format: int = 1
    moves: list[AliasMove]
    """Newest first."""
