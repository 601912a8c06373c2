"""Nodes on their way into packs, and the record that is made of them."""

from __future__ import annotations

from itertools import chain

import msgspec

from rote.laws.data.nodes import Places, Rows, encode_places, snapshot_id
from rote.services.data.locating import EMPTY, Location, Pieced
from rote.services.store.packing import Packer
from rote.words.ids import Digest, SnapshotId, TxnId
from rote.words.snapshot import ZSTD, NodeRef, SnapshotRecord

_LOW = (1 << 32) - 1


class _Draft(msgspec.Struct):
    """A node of the record to be; `pack` and `into` are the packer's numbers. `content` until it is in a pack."""

    id: Digest
    first: str
    files: int
    size: int
    content: tuple[bytes, list[Location]] | None = None
    pack: int = -1
    offset: int = 0
    stored: int = 0
    length: int = 0
    check: Digest = Digest("")
    into: tuple[int, ...] = ()


class Noder:
    """Takes nodes in order, puts them into packs once their blocks have their places, and makes the record."""

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []
        self._written = 0
        self._format = 1
        self.files = 0
        self.size = 0

    def reuse(self, ref: NodeRef, record: SnapshotRecord, packer: Packer) -> None:
        """A node that lies in the store already, of the snapshot with this record."""
        self._count(ref.files, ref.size)
        self._format = max(self._format, record.format)  # which codecs it points at is not looked up
        packs = record.packs
        into = tuple(packer.pack_number(packs[i]) for i in ref.into)
        self._drafts.append(
            _Draft(
                ref.id,
                ref.first,
                ref.files,
                ref.size,
                pack=packer.pack_number(packs[ref.pack]),
                offset=ref.offset,
                stored=ref.stored,
                length=ref.length,
                check=ref.check,
                into=into,
            )
        )

    def add(self, rows: Rows, content: bytes, id: Digest, locations: list[Location]) -> None:
        """A new node: `content` are its logical bytes, `id` its id."""
        size = sum(rows.sizes)
        self._count(len(rows.paths), size)
        self._drafts.append(_Draft(id, rows.paths[0], len(rows.paths), size, (content, locations)))

    def _count(self, files: int, size: int) -> None:
        self.files += files
        self.size += size

    def flush(self, packer: Packer) -> None:
        """Put every node into the open pack whose blocks have their places."""
        while self._written < len(self._drafts):
            draft = self._drafts[self._written]
            if draft.content is not None:
                content, locations = draft.content
                if any(packer.blocks[n] is None for n in _blocks_of(locations)):
                    return
                places, numbers = _places(locations, packer)
                if max(places.block_codec, default=0) > ZSTD:
                    self._format = 2
                put = packer.add_node(content + encode_places(places))
                draft.pack, draft.offset, draft.stored, draft.length = (
                    put.pack,
                    put.offset,
                    put.stored,
                    put.length,
                )
                draft.check = put.check
                draft.into = tuple(n for n in numbers if n != put.pack)
                draft.content = None
            self._written += 1

    def id(self, single: bool) -> SnapshotId:
        """The snapshot's id, once every node has come."""
        return snapshot_id(single, [draft.id for draft in self._drafts])

    def record(self, txn: TxnId, single: bool, packer: Packer) -> SnapshotRecord:
        """The record, once every pack is closed."""
        used = dict.fromkeys(chain.from_iterable((d.pack, *d.into) for d in self._drafts))
        index = {number: i for i, number in enumerate(used)}
        nodes = [
            NodeRef(
                d.id, d.first, d.files, d.size, index[d.pack], d.offset, d.stored, d.length, d.check,
                tuple(sorted(index[n] for n in d.into)),
            )
            for d in self._drafts
        ]  # fmt: skip
        return SnapshotRecord(
            format=self._format,
            id=snapshot_id(single, [node.id for node in nodes]),
            txn=txn,
            files=self.files,
            size=self.size,
            single=single,
            packs=[packer.names[number] for number in used],
            nodes=nodes,
        )


def _blocks_of(locations: list[Location]) -> set[int]:
    found: set[int] = set()
    for location in locations:
        if isinstance(location, Pieced):
            found.update(spot >> 32 for spot in location.spots)
        elif location != EMPTY:
            found.add(location >> 32)
    return found


def _places(locations: list[Location], packer: Packer) -> tuple[Places, list[int]]:
    """The places of a node's rows, and the numbers of the packs they lie in."""
    numbers = sorted(_blocks_of(locations))
    local = {number: i for i, number in enumerate(numbers)}
    blocks = [block for number in numbers if (block := packer.blocks[number]) is not None]
    packs = list(dict.fromkeys(block[0] for block in blocks))
    pack_index = {pack: i for i, pack in enumerate(packs)}
    counts: list[int] = []
    spots: list[int] = []
    lengths: list[int] = []
    digests: list[bytes] = []
    for location in locations:
        if isinstance(location, Pieced):
            counts.append(len(location.spots))
            spots += location.spots
            lengths += location.lengths
            digests.append(location.digests)
        elif location == EMPTY:
            counts.append(0)
        else:
            counts.append(1)
            spots.append(location)
    places = Places(
        packs=["" if packer.is_open(pack) else packer.names[pack] for pack in packs],
        block_pack=[pack_index[block[0]] for block in blocks],
        block_offset=[block[1] for block in blocks],
        block_stored=[block[2] for block in blocks],
        block_length=[block[3] for block in blocks],
        block_codec=bytes(block[4] for block in blocks),
        counts=counts,
        blocks=[local[spot >> 32] for spot in spots],
        starts=[spot & _LOW for spot in spots],
        lengths=lengths,
        digests=b"".join(digests),
    )
    return places, packs
