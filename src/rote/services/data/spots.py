"""Files of a snapshot and where their bytes lie, in flat columns: about 110 bytes a file, so that a million of them can
be read in any order."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from blake3 import blake3

from rote.errors import Corrupt
from rote.laws.data.nodes import DIGEST
from rote.services.data.reading import LoadedNode
from rote.services.store import packs
from rote.words.snapshot import SnapshotRecord

_U32 = next(code for code in "IL" if array(code).itemsize == 4)


class Spot(msgspec.Struct, frozen=True, gc=False):
    """A block in the store: `stored` bytes at `offset` of `pack`, `length` when unpacked."""

    pack: str
    offset: int
    stored: int
    length: int
    codec: int


class Block:
    """A block's bytes, unpacked, and which of its chunks were held against their digests already."""

    __slots__ = ("data", "sound")

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = memoryview(data)
        self.sound: set[tuple[int, bytes]] = set()

    def chunk(self, start: int, length: int, digest: bytes, spot: Spot, path: str) -> memoryview:
        """One chunk of it, verified. Raises Corrupt."""
        data = self.data[start : start + length]
        if (start, digest) not in self.sound:
            if blake3(data).digest() != digest:
                raise packs.damaged(spot.pack, "its bytes are not what their digest says", path)
            self.sound.add((start, digest))
        return data


