"""Packs: what one is made of, and reading it without believing it (docs/format.md, 5)."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence

import msgspec
import zstandard
from blake3 import blake3

from rote.errors import Corrupt, NotFound
from rote.laws.data import planes
from rote.laws.data.nodes import DIGEST, MAX_NODE
from rote.ports import ObjectStore
from rote.words.encoding import tagged
from rote.words.ids import Digest
from rote.words.snapshot import RAW, ZSTD

MAGIC = b"rotepak1"
TRAILER = 48
DATA, NODE = 0, 1
"""What a block holds: pieces of files, or one stored node."""
MAX_BLOCK = 1 << 24
"""Bytes that a block of files' pieces may have when unpacked."""
MAX_FOOTER = MAX_NODE
LEVEL = 1
_UNKNOWN = "a block has a codec or a kind that this rote does not know (a newer one may)"
_U32 = next(code for code in "IL" if array(code).itemsize == 4)


class Footer(msgspec.Struct):
    """What a pack says it holds: a column of blocks and a column of chunks. `digests` has 32 bytes a chunk, joined."""

    stored: list[int]
    length: list[int]
    codec: bytearray
    kind: bytearray
    count: list[int]
    chunk_length: list[int]
    digests: bytes

    def add(self, stored: int, length: int, codec: int, kind: int, chunks: Sequence[int]) -> None:
        """Another block, of `stored` bytes in the pack and `length` unpacked, with chunks of these lengths.
        Whoever writes a pack joins the `digests` when it is full."""
        self.stored.append(stored)
        self.length.append(length)
        self.codec.append(codec)
        self.kind.append(kind)
        self.count.append(len(chunks))
        self.chunk_length.extend(chunks)


def encode_footer(footer: Footer) -> tuple[Digest, bytes]:
    """The digest that names the pack, and its last bytes: footer and trailer."""
    counts = (len(footer.stored), len(footer.chunk_length))
    plain = b"".join(
        (
            *(n.to_bytes(4, "little") for n in counts),
            _column(footer.stored),
            _column(footer.length),
            footer.codec,
            footer.kind,
            _column(footer.count),
            _column(footer.chunk_length),
            footer.digests,
        )
    )
    digest = tagged("pack", plain)
    packed = zstandard.ZstdCompressor(level=LEVEL).compress(plain)
    sizes = len(packed).to_bytes(4, "little") + len(plain).to_bytes(4, "little")
    return digest, packed + sizes + bytes.fromhex(digest) + MAGIC


def read_footer(store: ObjectStore, pack: str, size: int | None = None) -> Footer:
    """What the pack `TXID/DIGEST` says it holds, verified against its name, in two ranged reads (and one HEAD unless
    its `size` in bytes is given). Raises NotFound; Corrupt if it is not whole or not what its name says."""
    key = f"packs/{pack}"
    if size is None:
        size = store.head(key).size
    if size < len(MAGIC) + TRAILER:
        raise damaged(pack, "it is too short to be a pack")
    trailer = store.get_range(key, size - TRAILER, TRAILER)
    packed, plain = int.from_bytes(trailer[:4], "little"), int.from_bytes(trailer[4:8], "little")
    if trailer[40:] != MAGIC or packed > size - TRAILER - len(MAGIC) or plain > MAX_FOOTER:
        raise damaged(pack, "its end is not that of a pack")
    body = unpack(store.get_range(key, size - TRAILER - packed, packed), ZSTD, plain, pack)
    named = tagged("pack", body)
    if trailer[8:40].hex() != named or pack.rpartition("/")[2] != named:
        raise damaged(pack, "its footer is not the one that its name says")
    footer = _decode_footer(body, pack)
    if len(MAGIC) + sum(footer.stored) + packed + TRAILER != size:
        raise damaged(pack, "its blocks do not fill it")
    return footer


def verify(store: ObjectStore, pack: str, size: int | None = None) -> list[int]:
    """Read a whole pack, block by block, and return the numbers of the blocks whose bytes are not what the footer
    says (empty: it is sound). Raises as `read_footer`."""
    footer = read_footer(store, pack, size)
    if store.get_range(f"packs/{pack}", 0, len(MAGIC)) != MAGIC:
        raise damaged(pack, "it does not begin as a pack does")
    return bad_blocks(store, pack, footer)


def bad_blocks(store: ObjectStore, pack: str, footer: Footer) -> list[int]:
    """The numbers of the blocks of a pack whose bytes are not what its footer says. Raises NotFound, Corrupt."""
    bad: list[int] = []
    offset, chunk = len(MAGIC), 0
    for block, stored in enumerate(footer.stored):
        data = store.get_range(f"packs/{pack}", offset, stored)
        if not sound(footer, block, chunk, data, pack):
            bad.append(block)
        offset += stored
        chunk += footer.count[block]
    return bad


