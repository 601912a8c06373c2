"""The bytes of many files out of packs: few ranged reads, bounded memory, every chunk and file verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from blake3 import blake3

from rote.errors import Corrupt, NotFound
from rote.laws.data.nodes import DIGEST, Places, Rows
from rote.ports import ObjectStore
from rote.services.store import abreast, packs
from rote.services.store.packs import MAX_BLOCK
from rote.words.snapshot import RAW

WINDOW = 16 << 20
"""Bytes that are fetched at a time, about."""
AHEAD = 3
"""Windows under way at once, of a store that is far: so many times WINDOW is the memory that reading takes, and twice
that for a moment where everything is compressed."""
GAP = 1 << 17
"""Ranges with at most so many bytes between them are read as one."""
_KEPT = 4
_EMPTY = blake3(b"").digest()

Spot = tuple[str, int]


class LoadedNode:
    """A verified node: its rows and its places, in which every pack has its name."""

    def __init__(self, rows: Rows, places: Places, own: str) -> None:
        self.rows = rows
        self.places = places
        places.packs = [name or own for name in places.packs]


class FileParts(msgspec.Struct):
    """One file: its row, and its bytes as verified parts, to be taken before the next file is asked for."""

    path: str
    size: int
    executable: bool
    digest: bytes
    parts: Iterator[bytes | memoryview]


class _File(msgspec.Struct, gc=False):
    path: str
    size: int
    executable: bool
    digest: bytes
    pieces: int


class _Piece(msgspec.Struct, gc=False):
    """A chunk of a file and where it lies; An empty file is a piece of no length."""

    file: _File
    digest: bytes
    pack: str
    offset: int
    stored: int
    unpacked: int
    codec: int
    start: int
    length: int


class _Window(msgspec.Struct, gc=False):
    """Pieces that are fetched at a time. `local`: digest -> chunks that need not be; `missing`: those whose blocks must
    be; `kept`: the blocks that the next window may need again."""

    pieces: list[_Piece]
    local: dict[bytes, bytes]
    missing: list[_Piece]
    kept: list[Spot]


class Pieces:
    """The files of some rows, in order. One thread."""

    def __init__(
        self,
        store: ObjectStore,
        rows: Iterator[tuple[LoadedNode, Sequence[int]]],
        have: Callable[[bytes], bytes | None] | None,
    ) -> None:
        self._store = store
        self._plan = (piece for node, wanted in rows for piece in _pieces(node, wanted))
        self._have = have
        self._kept: dict[Spot, bytes | memoryview] = {}
        self._planned: list[Spot] = []

    def files(self) -> Iterator[FileParts]:
        """Every file. Raises NotFound, Corrupt, also out of `parts`."""
        stream = self._verified()
        for piece, data in stream:
            file = piece.file
            parts = _parts(file, data, stream)
            yield FileParts(file.path, file.size, file.executable, file.digest, parts)
            for _ in parts:  # what the taker left: the next file's parts come after it
                pass

    def _verified(self) -> Iterator[tuple[_Piece, bytes | memoryview]]:
        for window, fetched in abreast.ahead(self._store, self._fetched, self._windows(), AHEAD):
            for piece, data in zip(window.pieces, self._assembled(window, fetched), strict=True):
                if blake3(data).digest() != piece.digest:
                    forget(self._store, piece.pack)
                    raise packs.damaged(
                        piece.pack, "its bytes are not what their digest says", piece.file.path
                    )
                yield piece, data

    def _windows(self) -> Iterator[_Window]:
        """What is fetched at a time, and which blocks of it the window before has not got."""
        while pieces := self._next_pieces():
            local: dict[bytes, bytes] = {_EMPTY: b""}
            if self._have:
                for digest in {piece.digest for piece in pieces if piece.length}:
                    found = self._have(digest)
                    if found is not None and blake3(found).digest() == digest:
                        local[digest] = found
            wanted = [piece for piece in pieces if piece.digest not in local]
            kept = set(self._planned)
            missing = [piece for piece in wanted if (piece.pack, piece.offset) not in kept]
            order = dict.fromkeys([*self._planned, *((p.pack, p.offset) for p in _by_pack(missing))])
            # The last blocks stay: the next window's small files probably begin in them.
            self._planned = list(order)[-_KEPT:]
            yield _Window(pieces, local, missing, self._planned)

    def _next_pieces(self) -> list[_Piece]:
        window: list[_Piece] = []
        spots: set[Spot] = set()
        size = 0
        for piece in self._plan:
            window.append(piece)
            spot = (piece.pack, piece.offset)
            if spot not in spots:
                spots.add(spot)
                size += piece.unpacked
                if size >= WINDOW:
                    break
        return window

    def _fetched(self, window: _Window) -> tuple[_Window, dict[Spot, bytes | memoryview]]:
        """The missing blocks of a window. Any thread."""
        blocks: dict[Spot, bytes | memoryview] = {}
        for pack, pieces in groupby(_by_pack(window.missing), lambda piece: piece.pack):
            order = list(pieces)
            path = order[0].file.path
            try:
                stored = coalesced(self._store, pack, [(p.offset, p.stored) for p in order], GAP)
            except NotFound as e:
                raise packs.gone(pack, path) from e
            except Corrupt as e:
                raise packs.damaged(pack, "it is shorter than it should be", path) from e
            for piece, data in zip(order, stored, strict=True):
                try:
                    blocks[(pack, piece.offset)] = _unpacked(piece, data)
                except Corrupt:
                    forget(self._store, pack)
                    raise
        return window, blocks

    def _assembled(
        self, window: _Window, fetched: dict[Spot, bytes | memoryview]
    ) -> list[bytes | memoryview]:
        """The bytes of each piece of a window, not yet verified."""
        blocks, local = {**self._kept, **fetched}, window.local
        self._kept = {spot: blocks[spot] for spot in window.kept}
        views = {spot: memoryview(data) for spot, data in blocks.items()}
        return [
            local[p.digest] if p.digest in local else views[p.pack, p.offset][p.start : p.start + p.length]
            for p in window.pieces
        ]


def _by_pack(pieces: Iterable[_Piece]) -> list[_Piece]:
    """One piece for each block, pack by pack as they come first, and in the order of their offsets there."""
    needed: dict[str, dict[int, _Piece]] = {}
    for piece in pieces:
        needed.setdefault(piece.pack, {})[piece.offset] = piece
    return [found[offset] for found in needed.values() for offset in sorted(found)]


def forget(store: ObjectStore, pack: str) -> None:
    """A pack was found damaged: what a read cache in front of the store holds of it goes, so that the next read asks
    the store itself, which may have been repaired."""
    drop = getattr(store, "forget", None)
    if drop is not None:
        drop(f"packs/{pack}")


def _parts(
    file: _File, data: bytes | memoryview, stream: Iterator[tuple[_Piece, bytes | memoryview]]
) -> Iterator[bytes | memoryview]:
    if file.pieces < 2:
        if file.pieces:
            yield data  # a chunk that is the whole file: its digest is the file's
        return
    hasher = blake3(data)
    yield data
    for _ in range(file.pieces - 1):
        _, data = next(stream)
        hasher.update(data)
        yield data
    if hasher.digest() != file.digest:
        raise Corrupt(
            f"the content of '{file.path}' is damaged in the store: its pieces are sound, but are not that file",
            safe="the other files; nothing damaged was kept on this machine",
            next="rote store check",
        )


def _unpacked(piece: _Piece, data: bytes | memoryview) -> bytes | memoryview:
    try:
        return packs.unpack(data, piece.codec, piece.unpacked, piece.pack, MAX_BLOCK)
    except Corrupt as e:
        raise packs.damaged(piece.pack, "a block cannot be unpacked", piece.file.path) from e


def _pieces(node: LoadedNode, wanted: Iterable[int]) -> Iterator[_Piece]:
    rows, places = node.rows, node.places
    names = places.packs
    first, first_many = _firsts(places.counts)
    for row in wanted:
        count = places.counts[row]
        digest = rows.digest(row)
        file = _File(rows.paths[row], rows.sizes[row], bool(rows.executables[row]), digest, count)
        if not count:
            yield _Piece(file, _EMPTY, "", 0, 0, 0, RAW, 0, 0)
        for k in range(count):
            length = file.size
            if count > 1:
                many = first_many[row] + k
                length = places.lengths[many]
                digest = places.digests[many * DIGEST : many * DIGEST + DIGEST]
            at = first[row] + k
            block = places.blocks[at]
            yield _Piece(
                file,
                digest,
                names[places.block_pack[block]],
                places.block_offset[block],
                places.block_stored[block],
                places.block_length[block],
                places.block_codec[block],
                places.starts[at],
                length,
            )


def _firsts(counts: Sequence[int]) -> tuple[list[int], list[int]]:
    """For each row, its first chunk, and its first one among those of rows with several."""
    first, many = [], []
    at = at_many = 0
    for count in counts:
        first.append(at)
        many.append(at_many)
        at += count
        if count > 1:
            at_many += count
    return first, many


def coalesced(
    store: ObjectStore, pack: str, spans: Sequence[tuple[int, int]], gap: int
) -> list[bytes | memoryview]:
    """The (offset, length) spans of a pack, in the order asked; those close together are read as one range."""
    ranges: list[tuple[int, int]] = []
    inside: dict[tuple[int, int], int] = {}
    for offset, length in sorted(set(spans)):
        if ranges and offset - sum(ranges[-1]) <= gap and offset + length - ranges[-1][0] <= WINDOW:
            begin, before = ranges[-1]
            ranges[-1] = (begin, max(before, offset + length - begin))
        else:
            ranges.append((offset, length))
        inside[(offset, length)] = len(ranges) - 1
    read = store.get_ranges(f"packs/{pack}", ranges)
    found: list[bytes | memoryview] = []
    for span in spans:
        number = inside[span]
        begin = span[0] - ranges[number][0]
        found.append(memoryview(read[number])[begin : begin + span[1]])
    return found
