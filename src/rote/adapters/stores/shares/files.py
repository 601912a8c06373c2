"""What a store needs of a file share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """A file as a look found it: its size in bytes, and what changes whenever it is written."""

    size: int
    etag: str


class Files(Protocol):
    """A folder on a share; paths are relative to it. Safe to share between threads. Every method may raise
    StoreUnavailable."""

    def look(self, path: str) -> Seen | None:
        """A file, or None if there is none."""

    def read(self, path: str) -> tuple[bytes, Seen] | None:
        """The whole file, and what it was seen to be at the moment of these bytes; None if there is none."""

    def spans(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) in the order asked; what the file does not have is missing at the end. Raises
        FileNotFoundError."""

    def write(self, path: str, data: bytes | bytearray | memoryview, *, new: bool) -> Seen:
        """Write a file: half of it is never read under its name. With `new` raises FileExistsError where the share can
        tell in one step that it is there. Raises StoreFull, Unknown."""

    def remove(self, path: str) -> None:
        """Delete a file; what is not there is no error. Raises Unknown."""

    def folder(self, path: str) -> Iterable[tuple[str, Seen | None]]:
        """Name and look of what lies in a folder (empty: the store's own), None for folders; nothing if there is
        none."""
