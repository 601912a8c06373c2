"""Objects that claim to be, or unpack to, far more than they are: refused by what they declare, in little memory."""

from __future__ import annotations

import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
import zstandard
from blake3 import blake3

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "snapshots"))

from treebench import Bench, DictSink, DictTree, noise

from rote.adapters.stores import address
from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.errors import Corrupt, RoteError, StoreError
from rote.laws.data import nodes
from rote.laws.data.tensors import stretches
from rote.services.runs.livelog import MAGIC, unpack_segment
from rote.services.store import packs
from rote.services.store.roots import Roots
from rote.services.upkeep.check import StoreCheck
from rote.words.encoding import canonical, tagged, with_check
from rote.words.ids import Digest
from rote.words.record import Root
from rote.words.snapshot import RAW, ZSTD, NodeRef, SnapshotRecord

HUGE = 10 << 30
MOST = 64 << 20
"""Bytes that refusing may take; what is written down is 300 MB for a whole command (benchmarks/faults.py measures that)."""


def bomb(size: int = 256 << 20) -> bytes:
    """A frame of a few KB that unpacks to a lot of zeros, and says so."""
    compressor = zstandard.ZstdCompressor(level=3).compressobj(size=size)
    piece = bytes(1 << 20)
    return b"".join(compressor.compress(piece) for _ in range(size >> 20)) + compressor.flush()


def lying(declared: int | None) -> bytes:
    """A frame that declares `declared` bytes (nothing if None) and holds 64 MiB of zeros."""
    params = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=declared is not None)
    compressor = zstandard.ZstdCompressor(compression_params=params)
    frame = bytearray(compressor.compress(bytes(64 << 20)))
    if declared is not None:
        at = bytes(frame).index((64 << 20).to_bytes(4, "little"))
        frame[at : at + 4] = declared.to_bytes(4, "little")
    return bytes(frame)


def refused(work: Callable[[], object], most: int = MOST) -> None:
    """It is refused as damage, and hardly any memory was taken."""
    tracemalloc.start()
    try:
        with pytest.raises((Corrupt, RoteError)):
            work()
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


BOMB = bomb()


@pytest.mark.parametrize("claimed", [HUGE, 1 << 40, (1 << 63) - 1, 64 << 20, 100])
def test_a_block(claimed: int) -> None:
    refused(lambda: packs.unpack(BOMB, ZSTD, claimed, "x/y", 16 << 20))
    for codec in (RAW, 2, 3, 4, 77):
        refused(lambda codec=codec: packs.unpack(BOMB, codec, claimed, "x/y", 16 << 20))


@pytest.mark.parametrize("declared", [None, 100, 1 << 20])
def test_a_frame_that_lies_about_itself(declared: int | None) -> None:
    frame = lying(declared)
    assert len(frame) < 10_000
    refused(lambda: packs.unpack(frame, ZSTD, declared or 100, "x/y", 16 << 20))
    refused(lambda: list(unpack_segment(MAGIC + blake3(frame).digest() + frame, "runs/x/live/1")))


def test_a_piece_of_a_log() -> None:
    refused(lambda: list(unpack_segment(MAGIC + blake3(BOMB).digest() + BOMB, "runs/x/live/1")))


def test_a_table_of_contents() -> None:
    """A pack whose footer is a bomb, under the name that fits: it may have 256 MiB, and no more."""
    for stored, length in (
        (len(BOMB), 256 << 20),
        (len(BOMB), HUGE & 0xFFFFFFFF),
        (0xFFFFFFFF, 100),
        (0, 0xFFFFFFFF),
    ):
        digest = tagged("pack", BOMB)
        end = (
            stored.to_bytes(4, "little") + length.to_bytes(4, "little") + bytes.fromhex(digest) + packs.MAGIC
        )
        store = MemoryStore()
        body = packs.MAGIC + BOMB + end
        store.create(f"packs/20260101T000000-0123456789abcdef/{digest}", body)
        refused(
            lambda store=store, body=body: packs.read_footer(
                store, f"20260101T000000-0123456789abcdef/{digest}", len(body)
            ),
            300 << 20,
        )  # type: ignore[misc]


def saved() -> tuple[Bench, SnapshotRecord]:
    bench = Bench()
    return bench, bench.save(DictTree({"a": noise(3000), "b": noise(200_000, 1)}))


