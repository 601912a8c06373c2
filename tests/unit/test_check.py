"""store check and store stats on a small store whose packs are made by hand."""

from __future__ import annotations

import zstandard
from blake3 import blake3

from rote.adapters.stores.memory import MemoryStore
from rote.laws.data import nodes
from rote.ports import ObjectStore
from rote.services.runs.livelog import LOG, Item, pack_segment
from rote.services.store import packs
from rote.services.store.transactions import Transactions, Write
from rote.services.upkeep.check import StoreCheck
from rote.services.upkeep.stats import StoreStats
from rote.testing.clock import StillClock
from rote.words.encoding import with_check
from rote.words.ids import Digest
from rote.words.record import DataRoot, Root
from rote.words.snapshot import RAW, ZSTD, NodeRef, SnapshotRecord, SnapshotRef

HALF = b"half of a file, "


def pack_of(blocks: list[tuple[bytes, bytes, int, int, list[bytes]]]) -> tuple[Digest, bytes, list[int]]:
    """(stored, plain, codec, kind, chunks) of each block -> the pack's digest, its bytes, and where its blocks begin."""
    footer = packs.Footer(
        stored=[len(b[0]) for b in blocks],
        length=[len(b[1]) for b in blocks],
        codec=bytearray(b[2] for b in blocks),
        kind=bytearray(b[3] for b in blocks),
        count=[len(b[4]) for b in blocks],
        chunk_length=[len(c) for b in blocks for c in b[4]],
        digests=b"".join(blake3(c).digest() for b in blocks for c in b[4]),
    )
    digest, end = packs.encode_footer(footer)
    starts = [8 + sum(len(b[0]) for b in blocks[:n]) for n in range(len(blocks))]
    return digest, packs.MAGIC + b"".join(b[0] for b in blocks) + end, starts


def snapshot(write: Write) -> SnapshotRef:
    """Files a and b of one chunk each in a block of their own, c of two chunks, one of them in b's block."""
    a, b, c = b"content of a", b"content of b" + HALF, HALF + b"rest of c"
    chunks = [a, b"content of b", HALF, b"rest of c"]
    b = b"content of b"
    plain = [a, b + HALF, b"rest of c"]
    data = pack_of(
        [
            (a, a, RAW, 0, [a]),
            (plain[1], plain[1], RAW, 0, [b, HALF]),
            (plain[2], plain[2], RAW, 0, [plain[2]]),
        ]
    )
    name = write.put_pack(data[0], data[1])
    rows = nodes.Rows(
        ["a", "b", "c"], [len(a), len(b), len(c)], bytes(3), b"".join(blake3(x).digest() for x in (a, b, c))
    )
    places = nodes.Places(
        packs=[name],
        block_pack=[0, 0, 0],
        block_offset=data[2],
        block_stored=[len(p) for p in plain],
        block_length=[len(p) for p in plain],
        block_codec=bytes(3),
        counts=[1, 1, 2],
        blocks=[0, 1, 1, 2],
        starts=[0, 0, len(b), 0],
        lengths=[len(HALF), len(plain[2])],
        digests=b"".join(blake3(x).digest() for x in chunks[2:]),
    )
    logical = nodes.logical(rows)
    node = logical + nodes.encode_places(places)
    stored = zstandard.ZstdCompressor(level=1).compress(node)
    node_pack = pack_of([(stored, node, ZSTD, 1, [node])])
    node_name = write.put_pack(node_pack[0], node_pack[1])
    id = nodes.node_id(logical)
    ref = NodeRef(
        id, "a", 3, sum(rows.sizes), 1, 8, len(stored), len(node), Digest(blake3(node).hexdigest()), (0,)
    )
    return write.add_snapshot(
        SnapshotRecord(
            id=nodes.snapshot_id(False, [id]),
            txn=write.id,
            files=3,
            size=ref.size,
            packs=[name, node_name],
            nodes=[ref],
        )
    )


def store_with_data() -> tuple[MemoryStore, SnapshotRef, str, str]:
    """A store whose snapshot is kept by `data images` and by a result; and the keys of its data pack and node pack."""
    store = MemoryStore()

    def work(write: Write) -> SnapshotRef:
        ref = snapshot(write)
        write.root(f"data/aa/{ref.id}", DataRoot(path="images", repository="r", added="t", by="me"), [ref])
        return ref

    ref = Transactions(store, StillClock(), "me").write(work)
    # A result, as another part of rote would write it.
    root = Root(state="live", txn=ref.txn, needs=[ref], body={"stage": "train", "outs": {}})
    store.create(f"results/aa/{ref.id}", with_check(root))
    run = {
        "id": "20261121-110000-aaaaaa",
        "stages": [{"stage": "train", "outs": {"m": {"id": ref.id}}}, {"stage": "x"}],
    }
    store.create(
        "runs/20261121-110000-aaaaaa/record",
        with_check(Root(state="live", txn=ref.txn, needs=[ref], body=run)),
    )
    store.create("runs/20261121-110000-aaaaaa/live/1", pack_segment([Item(LOG, "train", b"a log line\n")]))
    data, node = sorted(store.list("packs/"), key=lambda m: b"content of a" not in store.get(m.key).data)
    return store, ref, data.key, node.key