def sound(footer: Footer, block: int, chunk: int, data: bytes | memoryview, pack: str) -> bool:
    """Whether `data` is the block with this number, whose first chunk has the number `chunk`, as the footer says."""
    try:
        plain = memoryview(unpack(data, footer.codec[block], footer.length[block], pack))
    except Corrupt:
        return False
    at = 0
    for number in range(chunk, chunk + footer.count[block]):
        end = at + footer.chunk_length[number]
        if blake3(plain[at:end]).digest() != footer.digests[number * DIGEST : number * DIGEST + DIGEST]:
            return False
        at = end
    return True


def unpack(
    data: bytes | memoryview, codec: int, length: int, pack: str, limit: int = MAX_NODE
) -> bytes | memoryview:
    """The bytes of a block. What it declares is held against `length` and `limit` before any of it is unpacked.
    Raises Corrupt, which names the pack."""
    if length > limit:
        raise damaged(pack, f"a block in it claims to have {length} bytes, more than a block may have")
    if codec == RAW:
        if len(data) != length:
            raise damaged(pack, "a block in it has another length than it should")
        return data
    if codec == ZSTD:
        return _frame(data, length, pack)
    width = planes.WIDTHS.get(codec)
    if width is None:
        raise damaged(pack, _UNKNOWN)
    try:
        stored = planes.unbind(data, length, width)
    except ValueError as e:
        raise damaged(pack, f"a block in it cannot be unpacked: {e}") from e
    whole = [part if len(part) == own else _frame(part, own, pack) for part, own in stored]
    return bytes(planes.join(whole, length))


def _frame(data: bytes | memoryview, length: int, pack: str) -> bytes:
    try:
        frame = zstandard.get_frame_parameters(data)
        if frame.content_size != length or frame.dict_id:
            raise damaged(pack, "a block in it declares another length than it should")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=length, allow_extra_data=False)
    except zstandard.ZstdError as e:
        raise damaged(pack, "a block in it cannot be unpacked") from e


def damaged(pack: str, why: str, of: str | None = None) -> Corrupt:
    """The error for bytes that are not what they should be: which pack, which file if known, what to do."""
    what = f"the content of '{of}' is damaged in the store: {why}" if of else f"this pack is damaged: {why}"
    return Corrupt(
        what,
        where=f"packs/{pack}",
        safe="files whose content lies elsewhere; nothing damaged was written to this machine",
        next="rote store check   (lists every file that needs this pack; add those again from a copy)",
    )


def gone(pack: str, of: str | None = None) -> NotFound:
    """The error for a pack that a record names and the store does not have."""
    return NotFound(
        f"packs/{pack}",
        where=f"'{of}'" if of else None,
        safe="files whose content lies in other packs",
        next="rote store check   (lists every file that needs this pack; add those again from a copy)",
    )


def _decode_footer(data: bytes | memoryview, pack: str) -> Footer:
    view = memoryview(data)
    if len(view) < 8:
        raise damaged(pack, "its footer is too short")
    blocks, chunks = int.from_bytes(view[:4], "little"), int.from_bytes(view[4:8], "little")
    if len(view) != 8 + blocks * 14 + chunks * (4 + DIGEST):
        raise damaged(pack, "its footer has another length than it should")
    at = 8
    columns: list[memoryview] = []
    for length in (4 * blocks, 4 * blocks, blocks, blocks, 4 * blocks, 4 * chunks, DIGEST * chunks):
        columns.append(view[at : at + length])
        at += length
    footer = Footer(
        stored=_numbers(columns[0]),
        length=_numbers(columns[1]),
        codec=bytearray(columns[2]),
        kind=bytearray(columns[3]),
        count=_numbers(columns[4]),
        chunk_length=_numbers(columns[5]),
        digests=bytes(columns[6]),
    )
    _check_footer(footer, pack)
    return footer


def _check_footer(footer: Footer, pack: str) -> None:
    if sum(footer.count) != len(footer.chunk_length):
        raise damaged(pack, "its footer does not add up")
    if max(footer.codec, default=0) > planes.LAST or max(footer.kind, default=0) > NODE:
        raise damaged(pack, _UNKNOWN)
    if any(kind == NODE and codec != ZSTD for kind, codec in zip(footer.kind, footer.codec, strict=True)):
        raise damaged(pack, "a node in it has a codec that nodes do not have")
    at = 0
    for count, length in zip(footer.count, footer.length, strict=True):
        if sum(footer.chunk_length[at : at + count]) != length:
            raise damaged(pack, "the chunks of a block do not fill it")
        at += count


def _column(values: list[int]) -> bytes:
    made = array(_U32, values)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def _numbers(data: memoryview) -> list[int]:
    made: array[int] = array(_U32)
    made.frombytes(data)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tolist()
