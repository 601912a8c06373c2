"""Files of tensors through the whole of saving and reading: smaller, the same bytes, and found again."""

from __future__ import annotations

import json
import random
import struct
from array import array
from collections import Counter

import msgspec
import pytest
from treebench import Bench, DictTree, noise

from rote.errors import TooNew
from rote.services.data.piecing import SEGMENT
from rote.services.store.packs import read_footer, verify
from rote.words.encoding import without_check
from rote.words.record import StoreInfo
from rote.words.snapshot import RAW, ZSTD, SnapshotRecord

INFO = StoreInfo(id="0" * 32, chunk_min=65536, chunk_avg=262144, chunk_max=1048576)
PLANES = {2: 2, 4: 3, 8: 4}


def weights(count: int, width: int = 4, seed: int = 1) -> bytes:
    """Numbers as a trained layer has them: small, around zero."""
    rnd = random.Random(seed)
    some = [rnd.gauss(0, 0.02) for _ in range(min(count, 30_000))]
    numbers = array("d" if width == 8 else "f", rnd.choices(some, k=count)).tobytes()
    if width > 2:
        return numbers
    made = bytearray(2 * count)
    made[0::2], made[1::2] = numbers[2::4], numbers[3::4]  # bfloat16 is the upper half
    return bytes(made)


