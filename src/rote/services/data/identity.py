"""The id of a tree, without a store."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec
from blake3 import blake3

from rote.laws.data.nodes import Rows, ends, logical, node_id, snapshot_id
from rote.ports import Columns, Progress, Tree
from rote.words.ids import Digest, SnapshotId

LARGE = 8 << 20
"""Files of so many bytes and more are read piece by piece."""


class Identity(msgspec.Struct, frozen=True):
    """What a tree is: its snapshot's id, the number of its files and the sum of their sizes in bytes."""

    id: SnapshotId
    files: int
    size: int
    single: bool


class Cutting:
    """Rows that arrive in batches, cut into nodes."""

    def __init__(self) -> None:
        self._part: Columns = Columns([], [], bytearray(), [])

    def add(self, batch: Columns) -> list[Columns]:
        """The nodes that are complete with this batch, in which every digest is known."""
        done: list[Columns] = []
        begin = 0
        for end in ends(batch.paths, len(self._part.paths)):
            done.append(self._take(batch, begin, end))
            self._part = Columns([], [], bytearray(), [])
            begin = end
        self._part = self._take(batch, begin, len(batch.paths))
        return done

    def rest(self) -> Columns | None:
        """The last node, if any row is left."""
        return self._part if self._part.paths else None

    def _take(self, batch: Columns, begin: int, end: int) -> Columns:
        part = self._part
        part.paths += batch.paths[begin:end]
        part.sizes += batch.sizes[begin:end]
        part.executables += batch.executables[begin:end]
        part.digests += batch.digests[begin:end]
        return part


def rows_of(node: Columns) -> Rows:
    """A whole node as rows; every digest is known."""
    digests = b"".join(node.digests)  # type: ignore[arg-type]  # none is None here: checked by what joins them
    return Rows(node.paths, node.sizes, bytes(node.executables), digests)


def unlike(batches: Iterable[Columns], ids: Collection[Digest]) -> tuple[list[Columns], set[Digest]]:
    """The nodes of a tree whose id is not among `ids`, and the ids of those that are. Every digest is known."""
    cutting = Cutting()
    differ: list[Columns] = []
    same: set[Digest] = set()

    def look(node: Columns) -> None:
        id = node_id(logical(rows_of(node)))
        if id in ids:
            same.add(id)
        else:
            differ.append(node)

    for batch in batches:
        for node in cutting.add(batch):
            look(node)
    rest = cutting.rest()
    if rest:
        look(rest)
    return differ, same


def identify(tree: Tree, progress: Progress) -> Identity:
    """What the tree is. Reads the files whose digest is not known. Raises BadPath, Changed."""
    cutting = Cutting()
    ids: list[Digest] = []
    files = size = 0
    progress.start("looking", unit="files")
    try:
        for batch in tree.batches():
            unknown = [i for i, digest in enumerate(batch.digests) if digest is None]
            for i in unknown:
                batch.digests[i] = content_digest(tree, batch.paths[i], batch.sizes[i])
            if unknown:
                tree.seen(batch)
            files += len(batch.paths)
            size += sum(batch.sizes)
            progress.step(len(batch.paths))
            ids += [node_id(logical(rows_of(node))) for node in cutting.add(batch)]
        rest = cutting.rest()
        if rest:
            ids.append(node_id(logical(rows_of(rest))))
    finally:
        progress.done()
    return Identity(id=snapshot_id(tree.single, ids), files=files, size=size, single=tree.single)


def of_rows(batches: Iterable[Columns], *, single: bool) -> SnapshotId:
    """The id of a tree whose rows come in the order of their paths, every digest known."""
    cutting = Cutting()
    ids = [node_id(logical(rows_of(node))) for batch in batches for node in cutting.add(batch)]
    rest = cutting.rest()
    if rest:
        ids.append(node_id(logical(rows_of(rest))))
    return snapshot_id(single, ids)


def content_digest(tree: Tree, path: str, size: int) -> bytes:
    """The digest of a file's bytes. Raises Changed."""
    if size < LARGE:
        return blake3(tree.read(path, size)).digest()
    memory = memoryview(bytearray(LARGE))
    hasher = blake3(max_threads=blake3.AUTO)
    with tree.stream(path, size) as fill:
        while got := fill(memory):
            hasher.update(memory[:got])
    return hasher.digest()
