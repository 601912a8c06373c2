"""Writing snapshots: read what is new, reuse what the store has, one record at the end (docs/format.md, 4 and 5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from blake3 import blake3

from rote.errors import Changed
from rote.laws.data.chunking import SMALL
from rote.laws.data.nodes import logical, node_id
from rote.ports import Columns, ObjectStore, Progress, Silence, Tree
from rote.services.data.composing import Composed
from rote.services.data.identity import Cutting, rows_of
from rote.services.data.locating import EMPTY, Location, Locator, Memory
from rote.services.data.noding import Noder
from rote.services.data.piecing import Piecer
from rote.services.data.reading import LoadedNode
from rote.services.data.snapshots import Snapshots
from rote.services.data.stamping import Stamped
from rote.services.store.packing import Packer
from rote.words.ids import Digest, TxnId, shown
from rote.words.record import StoreInfo
from rote.words.snapshot import SnapshotRecord, SnapshotRef

GROUP = 1 << 20
"""Small files share blocks of about so many bytes."""
FEW = 1 << 16
"""Less than this is stored again rather than looked for: looking costs requests, too."""


class Writing(Protocol):
    """The part of a write that saving needs: see transactions.Write."""

    id: TxnId

    def put_pack(self, digest: Digest, data: bytes | bytearray | memoryview) -> str:
        """Create a pack."""

    def usable(self, packs: Iterable[str]) -> set[str]:
        """Those of `packs` that may be relied upon."""

    def use(self, ref: SnapshotRef) -> bool:
        """Rely on a snapshot that exists."""

    def add_snapshot(self, record: SnapshotRecord) -> SnapshotRef:
        """Save a snapshot with the commit."""


class Relocating:
    """A write that may not rely on the packs `leaving`."""

    def __init__(self, write: Writing, leaving: frozenset[str]) -> None:
        self._write = write
        self._leaving = leaving
        self.id = write.id

    def put_pack(self, digest: Digest, data: bytes | bytearray | memoryview) -> str:
        """As the write does."""
        return self._write.put_pack(digest, data)

    def usable(self, packs: Iterable[str]) -> set[str]:
        """Those of `packs` that may be relied upon and are to stay."""
        return self._write.usable(set(packs) - self._leaving)

    def use(self, ref: SnapshotRef) -> bool:
        """Never: the snapshot is to be stored anew."""
        return False

    def add_snapshot(self, record: SnapshotRecord) -> SnapshotRef:
        """As the write does."""
        return self._write.add_snapshot(record)


class Stored(Tree, Protocol):
    """A tree that lies in the store."""

    def nodes(self) -> Iterator[LoadedNode]:
        """Its nodes, in order."""


class SnapshotWriter:
    """Saves trees in one write. Safe to share between threads: each call works for itself."""

    def __init__(
        self, store: ObjectStore, write: Writing, *, known: Memory | None = None, info: StoreInfo
    ) -> None:
        self._store = store
        self._write = write
        self._known = known
        self._info = info

    def save(
        self,
        tree: Tree,
        *,
        parent: SnapshotRecord | None = None,
        fresh: bool = False,
        progress: Progress | None = None,
    ) -> SnapshotRecord:
        """Save a tree, and return its record (the parent's, if that is the same and may be used).

        Reads files whose digest is not known or whose content is not found in the store; what `parent` or the known
        chunks already have is used again. `fresh` uses nothing again: whatever is damaged is written anew. Raises
        BadPath, Changed, StoreFull, StoreUnavailable, Unknown; a damaged parent is a reason to store anew, not an
        error.
        """
        progress = progress or Silence()
        hints = (None, None) if fresh else (parent, self._known)
        with _Saving(self._store, self._write, self._info, *hints) as saving:
            progress.start("saving", unit="files")
            try:
                for batch in tree.batches():
                    saving.take(tree, batch)
                    progress.step(len(batch.paths))
            finally:
                progress.done()
            return saving.finish(tree)

    def compose(
        self, parts: Mapping[str, SnapshotRecord], snapshots: Snapshots, stamped: Stamped | None = None
    ) -> SnapshotRecord:
        """One snapshot of several: the files of each below its path, or at its path if it is of a single file; those in
        `stamped` changed.

        No byte is copied unless a pack may no longer be used, or a file is changed. Raises BadPath if two would have
        one path, NotFound, Corrupt.
        """
        with _Saving(self._store, self._write, self._info, None, None) as saving:
            tree = Composed(parts, snapshots, saving.locator.learn, stamped)
            saving.few = 0
            for batch in tree.batches():
                saving.take(tree, batch)
            return saving.finish(tree)

    def relocate(self, tree: Stored, record: SnapshotRecord, write: Relocating) -> SnapshotRecord:
        """The same snapshot again, in packs that `write` may rely on: what lies in others is read and stored anew.

        Raises NotFound, Corrupt (nothing was written then), and as `save`.
        """
        with _Saving(self._store, write, self._info, record, None) as saving:
            saving.few = 0
            for node in tree.nodes():
                saving.locator.learn(node)
            for batch in tree.batches():
                saving.take(tree, batch)
            return saving.finish(tree)


class _Saving:
    """One snapshot that is being saved."""

    def __init__(
        self,
        store: ObjectStore,
        write: Writing,
        info: StoreInfo,
        parent: SnapshotRecord | None,
        known: Memory | None,
    ) -> None:
        self._write = write
        self._parent = parent
        self._noder = Noder()
        self._packer = Packer(
            write.id,
            write.put_pack,
            lambda: self._noder.flush(self._packer),
            known.remember if known else None,
        )
        self.locator = Locator(self._packer, write, Snapshots(store), self._parent, known)
        self._piecer = Piecer(self.locator, info)
        self._spots = self.locator.spots
        self._cutting = Cutting()
        self._locations: list[Location | None] = []
        self._group = _Group(self._packer)
        self.few = FEW
        self._bytes = 0

    def __enter__(self) -> _Saving:
        return self

    def __exit__(self, *error: object) -> None:
        self._piecer.close()
        self._packer.__exit__(None, None, None)
        # Callbacks tie these in a ring, and commands run without a collector of rings.
        self._spots.clear()
        self._locations.clear()

    # ---- rows --------------------------------------------------------------------------------------------------

    def take(self, tree: Tree, batch: Columns) -> None:
        """The next rows. Reads those whose digest is not known."""
        locations: list[Location | None] = [None] * len(batch.paths)
        unread = [row for row, digest in enumerate(batch.digests) if digest is None]
        if unread:
            sizes = batch.sizes
            look = self._worth_looking(sum(sizes[row] for row in unread))
            if look:
                self.locator.near(batch.paths[row] for row in unread)
            read, paths, digests = self._read, batch.paths, batch.digests
            for row in unread:
                digests[row], locations[row] = read(tree, paths[row], sizes[row], look)
            tree.seen(batch)
        self._locations += locations
        for node in self._cutting.add(batch):
            self._node(tree, node)

    def _worth_looking(self, size: int) -> bool:
        """Whether so many more bytes without a place are to be looked for before they are stored."""
        self._bytes += size
        return self.locator.has_hints and self._bytes >= self.few

    def _read(self, tree: Tree, path: str, size: int, look: bool) -> tuple[bytes, Location]:
        if size >= SMALL:
            return self._piecer.save(tree, path, size)
        data = tree.read(path, size)
        digest = blake3(data).digest()
        spot = self._spots.get(digest)
        if spot is None:
            if not data:
                return digest, EMPTY
            if look:
                spot = self.locator.find(digest)
            if spot is None:
                spot = self._spots[digest] = self._group.add(data, digest)
        return digest, spot

    def _node(self, tree: Tree, node: Columns) -> None:
        count = len(node.paths)
        locations = self._locations[:count]
        del self._locations[:count]
        rows = rows_of(node)
        content = logical(rows)
        id = node_id(content)
        ref = self.locator.node(id)
        if ref is not None and self._parent is not None:
            self._noder.reuse(ref, self._parent, self._packer)
            return
        if None in locations:
            self._locate(tree, node, locations)
        self._noder.add(rows, content, id, [x for x in locations if x is not None])

    def _locate(self, tree: Tree, node: Columns, locations: list[Location | None]) -> None:
        """Find, or read, the rows whose digest was known from the start."""
        unplaced = [row for row, location in enumerate(locations) if location is None]
        look = self._worth_looking(sum(node.sizes[row] for row in unplaced))
        if look:
            self.locator.near(node.paths[row] for row in unplaced)
        for row in unplaced:
            path, size, digest = node.paths[row], node.sizes[row], node.digests[row]
            assert digest is not None
            found: Location | None = None
            if look:
                found = EMPTY if not size else self.locator.file(digest)
            if found is None:
                read, found = self._read(tree, path, size, look)
                if read != digest:
                    raise Changed(
                        f"{shown(path)} changed while it was being read",
                        safe="nothing was saved",
                        next="do the same again",
                    )
            locations[row] = found

    # ---- the end -----------------------------------------------------------------------------------------------

    def finish(self, tree: Tree) -> SnapshotRecord:
        """Everything into the store; the record."""
        rest = self._cutting.rest()
        if rest:
            self._node(tree, rest)
        single = tree.single
        parent, packer = self._parent, self._packer
        if (
            parent is not None
            and packer.untouched
            and self._noder.id(single) == parent.id
            and self._write.use(parent.ref())
        ):
            return parent
        self._group.close()
        packer.settle()
        self._noder.flush(packer)
        packer.finish()
        record = self._noder.record(self._write.id, single, packer)
        self._write.add_snapshot(record)
        return record


class _Group:
    """Small files on their way into a block that they share."""

    def __init__(self, packer: Packer) -> None:
        self._packer = packer
        self._begin()

    def _begin(self) -> None:
        self._number = -1
        self._fill = 0
        self._parts: list[bytes] = []
        self._lengths: list[int] = []
        self._digests: list[bytes] = []

    def add(self, data: bytes, digest: bytes) -> int:
        """The spot that a chunk will have."""
        if self._number < 0:
            self._number = self._packer.reserve()
        spot = (self._number << 32) | self._fill
        self._parts.append(data)
        self._lengths.append(len(data))
        self._digests.append(digest)
        self._fill += len(data)
        if self._fill >= GROUP:
            self.close()
        return spot

    def close(self) -> None:
        """The block is complete."""
        if self._parts:
            self._packer.add(self._number, b"".join(self._parts), self._lengths, b"".join(self._digests))
        self._begin()
