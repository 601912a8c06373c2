"""What two stores have between them: where the source's blocks lie, and which of them the target holds already."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Protocol

import msgspec
from blake3 import blake3

from rote.errors import BadName, Corrupt, NotFound
from rote.laws.data.nodes import DIGEST
from rote.ports import ObjectStore
from rote.ports.logger import Logger
from rote.services.data.snapshots import Snapshots, check_record
from rote.services.store import packs
from rote.services.store.packs import DATA, Footer
from rote.words.encoding import without_check
from rote.words.ids import Digest, SnapshotId, txn_id
from rote.words.snapshot import Block, Chunk, NodeRef, SnapshotRecord, SnapshotRef

_log = Logger(__name__)

MOST_CHUNKS = 400_000
"""Chunks of packs' tables of contents that are kept at hand."""
MOST_BLOCKS = 500_000
"""Blocks of the target that are kept in mind; the older half goes first."""
MOST_NODES = 200_000


class Table(msgspec.Struct):
    """A pack's table of contents, and where its blocks and their chunks begin."""

    name: str
    footer: Footer
    offsets: list[int]
    firsts: list[int]

    def block(self, offset: int) -> int:
        """The number of the block that begins there. Raises Corrupt."""
        number = bisect_left(self.offsets, offset)
        if number >= len(self.footer.stored) or self.offsets[number] != offset:
            raise packs.damaged(self.name, "a snapshot names a block in it that it does not have")
        return number

    def chunks(self, block: int) -> tuple[list[int], bytes]:
        """Lengths of a block's chunks, and their digests, joined."""
        a, b = self.firsts[block], self.firsts[block + 1]
        return self.footer.chunk_length[a:b], self.footer.digests[a * DIGEST : b * DIGEST]

    def mark(self, block: int) -> bytes:
        """What is equal for blocks of equal chunks, wherever they lie and however they are packed."""
        lengths, digests = self.chunks(block)
        return blake3(b"".join(n.to_bytes(4, "little") for n in lengths) + digests).digest(16)


class Tables:
    """The tables of contents of one store's packs, the last ones kept at hand."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._sizes: dict[str, int] | None = None
        self._kept: OrderedDict[str, Table] = OrderedDict()
        self._chunks = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every pack, listed once."""
        if self._sizes is None:
            self._sizes = {m.key.removeprefix("packs/"): m.size for m in self.store.list("packs/")}
        return self._sizes

    def get(self, pack: str) -> Table:
        """The table of a pack, verified against its name. Raises NotFound, Corrupt."""
        found = self._kept.get(pack)
        if found is not None:
            self._kept.move_to_end(pack)
            return found
        footer = packs.read_footer(self.store, pack, self.sizes.get(pack))
        return self.keep(pack, footer)

    def keep(self, pack: str, footer: Footer) -> Table:
        """Keep a table at hand."""
        offsets = list(accumulate(footer.stored, initial=len(packs.MAGIC)))
        table = Table(pack, footer, offsets, [0, *accumulate(footer.count)])
        self._kept[pack] = table
        self._chunks += len(footer.chunk_length)
        while self._chunks > MOST_CHUNKS and len(self._kept) > 1:
            self._chunks -= len(self._kept.popitem(last=False)[1].footer.chunk_length)
        return table


class Source:
    """The store that is copied from."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.snapshots = Snapshots(store)
        self.tables = Tables(store)
        self._written: dict[str, list[SnapshotId]] | None = None

    def written_by(self, txn: str) -> list[SnapshotId]:
        """The snapshots that this transaction wrote: those whose content its packs were made for."""
        if self._written is None:
            self._written = {}
            for meta in self.store.list("snapshots/"):
                names = meta.key.split("/")
                if len(names) == 4:
                    self._written.setdefault(names[3], []).append(SnapshotId(Digest(names[2])))
        return self._written.get(txn, [])

    def relatives(self, record: SnapshotRecord) -> Iterator[SnapshotId]:
        """Snapshots that share packs with this one."""
        for txn in dict.fromkeys(pack.partition("/")[0] for pack in record.packs):
            yield from (id for id in self.written_by(txn) if id != record.id)


class Hints(Protocol):
    """What this machine remembers of the target's chunks: see known.Known."""

    def find(self, digest: bytes) -> tuple[Chunk, Block] | None:
        """Where a chunk was last seen."""

    def remember(self, pack: str, footer: Footer) -> None:
        """The chunks of a pack that was written."""


class Spot(msgspec.Struct, frozen=True, gc=False):
    """A block of the target: the number of its pack, and where it lies in that."""

    pack: int
    offset: int
    stored: int
    length: int
    codec: int


