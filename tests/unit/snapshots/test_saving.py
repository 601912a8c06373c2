"""Saving and restoring: what comes back is what was saved, and only what changed is stored and asked for."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from treebench import Bench, DictSink, DictTree, many, noise

from rote.errors import BadPath, Changed, Missing
from rote.laws.data.chunking import SMALL
from rote.ports import Silence
from rote.services.data.identity import identify
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import NodeCache, Snapshots
from rote.services.store.known import Known
from rote.services.store.packs import read_footer
from rote.services.store.transactions import Transactions
from rote.testing.faults import CountingStore, Crashed, Fault, FaultyStore, on
from rote.words.snapshot import Entry

names = st.text("abcé-_0", min_size=1, max_size=6)
contents = st.one_of(
    st.binary(max_size=40),
    st.tuples(st.integers(0, 200_000), st.integers(0, 5)).map(lambda x: noise(*x)),
    st.integers(1, 200_000).map(lambda size: b"text " * (size // 5)),
)
trees = st.dictionaries(names, contents, max_size=12)


def mixed() -> dict[str, bytes]:
    files = many(3000)
    return files | {
        "large": noise(900_000),
        "text": b"words and words\n" * 20_000,
        "none": b"",
        "edge": noise(SMALL),
    }


# ---- round trips -----------------------------------------------------------------------------------------------


@given(trees, st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_what_is_saved_comes_back(files: dict[str, bytes], batch: int) -> None:
    bench = Bench()
    tree = DictTree(files, executables=list(files)[::2], batch=batch)
    record = bench.save(tree)
    sink = bench.restore(record)
    assert sink == files
    assert sink.executables == tree.executables
    assert tree.known == {path: blake3(data).digest() for path, data in files.items()}
    assert (record.files, record.size) == (len(files), sum(map(len, files.values())))
    identity = identify(DictTree(files, executables=tree.executables, batch=batch + 1), Silence())
    assert (identity.id, identity.files, identity.size) == (record.id, record.files, record.size)


@given(trees, trees)
@settings(max_examples=50, deadline=None)
def test_a_change_upon_a_parent_comes_back(files: dict[str, bytes], change: dict[str, bytes]) -> None:
    bench = Bench()
    first = DictTree(files)
    parent = bench.save(first)
    after = DictTree(files | change, {path: d for path, d in first.known.items() if path not in change})
    record = bench.save(after, parent)
    assert bench.restore(record) == files | change
    assert record.id == bench.save(DictTree(files | change)).id
    assert bench.restore(parent) == files


def test_a_large_tree_of_several_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rote.services.store.packing.PACK", 1 << 20)
    bench, files = Bench(), mixed()
    record = bench.save(DictTree(files))
    assert len(record.nodes) > 2
    assert bench.restore(record) == files
    assert [entry.path for entry in bench.snapshots.entries(record)] == sorted(files)


def test_a_single_file_has_an_id_of_its_own() -> None:
    bench = Bench()
    single, folder = bench.save(DictTree(b"data")), bench.save(DictTree({"file": b"data"}))
    assert single.single
    assert not folder.single
    assert single.id != folder.id
    assert bench.restore(single) == bench.restore(folder) == {"file": b"data"}
    assert identify(DictTree(b"data"), Silence()).id == single.id


def test_a_file_of_many_segments() -> None:
    bench = Bench()
    data = noise(20_000_000) + b"text " * 1_000_000 + noise(3_000_000, 2)
    record = bench.save(DictTree(data))
    assert b"".join(bench.snapshots.read(record, "file")) == data
    entry = bench.snapshots.lookup(record, "file")
    assert entry == Entry("file", len(data), False, blake3(data).digest())
    assert identify(DictTree(data), Silence()).id == record.id


def test_the_id_knows_path_content_and_the_executable_bit_only() -> None:
    base = identify(DictTree({"a": b"1"}), Silence()).id
    others = [
        DictTree({"b": b"1"}),
        DictTree({"a": b"2"}),
        DictTree({"a": b"1"}, executables=["a"]),
        DictTree({}),
    ]
    assert len({base, *(identify(tree, Silence()).id for tree in others)}) == 5


# ---- only what changed -----------------------------------------------------------------------------------------


def counted(known: Known | None = None) -> tuple[Bench, CountingStore]:
    bench = Bench(known=known)
    store = CountingStore(bench.store)
    return Bench(store, known), store


def test_many_small_files_are_a_handful_of_requests() -> None:
    bench, store = counted()
    record = bench.save(DictTree(many(5000)))
    assert len(record.packs) == 1
    assert store.requests == {"create": 3, "replace": 1}  # txn, pack, record; commit
    assert sum(bench.packs().values()) < record.size + 80 * record.files + 20_000


def test_the_same_again_writes_nothing_and_reads_no_file() -> None:
    bench, store = counted()
    files = mixed()
    tree = DictTree(files)
    record = bench.save(tree)
    store.reset()
    again = DictTree(files, tree.known)
    assert bench.save(again, record) is record
    assert again.read_paths == []
    assert not {kind for kind, _ in store.journal} & {"create", "replace", "delete", "get_ranges"}


def test_the_same_again_without_a_stat_cache_writes_nothing() -> None:
    bench, store = counted()
    files = mixed()
    record = bench.save(DictTree(files))
    store.reset()
    assert bench.save(DictTree(files), record) is record
    assert "create" not in store.requests


def test_one_changed_file_costs_its_bytes_and_one_node() -> None:
    bench, store = counted()
    files = many(20_000)
    tree = DictTree(files)
    parent = bench.save(tree)
    before = bench.packs()
    store.reset()
    path = sorted(files)[7777]
    changed = DictTree(files | {path: b"new content"}, {p: d for p, d in tree.known.items() if p != path})
    record = bench.save(changed, parent)
    assert changed.read_paths == [path]
    same = {node.id for node in parent.nodes} & {node.id for node in record.nodes}
    assert len(same) == len(parent.nodes) - 1
    [new] = set(bench.packs()) - set(before)
    node = next(node for node in record.nodes if node.id not in same)
    assert bench.packs()[new] < node.stored + 1000
    assert store.requests["get_ranges"] == 1, "the parent's node where the change is, and no other"
    assert store.requests["create"] == 3
    assert bench.restore(record) == changed.files


def test_a_node_that_is_used_again_names_the_packs_it_needs() -> None:
    bench, files = Bench(), many(6000)
    tree = DictTree(files)
    first = bench.save(tree)
    paths = sorted(files)
    # The first node is written anew twice; the last one stays where it was, and so do its packs.
    second = bench.save(
        DictTree(files | {paths[0]: b"2"}, dict(tree.known) | {paths[0]: blake3(b"2").digest()}), first
    )
    third_tree = DictTree(files | {paths[0]: b"3"}, dict(tree.known) | {paths[0]: blake3(b"3").digest()})
    third = bench.save(third_tree, second)
    assert set(first.packs) < set(third.packs)
    needed = {third.packs[i] for node in third.nodes for i in (node.pack, *node.into)}
    assert needed == set(third.packs)
    assert bench.restore(third) == third_tree.files


def test_a_large_file_with_bytes_in_front_stores_only_those() -> None:
    bench, data = Bench(), noise(30_000_000)
    parent = bench.save(DictTree(data))
    first = sum(bench.packs().values())
    after = DictTree(b"x" * 100 + data)
    record = bench.save(after, parent)
    assert sum(bench.packs().values()) - first < 400_000  # a chunk or two, and the node that lists them all
    assert bench.restore(record) == after.files


def test_equal_files_are_stored_once() -> None:
    bench = Bench()
    data, small = noise(500_000), noise(5000, 2)
    record = bench.save(DictTree({"a": data, "b/a": data, "c": small, "d": small}))
    assert sum(bench.packs().values()) < 510_000
    assert len(bench.restore(record)) == 4


def test_moved_files_are_found_by_what_this_machine_remembers(tmp_path: Path) -> None:
    known = Known(str(tmp_path / "known.db"), "store")
    bench = Bench(known=known)
    files = mixed()
    bench.save(DictTree(files))
    known.close()
    before = sum(bench.packs().values())
    bench.known = Known(str(tmp_path / "known.db"), "store")
    moved = DictTree({f"elsewhere/{path}": data for path, data in files.items()})
    record = bench.save(moved)
    assert sum(bench.packs().values()) - before < 64_000 + 80 * record.files * 2  # the first few, and nodes
    assert bench.restore(record) == moved.files


def test_a_pack_that_is_gone_is_not_relied_upon(tmp_path: Path) -> None:
    known = Known(str(tmp_path / "known.db"), "store")
    bench = Bench(known=known)
    tree = DictTree(mixed())
    parent = bench.save(tree)
    for pack in parent.packs:
        bench.store.delete(f"packs/{pack}")
    record = bench.save(DictTree(tree.files, tree.known), parent)
    assert not set(record.packs) & set(parent.packs)
    assert bench.restore(record) == tree.files


def test_fresh_stores_everything_again(tmp_path: Path) -> None:
    bench = Bench(known=Known(str(tmp_path / "known.db"), "store"))
    tree = DictTree(mixed())
    parent = bench.save(tree)
    record = bench.save(DictTree(tree.files, tree.known), parent, fresh=True)
    assert record.id == parent.id
    assert not set(record.packs) & set(parent.packs)
    assert bench.restore(record) == tree.files


def test_a_file_that_is_not_what_its_digest_says_is_told() -> None:
    bench = Bench()
    with pytest.raises(Changed, match="'a'"):
        bench.save(DictTree({"a": b"1"}, {"a": blake3(b"0").digest()}))
    assert bench.packs() == {}


def test_a_file_that_gets_shorter_is_told() -> None:
    class Shrinking(DictTree):
        def batches(self):
            for batch in super().batches():
                batch.sizes = [size + 1 for size in batch.sizes]
                yield batch

    with pytest.raises(Changed, match="shorter"):
        Bench().save(Shrinking(noise(10_000_000)))


def test_tiny_trees_ask_nothing_and_store_one_pack() -> None:
    bench, store = counted()
    tree = DictTree({"model.txt": b"1", "metrics.json": b"{}"})
    parent = bench.save(tree)
    store.reset()
    bench.save(DictTree({"model.txt": b"2", "metrics.json": b"{}"}), parent)
    assert store.requests == {"create": 3, "replace": 1}


def test_a_crash_leaves_nothing_that_is_in_the_way() -> None:
    inner = Bench()
    files = mixed()
    with pytest.raises(Crashed):
        Bench(FaultyStore(inner.store, on("create", "packs/", Fault.CRASH_AFTER)), seed=1).save(
            DictTree(files)
        )
    record = inner.save(DictTree(files))
    assert inner.restore(record) == files


# ---- composing -------------------------------------------------------------------------------------------------


def test_composing_copies_no_byte() -> None:
    bench = Bench()
    files, one = mixed(), noise(200_000, 9)
    folder, single = bench.save(DictTree(files)), bench.save(DictTree(one))
    before = bench.packs()
    record = bench.compose({"m": folder, "m-a/x.bin": single, "n/o": bench.save(DictTree({}))})
    new = set(bench.packs()) - set(before)
    assert {kind for pack in new for kind in read_footer(bench.store, pack).kind} == {1}
    expected = {f"m/{path}": data for path, data in files.items()} | {"m-a/x.bin": one}
    assert bench.restore(record) == expected
    assert record.id == identify(DictTree(expected), Silence()).id


def test_composing_refuses_two_files_with_one_path() -> None:
    bench = Bench()
    a, b = bench.save(DictTree({"x": b"1"})), bench.save(DictTree(b"2"))
    for parts in ({"m": a, "m/x": b}, {"m": a, "M": b}, {"../m": a}):
        with pytest.raises(BadPath):
            bench.compose(parts)


# ---- reading a part --------------------------------------------------------------------------------------------


def test_one_file_of_many_is_one_node_and_one_range() -> None:
    bench, store = counted()
    files = many(20_000)
    record = bench.save(DictTree(files))
    path = sorted(files)[12_345]
    store.reset()
    reader = Snapshots(store)
    found = reader.record(record.ref())
    assert b"".join(reader.read(found, path)) == files[path]
    assert store.requests == {"get": 1, "get_ranges": 2}
    assert store.bytes["get_ranges"] < 1_400_000


def test_restoring_some_reads_what_they_need() -> None:
    bench, store = counted()
    files = many(20_000)
    record = bench.save(DictTree(files))
    wanted = set(random.Random(1).sample(sorted(files), 3)) | {"not/there"}
    store.reset()
    sink = bench.restore(record, only=wanted)
    assert sink == {path: files[path] for path in wanted if path in files}
    assert store.bytes["get_ranges"] < 4_500_000 < sum(bench.packs().values())


def test_restoring_all_coalesces() -> None:
    bench, store = counted()
    files = many(20_000, 600)
    record = bench.save(DictTree(files))
    store.reset()
    assert bench.restore(record) == files
    assert store.requests["get_ranges"] <= 2 + 12_000_000 // (16 << 20) + len(record.nodes) // 16 + 1


def test_chunks_from_this_machine_are_not_fetched_and_are_verified() -> None:
    bench, store = counted()
    data = noise(3_000_000)
    record = bench.save(DictTree(data))
    footer = read_footer(store, record.packs[0])
    chunks, at = {}, 0
    for i, length in enumerate(footer.chunk_length[:-1]):
        chunks[footer.digests[i * 32 : i * 32 + 32]] = data[at : at + length]
        at += length
    assert at == len(data)
    store.reset()
    assert bench.restore(record, have=chunks.get) == {"file": data}
    assert store.bytes["get_ranges"] < 20_000  # the node
    wrong = {digest: b"x" + chunk[1:] for digest, chunk in chunks.items()}
    assert bench.restore(record, have=wrong.get) == {"file": data}


def test_a_sink_may_leave_parts_untaken() -> None:
    class Lazy(DictSink):
        def file(self, path, size, executable, digest, parts) -> None:
            if path != "large":
                super().file(path, size, executable, digest, parts)

    bench, files = Bench(), mixed()
    sink = Lazy()
    bench.snapshots.restore(bench.save(DictTree(files)), sink)
    assert sink == {path: data for path, data in files.items() if path != "large"}


def test_a_path_that_is_not_there_names_the_nearest() -> None:
    bench = Bench()
    record = bench.save(DictTree({"images/cat.png": b"1", "images/dog.png": b"2"}))
    with pytest.raises(Missing) as caught:
        bench.snapshots.lookup(record, "images/cad.png")
    assert "images/cat.png" in (caught.value.next or "")
    for path in ("", "a", "z"):
        with pytest.raises(Missing):
            bench.snapshots.lookup(record, path)
    with pytest.raises(Missing):
        bench.snapshots.lookup(bench.save(DictTree({})), "a")


def test_a_cache_of_nodes_spares_requests_and_keeps_its_limit() -> None:
    bench, store = counted()
    record = bench.save(DictTree(many(5000)))
    reader = Snapshots(store, cache=NodeCache())
    paths = [entry.path for entry in reader.entries(record)]
    store.reset()
    assert [entry.path for entry in reader.entries(record)] == paths
    assert store.total == 0
    small = NodeCache(limit=max(node.length for node in record.nodes))
    reader = Snapshots(store, cache=small)
    assert [entry.path for entry in reader.entries(record)] == paths
    assert 0 < sum(node.length for node in record.nodes if small.get(node.check) is not None) <= small.limit


def test_finding_a_snapshot_by_its_id() -> None:
    bench = Bench()
    record = bench.save(DictTree({"a": b"1"}))
    newer = bench.save(DictTree({"a": b"1"}), fresh=True)
    assert bench.snapshots.find(record.id) in (record.ref(), newer.ref())
    with pytest.raises(Missing, match=record.id[:3]):
        bench.snapshots.find(type(record.id)(record.id[:3] + "0" * 61))


def test_two_trees_saved_in_one_write() -> None:
    bench = Bench()
    with Transactions(bench.store, bench.clock, "me").begin() as write:
        writer = SnapshotWriter(bench.store, write, info=bench.info)
        records = [writer.save(DictTree({"a": noise(1000, seed)})) for seed in (1, 2)]
        write.commit()
    assert [bench.restore(record)["a"] for record in records] == [noise(1000, 1), noise(1000, 2)]
