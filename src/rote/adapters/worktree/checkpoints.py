"""The folder that a stage writes checkpoints into, looked at while the stage is at work."""

from __future__ import annotations

import os
import stat as modes
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from rote.adapters.worktree.places import delete, trouble
from rote.adapters.worktree.renames import Renames
from rote.adapters.worktree.workspace import Workspace
from rote.errors import BadPath, Changed, RoteError
from rote.laws.pipeline.completeness import MARK, Stat
from rote.ports import Columns, HeldTree
from rote.words import paths
from rote.words.ids import shown

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # asked for below

_READING = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
)
_HELD = 128
"""Descriptors that one checkpoint takes at most; further files are opened when they are read."""
_HARMLESS = 23
"""SIGURG of Linux: what the kernel sends if somebody opens a file in the microsecond for which we hold a lease on it.
Its default is to be ignored; that of the signal that would be sent otherwise is to kill."""


def _stat(st: os.stat_result) -> Stat:
    return Stat(st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_ino)


class CheckpointFolder:
    """A ports.CheckpointFolder: `path` in the project of a workspace. `notes` is the folder for its note."""

    def __init__(self, workspace: Workspace, path: str, note: str) -> None:
        self._workspace = workspace
        self._path = path
        self.full = workspace.full(path)
        self._note = note
        self._renames: Renames | None = None

    def begin(self, note: bytes) -> str | None:
        """Make the folder empty; what is not ours is put aside, and returned where. Raises BadPath, RoteError."""
        aside = None
        if self.note() is not None:
            delete(self.full)
        elif not self._is_empty():
            aside = self._workspace.put_aside(self._path, "checkpoints")
        self.keep(note)
        try:
            os.makedirs(self.full, exist_ok=True)
        except OSError as e:
            raise trouble(e, self._path) from e
        self._workspace.ignore(self._path)
        return aside

    def _is_empty(self) -> bool:
        try:
            return not os.path.lexists(self.full) or not os.listdir(self.full)
        except NotADirectoryError:
            return False
        except OSError as e:
            raise trouble(e, self._path, "read") from e

    def note(self) -> bytes | None:
        """The note of the last stage that had this folder, or None."""
        try:
            with open(self._note, "rb") as file:
                return file.read()
        except OSError:
            return None

    def keep(self, note: bytes) -> None:
        """Replace the note. Raises RoteError."""
        aside = f"{self._note}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._note), exist_ok=True)
            with open(aside, "wb") as file:
                file.write(note)
            os.replace(aside, self._note)
        except OSError as e:
            raise trouble(e, self._note) from e

    def look(self) -> dict[str, Stat]:
        """Every regular file in the folder now."""
        found: dict[str, Stat] = {}
        waiting = [""]
        while waiting:
            prefix = waiting.pop()
            try:
                with os.scandir(f"{self.full}/{prefix}") as entries:
                    for entry in entries:
                        try:
                            st = entry.stat(follow_symlinks=False)
                        except OSError:
                            continue  # gone since it was listed
                        if modes.S_ISREG(st.st_mode):
                            found[prefix + entry.name] = _stat(st)
                        elif modes.S_ISDIR(st.st_mode):
                            waiting.append(f"{prefix}{entry.name}/")
            except OSError:
                continue  # the same
        return found

    def mark(self) -> bytes | None:
        """The content of the mark, or None."""
        try:
            with open(f"{self.full}/{MARK}", "rb") as file:
                return file.read()
        except OSError:
            return None

    def writing(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that some process has open for writing."""
        return {path for path in paths if _is_being_written(f"{self.full}/{path}")}

    def watch(self) -> None:
        """From now on see what is renamed."""
        self.close()
        self._renames = Renames(self.full)

    def renamed(self) -> Collection[str]:
        """See `ports.CheckpointFolder`."""
        return self._renames.take() if self._renames is not None else ()

    def close(self) -> None:
        """See nothing any more."""
        if self._renames is not None:
            self._renames.close()
            self._renames = None

    @contextmanager
    def hold(self, files: Mapping[str, Stat]) -> Iterator[HeldTree | None]:
        """Hold these files; None if one is no longer what its stat says. Raises BadPath."""
        held = _Held(self.full, self._path, files)
        try:
            yield held if held.open() else None
        finally:
            held.close()


def _is_being_written(full: str) -> bool:
    """A lease for reading is granted (on Linux) only while nobody has the file open for writing. It is given back at
    once. False where the system cannot tell."""
    if fcntl is None or not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(full, _READING)
    except OSError:
        return False  # gone: the next look tells
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, _HARMLESS)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # this file system knows no leases, or the file is another user's
    finally:
        os.close(descriptor)
    return False


class _Held:
    """A ports.HeldTree. An open descriptor keeps a file's content there when its name is given to another."""

    single = False

    def __init__(self, full: str, shown_as: str, files: Mapping[str, Stat]) -> None:
        self._full = full
        self._path = shown_as
        self._files = files
        self._descriptors: dict[str, int] = {}
        for path in files:
            paths.check(path)
        clash = paths.clash(sorted(files))
        if clash:
            raise BadPath(
                f"{shown(clash[0], 200)} and {shown(clash[1], 200)} differ only in case", where=shown_as,
                next="rename one of them",
            )  # fmt: skip

    def open(self) -> bool:
        """Open the files. False if one is another by now."""
        for path in list(self._files)[:_HELD]:
            try:
                self._descriptors[path] = os.open(f"{self._full}/{path}", _READING)
            except OSError:
                return False
        return self.is_still()

    def close(self) -> None:
        """Let go of them."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def is_still(self) -> bool:
        """Whether no byte was changed: every write moves the mtime. (The ctime also moves when a name goes.)"""
        for path, stat in self._files.items():
            descriptor = self._descriptors.get(path)
            try:
                now = os.stat(f"{self._full}/{path}") if descriptor is None else os.fstat(descriptor)
            except OSError:
                return False
            if _stat(now)._replace(ctime=stat.ctime) != stat:
                return False
        return True

    def batches(self) -> Iterator[Columns]:
        """All files in one batch, none of them read yet."""
        listed = sorted(self._files, key=str.encode)
        sizes = [self._files[path].size for path in listed]
        executables = bytearray(self._is_executable(path) for path in listed)
        if listed:
            yield Columns(listed, sizes, executables, [None] * len(listed))

    def _is_executable(self, path: str) -> bool:
        with self._opened(path) as descriptor:
            return bool(os.fstat(descriptor).st_mode & modes.S_IXUSR)

    def read(self, path: str, size: int) -> bytes:
        """A whole file. Raises Changed."""
        with self._opened(path) as descriptor, open(descriptor, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            data = b"".join(iter(lambda: file.read(1 << 20), b""))
            self._must_be(path, descriptor, len(data) == size)
        return data

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        """A large file, piece by piece. Raises Changed on leaving."""
        with self._opened(path) as descriptor, open(descriptor, "rb", buffering=0, closefd=False) as file:
            file.seek(0)
            yield lambda memory: file.readinto(memory) or 0
            self._must_be(path, descriptor, os.fstat(descriptor).st_size == size)

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered: the next checkpoint is in other files, or in others of the same names."""

    @contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        known = self._descriptors.get(path)
        try:
            descriptor = os.open(f"{self._full}/{path}", _READING) if known is None else known
        except OSError as e:
            raise self._changed(path) from e
        try:
            yield descriptor
        except OSError as e:
            raise RoteError(f"cannot read {shown(path, 200)}: {e.strerror}", where=self._path) from e
        finally:
            if known is None:
                os.close(descriptor)

    def _must_be(self, path: str, descriptor: int, whole: bool) -> None:
        stat = self._files[path]
        if not whole or _stat(os.fstat(descriptor))._replace(ctime=stat.ctime) != stat:
            raise self._changed(path)

    def _changed(self, path: str) -> Changed:
        return Changed(
            f"{shown(f'{self._path}/{path}', 200)} changed while it was being read",
            safe="the checkpoint before it stays",
            next="it is looked at again",
        )
