"""Repacking: packs that are mostly dead are emptied into new ones (docs/format.md, 11.5)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from rote.errors import Corrupt, NotFound
from rote.ports import Columns
from rote.ports.logger import Logger
from rote.services.data.ingest import Relocating, SnapshotWriter
from rote.services.data.reading import LoadedNode
from rote.services.data.snapshots import Snapshots
from rote.services.store.transactions import Beaten, LostTxn, Transactions, Write
from rote.services.upkeep.marking import Look, Marker
from rote.words.ids import TxnId
from rote.words.record import LIVE
from rote.words.snapshot import SnapshotRecord, SnapshotRef

_log = Logger(__name__)

DEAD = 0.5
"""A pack of which less than this share is needed is mostly dead."""


class Sparse(msgspec.Struct, frozen=True):
    """A pack that is mostly dead; sizes in bytes."""

    pack: str
    size: int
    needed: int
    """Bytes of it that are needed, about."""


class Repacked(msgspec.Struct):
    """What became of mostly dead packs."""

    packs: list[Sparse] = []
    snapshots: int = 0
    """Snapshots that were stored anew."""
    roots: int = 0
    """Roots that name the new records."""


class Repacking:
    """Finds packs that are mostly dead, and empties them. `writer(write)` saves snapshots within a write."""

    def __init__(
        self,
        marker: Marker,
        snapshots: Snapshots,
        transactions: Transactions,
        writer: Callable[[Write], SnapshotWriter],
    ) -> None:
        self._marker = marker
        self._snapshots = snapshots
        self._transactions = transactions
        self._writer = writer

    # ---- finding -------------------------------------------------------------------------------------------------

    def find(self, look: Look, sizes: Mapping[str, int]) -> list[Sparse]:
        """The packs that are mostly dead and can be emptied; `sizes` are those of all packs, by key."""
        users, fixed = self._users(look)
        # A pack is written for one snapshot. As long as a record of the same write needs it, all of it is needed.
        doubtful = {
            pack
            for pack, records in users.items()
            if pack not in fixed and pack.partition("/")[0] not in {record.txn for record in records}
        }
        if not doubtful:
            return []
        needed = self._needed({r.txn + r.id: r for p in doubtful for r in users[p]}.values(), doubtful)
        found = []
        for pack in sorted(doubtful):
            size = sizes.get(f"packs/{pack}")
            if size is not None and needed.get(pack, 0) < size * DEAD:
                found.append(Sparse(pack, size, round(needed.get(pack, 0))))
        return found

    def _users(self, look: Look) -> tuple[dict[str, list[SnapshotRecord]], set[str]]:
        """Pack -> the records that need it; and the packs that are needed by something that cannot be moved."""
        movable, fixed = _refs(look)
        users: dict[str, list[SnapshotRecord]] = {}
        for record in self._marker.records(sorted(f"snapshots/{key}" for key in movable - fixed)):
            for pack in record.packs:
                users.setdefault(pack, []).append(record)
        stuck = {f"snapshots/{key}" for key in fixed}
        pinned = {pack for txn in look.open.values() for pack in txn.packs}
        pinned |= {pack for record in self._marker.records(sorted(stuck)) for pack in record.packs}
        return users, pinned

    def _needed(self, records: Iterable[SnapshotRecord], packs: set[str]) -> dict[str, float]:
        """Bytes that are needed of each of these packs: of a block, the share of it that files need."""
        blocks: dict[tuple[str, int], tuple[int, int, dict[int, int]]] = {}
        total: dict[str, float] = {}
        for record in records:
            numbers = [
                i
                for i, node in enumerate(record.nodes)
                if packs & {record.packs[p] for p in (node.pack, *node.into)}
            ]
            for number in numbers:
                ref = record.nodes[number]
                if record.packs[ref.pack] in packs:
                    blocks[record.packs[ref.pack], ref.offset] = (ref.stored, 1, {0: 1})
            try:
                for node in self._snapshots.nodes(record, numbers):
                    _count(node, packs, blocks)
            except (NotFound, Corrupt) as e:
                _log.debug("a snapshot that is damaged is not moved: %s", e)
                return {pack: float("inf") for pack in packs}
        for (pack, _), (stored, length, chunks) in blocks.items():
            total[pack] = total.get(pack, 0.0) + stored * min(1.0, sum(chunks.values()) / max(length, 1))
        return total

    # ---- emptying ------------------------------------------------------------------------------------------------

    def empty(self, look: Look, sparse: Sequence[Sparse]) -> Repacked:
        """Store what is needed of these packs elsewhere, and let the roots name that. A root that changed meanwhile is
        left as it is. The packs themselves are garbage for the next collection."""
        done = Repacked(packs=list(sparse))
        dying = frozenset(s.pack for s in sparse)
        movable, fixed = _refs(look)
        for record in self._marker.records(sorted(f"snapshots/{key}" for key in movable - fixed)):
            if dying.isdisjoint(record.packs):
                continue
            try:
                done.roots += self._move(look, record, dying)
                done.snapshots += 1
            except (Beaten, LostTxn, NotFound, Corrupt) as e:
                _log.debug("not moved this time: %s", e)  # damage is for `rote store check` to tell
        return done

    def _move(self, look: Look, record: SnapshotRecord, dying: frozenset[str]) -> int:
        old = record.ref()
        roots = [seen for seen in look.roots if seen.root.state == LIVE and old in seen.root.needs]
        with self._transactions.begin() as write:
            new = self._writer(write).relocate(
                _Stored(record, self._snapshots), record, Relocating(write, dying)
            )
            if new.id != record.id:
                raise Corrupt(
                    "what lies in the store is not the snapshot that its record says",
                    where=f"snapshots/{old.key}",
                    safe="nothing was changed",
                    next="rote store check",
                )
            for seen in roots:
                needs = [new.ref() if ref == old else ref for ref in seen.root.needs]
                body = _renamed(seen.root.body, old, new.txn)
                write.root(seen.key, body, needs, replace=True, expected=seen.root)
            write.commit()
        return len(roots)


class _Stored:
    """A ports.Tree of a snapshot that lies in the store."""

    def __init__(self, record: SnapshotRecord, snapshots: Snapshots) -> None:
        self._record = record
        self._snapshots = snapshots

    @property
    def single(self) -> bool:
        return self._record.single

    def nodes(self) -> Iterator[LoadedNode]:
        return self._snapshots.nodes(self._record)

    def batches(self) -> Iterator[Columns]:
        return self._snapshots.columns(self._record)

    def read(self, path: str, size: int) -> bytes:
        return b"".join(self._snapshots.read(self._record, path))

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        parts = self._snapshots.read(self._record, path)
        with io.BufferedReader(_Parts(parts), 1 << 20) as file:
            yield file.readinto

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered: these files lie in the store."""


