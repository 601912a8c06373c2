"""Files that are whole or not there, and still there after a power cut."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from blake3 import blake3

from rote.errors import RoteError, StoreFull
from rote.words.ids import Digest

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class CannotLand(RoteError):
    """Files cannot be read or written where a version is to land."""


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the operating system says into rote's errors."""
    try:
        yield
    except OSError as e:
        place = str(e.filename or where)
        if e.errno in _FULL:
            raise StoreFull(
                "no space is left", where=place, safe="what was in use before is untouched"
            ) from e
        raise CannotLand(
            f"cannot be used: {e.strerror or e}",
            where=place,
            safe="what was in use before is untouched",
            next="choose a folder that this user may write, or change who may write there",
        ) from e


def free(path: str) -> int | None:
    """The bytes that are free where a folder lies, or None where nobody can tell."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def token() -> str:
    """A name that nobody else has."""
    return secrets.token_hex(8)


def digest_of_file(path: str) -> Digest | None:
    """The digest of a regular file, or None if there is none that can be read."""
    try:
        if os.path.islink(path) or not os.path.isfile(path):
            return None
        # One thread: BLAKE3's threads do not outlive a fork, and applications fork after they have loaded a model.
        return Digest(blake3().update_mmap(path).hexdigest())
    except OSError:
        return None


def flush_folder(path: str) -> None:
    """Make the names in a folder last. Where a folder cannot be opened (Windows), the system does it."""
    if sys.platform == "win32":
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def flush_tree(path: str) -> None:
    """Make the names in a folder and all folders below last."""
    for folder, _, _ in os.walk(path):
        flush_folder(folder)


def write_whole(path: str, data: bytes, *, lasting: bool = True) -> None:
    """Put a small file in place of what is there, in one step. Where it need not be `lasting`, a power cut may take it,
    and the disk is not waited for."""
    aside = f"{path}.{token()}"
    try:
        with open(aside, "xb") as file:
            file.write(data)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        remove_file(aside)
        raise
    if lasting:
        flush_folder(os.path.dirname(path) or ".")


def is_blocked(folder: str, path: str) -> bool:
    """Whether a folder of the path, below `folder`, is a link or a file: what lies behind it is not ours to write."""
    where = folder
    for name in path.split("/")[:-1]:
        where = os.path.join(where, name)
        if os.path.islink(where) or os.path.isfile(where):
            return True
    return False


def remove_file(path: str) -> None:
    """Remove a file if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def remove_tree(path: str) -> None:
    """Remove a folder with all that is in it; whatever cannot be removed stays, under a name that means nothing."""
    shutil.rmtree(path, ignore_errors=True)


def link_or_copy(source: str, target: str) -> None:
    """The same content under a second name, without copying where the file system can."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with open(target, "rb+") as file:
            os.fsync(file.fileno())


def exchange(a: str, b: str) -> bool:
    """Swap two folders in one step. False where the system has no such call, or refuses."""
    if sys.platform == "win32":
        return False
    import ctypes  # only here, and slow to load

    libc = ctypes.CDLL(None, use_errno=True)
    one, two = os.fsencode(a), os.fsencode(b)
    if sys.platform == "darwin":
        swap = getattr(libc, "renamex_np", None)
        return swap is not None and swap(one, two, 2) == 0  # RENAME_SWAP, <sys/stdio.h>
    swap = getattr(libc, "renameat2", None)
    here = -100  # AT_FDCWD, <fcntl.h>
    return swap is not None and swap(here, one, here, two, 2) == 0  # RENAME_EXCHANGE, <linux/fs.h>
