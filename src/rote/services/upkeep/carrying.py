"""Snapshots from one store into a write of another: blocks as they are stored, verified, only those that are missing.

Which blocks a pack will hold is settled from tables of contents alone, and so is its name's digest: a pack that a copy
which was cut has left is found by that digest, and neither read nor sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import zstandard
from blake3 import blake3

from rote.errors import Corrupt, NotFound
from rote.laws.data.nodes import Places, encode_places, logical
from rote.services.data.ingest import Writing
from rote.services.data.presence import Presence, Source, Spot, Table
from rote.services.data.reading import GAP, LoadedNode, coalesced
from rote.services.store import packs
from rote.services.store.packs import DATA, LEVEL, MAGIC, NODE, Footer, encode_footer
from rote.words.ids import Digest, SnapshotId, TxnId
from rote.words.snapshot import ZSTD, NodeRef, SnapshotRecord, SnapshotRef

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

PACK = 32 << 20
"""A pack is closed once it has so many bytes."""
JOBS = 2
"""Packs that are read and sent at once."""


class Carried(msgspec.Struct):
    """What was sent: objects and bytes."""

    snapshots: int = 0
    packs: int = 0
    size: int = 0
    reused: int = 0
    """Packs that an earlier copy, cut short, had sent already."""


class _Draft(msgspec.Struct):
    """A node of a record to be: identity, its blocks' places until it is in a pack, then its own place."""

    id: Digest
    first: str
    files: int
    size: int
    content: tuple[bytes, Places, list[Spot]] | None
    pack: int = -1
    offset: int = 0
    stored: int = 0
    length: int = 0
    check: Digest = Digest("")
    into: tuple[int, ...] = ()
    format: int = 1
    """Format of a record that has this node, at least."""


class _Load(msgspec.Struct):
    """A pack that is being put together: its table of contents, and where the data will come from."""

    number: int
    footer: Footer
    digests: list[bytes]
    wanted: list[tuple[str, int, int]]
    """For each data block: pack of the source, offset, stored bytes."""
    nodes: list[bytes]
    fill: int = len(MAGIC)

    def add(self, data_size: int, length: int, codec: int, kind: int, chunks: tuple[list[int], bytes]) -> int:
        """Another block; returns where it will begin."""
        offset = self.fill
        self.footer.add(data_size, length, codec, kind, chunks[0])
        self.digests.append(chunks[1])
        self.fill += data_size
        return offset


