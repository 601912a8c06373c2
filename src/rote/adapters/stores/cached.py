"""A store whose objects that never change are read once: what was read is kept in a folder of the user's.

Only for reading snapshots. Whether something is in the store is never answered from the cache: writers, the collector
and checks speak to the store itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from rote.adapters.stores import keys
from rote.adapters.stores.segments import Segments
from rote.ports import Found, Meta, ObjectStore

_log = logging.getLogger(__name__)

FOREVER = ("packs/", "snapshots/")
"""Objects with these keys are written once, never changed, and their keys are never used again."""


class CachedStore:
    """A ports.ObjectStore in front of another one. Ranges of packs, and whole snapshot records, come from the folder
    if they are there, and go into it if not; a request that is not served is made as it was asked. Safe to share
    between threads; any number of processes may share the folder.

    A folder that is full or may not be written is no failure: `say` is told once, and reading goes on.
    """

    def __init__(
        self,
        inner: ObjectStore,
        folder: str,
        limit: int,
        *,
        say: Callable[[str], None] = _log.warning,
        forever: tuple[str, ...] = FOREVER,
    ) -> None:
        self.inner = inner
        self.hits = 0
        """Bytes that came from the folder."""
        self._segments = Segments(folder, inner.url, limit)
        self._say = say
        self._forever = forever
        self._keeping = True

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    def get(self, key: str) -> Found:
        """As the inner store; a record that never changes from the folder."""
        if not self._is_forever(key):
            return self.inner.get(key)
        kept = self._segments.whole(key)
        if kept is not None:
            self.hits += len(kept.data)
            return Found(kept.data, kept.etag)
        found = self.inner.get(key)
        self._keep(key, 0, found.data, found.etag)
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the inner store, or from the folder."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Those ranges that are whole in the folder from there, all others as the inner store gives them."""
        if not self._is_forever(key):
            return self.inner.get_ranges(key, ranges)
        found: dict[tuple[int, int], bytes] = {}
        missing = []
        for r in dict.fromkeys(ranges):
            kept = self._segments.get(key, *r)
            if kept is None:
                missing.append(r)
            else:
                found[r] = kept
                self.hits += r[1]
        if missing:
            for r, data in zip(missing, self.inner.get_ranges(key, missing), strict=True):
                found[r] = data
                self._keep(key, r[0], data)
        return [found[r] for r in ranges]

    def head(self, key: str) -> Meta:
        """As the inner store."""
        return self.inner.head(key)

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """As the inner store."""
        return self.inner.create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """As the inner store."""
        if self._is_forever(key):
            self._segments.drop(key)
        return self.inner.replace(key, data, etag)

    def delete(self, key: str, etag: str | None = None) -> None:
        """As the inner store; what the folder has of the object is dropped as well."""
        if self._is_forever(key):
            self._segments.drop(key)
        self.inner.delete(key, etag)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """As the inner store."""
        return self.inner.list(prefix, after)

    def forget(self, key: str) -> None:
        """What the folder has of an object goes: its reader found it damaged."""
        self._segments.drop(key)

    def _is_forever(self, key: str) -> bool:
        return key.startswith(self._forever) and keys.check(key) == key

    def _keep(self, key: str, start: int, data: bytes, etag: str = "") -> None:
        if not self._keeping:
            return
        try:
            self._segments.put(key, start, data, etag)
        except OSError as e:
            self._keeping = False
            self._say(
                f"the read cache cannot be written ({e.strerror or e}: {self._segments.folder}); going on without"
            )