class Presence:
    """What is known of the target: a hint, which the write that relies on it has to confirm.

    `shun` are packs that are damaged: nothing of them is used.
    """

    def __init__(self, store: ObjectStore, hints: Hints | None = None, shun: Iterable[str] = ()) -> None:
        self.store = store
        self.tables = Tables(store)
        self.names: list[str] = []
        """Number of a pack -> its name, empty while it is being filled."""
        self.nodes: dict[Digest, tuple[NodeRef, SnapshotRecord]] = {}
        self._shun = frozenset(shun)
        self._hints = hints
        self._numbers: dict[str, int] = {}
        self._blocks: dict[bytes, Spot] = {}
        self._by_digest: dict[str, str] | None = None
        self._met: set[SnapshotId] = set()
        self._looked: set[str] = set()

    # ---- packs -------------------------------------------------------------------------------------------------

    def begin(self) -> int:
        """The number of a pack that will be filled."""
        self.names.append("")
        return len(self.names) - 1

    def number(self, name: str) -> int:
        """The number of a pack that is there."""
        found = self._numbers.get(name)
        if found is None:
            found = self._numbers[name] = len(self.names)
            self.names.append(name)
        return found

    def pack_of(self, digest: Digest) -> str | None:
        """A pack with exactly this table of contents, by whichever transaction: what a copy that was cut has left."""
        if self._by_digest is None:
            names = (name for name in self.tables.sizes if name not in self._shun)
            self._by_digest = {name.rpartition("/")[2]: name for name in names}
        return self._by_digest.get(digest)

    def sent(self, name: str, footer: Footer) -> None:
        """A pack was put there."""
        if self._by_digest is not None:
            self._by_digest[name.rpartition("/")[2]] = name
        if self._hints is not None:
            self._hints.remember(name, footer)

    # ---- content -----------------------------------------------------------------------------------------------

    def block(self, mark: bytes, table: Table, number: int, usable: Callable[[int], bool]) -> Spot | None:
        """Where a block of the source lies in the target, in a pack that is `usable`, or None."""
        spot = self._blocks.get(mark)
        if spot is None and self._hints is not None:
            found = self._hints.find(table.chunks(number)[1][:DIGEST])
            if found is not None:
                self._learn(found[1].pack)
                spot = self._blocks.get(mark)
        return spot if spot is not None and usable(spot.pack) else None

    def add_block(self, mark: bytes, spot: Spot) -> None:
        """A block is, or will be, there."""
        self._blocks[mark] = spot
        if len(self._blocks) > MOST_BLOCKS:
            for old in list(self._blocks)[: MOST_BLOCKS // 2]:
                del self._blocks[old]

    def find(self, id: SnapshotId) -> list[SnapshotRef]:
        """The sound records of a snapshot, newest first."""
        return [record.ref() for record in self._records(id)]

    def meet(self, ids: Iterable[SnapshotId]) -> None:
        """Learn what these snapshots' nodes and packs hold, as far as they are there."""
        for id in ids:
            if id in self._met:
                continue
            self._met.add(id)
            record = next(self._records(id), None)
            if record is not None:
                self.learn(record)
                for pack in record.packs:
                    self._learn(pack)

    def learn(self, record: SnapshotRecord) -> None:
        """A snapshot is there."""
        for node in record.nodes:
            names = {record.packs[i] for i in (node.pack, *node.into)}
            if not names & self._shun:
                self.nodes[node.id] = (node, record)
        while len(self.nodes) > MOST_NODES:
            del self.nodes[next(iter(self.nodes))]

    def _records(self, id: SnapshotId) -> Iterator[SnapshotRecord]:
        prefix = f"snapshots/{id[:2]}/{id}/"
        for meta in reversed(list(self.store.list(prefix))):
            try:
                txn = txn_id(meta.key.rpartition("/")[2])
                record = without_check(self.store.get(meta.key).data, SnapshotRecord, meta.key)
                figures = SnapshotRef(id, txn, record.files, record.size, record.single)
                check_record(record, figures, meta.key)
            except (BadName, NotFound, Corrupt) as e:
                _log.debug("%s is of no use: %s", meta.key, e)
                continue
            if not self._shun.intersection(record.packs):
                yield record

    def _learn(self, pack: str) -> None:
        if pack in self._looked or pack in self._shun:
            return
        self._looked.add(pack)
        try:
            table = self.tables.get(pack)
        except (NotFound, Corrupt) as e:
            _log.debug("%s is of no use: %s", pack, e)
            return
        number = self.number(pack)
        footer = table.footer
        for block, kind in enumerate(footer.kind):
            if kind == DATA:
                spot = Spot(
                    number,
                    table.offsets[block],
                    footer.stored[block],
                    footer.length[block],
                    footer.codec[block],
                )
                self._blocks.setdefault(table.mark(block), spot)