def safetensors(tensors: dict[str, bytes], dtype: str = "F32", note: str = "") -> bytes:
    width = {"F32": 4, "BF16": 2, "F64": 8}[dtype]
    header: dict[str, object] = {"__metadata__": {"note": note}}
    at = 0
    for name, data in tensors.items():
        header[name] = {"dtype": dtype, "shape": [len(data) // width], "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensors.values())


def codecs(bench: Bench, record: SnapshotRecord) -> Counter[int]:
    """Bytes (unpacked) of data blocks by codec."""
    found: Counter[int] = Counter()
    for name in record.packs:
        footer = read_footer(bench.store, name)
        assert verify(bench.store, name) == []
        for codec, kind, length in zip(footer.codec, footer.kind, footer.length, strict=True):
            if not kind:
                found[codec] += length
    return found


@pytest.fixture
def bench() -> Bench:
    return Bench(info=INFO)


@pytest.mark.parametrize(("width", "dtype", "most"), [(2, "BF16", 0.75), (4, "F32", 0.88), (8, "F64", 0.92)])
def test_weights_are_stored_in_planes_and_read_back(
    bench: Bench, width: int, dtype: str, most: float
) -> None:
    data = safetensors({"w": weights(300_000, width)}, dtype)
    record = bench.save(DictTree(data))
    assert bench.restore(record) == {"file": data}
    found = codecs(bench, record)
    assert found[PLANES[width]] > 0.99 * len(data)
    assert sum(bench.packs().values()) < most * len(data)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("front", [b"", b"x", b"\x93NUMPY with a header of odd length"])
def test_raw_numbers_are_found_without_a_header_wherever_they_begin(
    bench: Bench, width: int, front: bytes
) -> None:
    data = front + weights(300_000, width)
    record = bench.save(DictTree(data))
    assert codecs(bench, record)[PLANES[width]] > 0.99 * len(data)
    assert bench.restore(record) == {"file": data}


def test_small_files_of_numbers_share_blocks_in_planes(bench: Bench) -> None:
    files = {f"{i:03}.npy": weights(10_000, seed=i) for i in range(30)}
    record = bench.save(DictTree(files))
    assert codecs(bench, record)[PLANES[4]] == sum(map(len, files.values()))
    assert bench.restore(record) == files


def test_what_is_not_numbers_is_stored_as_before(bench: Bench) -> None:
    files = {
        "noise": noise(3_000_000),
        "text": b"".join(b"%d,0.5,label\n" % (i * 7919) for i in range(90_000)),
    }
    record = bench.save(DictTree(files))
    assert codecs(bench, record) == {RAW: 3_000_000, ZSTD: len(files["text"])}
    assert record.format == 1


def test_tensors_that_planes_do_not_serve_are_stored_otherwise(bench: Bench) -> None:
    zeros, dense = bytes(1 << 20), noise(1 << 20)
    record = bench.save(DictTree(safetensors({"zeros": zeros, "dense": dense})))
    found = codecs(bench, record)
    assert found[RAW] >= 1 << 20
    assert set(found) <= {RAW, ZSTD, 3}
    assert sum(bench.packs().values()) < (1 << 20) + 4096


def test_a_large_file_is_cut_at_its_tensors_across_segments(bench: Bench) -> None:
    layers = {f"layer{i}": weights(900_000, seed=i) for i in range(4)}
    data = safetensors({**layers, "bias": weights(100)})
    assert len(data) > SEGMENT
    record = bench.save(DictTree(data))
    assert bench.restore(record) == {"file": data}
    [node] = bench.snapshots.nodes(record)
    ends, at = set(), 0
    for length in node.places.lengths:
        at += length
        ends.add(at)
    begin = len(data) - sum(map(len, layers.values())) - 400
    assert {begin + i * 3_600_000 for i in range(5)} <= ends


def test_frozen_layers_are_stored_once(bench: Bench) -> None:
    frozen = {f"a{i}": weights(100_000 + 999 * i, seed=i) for i in range(6)}
    first = bench.save(DictTree(safetensors({**frozen, "head": weights(70_000, seed=50)})))
    before = sum(bench.packs().values())
    # Another note moves every tensor; layers between frozen ones change; the head is trained.
    tuned = {
        f"a{i}": data if i % 2 else weights(len(data) // 4, seed=80 + i)
        for i, data in enumerate(frozen.values())
    }
    data = safetensors({**tuned, "head": weights(70_000, seed=51)}, note="epoch 2")  # fmt: skip
    second = bench.save(DictTree(data), parent=first)
    new = sum(map(len, tuned.values())) - sum(len(tuned[f"a{i}"]) for i in (1, 3, 5)) + 280_000
    assert sum(bench.packs().values()) - before < 0.9 * new
    assert bench.restore(second) == {"file": data}


def test_the_record_says_which_readers_can_read_it(bench: Bench) -> None:
    class Old(msgspec.Struct):
        """How a reader of format 1 sees a record."""

        format: int = 1

    plain = {f"{i:04}": b"row %d" % i for i in range(3000)}
    first = bench.save(DictTree(plain))
    weighty = bench.save(DictTree({**plain, "w": weights(50_000)}), parent=first)
    assert (first.format, weighty.format) == (1, 2)
    key = f"snapshots/{weighty.ref().key}"
    with pytest.raises(TooNew, match="format 2"):
        without_check(bench.store.get(key).data, Old, key)
    changed = bench.save(DictTree({**plain, "w": weights(50_000), "0000": b"new"}), parent=weighty)
    composed = bench.compose({"a": first, "b": weighty})
    assert (changed.format, composed.format, bench.compose({"a": first}).format) == (2, 2, 1)
    assert bench.restore(composed) == {f"a/{p}": d for p, d in plain.items()} | {
        f"b/{p}": d for p, d in {**plain, "w": weights(50_000)}.items()
    }


def test_the_codec_is_no_part_of_the_identity() -> None:
    data = safetensors({"w": weights(100_000)})
    small, usual = Bench(), Bench(info=INFO)
    assert small.save(DictTree(data)).id == usual.save(DictTree(data)).id


@pytest.mark.parametrize(
    ("shape", "begin", "end"), [(1 << 60, 0, 1 << 62), (4, 16, 0), (4, -16, 0), (4, 1 << 40, (1 << 40) + 16), (3, 0, 16)]
)  # fmt: skip
def test_a_file_with_a_header_that_lies_is_saved_as_it_is(
    bench: Bench, shape: int, begin: int, end: int
) -> None:
    header = {"a": {"dtype": "F32", "shape": [shape], "data_offsets": [begin, end]}}
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + noise(SEGMENT + 100_000)
    record = bench.save(DictTree(data))
    assert bench.restore(record) == {"file": data}
    assert codecs(bench, record) == {RAW: len(data)}