def flip(store: ObjectStore, key: str, at: int) -> None:
    found = store.get(key)
    data = bytearray(found.data)
    data[at] ^= 0x40
    store.replace(key, bytes(data), found.etag)


def test_a_sound_store() -> None:
    store, *_ = store_with_data()
    for deep in (False, True):
        report = StoreCheck(store).check(deep)
        assert report.ok, report.damages
        assert (report.roots, report.snapshots, report.packs, report.unused_packs) == (3, 1, 2, 0)


def test_a_missing_pack_names_files_and_everybody_who_needs_them() -> None:
    store, ref, data, _ = store_with_data()
    store.delete(data)
    (damage,) = StoreCheck(store).check().damages
    assert (damage.key, damage.why) == (data, "it is missing")
    (suffering,) = damage.suffering
    assert suffering.snapshot == ref
    assert (suffering.paths, suffering.files) == (["a", "b", "c"], 3)
    assert [r.name for r in suffering.roots] == [
        "data images",
        "result of stage train",
        "run 20261121-110000-aaaaaa",
    ]
    assert damage.repairs() == ["rote add --force images", "rote run --force train"]


def test_a_rotten_block_costs_only_the_files_in_it() -> None:
    store, _, data, _ = store_with_data()
    flip(store, data, 8 + len(b"content of a") + 2)  # in the block of b and of half of c
    assert StoreCheck(store).check().ok  # every length is right: only reading the bytes shows it
    (damage,) = StoreCheck(store).check(deep=True).damages
    assert damage.suffering[0].paths == ["b", "c"]
    assert damage.why == "1 of its 3 blocks are damaged"


def test_every_byte_of_every_pack_matters() -> None:
    store, _, data, node = store_with_data()
    for key in (data, node):
        for at in range(len(store.get(key).data)):
            flip(store, key, at)
            report = StoreCheck(store).check(deep=True)
            assert [d.key for d in report.damages] == [key] or at < len(packs.MAGIC), f"{key} byte {at}"
            flip(store, key, at)
    assert StoreCheck(store).check(deep=True).ok


def test_a_torn_pack() -> None:
    store, _, data, _ = store_with_data()
    whole = store.get(data).data
    for length in range(len(whole)):
        store.delete(data)
        store.create(data, whole[:length])
        (damage,) = StoreCheck(store).check().damages
        assert damage.key == data
        assert damage.suffering[0].files == 3


def test_a_lost_node_costs_all_its_files() -> None:
    store, _, _, node = store_with_data()
    store.delete(node)
    (damage,) = StoreCheck(store).check().damages
    assert (damage.suffering[0].paths, damage.suffering[0].files) == (["a"], 3)


def test_a_lost_record_and_a_damaged_root() -> None:
    store, ref, *_ = store_with_data()
    store.delete(f"snapshots/{ref.key}")
    flip(store, f"results/aa/{ref.id}", 5)
    damages = {d.key: d for d in StoreCheck(store).check().damages}
    assert damages.keys() == {f"snapshots/{ref.key}", f"results/aa/{ref.id}"}
    assert damages[f"snapshots/{ref.key}"].suffering[0].files == 3
    assert damages[f"snapshots/{ref.key}"].repairs()[0] == "rote add --force images"


def test_garbage_is_counted_and_is_no_damage() -> None:
    store, *_ = store_with_data()
    write = Transactions(store, StillClock(seed=5), "me").begin()
    write.put_pack(Digest("0" * 64), b"left behind")
    report = StoreCheck(store).check()
    assert report.ok
    assert (report.unused_packs, report.unused_size) == (1, 11)


def test_stats() -> None:
    store, ref, *_ = store_with_data()
    figures = StoreStats(store).stats()
    assert figures.kinds["packs"].objects == 2
    assert figures.kinds["runs"].objects == 2
    assert (figures.snapshots, figures.files, figures.logical) == (1, 3, ref.size)
    assert figures.stored == sum(m.size for m in store.list(""))
    assert figures.objects == len(list(store.list("")))
    assert figures.ratio == ref.size / figures.kinds["packs"].size
    assert figures.open_txns == 0
    Transactions(store, StillClock(seed=5), "me").begin().put_pack(Digest("0" * 64), b"x")
    assert StoreStats(store).stats().open_txns == 1
