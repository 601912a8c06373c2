"""What the real code writes, read by a reader that was written from docs/format.md alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from second_reader import Damaged, SecondReader

from rote.adapters.stores.folder import FolderStore
from rote.adapters.worktree.workspace import Workspace
from rote.ports import Silence
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.words.record import StoreInfo
from rote.words.snapshot import SnapshotRecord

INFO = StoreInfo(id="0" * 32, chunk_min=65536, chunk_avg=262144, chunk_max=1048576)


class Bench:
    def __init__(self, root: Path) -> None:
        (root / "tree").mkdir()
        self.root = root
        self.store = FolderStore(str(root / "store"))
        self.txns = Transactions(self.store, StillClock(), "me@here")
        self.reader = SecondReader(root / "store")

    def write(self, files: dict[str, bytes]) -> None:
        for path, data in files.items():
            full = self.root / "tree" / path
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_bytes(data)

    def save(self, path: str = "tree", parent: SnapshotRecord | None = None) -> SnapshotRecord:
        tree = Workspace(str(self.root)).tree(path)
        with self.txns.begin() as write:
            writer = SnapshotWriter(self.store, write, info=INFO)
            record = writer.save(tree, parent=parent, progress=Silence())
            write.commit()
        return record

    def read(self, record: SnapshotRecord) -> dict[str, bytes]:
        key = f"snapshots/{record.ref().key}"
        return {path: data for path, data, _ in self.reader.files(key)}


def some_files(seed: int = 1) -> dict[str, bytes]:
    rnd = random.Random(seed)
    files = {f"many/{i:04}.txt": rnd.randbytes(rnd.randrange(3)) + b"row %d\n" % i * 9 for i in range(2500)}
    files |= {
        "empty": b"",
        "großes/Ding.bin": rnd.randbytes(700_000),
        "text": b"all work and no play\n" * 90_000,
    }
    return files | {"same/a": files["text"], "edge": rnd.randbytes(65_536)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_folder_with_everything(bench: Bench) -> None:
    files = some_files()
    bench.write(files)
    (bench.root / "tree/text").chmod(0o755)
    record = bench.save()
    assert len(record.nodes) > 1
    assert bench.read(record) == files
    rows = bench.reader.rows(f"snapshots/{record.ref().key}")
    assert [row.path for row in rows if row.executable] == ["text"]


def test_every_pack_tells_what_it_holds(bench: Bench) -> None:
    bench.write(some_files())
    record = bench.save()
    assert bench.reader.packs() == sorted(record.packs)
    kinds = [kind for pack in record.packs for *_, kind, _ in bench.reader.pack(pack)]
    assert kinds.count(1) == len(record.nodes)


def test_a_change_points_into_the_packs_of_its_parent(bench: Bench) -> None:
    files = some_files()
    bench.write(files)
    first = bench.save()
    change = {"many/0007.txt": b"new", "großes/Ding.bin": b"front" + files["großes/Ding.bin"]}
    bench.write(change)
    second = bench.save(parent=first)
    assert set(first.packs) < set(second.packs)
    assert bench.read(second) == files | change
    assert bench.read(first) == files


def test_a_single_file_and_an_empty_folder(bench: Bench) -> None:
    bench.write({"one": b"1"})
    record = bench.save("tree/one")
    assert record.single
    assert bench.read(record) == {"file": b"1"}
    (bench.root / "tree/one").unlink()
    empty = bench.save("tree")
    assert bench.read(empty) == {}
    assert empty.packs == []


def test_a_composed_snapshot(bench: Bench) -> None:
    files = some_files()
    bench.write(files)
    folder, one = bench.save(), bench.save("tree/text")
    with bench.txns.begin() as write:
        record = SnapshotWriter(bench.store, write, info=INFO).compose(
            {"model": folder, "card.md": one}, Snapshots(bench.store)
        )
        write.commit()
    expected = {f"model/{path}": data for path, data in files.items()} | {"card.md": files["text"]}
    assert bench.read(record) == expected


@pytest.mark.parametrize("width", [2, 4, 8])
def test_numbers_in_planes(bench: Bench, width: int) -> None:
    rnd = random.Random(width)
    numbers = b"".join(rnd.randbytes(width - 1) + bytes([60 + rnd.randrange(3)]) for _ in range(150_000))
    files = {"raw.bin": b"odd" + numbers, "text": b"all work and no play\n" * 9000}
    bench.write(files)
    record = bench.save()
    assert record.format == 2
    assert bench.read(record) == files
    codecs = {codec for pack in record.packs for _, _, _, codec, _, _ in bench.reader.pack(pack)}
    assert width.bit_length() in codecs


def test_the_second_reader_notices_damage(bench: Bench) -> None:
    bench.write({"a": b"some content that is long enough"})
    record = bench.save()
    pack = bench.root / "store/packs" / record.packs[0]
    data = bytearray(pack.read_bytes())
    data[9] ^= 1
    pack.unlink()
    pack.write_bytes(data)
    with pytest.raises(Damaged):
        bench.read(record)
