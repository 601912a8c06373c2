"""Writing objects so that no reader sees half of one, and a power cut takes none back (docs/format.md, 3)."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rote.adapters.stores.folder import etags
from rote.errors import Unknown

DRAFTS = "~tmp"
"""The folder of objects that are being written. No key can have a name with `~`."""
LOCK = "~lock"
"""The file that is locked while an object is replaced or deleted."""

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)


class Draft:
    """An object that is being written: a file among the drafts, locked as long as its writer lives."""

    def __init__(self, path: str, fd: int, etag: str) -> None:
        self.path = path
        self.fd = fd
        self.etag = etag


@contextmanager
def draft(root: str, data: bytes | bytearray | memoryview, after: int = 0) -> Iterator[Draft]:
    """A file that holds `data` for good, not yet under its key; gone when the context ends, whatever happened.

    Its modification time is later than `after` (ns). Raises OSError.
    """
    path, fd = _open_draft(root)
    try:
        _write_all(fd, data)
        etag = etags.stamp(fd, after)
        sync(fd)
        yield Draft(path, fd, etag)
    finally:
        _drop(path, fd)


def _drop(path: str, fd: int) -> None:
    """Remove what is left of a draft. What fails here changes nothing any more: the object has its place or was given
    up, its bytes are durable, and a draft that cannot be removed is swept later."""
    try:
        os.unlink(path)
    except OSError:
        pass
    try:
        os.close(fd)
    except OSError:
        pass


def _open_draft(root: str) -> tuple[str, int]:
    while True:
        path = f"{root}/{DRAFTS}/{os.getpid()}-{os.urandom(8).hex()}"
        try:
            # Nobody writes to an object: read-only from the beginning.
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        except FileNotFoundError:
            try:
                os.mkdir(f"{root}/{DRAFTS}")  # fails too if the store itself is gone: never made again here
            except FileExistsError:
                pass
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            swept = os.fstat(fd).st_nlink == 0
        except BaseException:
            os.close(fd)
            os.unlink(path)
            raise
        if not swept:
            return path, fd
        os.close(fd)  # somebody swept it in the moment before we had locked it


def sweep(root: str) -> int:
    """Remove the drafts of writers that are dead; returns how many there were.

    The lock tells, not a process id: it also holds across containers and machines that share the folder. Raises
    OSError.
    """
    swept = 0
    try:
        entries = os.scandir(f"{root}/{DRAFTS}")
    except FileNotFoundError:
        return 0
    with entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                swept += _sweep_one(entry.path)
    return swept


def _sweep_one(path: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except (FileNotFoundError, PermissionError):
        return False  # finished meanwhile, or another user's, who will sweep it
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except OSError as e:
        # Its writer lives; or finished; or the file system wants it opened for writing. None of these is our loss.
        if e.errno not in (errno.EWOULDBLOCK, errno.ENOENT, errno.EACCES, errno.EPERM, errno.EBADF):
            raise
        return False
    finally:
        os.close(fd)
    return True


@contextmanager
def locked(root: str) -> Iterator[None]:
    """Nobody else replaces or deletes an object meanwhile, neither a thread nor a process. Raises OSError."""
    fd = _open_lock(f"{root}/{LOCK}")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        # Explicitly, because a process forked at this moment would keep the lock by its copy of the descriptor.
        fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)


def _open_lock(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except PermissionError as forbidden:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)  # made by another user of a shared folder
        except FileNotFoundError:
            raise forbidden from None


def link_or_rename(root: str, source: Draft, path: str) -> None:
    """Give the draft its name unless the name is taken. Raises OSError, FileExistsError if it is."""
    try:
        os.link(source.path, path)
    except FileExistsError:
        if not _is_there(source, path):
            raise
    except OSError as e:
        if e.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        with locked(root):  # a file system without hard links: all writers here go this way
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from e
            os.rename(source.path, path)


def rename(source: Draft, path: str) -> None:
    """Put the draft in the place of the object at `path`. Raises OSError."""
    try:
        os.rename(source.path, path)
    except FileNotFoundError:
        if not _is_there(source, path):
            raise


def _is_there(source: Draft, path: str) -> bool:
    """Whether the draft is what lies at `path`: a network file system whose reply was lost asks its server twice, and
    the second time the name is taken, by us."""
    try:
        return os.path.samestat(os.fstat(source.fd), os.lstat(path))
    except FileNotFoundError:
        return False


def make_folders(root: str, key: str) -> None:
    """Make the folders that the key's file lies in, each durable before it is used; never the root itself.

    Raises OSError, FileNotFoundError also when somebody removed one of them meanwhile.
    """
    parent = root
    for name in key.split("/")[:-1]:
        folder = f"{parent}/{name}"
        try:
            os.mkdir(folder)
        except FileExistsError:
            pass
        else:
            sync_folder(parent)
        parent = folder


def remove_folders(root: str, key: str) -> str:
    """Remove the folders above the key that are empty now; returns the nearest that remains."""
    folder = os.path.dirname(f"{root}/{key}")
    while folder != root:
        try:
            os.rmdir(folder)
        except OSError:  # not empty, or in use, or not ours to remove: it may well stay
            if os.path.isdir(folder):
                break
        folder = os.path.dirname(folder)
    return folder


def settle(folder: str, key: str, root: str) -> None:
    """Make what changed in the folder durable. Raises Unknown if that fails: the change is there, but may not stay."""
    try:
        sync_folder(folder)
    except FileNotFoundError:
        if not os.path.isdir(root):
            raise Unknown(key, where=root) from None
        # Somebody deleted the object again, and the empty folder with it.
    except OSError as e:
        raise Unknown(key, where=root, safe="reading it back tells") from e


def sync_folder(folder: str) -> None:
    """Make the names in a folder durable. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        sync(fd)
    except OSError as e:
        if e.errno != errno.EINVAL:  # some network file systems know no such thing
            raise
    finally:
        os.close(fd)


def sync(fd: int) -> None:
    """Wait until the disk has it. Raises OSError."""
    if _FULL_SYNC is not None:  # macOS: fsync alone leaves it in the disk's own memory
        try:
            fcntl.fcntl(fd, _FULL_SYNC)
            return
        except OSError as e:
            if e.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                raise
    os.fsync(fd)


def _write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[os.write(fd, rest) :]