class _Parts(io.RawIOBase):
    """Pieces of bytes as a file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = memoryview(part)
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _refs(look: Look) -> tuple[set[str], set[str]]:
    """Snapshots that live roots need, and those that something else needs, which must not be moved."""
    movable: set[str] = set()
    fixed = {channel.snapshot.key for channel in look.channels.values()}
    fixed |= {snapshot for txn in look.open.values() for snapshot in txn.snapshots}
    for seen in look.roots:
        keys = {ref.key for ref in seen.kept()}
        is_movable = seen.root.state == LIVE and not seen.key.startswith("models/")
        (movable if is_movable else fixed).update(keys)
    return movable, fixed


def _count(
    node: LoadedNode, packs: set[str], blocks: dict[tuple[str, int], tuple[int, int, dict[int, int]]]
) -> None:
    rows, places = node.rows, node.places
    at = many = 0
    for row, count in enumerate(places.counts):
        for k in range(count):
            length = places.lengths[many + k] if count > 1 else rows.sizes[row]
            block = places.blocks[at + k]
            pack = places.packs[places.block_pack[block]]
            if pack in packs:
                entry = blocks.setdefault(
                    (pack, places.block_offset[block]),
                    (places.block_stored[block], places.block_length[block], {}),
                )
                entry[2][places.starts[at + k]] = length
        at += count
        many += count if count > 1 else 0


def _renamed(body: Any, old: SnapshotRef, txn: TxnId) -> Any:
    """The body with the new transaction in every reference to the old record."""
    if isinstance(body, list):
        return [_renamed(item, old, txn) for item in body]
    if not isinstance(body, dict):
        return body
    if body.get("id") == old.id and body.get("txn") == old.txn:
        return {**body, "txn": txn}
    return {key: _renamed(value, old, txn) for key, value in body.items()}
