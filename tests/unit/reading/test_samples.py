"""Samples without a checkout: by index, in order, shuffled, sharded; each block about once, in bounded memory."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from readbench import big, images, length, paths
from treebench import Bench, DictSink, DictTree, many, noise

import rote
from rote.adapters.stores.memory import MemoryStore
from rote.errors import BadPath, Corrupt, Missing, NotAProject, NotFound, UsageError
from rote.services.data.samples import Sample, Samples
from rote.services.data.snapshots import Snapshots
from rote.testing.faults import CountingStore, Fault, FaultyStore, on
from rote.words.snapshot import FILE


def test_by_index(project: Path) -> None:
    files = images()
    samples = rote.dataset("data/images")
    assert len(samples) == 600
    names = sorted(files)
    assert samples[7] == Sample(7, names[7], files[names[7]])
    assert samples[-1].data == files[names[-1]]
    assert samples[450].label == "fox"
    assert paths(samples[10:14]) == names[10:14]
    assert [s.number for s in samples.__getitems__([5, 1, 5, 599])] == [5, 1, 5, 599]
    assert samples.path(3) == names[3]
    assert samples.size(3) == len(files[names[3]])
    assert samples.labels == ["cat", "dog", "fox"]
    for bad in (600, -601):
        with pytest.raises(IndexError, match="there are 600 samples"):
            samples[bad]


def test_which_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(rote.dataset("data/images", "v1")) == 590
    assert len(rote.dataset("data/images", rev="feature/more")) == 590
    assert len(rote.dataset("data/images/dog")) == 200
    assert len(rote.dataset("data/images", match="*/001?.png")) == 30
    assert rote.dataset("data/images/dog/0003.png")[0].path == "dog/0003.png"
    assert rote.dataset("rote://data/images@v1/cat").path(0) == "cat/0010.png"
    assert rote.dataset("table.csv")[0].path == FILE
    assert len(rote.dataset("big")) == 2
    assert len(rote.dataset("rote://" + rote.dataset("big").ref.id)) == 2
    monkeypatch.chdir(project / "data")
    assert len(rote.dataset("images/cat")) == 200
    monkeypatch.chdir("/")
    assert len(rote.dataset(f"{project}/big", project=str(project))) == 2
    assert len(rote.dataset("big", project=str(project))) == 2
    assert len(rote.dataset("rote://big", project=str(project))) == 2


def test_what_is_not_there_is_told(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"no pointer 'data/imags.rote'") as caught:
        rote.dataset("data/imags")
    assert caught.value.next == "did you mean data/images?"
    with pytest.raises(Missing, match=r"no pointer 'new\.rote' at 'v1'"):
        rote.dataset("new", "v1")
    with pytest.raises(Missing, match="there is nothing at 'cow'"):
        len(rote.dataset("data/images/cow"))
    with pytest.raises(Missing, match="v7"):
        rote.dataset("data/images", "v7")
    with pytest.raises(Missing, match="does not hold the snapshot"):
        rote.dataset("rote://" + "0" * 64)
    with pytest.raises(BadPath):
        rote.dataset("../elsewhere")
    with pytest.raises(UsageError, match="names its revision itself"):
        rote.dataset("rote://big", "v1")
    with pytest.raises(UsageError, match="there is no shard 2 of 2"):
        rote.dataset("big").shuffled(rank=2, world=2)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotAProject):
        rote.dataset("big")


def test_a_store_without_a_project(project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    id = rote.dataset("big").ref.id
    monkeypatch.chdir(tmp_path)
    from rote.wiring.reaching import Reaching

    reach = Reaching.open(store=str(project / ".rote/store"))
    ref, below = reach.path(f"rote://{id}", None, str(tmp_path))
    assert (ref.id, below) == (id, "")


def test_every_pass_has_every_sample_once(project: Path) -> None:
    files = images()
    samples = rote.dataset("data/images", memory=3 << 20)
    assert {s.path: s.data for s in samples} == files
    assert paths(samples.in_order()) == sorted(files)
    seen = list(samples.shuffled(seed=1))
    assert {s.path: s.data for s in seen} == files
    assert paths(seen) != sorted(files)
    assert paths(samples.shuffled(1)) == paths(seen)
    assert paths(samples.shuffled(1, epoch=1)) != paths(seen)
    assert paths(samples.shuffled(2)) != paths(seen)
    assert [s.number for s in seen] == samples.shuffled(1).indices()


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_shards_are_a_partition(project: Path, world: int) -> None:
    samples = rote.dataset("data/images", memory=3 << 20)
    shards = [samples.shuffled(4, rank=r, world=world) for r in range(world)]
    seen = [i for shard in shards for i in shard.indices()]
    assert sorted(seen) == list(range(600))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    equal = [samples.shuffled(4, rank=r, world=world, equal=True) for r in range(world)]
    assert {len(s.indices()) for s in equal} == {600 // world}
    workers = [s.split(w, 3) for s in shards for w in range(3)]
    assert sorted(i for w in workers for i in w.indices()) == list(range(600))
    assert [s.number for s in workers[0]] == workers[0].indices()


def test_neighbours_are_parted(project: Path) -> None:
    order = rote.dataset("data/images").shuffled(3).indices()
    near = sum(abs(a - b) == 1 for a, b in pairwise(order))
    assert near < 20  # two are expected of a perfect shuffle
    first = Counter(index // 200 for index in order[:150])
    assert min(first.values()) > 20  # every label, early


def bench(files, seed: int = 0) -> tuple[CountingStore, Samples, object]:
    store = CountingStore(MemoryStore())
    place = Bench(store, seed=seed)
    record = place.save(DictTree(files))
    return store, record


def of(store, record, **options) -> Samples:
    return Samples(lambda: (store, Snapshots(store)), record.ref(), **options)


def test_each_block_is_read_once_and_ranges_are_few() -> None:
    files = many(8000, 1000, seed=3)  # 8 MB, eight blocks or so
    store, record = bench(files)
    samples = of(store, record, memory=9 << 20)
    assert len(samples) == 8000
    store.reset()
    assert {s.path: s.data for s in samples.shuffled(1)} == files
    stored = sum(len(data) for data in files.values())
    assert stored <= store.bytes["get_ranges"] <= stored * 1.02 + (1 << 20)
    assert store.requests.keys() == {"get_ranges"}
    assert store.total <= 8


def test_shards_together_read_little_more() -> None:
    files = many(8000, 1000, seed=3)
    store, record = bench(files)
    samples = of(store, record, memory=9 << 20)
    len(samples)
    store.reset()
    for rank in range(4):
        assert len(list(samples.shuffled(1, rank=rank, world=4))) == 2000
    stored = sum(len(data) for data in files.values())
    assert store.bytes["get_ranges"] <= stored + 5 * (1 << 20)  # a cut costs one block


class Watching(CountingStore):
    """Notes how many requests are under way at once."""

    def __init__(self, inner) -> None:
        super().__init__(inner)
        self.most = 0
        self._now = 0
        self._two = threading.Event()
        self.meet = False

    def get_ranges(self, key, ranges):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now == 2:
                self._two.set()
        if self.meet:
            assert self._two.wait(60)
        try:
            return super().get_ranges(key, ranges)
        finally:
            with self._lock:
                self._now -= 1


def test_requests_run_in_parallel() -> None:
    store = Watching(MemoryStore())
    place = Bench(store)
    files = {f"{i}.bin": noise(9_000_000, i) for i in range(2)}
    record = place.save(DictTree(files))
    samples = of(store, record)
    len(samples)
    store.meet = True  # from here on a request waits until there is another
    got = samples.__getitems__([0, 1])
    assert [s.data for s in got] == list(files.values())
    assert store.most >= 2


def test_the_next_window_is_fetched_while_this_one_is_used() -> None:
    files = many(4000, 1000, seed=4)
    store, record = bench(files)
    samples = of(store, record, memory=4 << 20)
    len(samples)
    plan = list(samples.plan(range(4000), (1, 0)))
    assert len(plan) > 2
    index, spots = samples._index, [set(), set()]
    for window in (0, 1):
        for number in plan[window]:
            spots[window] |= set(index.spots(samples._rows[number]))
    store.reset()
    going = iter(samples.shuffled(1))
    next(going)
    going.close()  # waits for what is under way
    wanted = sum(spot.stored for spot in spots[0] | spots[1])
    assert wanted > sum(spot.stored for spot in spots[0])
    assert wanted <= store.bytes["get_ranges"] <= wanted + (1 << 20)


def test_memory_is_bounded() -> None:
    import tracemalloc

    files = {f"{i:03}.bin": noise(100_000, i) for i in range(400)}  # 40 MB
    store, record = bench(files)
    samples = of(store, record, memory=6 << 20)
    len(samples)
    tracemalloc.start()
    for sample in samples.shuffled(1):
        assert len(sample.data) == 100_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for number in range(0, 400, 3):
        samples[number]
    _, peak_random = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 << 20
    assert peak_random < 12 << 20


def test_random_access_reads_a_block_once_while_it_is_kept() -> None:
    files = many(1000, 500)
    store, record = bench(files)
    samples = of(store, record)
    len(samples)
    store.reset()
    for number in range(999, -1, -1):
        assert files[samples[number].path] == samples[number].data
    assert store.total <= 2


def test_large_and_empty_files() -> None:
    files = {"a/large": big(), "b/empty": b"", "c/large": big()[1_000_000:] + b"x", "d": b"small"}
    store, record = bench(files)
    samples = of(store, record, memory=1 << 20)
    assert {s.path: s.data for s in samples.shuffled(9)} == files
    assert {s.path: s.data for s in samples} == files
    assert [s.data for s in samples[:]] == [files[p] for p in sorted(files)]
    assert len(of(store, record, below="b")) == 1
    none = bench({})
    assert list(of(*none)) == []
    assert list(of(*none).shuffled(1)) == []


def test_a_single_file() -> None:
    store, record = bench(b"alone")
    (sample,) = of(store, record)
    assert sample == Sample(0, FILE, b"alone")
    assert sample.label == ""


def test_damage_is_told_and_never_served() -> None:
    files = many(500, 500)
    store = MemoryStore()
    record = Bench(store).save(DictTree(files))
    samples = of(store, record)
    len(samples)
    faulty = FaultyStore(store, on("get_ranges", "packs/", Fault.ROT, times=10**6))
    samples._source = lambda: (faulty, Snapshots(store))
    with pytest.raises(Corrupt, match="damaged"):
        list(samples.shuffled(1))
    with pytest.raises(Corrupt, match="damaged"):
        samples[:]
    faulty.plan = on("get_ranges", "", Fault.UNAVAILABLE, times=1)
    again = of(store, record)
    again._source = lambda: (faulty, Snapshots(store))
    with pytest.raises(rote.RoteError, match="planned"):
        again[0]
    assert again[0].data == files[again[0].path]  # an error is not remembered


def test_a_pack_that_is_gone_is_named() -> None:
    store = MemoryStore()
    record = Bench(store).save(DictTree(many(50)))
    samples = of(store, record)
    len(samples)
    for meta in list(store.list("packs/")):
        store.delete(meta.key)
    with pytest.raises(NotFound, match="packs/"):
        list(samples)


def test_map_and_pickle(project: Path) -> None:
    samples = rote.dataset("data/images").map(length)
    assert samples[0] == ("cat/0000.png", len(images()["cat/0000.png"]))
    assert next(iter(samples.shuffled(1, rank=1, world=4)))[1] > 0
    twice = samples.map(str)
    copy = pickle.loads(pickle.dumps(twice))
    assert copy[3] == twice[3] == str(samples[3])
    fresh = pickle.loads(pickle.dumps(rote.dataset("big")))
    assert [len(s.data) for s in fresh] == [0, 6_000_000]


def _sum(samples: Samples) -> int:
    whole = sum(len(s.data) for s in samples.shuffled(2))
    assert whole == sum(map(samples.size, range(len(samples))))
    return len(samples[5].data)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_other_processes(project: Path, method: str) -> None:
    samples = rote.dataset("data/images")
    samples[0]
    list(samples.shuffled(1))
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(_sum, [samples] * 4) == [len(samples[5].data)] * 4


FORKED = """
import os, sys, rote
samples = rote.dataset("data/images")
samples[0]
pid = os.fork()
if pid == 0:
    assert samples[1].data
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
"""


def test_after_a_fork(project: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", FORKED], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_by_many_threads(project: Path) -> None:
    samples = rote.dataset("data/images", memory=1 << 20)
    files = images()
    with ThreadPoolExecutor(4) as pool:
        for sample in pool.map(samples.__getitem__, [i * 37 % 600 for i in range(600)]):
            assert sample.data == files[sample.path]


def test_damage_that_was_repaired_in_the_store_does_not_live_on_in_a_cache(tmp_path: Path) -> None:
    from rote.adapters.stores.cached import CachedStore

    files = many(500, 500)
    place = Bench()
    record = place.save(DictTree(files))
    (pack,) = place.packs()
    sound = place.store.get(f"packs/{pack}").data
    place.spoil(f"packs/{pack}", lambda data: data.__setitem__(slice(1000, 1010), b"0123456789"))
    cached = CachedStore(place.store, str(tmp_path), 1 << 30)
    samples = of(cached, record)
    with pytest.raises(Corrupt, match="damaged"):
        samples[:]
    with pytest.raises(Corrupt, match="damaged"):
        Snapshots(cached).restore(record, DictSink())
    place.spoil(f"packs/{pack}", lambda data: bytearray(sound))
    assert [s.data for s in samples] == [files[p] for p in sorted(files)]
    sink = DictSink()
    Snapshots(cached).restore(record, sink)
    assert sink == files
