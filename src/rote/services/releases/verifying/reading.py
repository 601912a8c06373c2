"""Reading all of a snapshot, for nothing but the certainty."""

from __future__ import annotations

from collections.abc import Iterable

from rote.services.data.snapshots import Snapshots
from rote.words.snapshot import SnapshotRecord


class _Nowhere:
    """A ports.Sink that keeps nothing."""

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        for _ in parts:
            pass


def read_all(snapshots: Snapshots, record: SnapshotRecord) -> None:
    """Read and verify every byte. Raises NotFound, Corrupt."""
    snapshots.restore(record, _Nowhere())
