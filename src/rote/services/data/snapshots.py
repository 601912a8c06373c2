"""Reading snapshots: records, nodes, single files and whole trees, every byte verified (docs/format.md, 4)."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Container, Iterator, Sequence, Set
from itertools import pairwise

from blake3 import blake3

from rote.errors import BadPath, Corrupt, Missing, NotFound
from rote.laws.data.nodes import MAX_NODE, check_single, decode, node_id, snapshot_id
from rote.ports import Columns, ObjectStore, Progress, Silence, Sink
from rote.services.data.reading import LoadedNode, Pieces, coalesced, forget
from rote.services.store import abreast, packs
from rote.words import paths
from rote.words.encoding import without_check
from rote.words.ids import Digest, SnapshotId, nearest, shown, txn_id
from rote.words.record import Root
from rote.words.snapshot import ZSTD, Entry, NodeRef, SnapshotRecord, SnapshotRef

_BATCH = 16
_AHEAD = 4
"""Batches of nodes under way at once, of a store that is far."""
_GAP = 1 << 16
_RECORDS = 4


class NodeCache:
    """Nodes that were read lately, unpacked and verified, by their check digest, at most `limit` bytes of them; and the
    last few records. Thread-safe.

    It saves the second reading of what is looked through first and read then; to be large it need not be.
    """

    def __init__(self, limit: int = 4 << 20) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._size = 0
        self._nodes: OrderedDict[Digest, bytes] = OrderedDict()
        self._records: OrderedDict[str, SnapshotRecord] = OrderedDict()

    def get(self, check: Digest) -> bytes | None:
        """The node, or None."""
        with self._lock:
            found = self._nodes.get(check)
            if found is not None:
                self._nodes.move_to_end(check)
            return found

    def put(self, check: Digest, data: bytes) -> None:
        """Remember a node."""
        with self._lock:
            if check not in self._nodes and len(data) <= self.limit:
                self._nodes[check] = data
                self._size += len(data)
                while self._size > self.limit:
                    self._size -= len(self._nodes.popitem(last=False)[1])

    def record(self, key: str) -> SnapshotRecord | None:
        """A record that was read lately (whoever looks whether it is there reads it next), or None."""
        with self._lock:
            return self._records.get(key)

    def put_record(self, key: str, record: SnapshotRecord) -> None:
        """Remember a record: it never changes. The last few are kept."""
        with self._lock:
            self._records[key] = record
            if len(self._records) > _RECORDS:
                self._records.popitem(last=False)


class Snapshots:
    """Reads snapshots from a store. Safe to share between threads, except for one iterator."""

    def __init__(self, store: ObjectStore, *, cache: NodeCache | None = None) -> None:
        self._store = store
        self._cache = cache

    # ---- records -----------------------------------------------------------------------------------------------

    def record(self, ref: SnapshotRef) -> SnapshotRecord:
        """The record of a snapshot. Raises Missing, Corrupt, TooNew."""
        key = f"snapshots/{ref.key}"
        known = self._cache.record(key) if self._cache else None
        if known is not None:
            return known
        try:
            data = self._store.get(key).data
        except NotFound as e:
            raise _missing(ref.id, key) from e
        record = without_check(data, SnapshotRecord, key)
        check_record(record, ref, key)
        if self._cache:
            self._cache.put_record(key, record)
        return record

    def find(self, id: SnapshotId) -> SnapshotRef:
        """Where a snapshot with this id lies: what its data root names, else the newest record. Raises Missing."""
        return self._by_root(id) or self._by_list(id)

    def _by_root(self, id: SnapshotId) -> SnapshotRef | None:
        key = f"data/{id[:2]}/{id}"
        try:
            root = without_check(self._store.get(key).data, Root, key)
        except NotFound:
            return None
        ref = next((need for need in root.needs if need.id == id), None)
        try:
            return self.record(ref).ref() if ref else None
        except Missing:
            return None

    def _by_list(self, id: SnapshotId) -> SnapshotRef:
        prefix = f"snapshots/{id[:2]}/{id}/"
        found = [meta.key for meta in self._store.list(prefix)]
        for key in reversed(found):
            txn = txn_id(key.rpartition("/")[2])
            record = without_check(self._store.get(key).data, SnapshotRecord, key)
            check_record(record, SnapshotRef(id, txn, record.files, record.size, record.single), key)
            return record.ref()
        raise _missing(id, prefix)

    # ---- nodes -------------------------------------------------------------------------------------------------

    def nodes(self, record: SnapshotRecord, numbers: Sequence[int] | None = None) -> Iterator[LoadedNode]:
        """The nodes with these numbers (all if None), in order, verified. Raises NotFound, Corrupt."""
        wanted = range(len(record.nodes)) if numbers is None else numbers
        batches = (
            [record.nodes[i] for i in wanted[begin : begin + _BATCH]]
            for begin in range(0, len(wanted), _BATCH)
        )

        def fetched(refs: list[NodeRef]) -> list[tuple[NodeRef, bytes]]:
            return list(zip(refs, self._fetch(record, refs), strict=True))

        for batch in abreast.ahead(self._store, fetched, batches, _AHEAD):
            for ref, data in batch:
                yield self._load(record, ref, data)

    def _fetch(self, record: SnapshotRecord, refs: Sequence[NodeRef]) -> list[bytes]:
        have: dict[Digest, bytes] = {}
        if self._cache:
            have = {r.check: data for r in refs if (data := self._cache.get(r.check)) is not None}
        for pack in dict.fromkeys(ref.pack for ref in refs if ref.check not in have):
            name = record.packs[pack]
            here = [ref for ref in refs if ref.pack == pack and ref.check not in have]
            spans = [(ref.offset, ref.stored) for ref in here]
            try:
                stored = coalesced(self._store, name, spans, _GAP)
            except NotFound as e:
                raise packs.gone(name, f"snapshot {record.id[:12]}") from e
            except Corrupt as e:
                raise packs.damaged(name, "it is shorter than it should be") from e
            for ref, packed in zip(here, stored, strict=True):
                data = bytes(packs.unpack(packed, ZSTD, ref.length, name, MAX_NODE))
                if blake3(data).hexdigest() != ref.check:
                    forget(self._store, name)
                    raise packs.damaged(name, "a node of a snapshot is not what its digest says")
                have[ref.check] = data
                if self._cache:
                    self._cache.put(ref.check, data)
        return [have[ref.check] for ref in refs]

    def _load(self, record: SnapshotRecord, ref: NodeRef, data: bytes) -> LoadedNode:
        where = f"packs/{record.packs[ref.pack]}"
        rows, places, cut = decode(data, where)
        figures = (rows.paths[0], len(rows.paths), sum(rows.sizes))
        if node_id(data[:cut]) != ref.id or figures != (ref.first, ref.files, ref.size):
            raise Corrupt(
                "a node of this snapshot is not the one that its record names",
                where=where,
                next="rote store check",
            )
        check_single(record.single, rows.paths, where)
        return LoadedNode(rows, places, record.packs[ref.pack])

    # ---- rows --------------------------------------------------------------------------------------------------

    def columns(self, record: SnapshotRecord) -> Iterator[Columns]:
        """All rows, node by node, every digest filled. Raises NotFound, Corrupt."""
        for node in self.nodes(record):
            rows = node.rows
            _check_paths(rows.paths, record)
            digests: list[bytes | None] = [
                rows.digests[at : at + 32] for at in range(0, len(rows.digests), 32)
            ]
            yield Columns(rows.paths, rows.sizes, bytearray(rows.executables), digests)

    def entries(self, record: SnapshotRecord) -> Iterator[Entry]:
        """All rows, one by one. Raises as `columns`."""
        for batch in self.columns(record):
            for path, size, executable, digest in zip(
                batch.paths, batch.sizes, batch.executables, batch.digests, strict=True
            ):
                assert digest is not None
                yield Entry(path, size, bool(executable), digest)

    def lookup(self, record: SnapshotRecord, path: str) -> Entry:
        """One row, from one node. Raises Missing with the nearest path, NotFound, Corrupt."""
        node, row = self.locate(record, path)
        rows = node.rows
        return Entry(path, rows.sizes[row], bool(rows.executables[row]), rows.digest(row))

    def locate(self, record: SnapshotRecord, path: str) -> tuple[LoadedNode, int]:
        """The node that has this path, and its row. Raises Missing with the nearest path, NotFound, Corrupt."""
        number = bisect_right([ref.first for ref in record.nodes], path) - 1
        node = None
        if record.nodes:
            node = next(self.nodes(record, [max(number, 0)]))
            row = bisect_right(node.rows.paths, path) - 1
            if row >= 0 and node.rows.paths[row] == path:
                return node, row
        near = nearest(path, node.rows.paths) if node else None
        raise Missing(
            f"this snapshot has no file {shown(path)}",
            where=f"snapshot {record.id[:12]}",
            next=f"did you mean {shown(near)}?" if near else "rote ls shows what it has",
        )

    # ---- content -----------------------------------------------------------------------------------------------

    def read(self, record: SnapshotRecord, path: str) -> Iterator[bytes]:
        """The bytes of one file, piece by piece, each verified. Raises Missing, NotFound, Corrupt."""
        node, row = self.locate(record, path)
        pieces = Pieces(self._store, iter([(node, [row])]), None)
        for file in pieces.files():
            for part in file.parts:
                yield bytes(part)

    def restore(
        self,
        record: SnapshotRecord,
        sink: Sink,
        *,
        only: Container[str] | None = None,
        have: Callable[[bytes], bytes | None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the snapshot's files (those in `only`, if given) to a sink, in path order.

        Ranges that lie close together are read as one. `have(digest)` may supply a chunk from this machine; it is
        verified like any other. Raises NotFound, Corrupt (with every file named before it complete), and what the
        sink raises.
        """
        progress = progress or Silence()
        progress.start("restoring", record.files if only is None else None, "files")
        try:
            for file in Pieces(self._store, self._wanted(record, only), have).files():
                sink.file(file.path, file.size, file.executable, file.digest, file.parts)
                progress.step()
        finally:
            progress.done()

    def _wanted(
        self, record: SnapshotRecord, only: Container[str] | None
    ) -> Iterator[tuple[LoadedNode, Sequence[int]]]:
        numbers: Sequence[int] | None = None
        if isinstance(only, Set):
            firsts = [ref.first for ref in record.nodes]
            numbers = sorted({max(bisect_right(firsts, path) - 1, 0) for path in only}) if firsts else []
        together = paths.Together()
        for node in self.nodes(record, numbers):
            listed = node.rows.paths
            _check_paths(listed, record, together)
            yield (
                node,
                [i for i, path in enumerate(listed) if path in only]
                if only is not None
                else range(len(listed)),
            )


