"""Stamps in files of models: a safetensors or ONNX file that says which version it is (docs/format.md, 10.11).

Bytes in, edits out. An edit says what to put where, and how many bytes go there; so a file is changed while it streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from rote.words.ids import Digest

SAFETENSORS, ONNX = "safetensors", "onnx"
KEYS = ("rote.stamp", "rote.model", "rote.version", "rote.digest")
"""The keys of a stamp's texts."""


class Unsound(Exception):
    """The file is not what its name says; the text says in what."""


class Stamp(msgspec.Struct, frozen=True):
    """What a stamp says. `digest` is that of the file before it was stamped; `undo` whether it can be taken out."""

    model: str
    version: str
    digest: Digest
    undo: bool = True


class Edit(msgspec.Struct, frozen=True):
    """`drop` bytes at `at` go, and `put` comes there."""

    at: int
    drop: int
    put: bytes


def kind_of(path: str) -> str | None:
    """What a file is by its name: safetensors, onnx, or neither."""
    suffix = path.rpartition(".")[2].lower()
    return suffix if suffix in (SAFETENSORS, ONNX) else None


def grown(size: int, edits: Sequence[Edit]) -> int:
    """The size of a file of `size` bytes after the edits."""
    return size + sum(len(edit.put) - edit.drop for edit in edits)


def edited(pieces: Iterator[bytes], edits: Sequence[Edit]) -> Iterator[bytes]:
    """The bytes of a file with the edits, which are in the order of their places and do not overlap."""
    at, left = 0, list(edits)
    drop = 0
    for whole in pieces:
        piece = memoryview(whole)
        while piece:
            if drop:
                gone = min(drop, len(piece))
                piece, drop, at = piece[gone:], drop - gone, at + gone
            elif left and left[0].at < at + len(piece):
                cut = left[0].at - at
                yield bytes(piece[:cut])
                yield left[0].put
                piece, at, drop = piece[cut:], at + cut, left[0].drop
                left.pop(0)
            else:
                yield bytes(piece)
                at += len(piece)
                piece = piece[:0]
    for edit in left:
        yield edit.put


def texts(head: str, stamp: Stamp) -> list[tuple[str, str]]:
    """The texts of a stamp; `head` says how it is taken out."""
    return list(zip(KEYS, (head, stamp.model, stamp.version, f"blake3:{stamp.digest}"), strict=True))


def of_texts(found: Mapping[str, str]) -> Stamp | None:
    """What the stamp among these texts says; None if there is none."""
    head, model, version, digest = (found.get(key, "") for key in KEYS)
    if not head or not digest.startswith("blake3:"):
        return None
    return Stamp(model, version, Digest(digest.removeprefix("blake3:")), not head.startswith("R"))
