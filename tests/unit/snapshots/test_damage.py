"""Damage in the store: never read silently, and told with the file, the pack and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st
from treebench import Bench, DictSink, DictTree, noise

from rote.errors import Corrupt, Missing, NotFound, TooNew
from rote.laws.data.nodes import Places, Rows, encode_places, logical, node_id, snapshot_id
from rote.services.store.packing import Packer
from rote.words.encoding import with_check
from rote.words.ids import Digest, SnapshotId
from rote.words.snapshot import NodeRef, SnapshotRecord, SnapshotRef

FILES = {"a.txt": b"some text\n" * 50, "b.bin": noise(300), "large": noise(150_000, 2), "none": b""}


def saved() -> tuple[Bench, SnapshotRecord, str]:
    bench = Bench()
    record = bench.save(DictTree(FILES))
    return bench, record, f"packs/{record.packs[0]}"


def test_flipped_bytes_are_never_read_silently() -> None:
    bench, record, key = saved()
    whole = bench.store.get(key).data
    footer_from = max(node.offset + node.stored for node in record.nodes)
    step = max(1, footer_from // 400)
    for at in [*range(8, 700), *range(700, footer_from, step), *range(record.nodes[0].offset, footer_from)]:
        bench.spoil(key, lambda data, at=at: data[:at] + bytes([whole[at] ^ 0x40]) + data[at + 1 :])
        sink = DictSink()
        with pytest.raises(Corrupt) as caught:
            bench.snapshots.restore(record, sink)
        assert caught.value.where == key
        assert caught.value.next is not None
        assert all(FILES[path] == data for path, data in sink.items())
        bench.spoil(key, lambda data: bytearray(whole))
    assert bench.restore(record) == FILES


def test_the_damaged_file_is_named() -> None:
    bench, record, key = saved()
    content = bench.store.get(key).data.index(FILES["b.bin"])
    bench.spoil(key, lambda data: data[:content] + b"?" + data[content + 1 :])
    with pytest.raises(Corrupt, match=r"a\.txt|b\.bin"):
        bench.restore(record)
    with pytest.raises(Corrupt, match=r"'b\.bin' is damaged"):
        b"".join(bench.snapshots.read(record, "b.bin"))
    assert b"".join(bench.snapshots.read(record, "large")) == FILES["large"]


@given(st.integers(0, 160_000))
@settings(max_examples=60, deadline=None)
def test_a_cut_pack_is_never_read_silently(length: int) -> None:
    bench, record, key = saved()
    needed = max(node.offset + node.stored for node in record.nodes)
    bench.spoil(key, lambda data: data[:length])
    if length < needed:
        with pytest.raises(Corrupt):
            bench.restore(record)
    else:
        assert bench.restore(record) == FILES


def test_a_pack_that_is_gone_is_named_with_a_file() -> None:
    bench, record, key = saved()
    reader = bench.snapshots
    nodes = list(reader.nodes(record))
    bench.store.delete(key)
    with pytest.raises(NotFound) as caught:
        reader.restore(record, DictSink())
    assert caught.value.key == key
    assert nodes
    assert "rote store check" in (caught.value.next or "")


def test_a_record_that_is_gone_or_damaged_is_told() -> None:
    bench, record, _ = saved()
    key = f"snapshots/{record.ref().key}"
    whole = bench.store.get(key).data
    for at in range(len(whole) - 1):
        bench.spoil(key, lambda data, at=at: data[:at] + bytes([whole[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(Corrupt, match="record"):
            bench.snapshots.record(record.ref())
        bench.spoil(key, lambda data: bytearray(whole))
    bench.store.delete(key)
    with pytest.raises(Missing, match=record.id[:12]):
        bench.snapshots.record(record.ref())


def rewritten(bench: Bench, record: SnapshotRecord, **changes: Any) -> None:
    key = f"snapshots/{record.ref().key}"
    body = with_check(msgspec.structs.replace(record, **changes))
    bench.spoil(key, lambda data: bytearray(body))


def changed_node(**changes: Any) -> Callable[[SnapshotRecord], dict[str, Any]]:
    return lambda record: {"nodes": [msgspec.structs.replace(record.nodes[0], **changes)]}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r: {"id": "0" * 64}, "another snapshot"),
        (lambda r: {"txn": "20260101T000000-0123456789abcdef"}, "another snapshot"),
        (lambda r: {"single": True}, "not those of its id"),
        (lambda r: {"nodes": []}, "not those of its id"),
        (changed_node(id=Digest("0" * 64)), "not those of its id"),
        (lambda r: {"files": r.files + 1}, "add up"),
        (lambda r: {"size": 0}, "add up"),
        (changed_node(size=0), "add up"),
        (lambda r: {"packs": []}, "not listed"),
        (changed_node(pack=-1), "not listed"),
        (changed_node(into=(1,)), "not listed"),
        (changed_node(offset=-1), "negative"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(change: Any, why: str) -> None:
    bench, record, _ = saved()
    rewritten(bench, record, **change(record))
    with pytest.raises(Corrupt, match=why):
        bench.snapshots.record(record.ref())


def test_a_newer_record_is_not_guessed_at() -> None:
    bench, record, _ = saved()
    rewritten(bench, record, format=3)
    with pytest.raises(TooNew, match="reads up to 2"):
        bench.snapshots.record(record.ref())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (changed_node(first="b"), "not the one"),
        (changed_node(check=Digest("0" * 64)), "digest"),
        (changed_node(length=10), "declares"),
        (changed_node(length=1 << 29), "claims"),
        (changed_node(offset=1), "unpacked"),
        (changed_node(stored=1 << 30), "shorter"),
    ],
)
def test_a_node_that_is_not_the_one_is_refused(change: Any, why: str) -> None:
    bench, record, _ = saved()
    spoiled = msgspec.structs.replace(record, **change(record))
    with pytest.raises(Corrupt, match=why):
        list(bench.snapshots.columns(spoiled))


def forged(
    bench: Bench, paths: list[str], content: bytes = b"x", digest: bytes | None = None
) -> SnapshotRecord:
    """A snapshot that somebody made to do harm: sound in every digest, with these paths."""
    digest = digest or blake3(content).digest()
    rows = Rows(paths, [len(content)] * len(paths), bytes(len(paths)), digest * len(paths))
    parts = [content[:1], content[1:]] if len(content) > 1 else [content]
    txn = "20260101T000000-0123456789abcdef"
    names: list[str] = []

    def put(name: Digest, data: memoryview) -> str:
        names.append(f"{txn}/{name}")
        bench.store.create(f"packs/{txn}/{name}", data)
        return names[-1]

    with Packer(txn, put, lambda: None) as packer:
        number = packer.reserve()
        packer.add(number, content, [len(p) for p in parts], b"".join(blake3(p).digest() for p in parts))
        packer.settle()
        several = len(parts) if len(parts) > 1 else 0
        block = packer.blocks[number]
        assert block is not None
        places = Places(
            [""], [0], [block[1]], [block[2]], [block[3]], bytes([block[4]]), [len(parts)] * len(paths),
            [0] * len(parts) * len(paths), [0, 1][: len(parts)] * len(paths),
            [len(p) for p in parts] * len(paths) if several else [],
            b"".join(blake3(p).digest() for p in parts) * len(paths) if several else b"",
        )  # fmt: skip
        head = logical(rows)
        node = packer.add_node(head + encode_places(places))
        packer.finish()
    size = len(content) * len(paths)
    ref = NodeRef(
        node_id(head), paths[0], len(paths), size, 0, node.offset, node.stored, node.length, node.check
    )
    return SnapshotRecord(
        id=snapshot_id(False, [ref.id]), txn=txn, files=len(paths), size=size, packs=names, nodes=[ref]
    )  # type: ignore[arg-type]  # a txn id as text


def test_what_the_forger_makes_can_be_read_if_it_is_harmless() -> None:
    bench = Bench()
    sink = DictSink()
    bench.snapshots.restore(forged(bench, ["a", "b"], b"xyz"), sink)
    assert sink == {"a": b"xyz", "b": b"xyz"}


@pytest.mark.parametrize(
    "path", ["../up", "/etc/passwd", "a/../../b", "C:/x", "a\\b", "con", "a//b", "nul.txt", "a\nb"]
)
def test_a_hostile_path_is_refused_before_a_file_is_written(path: str) -> None:
    bench = Bench()
    record = forged(bench, sorted({"+", path, "~"}))
    sink = DictSink()
    with pytest.raises(Corrupt, match="no snapshot may hold"):
        bench.snapshots.restore(record, sink)
    assert sink == {}
    with pytest.raises(Corrupt):
        list(bench.snapshots.entries(record))


def test_sound_chunks_that_are_not_the_file_are_refused() -> None:
    bench = Bench()
    record = forged(bench, ["a"], b"xyz", digest=blake3(b"other").digest())
    sink = DictSink()
    with pytest.raises(Corrupt, match="'a'"):
        bench.snapshots.restore(record, sink)
    assert sink == {}


def test_a_damaged_parent_is_stored_anew() -> None:
    bench, record, key = saved()
    start = record.nodes[0].offset
    bench.spoil(key, lambda data: data[: start + 20] + b"\0" * 9 + data[start + 29 :])
    files = FILES | {"new": b"1"}
    again = bench.save(DictTree(files), record)
    assert bench.restore(again) == files


def test_a_reference_to_nothing_is_missing() -> None:
    bench, record, _ = saved()
    ref = SnapshotRef(SnapshotId(Digest("1" * 64)), record.txn, 1, 1)
    with pytest.raises(Missing):
        bench.snapshots.record(ref)