def _missing(id: SnapshotId, where: str) -> Missing:
    return Missing(
        f"the store does not hold the snapshot {id[:12]}",
        where=where,
        next="check the store's address (rote config), or add the data again from a copy (rote add)",
    )


def check_record(record: SnapshotRecord, ref: SnapshotRef, key: str) -> None:
    """Raises Corrupt if the record, read from `key`, is not the one that `ref` says, or does not add up."""
    nodes = record.nodes
    why = None
    if (record.id, record.txn) != (ref.id, ref.txn):
        why = "it is that of another snapshot"
    elif snapshot_id(record.single, [node.id for node in nodes]) != record.id:
        why = "its nodes are not those of its id"
    elif (sum(n.files for n in nodes), sum(n.size for n in nodes)) != (record.files, record.size):
        why = "its figures do not add up"
    elif any(not 0 <= i < len(record.packs) for n in nodes for i in (n.pack, *n.into)):
        why = "a node of it lies in a pack that is not listed"
    elif any(a.first >= b.first for a, b in pairwise(nodes)):
        why = "its nodes are not in order"
    elif any(min(n.files, n.size, n.offset, n.stored, n.length) < 0 for n in nodes):
        why = "a figure in it is negative"
    if why:
        raise Corrupt(f"this snapshot's record is damaged: {why}", where=key, next="rote store check")


def _check_paths(
    listed: Sequence[str], record: SnapshotRecord, together: paths.Together | None = None
) -> None:
    try:
        for path in listed:
            paths.check(path)
        if together is not None:
            together.add(listed)
    except BadPath as e:
        raise Corrupt(
            f"this snapshot holds a path that no snapshot may hold: {e.what}",
            where=f"snapshot {record.id[:12]}",
            safe="nothing was written outside the folder",
            next="rote store check",
        ) from e
