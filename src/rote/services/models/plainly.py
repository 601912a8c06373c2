"""Delivery of a published version, whose files lie plainly: what is here already is kept, the rest read by ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from blake3 import blake3

from rote.errors import Corrupt
from rote.laws.publishing.stretches import BATCH, Piece, batches
from rote.ports import Incoming, Landing, Progress, Silence
from rote.words.landed import Provenance
from rote.words.publication import PublishedAsset, PublishedFile, PublishedManifest
from rote.words.snapshot import Entry

MAX_CHUNK = 64 << 20
"""A manifest that says larger chunks is one that a stranger made: then the file is read without them."""


class Brought(msgspec.Struct, frozen=True):
    """What it took to put a snapshot in place: files written, and files that were there already."""

    written: int
    kept: int


class Plain(Protocol):
    """Where the parts of files lie."""

    @property
    def url(self) -> str:
        """The address, fit to be shown."""

    def ranges(self, asset: PublishedAsset, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) of a part, in the order asked. Raises Corrupt where it is shorter, NotFound."""


def bring(
    plain: Plain, manifest: PublishedManifest, landing: Landing, progress: Progress | None = None
) -> Brought:
    """Put the files of a published version in place. `manifest` was verified; every byte is held against it. On an
    error what was there stays. Raises Corrupt, NotFound, StoreUnavailable, and what the landing raises."""
    progress = progress or Silence()
    with landing.begin(manifest.snapshot) as incoming:
        incoming.tell(_provenance(manifest))
        missing = [file for file in manifest.files if not incoming.keep(_entry(file))]
        incoming.room(sum(file.size for file in missing))
        progress.start("fetching", len(missing), "files")
        try:
            for file in missing:
                incoming.file(
                    file.path,
                    file.size,
                    file.executable,
                    bytes.fromhex(file.digest),
                    _parts(plain, file, incoming),
                )
                progress.step()
        finally:
            progress.done()
    return Brought(len(missing), len(manifest.files) - len(missing))


def _provenance(manifest: PublishedManifest) -> Provenance:
    return Provenance(
        model=manifest.model, version=manifest.version, run=manifest.run, commit=manifest.commit,
        origin=manifest.origin,
    )  # fmt: skip


def _entry(file: PublishedFile) -> Entry:
    return Entry(file.path, file.size, file.executable, bytes.fromhex(file.digest))


def _parts(plain: Plain, file: PublishedFile, incoming: Incoming) -> Iterator[bytes]:
    """The bytes of a file, each chunk verified by itself and the whole at the end."""
    whole = blake3()
    for batch in batches(_pieces(file, incoming)):
        came = iter(_read(plain, file, [(p.start, p.length) for p in batch if not p.here]))
        for piece in batch:
            data = incoming.chunk(piece.digest) if piece.digest and piece.here else next(came)
            if data is None:  # it was here, and is damaged
                (data,) = _read(plain, file, [(piece.start, piece.length)])
            if piece.digest and blake3(data).digest() != piece.digest:
                raise damaged(file.path, plain.url)
            whole.update(data)
            yield data
    if whole.hexdigest() != file.digest:
        raise damaged(file.path, plain.url)


def _pieces(file: PublishedFile, incoming: Incoming) -> Iterator[Piece]:
    start = 0
    largest = max((length for _, length in file.chunks), default=0)
    for text, length in file.chunks if largest <= MAX_CHUNK else ():
        digest = bytes.fromhex(text)
        yield Piece(start, length, digest, incoming.has(digest))
        start += length
    while start < file.size:
        length = min(BATCH, file.size - start)
        yield Piece(start, length)
        start += length


def _read(plain: Plain, file: PublishedFile, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Ranges of a file, out of the parts that make it."""
    found = [bytearray() for _ in ranges]
    begin = 0
    for asset in file.assets:
        end = begin + asset.size
        cut = [
            (number, max(start, begin) - begin, min(start + length, end) - max(start, begin))
            for number, (start, length) in enumerate(ranges)
            if start < end and start + length > begin
        ]
        if cut:
            came = plain.ranges(asset, [(start, length) for _, start, length in cut])
            for (number, _, length), data in zip(cut, came, strict=True):
                if len(data) != length:
                    raise damaged(file.path, plain.url)
                found[number] += data
        begin = end
    return [bytes(data) for data in found]


def damaged(path: str, where: str) -> Corrupt:
    """What to say of a file that is not what its manifest says."""
    return Corrupt(
        f"{path} is not what the manifest says: it was damaged, cut or swapped where it lies",
        where=where,
        safe="nothing was installed",
        next="try again; if it stays so, ask who publishes it; if that is you, delete it there, then publish the "
        "version again",
    )
