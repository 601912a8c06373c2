"""A store behind a read cache is a store; what the folder holds is used only where it is sound."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rote.adapters.stores.cached import CachedStore
from rote.adapters.stores.memory import MemoryStore
from rote.errors import Corrupt, NotFound
from rote.ports import Found
from rote.testing.faults import CountingStore
from rote.testing.store_contract import StoreContract

PACK = "packs/20261121T110000-0123456789abcdef/" + "a" * 64
RECORD = "snapshots/aa/" + "a" * 64 + "/20261121T110000-0123456789abcdef"
DATA = random.Random(1).randbytes(3_000_000)


class TestCachedStore(StoreContract):
    def make(self, place):
        return CachedStore(MemoryStore(), str(place / "cache"), 1 << 30)

    def again(self, store, place):
        return store

    def raw_put(self, store, place, key, data):
        store.inner._objects[key] = Found(data, "planted")

    def raw_get(self, store, place, key):
        found = store.inner._objects.get(key)
        return None if found is None else found.data


@pytest.fixture
def inner() -> CountingStore:
    store = CountingStore(MemoryStore())
    store.create(PACK, DATA)
    store.create(RECORD, b"record")
    store.create("runs/x/record", b"changes")
    store.reset()
    return store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*-*") if p.is_file())


def cached(inner, folder: Path, limit: int = 1 << 30, said: list[str] | None = None) -> CachedStore:
    return CachedStore(inner, str(folder), limit, say=(said if said is not None else []).append)


def test_what_never_changes_is_read_once_by_everybody(inner, folder) -> None:
    for _ in range(3):
        store = cached(inner, folder)
        assert store.get_ranges(PACK, [(10, 1000), (2_000_000, 700_000)]) == [
            DATA[10:1010],
            DATA[2_000_000:2_700_000],
        ]
        assert store.get(RECORD).data == b"record"
        assert store.get(RECORD).etag == inner.inner.get(RECORD).etag
    assert inner.journal == [("get_ranges", PACK), ("get", RECORD)]


def test_what_changes_is_read_every_time_and_what_is_there_is_never_guessed(inner, folder) -> None:
    store = cached(inner, folder)
    for _ in range(2):
        store.get("runs/x/record")
        store.head(PACK)
        assert [m.key for m in store.list("snapshots/")] == [RECORD]
    assert inner.requests == {"get": 2, "head": 2, "list": 2}
    assert files(folder) == []


def test_ranges_are_served_out_of_others_and_across_them(inner, folder) -> None:
    store = cached(inner, folder)
    store.get_ranges(PACK, [(0, 500_000), (500_000, 600_000), (1_500_000, 10)])
    inner.reset()
    rnd = random.Random(2)
    for _ in range(200):
        start = rnd.randrange(1_100_000)
        length = rnd.randint(1, 1_100_000 - start)
        assert store.get_range(PACK, start, length) == DATA[start : start + length]
    assert inner.total == 0
    assert store.get_range(PACK, 1_000_000, 200_000) == DATA[1_000_000:1_200_000]
    assert inner.bytes["get_ranges"] == 200_000  # not whole in the folder: asked as it was


def test_only_missing_ranges_are_asked_for(inner, folder) -> None:
    store = cached(inner, folder)
    store.get_range(PACK, 100, 50)
    inner.reset()
    wanted = [(100, 50), (0, 10), (120, 5), (0, 10), (50, 0)]
    assert store.get_ranges(PACK, wanted) == [DATA[a : a + n] for a, n in wanted]
    assert inner.requests == {"get_ranges": 1}
    assert inner.bytes["get_ranges"] == 10


def test_what_is_not_there_or_too_short_is_told_as_ever(inner, folder) -> None:
    store = cached(inner, folder)
    with pytest.raises(NotFound):
        store.get_range(PACK[:-1] + "b", 0, 1)
    with pytest.raises(NotFound):
        store.get(RECORD[:-1] + "0")
    for bad in [(len(DATA) - 1, 2), (-1, 2), (0, -1)]:
        with pytest.raises(Corrupt):
            store.get_range(PACK, *bad)


@pytest.mark.parametrize("where", [0, 9, 14, 60, 150, 250, 5000, -1])
def test_a_flipped_bit_is_no_hit_and_heals(inner, folder, where: int) -> None:
    store = cached(inner, folder)
    store.get_range(PACK, 0, 300_000)
    (path,) = files(folder)
    rotten = bytearray(path.read_bytes())
    rotten[where] ^= 16
    path.write_bytes(rotten)
    assert store.get_range(PACK, 0, 300_000) == DATA[:300_000]
    inner.reset()
    assert cached(inner, folder).get_range(PACK, 0, 300_000) == DATA[:300_000]
    assert inner.total == 0


@pytest.mark.parametrize("keep", [0, 5, 12, 100, 290_000])
def test_a_file_cut_short_is_no_hit(inner, folder, keep: int) -> None:
    cached(inner, folder).get_range(PACK, 0, 300_000)
    (path,) = files(folder)
    os.truncate(path, keep)
    assert cached(inner, folder).get_range(PACK, 0, 300_000) == DATA[:300_000]


def test_a_file_under_another_name_is_no_hit(inner, folder) -> None:
    store = cached(inner, folder)
    store.get_range(PACK, 0, 1000)
    (path,) = files(folder)
    path.rename(path.with_name("5000-1000"))
    assert cached(inner, folder).get_range(PACK, 5000, 1000) == DATA[5000:6000]


def test_two_stores_share_the_folder_and_nothing_else(inner, folder, tmp_path) -> None:
    from rote.adapters.stores.folder import FolderStore

    other = FolderStore(str(tmp_path / "other"))
    other.create(PACK, b"x" * 100)
    assert cached(inner, folder).get_range(PACK, 0, 100) == DATA[:100]
    assert cached(other, folder).get_range(PACK, 0, 100) == b"x" * 100


def test_the_limit_holds_and_what_was_used_last_stays(inner, folder) -> None:
    limit = 2_000_000
    store = cached(inner, folder, limit)
    store.get_range(PACK, 0, 100_000)
    for number, path in enumerate(files(folder)):
        os.utime(path, ns=(0, number))
    for start in range(100_000, 2_900_000, 100_000):
        store.get_range(PACK, start, 100_000)
        for path in files(folder):  # one after the other, whatever the file system's clock does
            if path.stat().st_mtime_ns > 1 << 50:
                os.utime(path, ns=(start, start))
        store.get_range(PACK, 0, 100_000)  # in use all the time
        held = sum(p.stat().st_size for p in files(folder))
        assert held <= limit
    names = {p.name for p in files(folder)}
    assert "0-100000" in names
    assert "100000-100000" not in names
    assert "2800000-100000" in names


def test_what_is_larger_than_the_cache_can_bear_is_not_kept(inner, folder) -> None:
    assert cached(inner, folder, 1000).get_range(PACK, 0, 600) == DATA[:600]
    assert files(folder) == []


def test_what_a_dead_process_left_is_swept(inner, folder) -> None:
    store = cached(inner, folder, 1_000_000)
    store.get_range(PACK, 0, 1000)
    (path,) = files(folder)
    old = path.with_name(".1.2.3")
    young = path.with_name(".1.2.4")
    for part in (old, young):
        part.write_bytes(b"x" * 1_000_000)
    os.utime(old, ns=(0, 0))
    store.get_range(PACK, 1000, 200_000)  # a tenth of the limit: swept
    assert not old.exists()
    assert young.exists()


def refuse(folder: Path, how: str) -> None:
    if how == "a file":
        folder.write_bytes(b"")
    elif how == "no folder can be":
        folder.parent.joinpath("f").write_bytes(b"")
        folder.symlink_to(folder.parent / "f" / "below")
    else:
        folder.symlink_to(folder)


@pytest.mark.parametrize("how", ["a file", "no folder can be", "a loop"])
def test_a_folder_that_cannot_be_used_is_said_once(inner, folder, how: str) -> None:
    refuse(folder, how)
    said: list[str] = []
    store = cached(inner, folder, said=said)
    for start in range(5):
        assert store.get_range(PACK, start, 1000) == DATA[start : start + 1000]
    assert store.get(RECORD).data == b"record"
    assert len(said) == 1
    assert said[0].startswith("the read cache cannot be written (")
    assert str(folder) in said[0]


READ_ONLY = """
import os, sys
from rote.adapters.stores.cached import CachedStore
from rote.adapters.stores.memory import MemoryStore
if os.getuid() == 0:
    os.setuid(65534)
