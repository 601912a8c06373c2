"""Writing snapshots into the working tree: a whole tree aside and one rename, or file by file, a rename each."""

from __future__ import annotations

import errno
import itertools
import os
import stat
from collections.abc import Iterable

from rote.adapters.worktree import memory, stamps
from rote.adapters.worktree.places import Places, trouble
from rote.adapters.worktree.scan import all_plain
from rote.adapters.worktree.tree import WorkTree
from rote.adapters.worktree.written import Written
from rote.errors import BadPath, Corrupt, RoteError, Unsaved
from rote.words import paths
from rote.words.ids import shown
from rote.words.pointer import Pointer
from rote.words.snapshot import FILE

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def _pour(
    full: str, top: str, path: str, size: int, *, executable: bool, parts: Iterable[bytes | memoryview]
) -> os.stat_result:
    """Write a new file, which errors call `top/path`, and give its stat. Raises Corrupt if the parts are not `size`
    bytes, RoteError."""
    try:
        descriptor = os.open(full, _FLAGS, 0o777 if executable else 0o666)
    except OSError as e:
        raise trouble(e, _named(top, path)) from e
    length = 0
    try:
        for part in parts:
            length += _write(descriptor, part, top, path)
        if length != size:
            raise Corrupt(
                f"{shown(_named(top, path), 200)} should have {size} bytes, and has {length}",
                next="rote store check",
            )
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _named(top: str, path: str) -> str:
    return f"{top}/{path}" if path else top


def _write(descriptor: int, part: bytes | memoryview, top: str, path: str) -> int:
    """All of `part`: a write may do less than it was asked, near a full disk."""
    try:
        done = os.write(descriptor, part)
        if done < len(part):
            view = memoryview(part)
            while done < len(part):
                done += os.write(descriptor, view[done:])
    except OSError as e:
        raise trouble(e, _named(top, path)) from e
    return done


class Whole:
    """A WholeSink: the tree grows in a folder of its own, which nobody else knows."""

    def __init__(self, places: Places, path: str, single: bool) -> None:
        self._places = places
        self._path = path
        self._target = places.full(path)
        self._single = single
        self.staging = places.staging(self._target)
        self._tree = os.path.join(self.staging, "tree")
        self._written = Written()
        if not single:
            os.mkdir(self._tree)

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """Write one file of the tree. Raises BadPath, Corrupt, RoteError."""
        if self._single:
            if path != FILE:
                raise BadPath(f"a snapshot of a single file has the path {shown(path)}")
            full = self._tree
        else:
            folder, _, name = path.rpartition("/")
            if folder not in self._written:
                paths.check(path)
                self._make(folder)
            elif path[:1] == "/" or "\0" in path or not (name.isascii() and all_plain(name.encode(), folder)):
                paths.check(path)
            full = f"{self._tree}/{path}"
        st = _pour(full, self._path, path, size, executable=executable, parts=parts)
        self._written.add(path, stamps.row(st), digest)
        self._last = stamps.row(st), digest

    def _make(self, folder: str) -> None:
        try:
            os.makedirs(f"{self._tree}/{folder}", exist_ok=True)
        except OSError as e:
            raise trouble(e, f"{self._path}/{folder}") from e
        while folder:
            self._written.make(folder)
            folder = folder.rpartition("/")[0]

    def place(self, identity: Pointer, *, replace: bool = False) -> None:
        """Put the tree at its path in one rename. `replace`: over a file that is there. Raises Unsaved, RoteError."""
        target = self._target
        try:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if os.path.lexists(target) and not (replace and self._single) and not _empty_folder(target):
                raise Unsaved(
                    f"{shown(self._path, 200)} has come to be there meanwhile",
                    safe="it was not touched",
                    next="save it with `rote add`, or check out with --force",
                )
            os.replace(self._tree, target)
        except OSError as e:
            raise trouble(e, self._path) from e
        if self._single:
            # The rename moved the file's ctime.
            row, digest = self._last
            now = stamps.row(os.lstat(target))
            self._written = Written()
            self._written.add(FILE, (row[0], now[1], *row[2:]), digest)
        now_ns = stamps.moment(self._places.probe(), os.lstat(target).st_dev)
        folders = (len(self._written), self._written.folders(now_ns))
        memory.save(self._places.memory(self._path), self._path, folders, identity)


def _empty_folder(full: str) -> bool:
    try:
        os.rmdir(full)
    except OSError as e:
        if e.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            return False
        raise
    return True


class Edit:
    """An EditSink: each file is written aside and renamed over the old one."""

    def __init__(self, places: Places, path: str) -> None:
        self._places = places
        self._path = path
        self._target = places.full(path)
        self.staging = places.staging(self._target)
        self._sound = {""}
        self._count = itertools.count()
        self._written: dict[str, tuple[tuple[int, ...], bytes]] = {}

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """Write one file of the tree. Raises BadPath, Corrupt, RoteError."""
        paths.check(path)
        self._enter(path.rpartition("/")[0])
        aside = os.path.join(self.staging, str(next(self._count)))
        _pour(aside, self._path, path, size, executable=executable, parts=parts)
        full = f"{self._target}/{path}"
        try:
            try:
                os.replace(aside, full)
            except (IsADirectoryError, PermissionError):
                _remove_empty(full)
                os.replace(aside, full)
            st = os.lstat(full)
        except OSError as e:
            raise trouble(e, f"{self._path}/{path}") from e
        self._written[path] = (stamps.row(st), digest)

    def _enter(self, folder: str) -> None:
        """Make sure that the folder is there, as a folder and not as a link that leads elsewhere."""
        if folder in self._sound:
            return
        self._enter(folder.rpartition("/")[0])
        full = f"{self._target}/{folder}"
        try:
            os.mkdir(full)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(full).st_mode):
                raise RoteError(
                    f"{shown(folder, 200)} is in the way: a folder has to be there",
                    safe="it was not touched",
                    next="move it away, then do the same again",
                ) from None
        except OSError as e:
            raise trouble(e, f"{self._path}/{folder}") from e
        self._sound.add(folder)

    def remove(self, gone: Iterable[str]) -> None:
        """Delete these files and links, and the folders that this empties."""
        emptied = set()
        for path in gone:
            paths.check(path)
            try:
                os.unlink(f"{self._target}/{path}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as e:
                raise trouble(e, f"{self._path}/{path}") from e
            emptied.add(path.rpartition("/")[0])
        for folder in sorted(emptied, key=len, reverse=True):
            left = folder
            while left:
                try:
                    os.rmdir(f"{self._target}/{left}")
                except OSError:
                    break  # something else lies in it
                left = left.rpartition("/")[0]

    def finish(self) -> None:
        """Remember the stat of what was written."""
        places = self._places
        tree = WorkTree(
            self._target,
            self._path,
            file=places.memory(self._path),
            probe=places.probe(),
            hints=self._written,
        )
        tree.remember(None)


def _remove_empty(full: str) -> None:
    """Delete a folder in which there are only folders."""
    for folder, _, _ in os.walk(full, topdown=False):
        os.rmdir(folder)
