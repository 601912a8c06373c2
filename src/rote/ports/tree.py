"""File trees, as they are read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import msgspec


class Columns(msgspec.Struct):
    """Neighbouring files of a tree, in the order of their paths' UTF-8 bytes; one element a file in each column.

    Columns, not objects: fifty thousand files are then a few lists. A digest of None means that the file must be read.
    """

    paths: list[str]
    sizes: list[int]
    executables: bytearray
    digests: list[bytes | None]


class Tree(Protocol):
    """A folder, or a single file, of a working tree that is being identified or saved."""

    @property
    def single(self) -> bool:
        """True for a single file, whose only path is `snapshot.FILE`."""

    def batches(self) -> Iterator[Columns]:
        """The whole tree in batches, in path order across batches as well. Digests are filled in where the stat
        cache vouches for them. Raises BadPath (hostile names, sockets, dangling links, clashes in case) before the
        first batch; StoreUnavailable never."""

    def read(self, path: str, size: int) -> bytes:
        """A whole file. Raises Changed if it is not `size` bytes long or changed while it was read."""

    def stream(self, path: str, size: int) -> AbstractContextManager[Callable[[memoryview], int]]:
        """A large file, piece by piece: the function fills memory of the caller's from where it stopped before, and
        returns how many bytes it got (0 at the end). Raises Changed as `read`, also on leaving the context. Not
        mapped: a mapped file that somebody cuts short kills the process."""

    def seen(self, batch: Columns) -> None:
        """Every digest of this batch is now known: remember them with the stat the files had."""


class Sink(Protocol):
    """Where a snapshot's files are written."""

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """Write one file, whole or not at all. `parts` are verified already and valid only until the next one."""
