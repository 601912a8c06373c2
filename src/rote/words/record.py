"""What the store itself remembers (docs/format.md, 3 and 6): how it was founded, writes, and the envelope of roots."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import TxnId
from rote.words.snapshot import SnapshotRef

PENDING, LIVE, TOMBSTONE = "pending", "live", "tombstone"
OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The object `rote.json`, created once and never changed. Chunk sizes in bytes."""

    format: int = 1
    id: str
    chunk_min: int
    chunk_avg: int
    chunk_max: int


class Txn(msgspec.Struct, frozen=True, kw_only=True):
    """The object `txns/<id>`: one write. `packs` and `snapshots` are its pins (keys below their prefix)."""

    format: int = 1
    id: TxnId
    state: str
    by: str
    """Who writes: user@host:pid."""
    began: str
    packs: list[str] = []
    snapshots: list[str] = []
    nonce: str = ""
    """Random for each write of the object, so that no two bodies are equal (S3 ETags repeat for equal bytes)."""


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of every root. A pending root is in force only once its txn is committed; until then `before`
    (the body that was in force) is."""

    format: int = 1
    state: str
    txn: TxnId
    needs: list[SnapshotRef] = []
    body: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    """The whole former root, while this one is pending over a live one."""


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """The object `gc/fence`."""

    format: int = 1
    generation: int = 0
    phase: str = "idle"
    objects: list[str] = []
    nonce: str = ""


class DataRoot(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `data/<aa>/<snapshot>`: what `rote add` saved."""

    path: str
    repository: str
    added: str
    by: str