class Carrier:
    """Brings snapshots in one write. One thread calls it; `jobs` threads read and send (0: this one does)."""

    def __init__(self, source: Source, presence: Presence, write: Writing, jobs: int = JOBS) -> None:
        self._source = source
        self._there = presence
        self._write = write
        self._jobs = jobs
        self._pool: ThreadPoolExecutor | None = None
        self._sending: deque[Future[None]] = deque()
        self._load: _Load | None = None
        self._waiting: list[_Draft] = []
        self._waiting_size = 0
        self._drafts: dict[Digest, _Draft] = {}
        self._brought: dict[SnapshotId, SnapshotRef] = {}
        self._new: list[tuple[SnapshotRecord, list[_Draft]]] = []
        self._own: set[int] = set()
        self._usable: dict[int, bool] = {}
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self.carried = Carried()

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def bring(self, ref: SnapshotRef) -> SnapshotRef:
        """Have a snapshot of the source in the target; returns what a root there holds to keep it. It is good once
        the write is committed. Raises Missing, NotFound, Corrupt (of the source), and what the target raises."""
        found = self._brought.get(ref.id)
        if found is None:
            found = next((there for there in self._there.find(ref.id) if self._write.use(there)), None)
            found = self._brought[ref.id] = found or self._carry(self._source.snapshots.record(ref))
        return found

    def _carry(self, record: SnapshotRecord) -> SnapshotRef:
        self._there.meet(self._source.relatives(record))
        known = {node.id: draft for node in record.nodes if (draft := self._reusable(node)) is not None}
        missing = [number for number, node in enumerate(record.nodes) if node.id not in known]
        for number, node in zip(missing, self._source.snapshots.nodes(record, missing), strict=True):
            ref = record.nodes[number]
            known[ref.id] = self._drafts[ref.id] = self._place(ref, node)
        self._new.append((record, [known[node.id] for node in record.nodes]))
        return msgspec.structs.replace(record.ref(), txn=self._write.id)

    def _reusable(self, node: NodeRef) -> _Draft | None:
        """The node as this write has it, or as the target does."""
        draft = self._drafts.get(node.id)
        if draft is not None:
            return draft
        held = self._there.nodes.get(node.id)
        if held is None:
            return None
        ref, record = held
        numbers = [self._there.number(record.packs[i]) for i in (ref.pack, *ref.into)]
        if not all(self._may_use(number) for number in numbers):
            return None
        return _Draft(
            ref.id, ref.first, ref.files, ref.size, None, numbers[0], ref.offset, ref.stored, ref.length, ref.check,
            tuple(numbers[1:]), record.format,
        )  # fmt: skip

    def _may_use(self, pack: int) -> bool:
        if pack in self._own:
            return True
        if pack not in self._usable:
            name = self._there.names[pack]
            self._usable[pack] = bool(name) and name in self._write.usable([name])
        return self._usable[pack]

    # ---- blocks ------------------------------------------------------------------------------------------------

    def _place(self, ref: NodeRef, node: LoadedNode) -> _Draft:
        places = node.places
        tables: dict[int, Table] = {}
        spots = []
        for pack, offset in zip(places.block_pack, places.block_offset, strict=True):
            if pack not in tables:
                tables[pack] = self._source.tables.get(places.packs[pack])
            spots.append(self._block(tables[pack], offset))
        content = logical(node.rows)
        draft = _Draft(ref.id, ref.first, ref.files, ref.size, (content, places, spots))
        self._waiting.append(draft)
        self._waiting_size += len(content) + 8 * len(places.blocks)
        if self._load_size() >= PACK:
            self._close()
        return draft

    def _load_size(self) -> int:
        return self._waiting_size + (self._load.fill if self._load else 0)

    def _block(self, table: Table, offset: int) -> Spot:
        number = table.block(offset)
        mark = table.mark(number)
        spot = self._there.block(mark, table, number, self._may_use)
        if spot is not None:
            return spot
        if self._load_size() >= PACK:
            self._close()
        load = self._load or self._begin()
        footer = table.footer
        stored, length, codec = footer.stored[number], footer.length[number], footer.codec[number]
        load.wanted.append((table.name, offset, stored))
        at = load.add(stored, length, codec, DATA, table.chunks(number))
        spot = Spot(load.number, at, stored, length, codec)
        self._there.add_block(mark, spot)
        return spot

    def _begin(self) -> _Load:
        empty = Footer([], [], bytearray(), bytearray(), [], [], b"")
        self._load = _Load(self._there.begin(), empty, [], [], [])
        self._own.add(self._load.number)
        return self._load

    # ---- packs -------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """The pack that is being put together, and every node whose blocks lie in it or before it."""
        still: list[_Draft] = []
        for draft in self._waiting:
            if draft.content is not None and all(self._has_name(spot.pack) for spot in draft.content[2]):
                self._add_node(self._load or self._begin(), draft)
            else:
                still.append(draft)
        self._waiting, self._waiting_size = still, sum(len(d.content[0]) for d in still if d.content)
        load, self._load = self._load, None
        if load is None:
            return
        load.footer.digests = b"".join(load.digests)
        digest, end = encode_footer(load.footer)
        there = self._there.pack_of(digest)
        if there is not None and self._write.usable([there]):
            self._there.names[load.number] = there
            self.carried.reused += 1
            return
        self._there.names[load.number] = f"{self._write.id}/{digest}"
        self._submit(load, digest, end)

    def _has_name(self, pack: int) -> bool:
        return bool(self._there.names[pack]) or (self._load is not None and self._load.number == pack)

    def _add_node(self, load: _Load, draft: _Draft) -> None:
        assert draft.content is not None
        content, old, spots = draft.content
        numbers = list(dict.fromkeys(spot.pack for spot in spots))
        index = {number: i for i, number in enumerate(numbers)}
        places = Places(
            packs=["" if number == load.number else self._there.names[number] for number in numbers],
            block_pack=[index[spot.pack] for spot in spots],
            block_offset=[spot.offset for spot in spots],
            block_stored=[spot.stored for spot in spots],
            block_length=[spot.length for spot in spots],
            block_codec=bytes(spot.codec for spot in spots),
            counts=old.counts,
            blocks=old.blocks,
            starts=old.starts,
            lengths=old.lengths,
            digests=old.digests,
        )
        if max(places.block_codec, default=0) > ZSTD:
            draft.format = 2
        plain = content + encode_places(places)
        packed = self._compressor.compress(plain)
        check = blake3(plain).digest()
        draft.offset = load.add(len(packed), len(plain), ZSTD, NODE, ([len(plain)], check))
        load.nodes.append(packed)
        draft.pack, draft.stored, draft.length = load.number, len(packed), len(plain)
        draft.check = Digest(check.hex())
        draft.into = tuple(number for number in numbers if number != load.number)
        draft.content = None

    def _submit(self, load: _Load, digest: Digest, end: bytes) -> None:
        if self._jobs < 1 or (load.fill < PACK and self._pool is None):
            self._send(load, digest, end)  # the only pack: nothing goes on meanwhile
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # a small copy never needs it: start-up time

            self._pool = ThreadPoolExecutor(self._jobs, "rote-copy")
        while len(self._sending) >= self._jobs:
            self._sending.popleft().result()
        self._sending.append(self._pool.submit(self._send, load, digest, end))

    def _send(self, load: _Load, digest: Digest, end: bytes) -> None:
        whole = bytearray(MAGIC)
        chunk = 0
        for block, data in enumerate(_fetched(self._source, load.wanted)):
            pack = load.wanted[block][0]
            if not packs.sound(load.footer, block, chunk, data, pack):
                raise packs.damaged(pack, "a block in it is not what its digests say")
            chunk += load.footer.count[block]
            whole += data
        for node in load.nodes:
            whole += node
        whole += end
        name = self._write.put_pack(digest, whole)
        self._there.sent(name, load.footer)
        self.carried.packs += 1
        self.carried.size += len(whole)

    # ---- the end -----------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Send what is left, and give the records to the write. Raises as `bring`."""
        self._close()
        while self._sending:
            self._sending.popleft().result()
        for record, drafts in self._new:
            made = self._record(record, drafts)
            self._write.add_snapshot(made)
            self._there.learn(made)
            self.carried.snapshots += 1

    def _record(self, record: SnapshotRecord, drafts: Iterable[_Draft]) -> SnapshotRecord:
        drafts = list(drafts)
        used = list(dict.fromkeys(chain.from_iterable((d.pack, *d.into) for d in drafts)))
        # Two numbers may mean one pack: an own one that turned out to be there already.
        names = list(dict.fromkeys(self._there.names[number] for number in used))
        index = {number: names.index(self._there.names[number]) for number in used}
        nodes = [
            NodeRef(
                d.id, d.first, d.files, d.size, index[d.pack], d.offset, d.stored, d.length, d.check,
                tuple(sorted({index[n] for n in d.into} - {index[d.pack]})),
            )
            for d in drafts
        ]  # fmt: skip
        return msgspec.structs.replace(
            record,
            format=max((d.format for d in drafts), default=1),
            txn=TxnId(self._write.id),
            packs=names,
            nodes=nodes,
        )


def _fetched(source: Source, wanted: list[tuple[str, int, int]]) -> list[bytes | memoryview]:
    """Stored blocks of the source, in the order asked, with few requests."""
    found: list[bytes | memoryview] = [b""] * len(wanted)
    by_pack: dict[str, list[int]] = {}
    for i, (pack, _, _) in enumerate(wanted):
        by_pack.setdefault(pack, []).append(i)
    for pack, numbers in by_pack.items():
        spans = [(wanted[i][1], wanted[i][2]) for i in numbers]
        try:
            for i, data in zip(numbers, coalesced(source.store, pack, spans, GAP), strict=True):
                found[i] = data
        except NotFound as e:
            raise packs.gone(pack) from e
        except Corrupt as e:
            raise packs.damaged(pack, "it is shorter than it should be") from e
    return found
