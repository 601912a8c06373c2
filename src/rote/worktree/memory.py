"""What the stat cache remembers of a data path between two commands: one file in `.rote/cache/trees`.

A cache: it may be deleted at any time, and one that is damaged or of another version counts as deleted.
"""

from __future__ import annotations

import os

import msgspec
from blake3 import blake3

from rote.pointer import Pointer

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


def save(file: str, memory: Memory) -> None:
    """Remember it; a disk that is full or read-only only costs time later."""
    body = msgspec.msgpack.encode(memory)
    temporary = f"{file}.{os.getpid()}.{id(memory)}"
    try:
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(temporary, "xb", buffering=0) as f:
            for part in (_MAGIC, blake3(body).digest(), body):
                view = memoryview(part)
                while view:
                    view = view[f.write(view) :]
        os.replace(temporary, file)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            return
