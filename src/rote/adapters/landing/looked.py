"""What those who share a cache tell each other of their looks, and the hosts that a user's processes leave alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from blake3 import blake3

from rote.adapters.landing import disk, locks
from rote.errors import StoreError
from rote.laws.publishing.looks import Look
from rote.laws.publishing.polling import Trouble
from rote.words.encoding import with_check, without_check

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Looked:
    """The looks through one cache. Whatever cannot be read or written there is as if nobody had told anything."""

    def __init__(self, folder: str) -> None:
        """`folder` is the cache's."""
        self._last = os.path.join(folder, "looked")
        self._lock = os.path.join(folder, "looking")

    def last(self) -> Look | None:
        """The last look that somebody took."""
        return _read(self._last, Look)

    def tell(self, look: Look) -> None:
        """Let the others know of a look."""
        _write(self._last, look)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Be the one who looks, if nobody else does at this moment; without waiting."""
        with ExitStack() as stack:
            try:
                mine = stack.enter_context(locks.taken(self._lock))
            except OSError as e:  # no locks, or nothing may be written: everybody for himself
                _log.debug("%s: %s", self._lock, e)
                mine = True
            yield mine


class Troubled:
    """One host that does not serve, as the processes of this user know it."""

    def __init__(self, folder: str, host: str) -> None:
        self._path = os.path.join(folder, blake3(host.encode()).hexdigest()[:16])
        self._host = host

    def known(self) -> Trouble | None:
        """What is known of it; None if it serves."""
        found = _read(self._path, Trouble)
        return found if found is not None and found.host == self._host else None

    def tell(self, trouble: Trouble) -> bool:
        """Let the others know. False if that cannot be."""
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
        except OSError as e:
            _log.debug("%s: %s", self._path, e)
            return False
        return _write(self._path, trouble)

    def over(self) -> None:
        """It serves again."""
        try:
            disk.remove_file(self._path)
        except OSError as e:
            _log.debug("%s: %s", self._path, e)


def _read(path: str, kind: type[_T]) -> _T | None:
    try:
        with open(path, "rb") as file:
            return without_check(file.read(), kind, path)
    except FileNotFoundError:
        return None
    except (OSError, StoreError) as e:
        _log.debug("%s: %s", path, e)
        return None


def _write(path: str, record: Any) -> bool:
    try:
        disk.write_whole(path, with_check(record), lasting=False)
    except OSError as e:
        _log.debug("%s: %s", path, e)
        return False
    return True