inner = MemoryStore()
inner.create(sys.argv[2], bytes(range(256)) * 10)
said = []
store = CachedStore(inner, sys.argv[1], 1 << 30, say=said.append)
inner._objects.clear() if sys.argv[3] == "hit" else None
for _ in range(3):
    assert store.get_range(sys.argv[2], 5, 100) == (bytes(range(256)) * 10)[5:105]
print(len(said), *said)
"""


@pytest.mark.parametrize(("hit", "said"), [("hit", "0"), ("miss", "1")])
def test_a_folder_that_may_only_be_read_serves_hits(tmp_path: Path, hit: str, said: str) -> None:
    """As a cache that a CI job restored for another user. In a process of its own, which gives up being root."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/tmp") as place:  # a path that anybody may enter
        os.chmod(place, 0o755)
        folder = Path(place) / "cache"
        inner = MemoryStore()
        inner.create(PACK, bytes(range(256)) * 10)
        start = 0 if hit == "hit" else 1000
        cached(inner, folder).get_range(PACK, start, 1000)
        for path in [folder, *folder.rglob("*")]:
            os.chmod(path, 0o555 if path.is_dir() else 0o444)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(folder), PACK, hit],
            check=False,
            capture_output=True,
            text=True,
        )
        for path in [folder, *folder.rglob("*")]:
            os.chmod(path, 0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == said


MANY = """
import random, sys
from rote.adapters.stores.cached import CachedStore
from rote.adapters.stores.folder import FolderStore
rnd = random.Random(int(sys.argv[3]))
store = CachedStore(FolderStore(sys.argv[1], create=False), sys.argv[2], 1_000_000)
data = store.inner.get(sys.argv[4]).data
for _ in range(300):
    start, length = rnd.randrange(30) * 20_000, rnd.choice([20_000, 40_000])
    assert store.get_range(sys.argv[4], start, length) == data[start:start + length]
"""


def test_many_processes_share_a_folder_that_is_too_small(tmp_path: Path) -> None:
    from rote.adapters.stores.folder import FolderStore

    FolderStore(str(tmp_path / "store")).create(PACK, DATA)
    folder = tmp_path / "cache"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(tmp_path / "store"), str(folder), str(seed), PACK],
            stderr=subprocess.PIPE,
        )
        for seed in range(3)
    ]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    assert [p for p in folder.rglob(".*") if p.is_file()] == []


def test_many_threads(inner, folder) -> None:
    store = cached(inner, folder, 1_000_000)

    def work(seed: int) -> None:
        rnd = random.Random(seed)
        for _ in range(100):
            start, length = rnd.randrange(2_000_000), rnd.randint(1, 60_000)
            assert store.get_range(PACK, start, length) == DATA[start : start + length]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
