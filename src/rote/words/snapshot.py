"""What a file tree is: entries, nodes and where their bytes lie (docs/format.md, 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from rote.words.ids import Digest, SnapshotId, TxnId

FILE = "file"
"""The path of the only entry of a snapshot that was made from a single file, not from a folder."""

RAW, ZSTD = 0, 1
"""How a block is stored: as it is, or as one zstd frame. Higher codecs: planes.WIDTHS."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One file of a tree: its logical content, the same on every machine and in every store. `size` in bytes."""

    path: str
    size: int
    executable: bool
    digest: bytes
    """BLAKE3 of the file's bytes, 32 bytes."""


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """A piece of a file and where it lies: `length` bytes at `offset` of the unpacked block `block`."""

    digest: bytes
    block: int
    offset: int
    length: int


class Block(msgspec.Struct, frozen=True, gc=False):
    """A stretch of a pack that is read and unpacked as one: `stored` bytes at `offset`, `length` when unpacked."""

    pack: str
    """The pack's key below `packs/`: `TXID/DIGEST`."""
    offset: int
    stored: int
    length: int
    codec: int


class Node(msgspec.Struct, frozen=True, gc=False):
    """About a thousand neighbouring entries, in the order of their paths' UTF-8 bytes, with their locations.

    `chunks[i]` are the chunks of `entries[i]`, whose blocks index `blocks`.
    """

    entries: Sequence[Entry]
    chunks: Sequence[Sequence[Chunk]]
    blocks: Sequence[Block]


class NodeRef(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A node in a snapshot's record: identity first, then where its stored form lies."""

    id: Digest
    first: str
    """The node's first path."""
    files: int
    size: int
    """Bytes of all files in the node."""
    pack: int
    """Index into the record's `packs`."""
    offset: int
    stored: int
    length: int
    check: Digest
    """BLAKE3 of the stored node, unpacked."""
    into: tuple[int, ...] = ()
    """Indices (ascending) into the record's `packs` of the other packs that the node's blocks lie in."""


class SnapshotRef(msgspec.Struct, frozen=True):
    """What a root needs: a snapshot by (id, txn), with its figures so that a list needs no further read."""

    id: SnapshotId
    txn: TxnId
    files: int
    size: int
    single: bool = False
    """True for a snapshot of a single file."""

    @property
    def key(self) -> str:
        """The key of its record below `snapshots/`."""
        return f"{self.id[:2]}/{self.id}/{self.txn}"


class SnapshotRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The object `snapshots/<aa>/<id>/<txn>`."""

    newest_format: ClassVar[int] = 2
    """Format 2: a block has a codec above ZSTD. Whoever reads only format 1 is told so by the record."""

    format: int = 1
    id: SnapshotId
    txn: TxnId
    files: int
    size: int
    single: bool = False
    packs: list[str]
    """Keys below `packs/` of every pack the nodes lie in or point into."""
    nodes: list[NodeRef]

    def ref(self) -> SnapshotRef:
        """What a root holds to keep this snapshot."""
        return SnapshotRef(id=self.id, txn=self.txn, files=self.files, size=self.size, single=self.single)
