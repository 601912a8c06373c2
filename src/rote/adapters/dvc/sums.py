"""The sums, as DVC computes them, of what lies in the working tree."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from rote.errors import BadPath
from rote.laws.data.dvcsums import Summing, folder_sum
from rote.laws.data.ignoring import Pattern, ignored, patterns
from rote.words.ids import shown

_PIECE: Final = 1 << 20
_TICK: Final = 2_000_000_000
"""Nanoseconds within which a file may change again without another time: what is younger is not remembered."""
_Stamp = tuple[int, int, int, int]
_NEVER: Final = frozenset([".git", ".hg", ".dvc", ".rote"])


class Sums:
    """Sums below `root`, remembered by size, times and inode in the file `memory`. A memory can be deleted."""

    def __init__(self, root: str, memory: str) -> None:
        self._root = root
        self._file = memory
        self._known: dict[str, tuple[_Stamp, str]] | None = None
        self._changed = False
        self._patterns: list[Pattern] | None = None

    def of(self, path: str, *, legacy: bool = False) -> str | None:
        """The md5 of the file at the path, or that of the folder's manifest with `.dir`; None if nothing is there.

        Raises BadPath for what is neither.
        """
        full = os.path.join(self._root, path)
        try:
            if os.path.isdir(full):
                return folder_sum(
                    [(rel, self._file_sum(f"{path}/{rel}", legacy)) for rel in self._files(path)]
                )
            if not os.path.lexists(full):
                return None
            return self._file_sum(path, legacy)
        except OSError as e:
            raise BadPath(f"cannot read {shown(path, 200)}: {e.strerror}") from e

    def _files(self, folder: str) -> Iterator[str]:
        """The files of a folder that DVC counts, as paths in it."""
        ignore = self._ignore()
        pending = [""]
        while pending:
            prefix = pending.pop()
            with os.scandir(os.path.join(self._root, folder, prefix)) as entries:
                for entry in entries:
                    is_folder = entry.is_dir()
                    below = f"{prefix}{entry.name}"
                    if entry.name in _NEVER or ignored(f"{folder}/{below}", is_folder, ignore):
                        continue
                    if not is_folder:
                        yield below
                    elif not entry.is_symlink():
                        pending.append(f"{below}/")

    def _ignore(self) -> list[Pattern]:
        """What `.dvcignore` at the root says."""
        if self._patterns is None:
            try:
                with open(os.path.join(self._root, ".dvcignore"), encoding="utf-8", errors="replace") as file:
                    self._patterns = patterns(file.read())
            except OSError:
                self._patterns = []
        return self._patterns

    def _file_sum(self, path: str, legacy: bool) -> str:
        known = self._load()
        name = f"{path}\0legacy" if legacy else path
        with open(os.path.join(self._root, path), "rb") as file:
            status = os.fstat(file.fileno())
            stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
            if name in known and known[name][0] == stamp:
                return known[name][1]
            summing = Summing(legacy)
            while piece := file.read(_PIECE):
                summing.add(piece)
            found = summing.sum()
            after = os.fstat(file.fileno())
        same = (after.st_size, after.st_mtime_ns, after.st_ctime_ns, after.st_ino) == stamp
        if same and time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _TICK:
            known[name] = (stamp, found)
            self._changed = True
        return found

    def _load(self) -> dict[str, tuple[_Stamp, str]]:
        if self._known is None:
            try:
                with open(self._file, "rb") as file:
                    self._known = msgspec.msgpack.decode(file.read(), type=dict[str, tuple[_Stamp, str]])
            except (OSError, msgspec.DecodeError):
                self._known = {}
        return self._known

    def save(self) -> None:
        """Write the memory; what cannot be written is computed again."""
        if not self._changed or self._known is None:
            return
        aside = f"{self._file}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._file), exist_ok=True)
            with open(aside, "wb") as out:
                out.write(msgspec.msgpack.encode(self._known))
            os.replace(aside, self._file)
        except OSError:
            return
        self._changed = False
