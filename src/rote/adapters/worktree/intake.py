"""What comes in from a source outside: files aside, which outlive the process, then moved to their place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from rote.adapters.worktree.places import Places, delete_quietly, trouble
from rote.errors import BadPath, RoteError, SourceUnavailable
from rote.laws.data.sourcelist import SourceItem
from rote.words import paths
from rote.words.encoding import digest_of
from rote.words.ids import shown

_BLOCK = 1 << 20
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class Intake:
    """A ports.Intake in `.rote/cache/intake`. A file there is named for its item's path and etag: `….part` while it
    grows, `….whole` when all of it came."""

    def __init__(self, places: Places, path: str, url: str) -> None:
        self._places = places
        self._path = path
        self._folder = os.path.join(places.cache, "intake", digest_of(f"{path}\n{url}".encode())[:32])

    def have(self, item: SourceItem) -> int:
        """How many bytes of the item are there."""
        if not item.etag:
            return 0  # nobody could tell whether the rest belongs to it
        try:
            return os.path.getsize(self._file(item, "part"))
        except OSError:
            return 0

    def whole(self, item: SourceItem) -> bool:
        """Whether all of it is there."""
        try:
            size = os.path.getsize(self._file(item, "whole"))
        except OSError:
            return False
        return bool(item.etag) and item.size in (None, size)  # after a power cut it may have another

    def take(self, item: SourceItem, start: int, parts: Iterable[bytes], total: int | None) -> None:
        """Append what comes. Raises SourceUnavailable, RoteError, and what `parts` raises."""
        file = self._file(item, "part")
        try:
            os.makedirs(self._folder, exist_ok=True)
            descriptor = os.open(file, _FLAGS, 0o666)
        except OSError as e:
            raise trouble(e, self._path) from e
        try:
            os.ftruncate(descriptor, start)
            os.lseek(descriptor, start, os.SEEK_SET)
            length = start
            for part in parts:
                length += self._write(descriptor, part)
                if total is not None and length > total:
                    break  # it would go on for ever, perhaps
        finally:
            os.close(descriptor)
        if total is not None and length != total:
            if length > total:
                os.unlink(file)
            raise SourceUnavailable(
                f"{length} bytes came of {shown(item.path, 200)}, which has {total}",
                safe="nothing in the working tree was touched; what came is kept",
                next="type the same again: it goes on where it was",
            )
        try:
            os.replace(file, self._file(item, "whole"))
        except OSError as e:
            raise trouble(e, self._path) from e

    def _write(self, descriptor: int, part: bytes) -> int:
        view = memoryview(part)
        try:
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                raise RoteError(
                    "there is no space left for what is fetched",
                    where=self._folder,
                    safe="nothing in the working tree was touched",
                    next="make room and type the same again: it goes on where it was; or delete that folder",
                ) from e
            raise trouble(e, self._path) from e
        return len(part)

    def size(self, item: SourceItem) -> int:
        """The bytes of an item that is whole."""
        return os.path.getsize(self._file(item, "whole"))

    def equal(self, item: SourceItem, path: str) -> bool:
        """Whether the file at a path of the working tree has exactly these bytes."""
        try:
            with open(self._file(item, "whole"), "rb") as one, open(self._places.full(path), "rb") as two:
                while True:
                    here, there = one.read(_BLOCK), two.read(_BLOCK)
                    if here != there:
                        return False
                    if not here:
                        return True
        except OSError:
            return False

    def place(self, item: SourceItem, path: str) -> None:
        """Move an item to its place in the working tree. Raises BadPath, RoteError."""
        full = self._full(path)
        try:
            os.makedirs(os.path.dirname(full), exist_ok=True)
            try:
                os.replace(self._file(item, "whole"), full)
            except OSError as e:
                if e.errno != errno.EXDEV:
                    raise
                self._across(item, full)
        except OSError as e:
            raise trouble(e, path) from e

    def _across(self, item: SourceItem, full: str) -> None:
        """To another device: a copy beside the place, then a rename."""
        from shutil import (
            copyfile,
        )  # brings every archive format with it; needed between two file systems only

        folder = self._places.staging(full)
        try:
            copyfile(self._file(item, "whole"), os.path.join(folder, "file"))
            os.replace(os.path.join(folder, "file"), full)
        finally:
            delete_quietly(folder)

    def place_tree(self, items: Iterable[SourceItem]) -> None:
        """Put a folder of all these items at the data path, in one rename. Raises BadPath, RoteError."""
        target = self._full(self._path)
        tree = os.path.join(self._folder, "tree")
        delete_quietly(tree)
        folders = set()
        try:
            for item in items:
                full = f"{tree}/{paths.check(item.path)}"
                folder = os.path.dirname(full)
                if folder not in folders:
                    os.makedirs(folder, exist_ok=True)
                    folders.add(folder)
                os.replace(self._file(item, "whole"), full)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            try:
                os.rename(tree, target)
            except OSError as e:
                if e.errno != errno.EXDEV:
                    raise
                self._tree_across(tree, target)
        except OSError as e:
            raise trouble(e, self._path) from e

    def _tree_across(self, tree: str, target: str) -> None:
        from shutil import (
            copytree,
        )  # brings every archive format with it; needed between two file systems only

        folder = self._places.staging(target)
        try:
            copytree(tree, os.path.join(folder, "tree"))
            os.rename(os.path.join(folder, "tree"), target)
        finally:
            delete_quietly(folder)

    def remove(self, path: str) -> None:
        """Delete a file of the working tree, and the folders that this empties."""
        full = self._full(path)
        top = self._places.full(self._path)
        try:
            os.unlink(full)
            folder = os.path.dirname(full)
            while folder != top:
                os.rmdir(folder)
                folder = os.path.dirname(folder)
        except FileNotFoundError:
            return
        except OSError as e:
            if os.path.lexists(full):
                raise trouble(e, path, "delete") from e

    def clear(self) -> None:
        """Everything has its place."""
        delete_quietly(self._folder)

    def _full(self, path: str) -> str:
        """Nothing is written through a link, at the data path or below it."""
        full = self._places.full(path)
        if os.path.islink(self._places.full(self._path)) or (
            os.path.realpath(os.path.dirname(full))
            != os.path.normpath(os.path.join(os.path.realpath(self._top()), self._below(path)))
        ):
            raise BadPath(
                f"{shown(path, 200)} lies behind a link: rote does not write through links",
                safe="it was not touched",
                next="put a folder in the place of the link, or name another path",
            )
        return full

    def _top(self) -> str:
        return os.path.dirname(self._places.full(self._path))

    def _below(self, path: str) -> str:
        """The folder of `path`, relative to the folder that the data path lies in."""
        paths.check(path)
        return os.path.relpath(os.path.dirname(path) or ".", os.path.dirname(self._path) or ".")

    def _file(self, item: SourceItem, state: str) -> str:
        name = digest_of(f"{item.etag}\t{item.size}\t{item.path}".encode("utf-8", "surrogateescape"))[:32]
        return os.path.join(self._folder, f"{name}.{state}")
