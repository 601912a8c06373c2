"""A damaged snapshot as one tree of what is still sound: its own blocks, equal chunks elsewhere, files."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager

from blake3 import blake3

from rote.errors import BadPath, Changed, Corrupt, NotFound
from rote.laws.data.nodes import DIGEST
from rote.ports import Columns, ObjectStore, Tree
from rote.services.data.presence import Table, Tables
from rote.services.data.reading import LoadedNode, Pieces
from rote.services.data.snapshots import Snapshots
from rote.services.store import packs
from rote.words.ids import shown
from rote.words.snapshot import SnapshotRecord


class ChunkFinder:
    """Finds chunks by their digest in all packs of a store but those in `shun`: the tables of contents of all packs are
    read, once."""

    def __init__(self, store: ObjectStore, shun: Container[str] = ()) -> None:
        self._store = store
        self._shun = shun
        self._where: dict[bytes, tuple[str, int]] = {}
        self._tables = Tables(store)

    def look_for(self, wanted: set[bytes]) -> None:
        """Find out where these chunks lie."""
        for pack in self._tables.sizes:
            if pack in self._shun:
                continue
            try:
                digests = self._tables.get(pack).footer.digests
            except (NotFound, Corrupt):
                continue  # damaged as well
            for number in range(len(digests) // DIGEST):
                digest = digests[number * DIGEST : number * DIGEST + DIGEST]
                if digest in wanted:
                    self._where.setdefault(digest, (pack, number))

    def get(self, digest: bytes) -> bytes | None:
        """The chunk, verified, or None."""
        found = self._where.get(digest)
        if found is None:
            return None
        pack, number = found
        try:
            data = _chunk(self._store, self._tables.get(pack), number)
        except (NotFound, Corrupt):
            return None
        return data if blake3(data).digest() == digest else None


def _chunk(store: ObjectStore, table: Table, number: int) -> bytes:
    block = next(b for b in range(len(table.firsts) - 1) if table.firsts[b + 1] > number)
    footer = table.footer
    data = store.get_range(f"packs/{table.name}", table.offsets[block], footer.stored[block])
    plain = packs.unpack(data, footer.codec[block], footer.length[block], table.name)
    start = sum(footer.chunk_length[table.firsts[block] : number])
    return bytes(plain[start : start + footer.chunk_length[number]])


class Patched:
    """A ports.Tree of a snapshot of which the packs in `bad` are damaged. Its nodes must be sound."""

    def __init__(
        self,
        store: ObjectStore,
        record: SnapshotRecord,
        bad: Container[str],
        finders: Sequence[ChunkFinder],
        trees: Sequence[Tree],
    ) -> None:
        """`trees` are working trees that may have some of the files. Raises NotFound, Corrupt for a damaged node."""
        self.single = record.single
        self._store = store
        self._record = record
        self._finders = finders
        self._trees = [tree for tree in trees if _is_there(tree, record.single)]
        self._snapshots = Snapshots(store)
        wanted = {digest for node in self._snapshots.nodes(record) for digest in _lost(node, bad)}
        for finder in finders:
            finder.look_for(wanted)

    def batches(self) -> Iterator[Columns]:
        """All rows; every digest is known."""
        return self._snapshots.columns(self._record)

    def read(self, path: str, size: int) -> bytes:
        """A whole file, from wherever it is sound. Raises Corrupt if nobody has it."""
        node, row = self._snapshots.locate(self._record, path)
        try:
            pieces = Pieces(self._store, iter([(node, [row])]), self._have)
            return b"".join(bytes(part) for file in pieces.files() for part in file.parts)
        except (NotFound, Corrupt) as e:
            for tree in self._trees:
                try:
                    data = tree.read(path, size)
                except (Changed, BadPath, OSError):
                    continue
                if blake3(data).digest() == node.rows.digest(row):
                    return data
            raise Corrupt(
                f"nobody has the content of {shown(path)}", where=f"snapshot {self._record.id[:12]}"
            ) from e

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        """As `read`."""
        yield io.BytesIO(self.read(path, size)).readinto

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered."""

    def _have(self, digest: bytes) -> bytes | None:
        return next((data for finder in self._finders if (data := finder.get(digest)) is not None), None)


def _is_there(tree: Tree, single: bool) -> bool:
    """Whether the tree is of the same kind; it is looked at once, so that its files can be read."""
    if tree.single != single:
        return False
    for _ in tree.batches():
        pass
    return True


def _lost(node: LoadedNode, bad: Container[str]) -> Iterator[bytes]:
    """Digests of the chunks that lie in bad packs."""
    rows, places = node.rows, node.places
    at = many = 0
    for row, count in enumerate(places.counts):
        for k in range(count):
            if places.packs[places.block_pack[places.blocks[at + k]]] in bad:
                start = (many + k) * DIGEST
                yield rows.digest(row) if count == 1 else places.digests[start : start + DIGEST]
        at += count
        many += count if count > 1 else 0