@pytest.mark.parametrize("field", ["length", "stored", "offset", "size", "files"])
@pytest.mark.parametrize("claimed", [HUGE, (1 << 63) - 1, 1 << 32])
def test_a_record_that_claims(field: str, claimed: int) -> None:
    """Figures of a node in a record: sound in its digest, and huge."""
    bench, record = saved()
    node = msgspec.structs.replace(record.nodes[0], **{field: claimed})
    sums = {name: claimed for name in ("size", "files") if name == field}
    forged = msgspec.structs.replace(record, nodes=[node], **sums)
    key = f"snapshots/{record.ref().key}"
    bench.store._objects[key] = msgspec.structs.replace(bench.store._objects[key], data=with_check(forged))  # type: ignore[attr-defined]
    ref = msgspec.structs.replace(record.ref(), **sums)

    def read() -> None:
        bench.snapshots.restore(bench.snapshots.record(ref), DictSink())

    refused(read)
    report = StoreCheck(bench.store).check(deep=True)
    assert report.packs == 0


def test_a_node_of_a_hundred_million_rows() -> None:
    """Counts are held against the bytes that are there."""
    for count in (100_000_000, 0xFFFFFFFF):
        body = count.to_bytes(4, "little") * 2 + b"x" * 10_000
        refused(lambda body=body: nodes.decode(body, "x"))  # type: ignore[misc]  # bound on purpose


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"format":' + b"9" * 100_000 + b"}",
        b'{"needs":' + b"[" * 90_000 + b"]" * 90_000 + b"}",
    ],
    ids=["lists", "objects", "a number", "needs"],
)
def test_a_record_that_is_deep_or_long(body: bytes) -> None:
    store = MemoryStore()
    store.create("data/aa/x", body + b"\nblake3:" + blake3(body).hexdigest().encode() + b"\n")
    refused(lambda: Roots(store).envelope("data/aa/x"))


def test_a_root_that_needs_a_million() -> None:
    """Many needs are as many lines: what is there is read once, and is no bomb."""
    bench, record = saved()
    root = Root(state="live", txn=record.txn, needs=[record.ref()] * 1000, body={})
    bench.store.create("data/aa/x", with_check(root))
    assert StoreCheck(bench.store).check().ok
    assert len(canonical(root)) > 100_000


def test_a_header_of_tensors() -> None:
    """Eight bytes that claim a header of ten gigabytes, or of four with brackets only."""
    for claimed, rest in (
        (HUGE, b"{}"),
        (1 << 22, b"[" * 5000),
        (40, b'{"a":{"dtype":"F32","shape":[9999999999],'),
    ):
        head = claimed.to_bytes(8, "little") + rest
        tracemalloc.start()
        stretches(head, len(head))  # None, or the whole: never an error, for it is only a guess
        assert tracemalloc.get_traced_memory()[1] < MOST
        tracemalloc.stop()


def test_an_object_of_ten_gigabytes_in_a_folder(tmp_path: Path) -> None:
    """A hole in a file takes no room, and is as long as it likes."""
    store = FolderStore(str(tmp_path))
    store.create("data/aa/x", b"")
    (tmp_path / "data/aa/x").chmod(0o600)
    os.truncate(tmp_path / "data/aa/x", HUGE)
    refused(lambda: Roots(store).envelope("data/aa/x"))
    assert store.get_range("data/aa/x", HUGE - 5, 5) == bytes(5)


def test_an_object_of_ten_gigabytes_on_a_server() -> None:
    """What a hostile server says it is about to send is never waited for."""

    class Endless(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(HUGE))
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT")
            self.end_headers()
            self.wfile.write(bytes(100_000))

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for url in (
            f"http://127.0.0.1:{server.server_port}/x",
            f"s3://b/x?unsigned=true&endpoint=http://127.0.0.1:{server.server_port}",
        ):
            store = address.at(url, environ={})
            refused(lambda store=store: store.get("rote.json"))  # type: ignore[misc]  # bound on purpose
        server.shutdown()


def test_nodes_in_a_ring_cannot_be() -> None:
    """A node names packs, never nodes: nothing can point at itself."""
    assert "nodes" not in NodeRef.__struct_fields__
    assert issubclass(StoreError, RoteError)
    assert Digest("") == ""
