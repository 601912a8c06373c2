"""What a run says while it is under way, as bytes: segments, and the sign of life (docs/format.md, 8.2 and 8.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec
from blake3 import blake3

from rote.errors import Corrupt
from rote.words.alive import Sign
from rote.words.ids import RunId

MAGIC = b"ROTELIVE"
LOG = 1
"""The kind of an item that holds a piece of a stage's log."""
SIGN = 2
"""The kind of an item that is a sign of life."""
_HEAD = struct.Struct("<BBI")
_UNPACKED = 5 << 20
"""Bytes that a segment may have when it is unpacked: more than any writer puts into one."""


class Item(msgspec.Struct, frozen=True):
    """A piece of a live segment. A log without a stage's name is what rote itself said."""

    kind: int
    stage: str
    data: bytes


class Now(msgspec.Struct, frozen=True):
    """The object `runs/<id>/now`: a sign of life, and the log that is in no segment yet."""

    sign: Sign
    items: list[Item]


def pack_segment(items: list[Item]) -> bytes:
    """The stored form of a live segment."""
    import zstandard  # a run in which nothing was said need not load it

    parts = []
    for item in items:
        name = item.stage.encode("ascii")
        parts += [_HEAD.pack(item.kind, len(name), len(item.data)), name, item.data]
    frame = zstandard.ZstdCompressor(level=3).compress(b"".join(parts))
    return MAGIC + blake3(frame).digest() + frame


def unpack_segment(data: bytes, where: str) -> Iterator[Item]:
    """The items of a stored segment. Raises Corrupt, with `where`."""
    import zstandard  # as in pack_segment

    frame = data[len(MAGIC) + 32 :]
    if data[: len(MAGIC)] != MAGIC or blake3(frame).digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        raise Corrupt("this piece of a log is damaged: its digest does not fit its content", where=where)
    try:
        # The digest lies beside the frame: it tells of rot, not of malice. What is claimed is judged before it is made.
        claimed = zstandard.frame_content_size(frame)
        if claimed > _UNPACKED:
            raise Corrupt(
                f"this piece of a log claims to have {claimed} bytes, more than one has", where=where
            )
        plain = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=_UNPACKED, allow_extra_data=False
        )
        at = 0
        while at < len(plain):
            kind, name, length = _HEAD.unpack_from(plain, at)
            at += _HEAD.size
            if at + name + length > len(plain):
                raise Corrupt("this piece of a log is damaged: it ends too early", where=where)
            yield Item(kind, plain[at : at + name].decode("ascii"), plain[at + name : at + name + length])
            at += name + length
    except (zstandard.ZstdError, struct.error, UnicodeDecodeError) as e:
        raise Corrupt("this piece of a log is damaged: it cannot be unpacked", where=where) from e


def pack_now(now: Now) -> bytes:
    """The stored form of `runs/<id>/now`."""
    return pack_segment([Item(SIGN, "", msgspec.json.encode(now.sign)), *now.items])


def unpack_now(data: bytes, where: str) -> Now:
    """The object `runs/<id>/now`. Raises Corrupt, with `where`."""
    items = list(unpack_segment(data, where))
    try:
        sign = msgspec.json.decode(items[0].data, type=Sign)
    except (IndexError, msgspec.MsgspecError) as e:
        raise Corrupt(f"this sign of life is not what it should be: {e}", where=where) from e
    return Now(sign, [item for item in items[1:] if item.kind == LOG])


def live_prefix(run: RunId) -> str:
    """What the keys of a run's live segments begin with."""
    return f"runs/{run}/live/"


def segment_key(run: RunId, number: int) -> str:
    """The key of a run's segment of this number, from 1."""
    return f"{live_prefix(run)}{number:08d}"


def now_key(run: RunId) -> str:
    """The key of a run's sign of life."""
    return f"runs/{run}/now"


def ask_key(run: RunId) -> str:
    """The key of what others ask of a run under way."""
    return f"runs/{run}/ask"
