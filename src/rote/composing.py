"""Several snapshots seen as one tree."""

from __future__ import annotations

import heapq
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rote import paths
from rote.errors import BadPath
from rote.ids import shown
from rote.ports import Columns
from rote.reading import LoadedNode
from rote.snapshot import FILE, SnapshotRecord
from rote.snapshots import Snapshots

_BATCH = 1024
_Row = tuple[str, int, int, bytes]


class Composed:
    """A ports.Tree of other snapshots' files: each below its path, or at its path if it is of a single file.

    `learn` is told of every node that was read. Raises BadPath if two files would have one path.
    """

    single = False

    def __init__(
        self, parts: Mapping[str, SnapshotRecord], snapshots: Snapshots, learn: Callable[[LoadedNode], None]
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

    def batches(self) -> Iterator[Columns]:
        """All files; every digest is known."""
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
                whole = prefix if record.single else f"{prefix}/{path}"
                yield paths.check(whole), rows.sizes[i], rows.executables[i], rows.digest(i)

    def read(self, path: str, size: int) -> bytes:
        """A whole file, out of the store. Only needed when its pack may no longer be used."""
        for prefix, record in self._parts.items():
            if record.single and prefix == path:
                return b"".join(self._snapshots.read(record, FILE))
            if not record.single and path.startswith(f"{prefix}/"):
                return b"".join(self._snapshots.read(record, path[len(prefix) + 1 :]))
        raise ValueError(f"{path} is of no part")

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        """As `read`."""
        yield io.BytesIO(self.read(path, size)).readinto

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered: these files lie in the store."""
