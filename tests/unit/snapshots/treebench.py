"""Trees and sinks in memory, and a store to save them in: nothing of rote is replaced but the disk."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rote.adapters.stores.memory import MemoryStore
from rote.ports import Columns, ObjectStore
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.store.known import Known
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.words.record import StoreInfo
from rote.words.snapshot import FILE, SnapshotRecord

INFO = StoreInfo(id="0" * 32, chunk_min=4096, chunk_avg=16384, chunk_max=65536)


class DictTree:
    """A ports.Tree of bytes in memory; `known` digests are vouched for, as a stat cache does."""

    def __init__(
        self,
        files: Mapping[str, bytes] | bytes,
        known: Mapping[str, bytes] | None = None,
        executables: Iterable[str] = (),
        batch: int = 100,
    ) -> None:
        self.single = isinstance(files, bytes)
        self.files = {FILE: files} if isinstance(files, bytes) else dict(files)
        self.known = dict(known or {})
        self.executables = set(executables)
        self.batch = batch
        self.read_paths: list[str] = []

    def batches(self) -> Iterator[Columns]:
        paths = sorted(self.files, key=str.encode)
        for begin in range(0, len(paths), self.batch):
            here = paths[begin : begin + self.batch]
            yield Columns(
                here,
                [len(self.files[path]) for path in here],
                bytearray(path in self.executables for path in here),
                [self.known.get(path) for path in here],
            )

    def read(self, path: str, size: int) -> bytes:
        self.read_paths.append(path)
        return self.files[path]

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        self.read_paths.append(path)
        yield io.BytesIO(self.files[path]).readinto

    def seen(self, batch: Columns) -> None:
        assert None not in batch.digests
        self.known.update(
            {path: digest for path, digest in zip(batch.paths, batch.digests, strict=True) if digest}
        )


class DictSink(dict[str, bytes]):
    """A ports.Sink that keeps whole files only."""

    def __init__(self) -> None:
        super().__init__()
        self.executables: set[str] = set()

    def file(self, path, size, executable, digest, parts) -> None:
        data = b"".join(bytes(part) for part in parts)
        assert len(data) == size
        self[path] = data
        if executable:
            self.executables.add(path)


class Bench:
    """A store, and the two calls that most tests make."""

    def __init__(
        self,
        store: ObjectStore | None = None,
        known: Known | None = None,
        info: StoreInfo = INFO,
        seed: int = 0,
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = StillClock(seed=seed)
        self.known = known
        self.info = info
        self.snapshots = Snapshots(self.store)

    def save(
        self, tree: DictTree, parent: SnapshotRecord | None = None, fresh: bool = False
    ) -> SnapshotRecord:
        with Transactions(self.store, self.clock, "me@here").begin() as write:
            writer = SnapshotWriter(self.store, write, known=self.known, info=self.info)
            record = writer.save(tree, parent=parent, fresh=fresh)
            write.commit()
        return record

    def compose(self, parts: Mapping[str, SnapshotRecord]) -> SnapshotRecord:
        with Transactions(self.store, self.clock, "me@here").begin() as write:
            record = SnapshotWriter(self.store, write, info=self.info).compose(parts, self.snapshots)
            write.commit()
        return record

    def restore(self, record: SnapshotRecord, **options) -> DictSink:
        sink = DictSink()
        self.snapshots.restore(self.snapshots.record(record.ref()), sink, **options)
        return sink

    def packs(self) -> dict[str, int]:
        """Pack -> size in bytes."""
        return {meta.key.removeprefix("packs/"): meta.size for meta in self.store.list("packs/")}

    def spoil(self, key: str, change: Callable[[bytearray], bytearray | None]) -> None:
        """Change an object's bytes, as a rotting disk does."""
        found = self.store.get(key)
        data = bytearray(found.data)
        changed = change(data)
        self.store.replace(key, bytes(data if changed is None else changed), found.etag)


def noise(size: int, seed: int = 1) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def many(count: int, size: int = 300, seed: int = 1) -> dict[str, bytes]:
    """Small files that do not compress, in folders of 100."""
    rnd = random.Random(seed)
    return {f"{i // 100:03}/{i:06}.bin": rnd.randbytes(rnd.randrange(1, 2 * size)) for i in range(count)}
