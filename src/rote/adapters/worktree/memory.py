"""What the stat cache remembers of a data path between two commands: one file in `.rote/cache/trees`.

A cache: it may be deleted at any time, and one that is damaged or of another version counts as deleted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import msgspec
from blake3 import blake3

from rote.words.pointer import Pointer

_MAGIC = b"rote-tree-1\n"


class Folder(msgspec.Struct, array_like=True, gc=False):
    """One folder's files, in order: their names joined by NUL, their stats (`stamps`), their digests (32 bytes each).

    Kept as opaque bytes: a folder that has not changed is compared and used without being taken apart.
    """

    prefix: str
    """The folder's path in the tree with `/` at its end; empty for the tree's own folder."""
    names: bytes
    stats: bytes
    digests: bytes


class Memory(msgspec.Struct, array_like=True):
    """A tree as it was seen last. `identity` is its snapshot, if that was worked out."""

    path: str
    folders: list[Folder]
    identity: Pointer | None = None


def load(file: str, path: str) -> Memory | None:
    """What was remembered of `path`, or None."""
    try:
        with open(file, "rb", buffering=0) as f:
            data = memoryview(f.readall())
    except OSError:
        return None
    start = len(_MAGIC) + 32
    if data[: len(_MAGIC)] != _MAGIC or blake3(data[start:]).digest() != data[len(_MAGIC) : start]:
        return None
    try:
        memory = msgspec.msgpack.decode(data[start:], type=Memory)
    except msgspec.DecodeError:
        return None
    return memory if memory.path == path else None


def save(file: str, path: str, folders: tuple[int, Iterable[Folder]], identity: Pointer | None) -> None:
    """Remember a tree of so many folders, one after the other, so that it is never in memory twice; a disk that is full
    or read-only only costs time later."""
    temporary = f"{file}.{os.getpid()}.{id(folders)}"
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(temporary, "xb") as f:
            hasher = blake3()
            f.write(_MAGIC + hasher.digest())
            for part in _encoded(path, folders, identity):
                hasher.update(part)
                f.write(part)
            f.seek(len(_MAGIC))
            f.write(hasher.digest())
        os.replace(temporary, file)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            return


def _encoded(path: str, folders: tuple[int, Iterable[Folder]], identity: Pointer | None) -> Iterator[bytes]:
    """A Memory as MessagePack, piece by piece."""
    encoder = msgspec.msgpack.Encoder()
    count, each = folders
    # An array of three, whose second element is an array of `count`.
    yield b"\x93" + encoder.encode(path) + b"\xdd" + count.to_bytes(4, "big")
    for folder in each:
        yield encoder.encode(folder)
    yield encoder.encode(identity)