class Index:
    """Rows in path order; a row is a file. Not changed any more once it is built, and then safe to share."""

    def __init__(self) -> None:
        self.sizes = array("Q")
        self.executables = bytearray()
        self._paths = bytearray()
        self._ends = array("Q", [0])
        self._digests = bytearray()
        self._first = array("Q", [0])
        self._many = array("Q")
        self._block = array(_U32)
        self._start = array(_U32)
        self._length = array(_U32)
        self._many_digests = bytearray()
        self._packs: list[str] = []
        self._pack = array(_U32)
        self._offset = array("Q")
        self._stored = array(_U32)
        self._unpacked = array(_U32)
        self._codec = bytearray()

    def __len__(self) -> int:
        return len(self.sizes)

    # ---- building ----------------------------------------------------------------------------------------------

    @staticmethod
    def of(nodes: Iterable[LoadedNode], below: str = "") -> Index:
        """The rows of these nodes; with `below` those in that folder, or that one file."""
        index = Index()
        numbers: dict[tuple[str, int], int] = {}
        names: dict[str, int] = {}
        for node in nodes:
            rows = _rows_below(node.rows.paths, below)
            if rows:
                index._add(node, rows, numbers, names)
        return index

    def _add(
        self, node: LoadedNode, rows: range, numbers: dict[tuple[str, int], int], names: dict[str, int]
    ) -> None:
        places = node.places
        mine = [-1] * len(places.block_pack)
        at = sum(places.counts[: rows.start])
        many = sum(count for count in places.counts[: rows.start] if count > 1)
        for row in rows:
            count = places.counts[row]
            encoded = node.rows.paths[row].encode()
            self._paths += encoded
            self._ends.append(len(self._paths))
            self.sizes.append(node.rows.sizes[row])
            self.executables.append(node.rows.executables[row])
            self._digests += node.rows.digest(row)
            self._many.append(len(self._many_digests) // DIGEST)
            for k in range(count):
                block = places.blocks[at + k]
                if mine[block] < 0:
                    mine[block] = self._number(node, block, numbers, names)
                self._block.append(mine[block])
                self._start.append(places.starts[at + k])
                self._length.append(places.lengths[many + k] if count > 1 else node.rows.sizes[row])
            if count > 1:
                self._many_digests += places.digests[many * DIGEST : (many + count) * DIGEST]
                many += count
            at += count
            self._first.append(len(self._block))

    def _number(
        self, node: LoadedNode, block: int, numbers: dict[tuple[str, int], int], names: dict[str, int]
    ) -> int:
        places = node.places
        pack = places.packs[places.block_pack[block]]
        place = (pack, places.block_offset[block])
        number = numbers.get(place)
        if number is None:
            number = numbers[place] = len(self._pack)
            if pack not in names:
                names[pack] = len(self._packs)
                self._packs.append(pack)
            self._pack.append(names[pack])
            self._offset.append(place[1])
            self._stored.append(places.block_stored[block])
            self._unpacked.append(places.block_length[block])
            self._codec.append(places.block_codec[block])
        return number

    # ---- asking ------------------------------------------------------------------------------------------------

    def path(self, row: int) -> str:
        """The path of a row."""
        return self._paths[self._ends[row] : self._ends[row + 1]].decode()

    def digest(self, row: int) -> bytes:
        """BLAKE3 of the file, 32 bytes."""
        return bytes(self._digests[row * DIGEST : row * DIGEST + DIGEST])

    def find(self, path: str) -> int | None:
        """The row of a path, or None."""
        row = bisect_left(range(len(self)), path, key=self.path)
        return row if row < len(self) and self.path(row) == path else None

    def block(self, row: int) -> int:
        """The number of the block in which a row begins; -1 for an empty file."""
        first = self._first[row]
        return self._block[first] if first < self._first[row + 1] else -1

    def cost(self, row: int) -> int:
        """Bytes of memory that the blocks of a row beyond its first one take when they are read."""
        first, end = self._first[row], self._first[row + 1]
        return sum(self._unpacked[self._block[k]] for k in range(first + 1, end)) if end - first > 1 else 0

    def unpacked(self, block: int) -> int:
        """Bytes of a block when unpacked."""
        return self._unpacked[block]

    def spot(self, block: int) -> Spot:
        """Where a block lies."""
        return Spot(
            self._packs[self._pack[block]],
            self._offset[block],
            self._stored[block],
            self._unpacked[block],
            self._codec[block],
        )

    def spots(self, row: int, start: int = 0, end: int | None = None) -> Iterator[Spot]:
        """The blocks that hold bytes `start` to `end` of a row."""
        for k, _, _ in self._chunks(row, start, self.sizes[row] if end is None else end):
            yield self.spot(self._block[k])

    def assemble(
        self, row: int, blocks: Mapping[Spot, Block], start: int = 0, end: int | None = None
    ) -> bytes:
        """Bytes `start` to `end` of a row out of `blocks`, every chunk verified; a whole file of several chunks is also
        verified as a whole. Raises Corrupt."""
        size = self.sizes[row]
        stop = size if end is None else min(end, size)
        path = self.path(row)
        parts = []
        for k, skipped, taken in self._chunks(row, start, stop):
            spot = self.spot(self._block[k])
            chunk = blocks[spot].chunk(
                self._start[k], self._length[k], self._chunk_digest(row, k), spot, path
            )
            parts.append(chunk[skipped : skipped + taken])
        data = b"".join(parts)
        if len(parts) > 1 and start == 0 and stop == size and blake3(data).digest() != self.digest(row):
            raise Corrupt(
                f"the content of '{path}' is damaged in the store: its pieces are sound, but are not that file",
                next="rote store check",
            )
        return data

    def _chunk_digest(self, row: int, k: int) -> bytes:
        first = self._first[row]
        if self._first[row + 1] - first == 1:
            return self.digest(row)
        at = (self._many[row] + k - first) * DIGEST
        return bytes(self._many_digests[at : at + DIGEST])

    def _chunks(self, row: int, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(Chunk, bytes of it to skip, bytes to take) of what lies between start and end."""
        at = 0
        for k in range(self._first[row], self._first[row + 1]):
            length = self._length[k]
            if at >= end:
                return
            if at + length > start:
                skipped = max(start - at, 0)
                yield k, skipped, min(end - at, length) - skipped
            at += length


def nodes_below(record: SnapshotRecord, below: str) -> Sequence[int]:
    """The numbers of the nodes that may hold the file `below` or something in that folder; all if it is empty."""
    if not below:
        return range(len(record.nodes))
    firsts = [ref.first for ref in record.nodes]
    # "0" is the character after "/": everything in the folder lies before it.
    return range(max(bisect_right(firsts, below) - 1, 0), bisect_left(firsts, below + "0"))


def _rows_below(paths: Sequence[str], below: str) -> range:
    if not below:
        return range(len(paths))
    start = bisect_left(paths, below)
    if start < len(paths) and paths[start] == below:
        return range(start, start + 1)
    return range(bisect_left(paths, below + "/"), bisect_left(paths, below + "0"))
