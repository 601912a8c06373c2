"""What the operating system refuses, told in rote's errors. Nothing else leaves this package."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rote.errors import StoreError, StoreFull, StoreUnavailable

_FULL = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
_FORBIDDEN = frozenset([errno.EACCES, errno.EPERM, errno.EROFS])
_NO_LOCKS = frozenset([errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS])


@contextmanager
def told(root: str, doing: str) -> Iterator[None]:
    """Translate what the system refuses while `doing` (`writing txns/…`) in the store at `root`."""
    try:
        yield
    except OSError as e:
        raise refusal(e, root, doing) from e


def refusal(e: OSError, root: str, doing: str) -> StoreError:
    """The error of rote's that says what `e` means."""
    if e.errno in _FULL:
        return StoreFull(
            f"no space left for {doing}: {e.strerror}",
            where=root,
            safe="everything committed before is untouched, and nothing half-written was left",
            next=f"make room (see `df -h {root}`), then type the same command again",
        )
    if e.errno in _FORBIDDEN:
        return final(
            StoreUnavailable(
                f"no permission for {doing}: {e.strerror}",
                where=root,
                safe="what is in the store is untouched",
                next=f"ls -ld {_there(str(e.filename or root), root)}   (whose is it, and who may write?)",
            )
        )
    if e.errno in _NO_LOCKS:
        return final(
            StoreUnavailable(
                f"this file system has no file locks, which {doing} needs",
                where=root,
                next="put the store on a local disk, or mount the share with locks",
            )
        )
    if not os.path.isdir(root):
        return gone(root)
    return StoreUnavailable(f"{doing} failed: {e.strerror}", where=root)


def _there(path: str, root: str) -> str:
    """The path, or the nearest folder above it that can be seen: a file that could not be made is not there."""
    while path.startswith(root + os.sep) and not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def gone(root: str) -> StoreUnavailable:
    """The store's folder itself is not there."""
    return StoreUnavailable(
        "the folder is not there; a disk that is not mounted may be the reason",
        where=root,
        safe="nothing was written",
        next="mount it, or check the address; if there never was a store, `rote init` makes one",
    )


def final(error: StoreUnavailable) -> StoreUnavailable:
    """The same error, saying that waiting does not help."""
    error.retry = False
    return error
