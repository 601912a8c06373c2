"""A file or folder on this machine as a source."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from urllib.parse import quote

from rote.errors import BadPath, Changed, SourceUnavailable
from rote.laws.data.sourcelist import ONLY, SourceItem
from rote.words.ids import shown

_BLOCK = 1 << 20


class FileSource:
    """A ports.Outside at an absolute path. Links are followed to files, and not to folders."""

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def url(self) -> str:
        """`file://` and the path."""
        return "file://" + quote(self._path.replace(os.sep, "/"))

    @property
    def name(self) -> str:
        """The last name of the path."""
        return os.path.basename(self._path)

    @property
    def at(self) -> str:
        """Nothing: its states have no names."""
        return ""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """What is there now. Raises SourceUnavailable, BadPath."""
        try:
            found = os.stat(self._path)
            if not stat.S_ISDIR(found.st_mode):
                item = self._item(ONLY, found)
                return None if known and item.etag == known else (True, [item])
            return False, list(self._walk())
        except OSError as e:
            raise self._refused(e) from e

    def _walk(self) -> Iterator[SourceItem]:
        for folder, folders, names in os.walk(self._path, onerror=_raise):
            folders[:] = [name for name in folders if name != "__pycache__"]
            below = os.path.relpath(folder, self._path).replace(os.sep, "/")
            for name in names:
                path = name if below == "." else f"{below}/{name}"
                yield self._item(path, os.stat(os.path.join(folder, name)))

    def _item(self, path: str, found: os.stat_result) -> SourceItem:
        if not stat.S_ISREG(found.st_mode):
            raise BadPath(
                f"{shown(path, 200)} is no file",
                where=self.url,
                safe="nothing was fetched",
                next="take a part of it",
            )
        return SourceItem(path, found.st_size, _etag(found))

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """The item from `start` on. Raises SourceUnavailable, Changed."""
        full = (
            self._path if item.path == ONLY and not os.path.isdir(self._path) else f"{self._path}/{item.path}"
        )
        return start, item.size, self._parts(item, full, start)

    def _parts(self, item: SourceItem, full: str, start: int) -> Iterator[bytes]:
        try:
            with open(full, "rb") as file:
                file.seek(start)
                while part := file.read(_BLOCK):
                    yield part
                found = os.fstat(file.fileno())
        except OSError as e:
            raise self._refused(e) from e
        if _etag(found) != item.etag:
            raise Changed(f"{shown(item.path, 200)} changed while it was being read", where=self.url)

    def _refused(self, e: OSError) -> SourceUnavailable:
        error = SourceUnavailable(
            f"the source cannot be read: {e.strerror or e}",
            where=self.url,
            safe="nothing in the working tree was touched",
            next="see what lies there, and whether its disk is mounted",
        )
        error.retry = False
        return error


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def _raise(error: OSError) -> None:
    raise error
