"""Stamping: which files of a version get a stamp, and how they are changed for it (docs/format.md, 10.11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from rote.laws.models.stamps import ONNX, Edit, Stamp, Unsound, kind_of, onnx, safetensors
from rote.services.data.snapshots import Snapshots
from rote.words.ids import Digest
from rote.words.snapshot import Entry, SnapshotRecord
from rote.words.version import VersionFile

Open = Callable[[], Iterator[bytes]]
"""Gives a file's bytes from its beginning, as often as it is called."""


class Stamped(msgspec.Struct):
    """Files that are changed on their way into a version: by path, the edits; and their sizes and digests then, as soon
    as they are known."""

    edits: dict[str, Sequence[Edit]] = {}
    before: dict[str, Digest] = {}
    after: dict[str, tuple[int, bytes]] = {}

    def told(self, path: str, size: int, digest: bytes) -> None:
        """A changed file was written."""
        self.after[path] = (size, digest)

    def listed(self, files: list[VersionFile]) -> list[VersionFile]:
        """The files as they are with their stamps."""
        return [
            msgspec.structs.replace(f, size=self.after[f.path][0], digest=Digest(self.after[f.path][1].hex()))
            if f.path in self.after
            else f
            for f in files
        ]


def stamped(
    parts: Mapping[str, SnapshotRecord], snapshots: Snapshots, model: str, version: str
) -> tuple[Stamped, list[str]]:
    """The edits that stamp the files of a version, and a warning for each file that cannot be stamped. Raises NotFound,
    Corrupt."""
    found, warnings = Stamped(edits={}, before={}, after={}), []
    for below, record in parts.items():
        for entry in snapshots.entries(record):
            path = below if record.single else f"{below}/{entry.path}"
            kind = kind_of(path)
            if kind is None:
                continue
            stamp = Stamp(model, version, Digest(entry.digest.hex()))
            try:
                found.edits[path] = edits(kind, _opener(snapshots, record, entry), entry.size, stamp)
                found.before[path] = stamp.digest
            except Unsound as e:
                warnings.append(f"{path} gets no stamp: {e}")
    return found, warnings


def edits(kind: str, open: Open, size: int, stamp: Stamp) -> Sequence[Edit]:
    """The edits that stamp a file. Raises Unsound."""
    if kind == ONNX:
        return onnx.at_end(onnx.entries(open()), size, stamp)
    return safetensors.in_header(_header(open, size), stamp)


def read(kind: str, open: Open, size: int) -> tuple[Stamp | None, Sequence[Edit] | None]:
    """What the stamp in a file says, if it has one; and the edits that take it out, if it can be taken out. Raises
    Unsound."""
    if kind == ONNX:
        return onnx.of_entries(onnx.entries(open())), onnx.out_of_end(_tail(open()), size)
    header = _header(open, size)
    return safetensors.of_header(header), safetensors.out_of_header(header)


def _opener(snapshots: Snapshots, record: SnapshotRecord, entry: Entry) -> Open:
    return lambda: snapshots.read(record, entry.path)


def _header(open: Open, size: int) -> bytes:
    pieces = open()
    front = bytearray()
    wanted = safetensors.LENGTH
    for piece in pieces:
        front += piece
        if len(front) >= safetensors.LENGTH:
            wanted = safetensors.LENGTH + safetensors.header_length(bytes(front[: safetensors.LENGTH]), size)
        if len(front) >= wanted > safetensors.LENGTH:
            return bytes(front[safetensors.LENGTH : wanted])
    raise Unsound("it is cut off")


def _tail(pieces: Iterator[bytes]) -> bytes:
    tail = b""
    for piece in pieces:
        tail = (tail + piece)[-onnx.TAIL :]
    return tail
