"""Nodes: where a snapshot is cut, its ids, and the columns of a stored node as bytes (docs/format.md, 4)."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import msgspec

from rote.errors import Corrupt
from rote.laws.data.planes import WIDTHS
from rote.words.encoding import tagged
from rote.words.ids import Digest, SnapshotId
from rote.words.snapshot import FILE, RAW, ZSTD

CUT_MASK = 1023
MAX_ROWS = 16_384
"""A node ends after so many rows at the latest, so that no choice of names makes one that does not fit in memory."""
MAX_NODE = 1 << 28
"""Bytes that a stored node may have when unpacked; more is refused before it is unpacked."""
DIGEST = 32

_CODECS = bytes((RAW, ZSTD, *WIDTHS))
_SWAP = sys.byteorder == "big"
_U32 = next(code for code in "IL" if array(code).itemsize == 4)


class Rows(msgspec.Struct):
    """The rows of one node, or a part of one: a column each, in path order. `digests` has 32 bytes a row, joined."""

    paths: list[str]
    sizes: list[int]
    executables: bytes
    digests: bytes

    def digest(self, row: int) -> bytes:
        """The digest of one row, 32 bytes."""
        return self.digests[row * DIGEST : row * DIGEST + DIGEST]


class Places(msgspec.Struct):
    """Where the chunks of a node's rows lie (docs/format.md, 4.2); every list is a column.

    `lengths` and `digests` (joined) are of the chunks of those rows that have two or more.
    """

    packs: list[str]
    block_pack: Sequence[int]
    block_offset: Sequence[int]
    block_stored: Sequence[int]
    block_length: Sequence[int]
    block_codec: bytes
    counts: Sequence[int]
    blocks: Sequence[int]
    starts: Sequence[int]
    lengths: Sequence[int]
    digests: bytes


def ends(paths: Sequence[str], before: int = 0) -> list[int]:
    """Where nodes end: for each node that ends within `paths`, the number of the row after its last one. `before`
    rows of the first node have come already. The last row of a snapshot ends a node as well: that is the caller's."""
    hits = [i for i, path in enumerate(paths, 1) if not crc32(path.encode()) & CUT_MASK]
    if before + len(paths) < MAX_ROWS:
        return hits
    found: list[int] = []
    begin = -before
    for hit in [*hits, None]:
        stop = len(paths) if hit is None else hit
        while stop - begin >= MAX_ROWS:
            begin += MAX_ROWS
            found.append(begin)
        if hit is not None and hit != begin:
            begin = hit
            found.append(begin)
    return found


def logical(rows: Rows) -> bytes:
    """The logical bytes of a node: what its id is the digest of."""
    paths = "\0".join(rows.paths).encode()
    return b"".join(
        (
            _u32(len(rows.paths), len(paths)),
            paths,
            _column("Q", rows.sizes),
            rows.executables,
            rows.digests,
        )
    )


def node_id(logical_bytes: bytes) -> Digest:
    """The id of a node with these logical bytes."""
    return tagged("node", logical_bytes)


def snapshot_id(single: bool, ids: Iterable[Digest]) -> SnapshotId:
    """The id of the snapshot that consists of these nodes."""
    return SnapshotId(tagged("snapshot", bytes([single]) + bytes.fromhex("".join(ids))))


def encode_places(places: Places) -> bytes:
    """The location columns: what follows the logical bytes in a stored node."""
    packs = "\0".join(places.packs).encode()
    return b"".join(
        (
            _u32(len(places.packs), len(packs)),
            packs,
            _u32(len(places.block_pack)),
            _column(_U32, places.block_pack),
            _column("Q", places.block_offset),
            _column(_U32, places.block_stored),
            _column(_U32, places.block_length),
            places.block_codec,
            _u32(len(places.blocks)),
            _column(_U32, places.counts),
            _column(_U32, places.blocks),
            _column(_U32, places.starts),
            _u32(len(places.lengths)),
            _column(_U32, places.lengths),
            places.digests,
        )
    )


def decode(data: bytes, where: str) -> tuple[Rows, Places, int]:
    """Decode a stored node: rows, places, and how many of its bytes are the logical ones. Every count is held against
    the bytes that are there before anything is made of it. Raises Corrupt, which names `where`."""
    reader = _Reader(data, where)
    rows = _decode_rows(reader)
    cut = reader.at
    places = _decode_places(reader, len(rows.paths))
    if reader.at != len(data):
        raise reader.corrupt("something follows its last column")
    _check_places(rows, places, reader)
    return rows, places, cut


