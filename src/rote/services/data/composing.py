"""Several snapshots seen as one tree."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rote.errors import BadPath
from rote.laws.models.stamps import edited, grown
from rote.ports import Columns
from rote.services.data.reading import LoadedNode
from rote.services.data.snapshots import Snapshots
from rote.services.data.stamping import Stamped
from rote.words import paths
from rote.words.ids import shown
from rote.words.snapshot import FILE, SnapshotRecord

_BATCH = 1024
_Row = tuple[str, int, int, bytes | None]


class Composed:
    """A ports.Tree of other snapshots' files: each below its path, or at its path if it is of a single file.

    `learn` is told of every node that was read; the files in `stamped` are changed on their way. Raises BadPath if two
    files would have one path.
    """

    single = False

    def __init__(
        self,
        parts: Mapping[str, SnapshotRecord],
        snapshots: Snapshots,
        learn: Callable[[LoadedNode], None],
        stamped: Stamped | None = None,
    ) -> None:
        for prefix in parts:
            paths.check(prefix)
        clash = paths.clash(parts)
        if clash:
            raise BadPath(
                f"{shown(clash[0])} and {shown(clash[1])} cannot be in one snapshot: they differ only in case, "
                "or one is a folder there and a file here"
            )
        self._parts = parts
        self._snapshots = snapshots
        self._learn = learn
        self._stamped = stamped or Stamped()

    def batches(self) -> Iterator[Columns]:
        """All files; every digest is known but those of files that are changed."""
        streams = [self._rows(prefix, record) for prefix, record in self._parts.items()]
        batch = Columns([], [], bytearray(), [])
        for path, size, executable, digest in heapq.merge(*streams):
            batch.paths.append(path)
            batch.sizes.append(size)
            batch.executables.append(executable)
            batch.digests.append(digest)
            if len(batch.paths) >= _BATCH:
                yield batch
                batch = Columns([], [], bytearray(), [])
        yield batch

    def _rows(self, prefix: str, record: SnapshotRecord) -> Iterator[_Row]:
        for node in self._snapshots.nodes(record):
            self._learn(node)
            rows = node.rows
            for i, path in enumerate(rows.paths):
                whole = paths.check(prefix if record.single else f"{prefix}/{path}")
                edits = self._stamped.edits.get(whole)
                if edits is None:
                    yield whole, rows.sizes[i], rows.executables[i], rows.digest(i)
                else:
                    yield whole, grown(rows.sizes[i], edits), rows.executables[i], None

    def read(self, path: str, size: int) -> bytes:
        """A whole file, out of the store. Only needed when its pack may no longer be used, or it is changed."""
        return b"".join(self._pieces(path))

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        """As `read`."""
        pieces = self._pieces(path)
        rest = memoryview(b"")

        def fill(memory: memoryview) -> int:
            nonlocal rest
            while not rest:
                piece = next(pieces, None)
                if piece is None:
                    return 0
                rest = memoryview(piece)
            got = min(len(rest), len(memory))
            memory[:got] = rest[:got]
            rest = rest[got:]
            return got

        yield fill

    def _pieces(self, path: str) -> Iterator[bytes]:
        for prefix, record in self._parts.items():
            if record.single and prefix == path:
                pieces = self._snapshots.read(record, FILE)
            elif not record.single and path.startswith(f"{prefix}/"):
                pieces = self._snapshots.read(record, path[len(prefix) + 1 :])
            else:
                continue
            return edited(pieces, self._stamped.edits.get(path, ()))
        raise ValueError(f"{path} is of no part")

    def seen(self, batch: Columns) -> None:
        """What files are that were changed. Nothing is remembered of others: they lie in the store."""
        for path, size, digest in zip(batch.paths, batch.sizes, batch.digests, strict=True):
            if path in self._stamped.edits and digest is not None:
                self._stamped.told(path, size, digest)
