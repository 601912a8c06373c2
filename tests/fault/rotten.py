"""A whole small store in memory whose bytes can be spoiled behind everybody's back, and everything that reads it."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.errors import Corrupt, NotFound
from rote.laws.store.rooted import is_root
from rote.ports import Found
from rote.services.data.reading import LoadedNode
from rote.services.data.snapshots import Snapshots
from rote.services.models.channels import Channels
from rote.services.runs.livelog import unpack_segment
from rote.services.store import founding
from rote.services.store.fence import KEY as FENCE
from rote.services.store.roots import Roots
from rote.words.channel import AliasArchive
from rote.words.encoding import without_check
from rote.words.ids import digest
from rote.words.record import Fence, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef
from scenes import PIPELINE, data, founded, lay, opened


class Spoiled(MemoryStore):
    """A store in memory with a way behind it."""

    def spoil(self, key: str, body: bytes) -> None:
        self._objects[key] = Found(body, self._objects[key].etag)


def made(folder: Path, size: int = 0) -> Spoiled:
    """A store with data, a run with a log, a version, an alias with a long history, a fence, an open write, and `size`
    bytes more of data."""
    root = founded(folder / "rotten", PIPELINE.replace("cmd: mkdir", "cmd: echo sorting; mkdir"))
    lay(root / "data", data())
    opened(root, 0).add(str(root / "data"))
    assert opened(root, 1).run().ok
    opened(root, 2).models.release("digits")
    lay(root / "data", data(changed=True))
    opened(root, 3).add(str(root / "data"))
    assert opened(root, 4).run().ok
    opened(root, 5).models.release("digits")
    for n in range(30):
        opened(root, 6 + n).models.promote(f"digits@1.0.{n % 2}", "prod", why="w" * 200)
    opened(root, 51)._w.transactions.begin().put_pack(digest("1" * 64), b"a write that was given up")
    opened(root, 52).store.gc(delete=True, grace_hours=0)
    chance = random.Random(0)
    if size:
        noise = {f"n{n}.bin": chance.randbytes(66_000) for n in range(size // 66_000)}
        lay(root / "more", noise | {"text.txt": " ".join(str(n) for n in range(20_000))})
        opened(root, 53).add(str(root / "more"))
    opened(root, 54)._w.transactions.begin()._open()
    store, disk = Spoiled(), FolderStore(str(root / ".rote/store"))
    for meta in disk.list(""):
        store.create(meta.key, disk.get(meta.key).data)
    shutil.rmtree(root)
    return store


class Readers:
    """Who reads what: reads an object's bytes as everything of rote that relies on them does, and compares."""

    def __init__(self, store: Spoiled) -> None:
        self.store = store
        self.records: dict[str, SnapshotRecord] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.users: dict[str, list[tuple[int, int, SnapshotRecord, str]]] = {}
        snapshots = Snapshots(store)
        for meta in store.list("snapshots/"):
            names = meta.key.split("/")
            record = without_check(store.get(meta.key).data, SnapshotRecord, meta.key)
            assert names[2] == record.id
            self.records[meta.key] = record
            for node in snapshots.nodes(record):
                for row, path in enumerate(node.rows.paths):
                    self.files[record.id, path] = b"".join(snapshots.read(record, path))
                    self._note(record, node, row, path)

    def _note(self, record: SnapshotRecord, node: LoadedNode, row: int, path: str) -> None:
        places = node.places
        begin = sum(places.counts[:row])
        for block in places.blocks[begin : begin + places.counts[row]]:
            pack = places.packs[places.block_pack[block]]
            at = places.block_offset[block]
            self.users.setdefault(f"packs/{pack}", []).append(
                (at, at + places.block_stored[block], record, path)
            )

    def read(self, key: str, at: int) -> bool:
        """Whether whoever reads what the byte `at` belongs to is told that it is damaged. False if nobody reads it, or
        all that is read is right. Fails if anything wrong is believed."""
        names = key.split("/")
        store = self.store
        try:
            if names[0] == "packs":
                return self._pack(key, at)
            if key == founding.KEY:
                founding.read(store)
            elif key == FENCE:
                without_check(store.get(key).data, Fence, key)
            elif names[0] == "txns":
                without_check(store.get(key).data, Txn, key)
            elif names[0] == "snapshots":
                record = self.records[key]
                Snapshots(store).record(
                    SnapshotRef(record.id, record.txn, record.files, record.size, record.single)
                )
            elif is_root(key):
                Roots(store).envelope(key)
            elif names[0] == "runs":
                list(unpack_segment(store.get(key).data, key))
            elif len(names) == 5:
                without_check(store.get(key).data, AliasArchive, key)
            else:
                Channels(store).read(names[1], names[3])
        except Corrupt:
            return True
        return False

    def _pack(self, key: str, at: int) -> bool:
        told = False
        for begin, end, record, path in self.users.get(key, ()):
            if begin <= at < end:
                try:
                    found = b"".join(Snapshots(self.store).read(record, path))
                except (Corrupt, NotFound):
                    told = True
                    continue
                assert found == self.files[record.id, path], (key, at, path)
        for record in self.records.values():
            for number, node in enumerate(record.nodes):
                if (
                    f"packs/{record.packs[node.pack]}" == key
                    and node.offset <= at < node.offset + node.stored
                ):
                    try:
                        list(Snapshots(self.store).nodes(record, [number]))
                    except Corrupt:
                        told = True
        return told
