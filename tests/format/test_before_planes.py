"""A store that was written when format 1 was all there was. It is read for ever; nothing below `fixtures` is made anew."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from second_reader import SecondReader

from rote.adapters.stores.folder import FolderStore
from rote.services.data.snapshots import Snapshots
from rote.services.store.packs import verify
from rote.words.ids import snapshot_id

FIXTURE = Path(__file__).parents[1] / "fixtures" / "before-planes"
TREE = "0079bc81379d8fe290ed8ead9db9a29e5879d17a38885e6843d4c7cc8689ceca"
SINGLE = "a0c5f9fd2c4c05b173db868f71384f95fa9da3af58108e57e9e218b905a8cf41"
TABLE = b"".join(b"%d,0.5,label\n" % (i * 7919 % 100_003) for i in range(40_000))


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    shutil.copytree(FIXTURE, tmp_path / "store")
    return FolderStore(str(tmp_path / "store"))


def test_both_readers_read_the_same(store: FolderStore) -> None:
    snapshots, other = Snapshots(store), SecondReader(FIXTURE)
    keys = other.snapshots()
    assert [key.split("/")[2] for key in keys] == [TREE, SINGLE]
    for key in keys:
        record = snapshots.record(snapshots.find(snapshot_id(key.split("/")[2])))
        assert record.format == 1
        theirs = {path: (data, executable) for path, data, executable in other.files(key)}
        ours = {
            entry.path: (b"".join(map(bytes, snapshots.read(record, entry.path))), entry.executable)
            for entry in snapshots.entries(record)
        }
        assert ours == theirs


def test_what_was_saved_is_there(store: FolderStore) -> None:
    snapshots = Snapshots(store)
    record = snapshots.record(snapshots.find(snapshot_id(TREE)))
    assert record.files == 1506

    def content(path: str) -> bytes:
        return b"".join(map(bytes, snapshots.read(record, path)))

    assert content("text.csv") == TABLE
    assert content("deep/0007.txt") == b"row 7\n" * 3
    assert content("zz-noise.bin") == random.Random(1).randbytes(70_000)
    assert content("empty") == b""
    assert len(content("weights.safetensors")) == 80_080
    assert snapshots.lookup(record, "deep/er/run.sh").executable


def test_its_packs_are_sound(store: FolderStore) -> None:
    packs = [meta.key.removeprefix("packs/") for meta in store.list("packs/")]
    assert len(packs) == 2
    assert [verify(store, pack) for pack in packs] == [[], []]
