"""The files of a tree that were just written, folder by folder, as bytes: a million of them are a hundred megabytes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from rote.adapters.worktree import stamps
from rote.adapters.worktree.memory import Folder


class _Made:
    """One folder's files, in the order in which they were written."""

    __slots__ = ("digests", "names", "stats")

    def __init__(self) -> None:
        self.names = bytearray()
        self.stats = array("q")
        self.digests = bytearray()


class Written:
    """What was written to a tree. Paths in it are relative; folders have no slash at their end."""

    def __init__(self) -> None:
        self._folders: dict[str, _Made] = {"": _Made()}

    def __contains__(self, folder: str) -> bool:
        return folder in self._folders

    def make(self, folder: str) -> None:
        """A folder is there, if need be without files."""
        self._folders.setdefault(folder, _Made())

    def add(self, path: str, row: tuple[int, ...], digest: bytes) -> None:
        """A file with this stat row, in a folder that was made."""
        folder, _, name = path.rpartition("/")
        made = self._folders[folder]
        made.names += name.encode() + b"\0"
        made.stats.extend(row)
        made.digests += digest

    def folders(self, now: int) -> Iterator[Folder]:
        """As the stat cache keeps them."""
        for folder, made in self._folders.items():
            names, stats, digests = bytes(made.names[:-1]), made.stats.tobytes(), bytes(made.digests)
            # Of names in UTF-8 the order of bytes is that of characters.
            order = names.split(b"\0") if names else []
            if order != sorted(order):
                where = sorted(range(len(order)), key=order.__getitem__)
                names = b"\0".join([order[i] for i in where])
                stats = b"".join([stats[i * stamps.ROW : (i + 1) * stamps.ROW] for i in where])
                digests = b"".join([digests[i * 32 : (i + 1) * 32] for i in where])
            yield Folder(folder + "/" if folder else "", names, stamps.sure(stats, now), digests)

    def __len__(self) -> int:
        return len(self._folders)
