"""The folder store: a key is a path, an object a file. Readers need no lock; writers never wait for readers."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

from rote.adapters.stores import keys
from rote.adapters.stores.folder import etags, listing, reading, writing
from rote.adapters.stores.folder.refusals import final, gone, told
from rote.errors import BadName, Conflict, NotFound, StoreUnavailable
from rote.ports import Found, Meta

_TRIES = 1000
"""How often folders are made again that others remove because they are empty."""


class FolderStore:
    """A ports.ObjectStore in the folder `path`. Safe to share between threads, processes, and machines whose file
    system shares locks.

    With `create` the folder is made if it is not there; without it, StoreUnavailable is raised.
    """

    def __init__(self, path: str, create: bool = True) -> None:
        self._root = root = os.path.abspath(path)
        self._swept = False
        self._sweeping = threading.Lock()
        with told(root, "opening the store"):
            if os.path.isdir(root):
                return
            if os.path.lexists(root):
                raise final(StoreUnavailable("the store is not a folder", where=root, next=f"ls -ld {root}"))
            if not create:
                raise gone(root)
            os.makedirs(root, exist_ok=True)
            writing.sync_folder(os.path.dirname(root))

    @property
    def url(self) -> str:
        """The folder's absolute path."""
        return self._root

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound, StoreUnavailable; Corrupt if it is larger than any that is read whole."""
        with told(self._root, f"reading {key}"):
            fd, stat = self._open(key)
            try:
                keys.check_size(key, stat.st_size, self._root)
                data = reading.read_ranges(fd, stat.st_size, [(0, stat.st_size)], key, self._root)[0]
            finally:
                os.close(fd)
        return Found(data, etags.of(stat))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound, Corrupt, StoreUnavailable."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked. Raises NotFound, Corrupt, StoreUnavailable."""
        with told(self._root, f"reading {key}"):
            fd, stat = self._open(key)
            try:
                return reading.read_ranges(fd, stat.st_size, ranges, key, self._root)
            finally:
                os.close(fd)

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound, StoreUnavailable."""
        path = self._path(key)
        with told(self._root, f"looking at {key}"):
            stat = reading.stat_object(path)
        if stat is None:
            raise self._absent(key)
        return Meta(key, stat.st_size, etags.of(stat))

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict, StoreFull, StoreUnavailable,
        Unknown; BadName if the key lies above or below another."""
        path = self._path(key)
        with told(self._root, f"writing {key}"):
            self._sweep_once()
            if reading.stat_object(path) is not None:
                raise self._taken(key, path)
            with writing.draft(self._root, data) as made:
                try:
                    self._publish(made, key, path)
                except OSError:
                    writing.remove_folders(self._root, key)  # nothing is left behind on a full disk
                    raise
            writing.settle(os.path.dirname(path), key, self._root)
            return made.etag

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict, StoreFull,
        StoreUnavailable, Unknown."""
        path = self._path(key)
        with told(self._root, f"writing {key}"):
            self._sweep_once()
            before = self._expect(key, path, etag)
            with (
                writing.draft(self._root, data, after=before.st_mtime_ns) as made,
                writing.locked(self._root),
            ):
                self._expect(key, path, etag)
                writing.rename(made, path)
            writing.settle(os.path.dirname(path), key, self._root)
            return made.etag

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object, with `etag` only if it has that one. Raises Conflict, StoreUnavailable, Unknown."""
        path = self._path(key)
        with told(self._root, f"deleting {key}"):
            if etag is None and reading.stat_object(path) is None:
                self._check_root()
                return
            with writing.locked(self._root):
                if etag is not None:
                    self._expect(key, path, etag)
                try:
                    os.unlink(path)
                except FileNotFoundError:
                    return  # somebody was faster
            writing.settle(writing.remove_folders(self._root, key), key, self._root)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted. Raises StoreUnavailable,
        also in the middle."""
        keys.check_prefix(prefix)
        return self._list(prefix, after)

    def _list(self, prefix: str, after: str) -> Iterator[Meta]:
        self._check_root()
        found = listing.walk(self._root, prefix, after)
        while True:
            with told(self._root, f"listing {prefix}"):
                meta = next(found, None)
            if meta is None:
                return
            yield meta

    def _path(self, key: str) -> str:
        return f"{self._root}/{keys.check(key)}"

    def _open(self, key: str) -> tuple[int, os.stat_result]:
        found = reading.open_object(self._path(key))
        if found is None:
            raise self._absent(key)
        return found

    def _absent(self, key: str) -> NotFound:
        self._check_root()
        return NotFound(key, where=self._root)

    def _check_root(self) -> None:
        if not os.path.isdir(self._root):
            raise gone(self._root)

    def _expect(self, key: str, path: str, etag: str) -> os.stat_result:
        stat = reading.stat_object(path)
        if stat is None:
            self._check_root()
        if stat is None or etags.of(stat) != etag:
            raise Conflict(key, where=self._root)
        return stat

    def _publish(self, made: writing.Draft, key: str, path: str) -> None:
        for _ in range(_TRIES):
            try:
                writing.link_or_rename(self._root, made, path)
                return
            except FileNotFoundError:  # no such folder yet, or no longer: a delete takes empty ones away
                self._check_root()
                self._make_folders(key)
            except FileExistsError:
                raise self._taken(key, path) from None
            except NotADirectoryError:
                raise self._beneath(key) from None
        raise StoreUnavailable(f"the folder of {key} is removed again and again", where=self._root)

    def _make_folders(self, key: str) -> None:
        try:
            writing.make_folders(self._root, key)
        except FileNotFoundError:
            self._check_root()
        except NotADirectoryError:
            raise self._beneath(key) from None

    def _taken(self, key: str, path: str) -> Conflict | BadName:
        if os.path.isdir(path):
            return self._beneath(key)
        # Who meets an object relies on it, and its writer may have died before it was durable.
        writing.settle(os.path.dirname(path), key, self._root)
        return Conflict(key, where=self._root)

    def _beneath(self, key: str) -> BadName:
        return BadName(f"the key {key} lies above or below another object's", where=self._root)

    def _sweep_once(self) -> None:
        with self._sweeping:
            if not self._swept:
                self._swept = True
                writing.sweep(self._root)
