"""A store in this process's memory: for tests, and for whatever need not outlive the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from rote.adapters.stores import keys
from rote.errors import Conflict, Corrupt, NotFound
from rote.ports import Found, Meta


class MemoryStore:
    """A ports.ObjectStore that keeps its objects in a dictionary. Safe to share between threads."""

    def __init__(self) -> None:
        self._objects: dict[str, Found] = {}
        self._lock = threading.Lock()
        self._writes = 0

    @property
    def url(self) -> str:
        """Always `memory:`."""
        return "memory:"

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound."""
        found = self._objects.get(keys.check(key))
        if found is None:
            raise NotFound(key, where=self.url)
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound, Corrupt."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked. Raises NotFound, Corrupt."""
        data = self.get(key).data
        for start, length in ranges:
            if start < 0 or length < 0 or start + length > len(data):
                raise Corrupt(
                    f"the object {key} has {len(data)} bytes, not {length} from {start} on",
                    where=self.url,
                    next="rote store check",
                )
        return [data[start : start + length] for start, length in ranges]

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound."""
        found = self.get(key)
        return Meta(key, len(found.data), found.etag)

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict."""
        keys.check(key)
        body = bytes(data)
        with self._lock:
            if key in self._objects:
                raise Conflict(key, where=self.url)
            return self._put(key, body)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict."""
        keys.check(key)
        body = bytes(data)
        with self._lock:
            self._expect(key, etag)
            return self._put(key, body)

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object, with `etag` only if it has that one. Raises Conflict."""
        keys.check(key)
        with self._lock:
            if etag is not None:
                self._expect(key, etag)
            self._objects.pop(key, None)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted."""
        keys.check_prefix(prefix)
        with self._lock:
            found = sorted(k for k in self._objects if k.startswith(prefix) and k > after)
        return self._metas(found)

    def _metas(self, found: Sequence[str]) -> Iterator[Meta]:
        for key in found:
            held = self._objects.get(key)
            if held is not None:
                yield Meta(key, len(held.data), held.etag)

    def _expect(self, key: str, etag: str) -> None:
        found = self._objects.get(key)
        if found is None or found.etag != etag:
            raise Conflict(key, where=self.url)

    def _put(self, key: str, body: bytes) -> str:
        self._writes += 1
        etag = f"{self._writes:x}"  # a new one for each write, also for equal bodies
        self._objects[key] = Found(body, etag)
        return etag