def _decode_rows(reader: _Reader) -> Rows:
    count, length = reader.u32(), reader.u32()
    paths = reader.text(length)
    sizes = reader.column("Q", count)
    executables = reader.take(count)
    digests = reader.take(count * DIGEST)
    if count == 0 or len(paths) != count:
        raise reader.corrupt("the number of its paths is not its number of rows")
    if any(map(str.__ge__, paths, paths[1:])):
        raise reader.corrupt("its paths are not in order")
    if executables.strip(b"\0\1"):
        raise reader.corrupt("a row is neither executable nor not")
    return Rows(paths, list(sizes), executables, digests)


def _decode_places(reader: _Reader, rows: int) -> Places:
    packs_count, length = reader.u32(), reader.u32()
    packs = reader.text(length) if packs_count else []
    if len(packs) != packs_count or (length and not packs_count):
        raise reader.corrupt("the number of its packs does not fit")
    blocks = reader.u32()
    pack, offset = reader.column(_U32, blocks), reader.column("Q", blocks)
    stored, unpacked = reader.column(_U32, blocks), reader.column(_U32, blocks)
    codec = reader.take(blocks)
    chunks = reader.u32()
    counts, block, start = reader.column(_U32, rows), reader.column(_U32, chunks), reader.column(_U32, chunks)
    many = reader.u32()
    lengths = reader.column(_U32, many)
    digests = reader.take(many * DIGEST)
    return Places(packs, pack, offset, stored, unpacked, codec, counts, block, start, lengths, digests)


def _check_places(rows: Rows, places: Places, reader: _Reader) -> None:
    if max(places.block_pack, default=-1) >= len(places.packs):
        raise reader.corrupt("a block lies in a pack that is not listed")
    if places.block_codec.strip(_CODECS):
        raise reader.corrupt("a block has an unknown codec")
    if max(places.blocks, default=-1) >= len(places.block_pack):
        raise reader.corrupt("a chunk lies in a block that is not listed")
    if sum(places.counts) != len(places.blocks):
        raise reader.corrupt("the number of its chunks does not fit")
    many = 0
    for size, count in zip(rows.sizes, places.counts, strict=True):
        if count > 1:
            if many + count > len(places.lengths) or sum(places.lengths[many : many + count]) != size:
                raise reader.corrupt("the chunks of a file do not add up to its size")
            many += count
        elif bool(size) != bool(count):
            raise reader.corrupt("a file with content has no chunk, or an empty one has")
    if many != len(places.lengths):
        raise reader.corrupt("it lists chunks that belong to no file")
    unpacked = places.block_length
    for block, start, length in zip(places.blocks, places.starts, _all_lengths(rows, places), strict=True):
        if start + length > unpacked[block]:
            raise reader.corrupt("a chunk reaches beyond its block")


def _all_lengths(rows: Rows, places: Places) -> Iterator[int]:
    many = 0
    for size, count in zip(rows.sizes, places.counts, strict=True):
        if count > 1:
            yield from places.lengths[many : many + count]
            many += count
        elif count:
            yield size


def check_single(single: bool, paths: Sequence[str], where: str) -> None:
    """A snapshot of a single file has exactly one row, named `file`. Raises Corrupt."""
    if single and list(paths) != [FILE]:
        raise Corrupt("a snapshot of a single file has other rows than that file", where=where)


def _u32(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "little") for value in values)


def _column(code: str, values: Sequence[int]) -> bytes:
    made = array(code, values)
    if _SWAP:
        made.byteswap()
    return made.tobytes()


class _Reader:
    """Takes columns off the front of bytes; never makes more than the bytes hold."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.at = 0
        self.where = where

    def corrupt(self, why: str) -> Corrupt:
        return Corrupt(
            f"a node of this snapshot is damaged: {why}", where=self.where, next="rote store check"
        )

    def take(self, length: int) -> bytes:
        end = self.at + length
        if end > len(self.data):
            raise self.corrupt("it ends too early")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def column(self, code: str, count: int) -> array[int]:
        made: array[int] = array(code)
        made.frombytes(self.take(count * made.itemsize))
        if _SWAP:
            made.byteswap()
        return made

    def text(self, length: int) -> list[str]:
        try:
            return self.take(length).decode().split("\0")
        except UnicodeDecodeError as e:
            raise self.corrupt("a text in it is not UTF-8") from e
