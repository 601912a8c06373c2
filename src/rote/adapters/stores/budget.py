"""A store whose requests are counted as a vendor bills them: one for one that goes over the wire."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from rote.laws.store.usage import Usage
from rote.ports import Found, Meta, ObjectStore

PAGE = 1000
"""Objects that one request lists."""


class Tally:
    """What was counted so far. Thread-safe."""

    def __init__(self) -> None:
        self._usage = Usage(requests={})
        self._lock = threading.Lock()

    def add(self, kind: str, requests: int = 1, *, sent: int = 0, received: int = 0) -> None:
        """Count requests of a kind (see usage.KINDS), and bytes."""
        with self._lock:
            counted = self._usage.requests
            counted[kind] = counted.get(kind, 0) + requests
            self._usage.sent += sent
            self._usage.received += received

    def usage(self) -> Usage:
        """What was counted so far; stays as it is."""
        with self._lock:
            return self._usage.plus(Usage())


class BudgetStore:
    """A ports.ObjectStore around an adapter, below whatever tries again, so that every try counts. Safe to share
    between threads.

    `coalesce`: ranges that lie closer together (in bytes) are read in one request, each other one in its own; None:
    always in one. `looks`: a conditional delete takes a request before it.
    """

    def __init__(
        self, inner: ObjectStore, tally: Tally, *, coalesce: int | None = None, looks: bool = False
    ) -> None:
        self.inner = inner
        self.tally = tally
        self._coalesce = coalesce
        self._looks = looks

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    def get(self, key: str) -> Found:
        """As the inner store."""
        self.tally.add("get")
        found = self.inner.get(key)
        self.tally.add("get", 0, received=len(found.data))
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the inner store."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """As the inner store."""
        requests, size = self._spans(ranges)
        if not requests or any(length == 0 for _, length in ranges):
            self.tally.add("head")
        if requests:
            self.tally.add("get", requests)
        found = self.inner.get_ranges(key, ranges)
        self.tally.add("get", 0, received=size)
        return found

    def head(self, key: str) -> Meta:
        """As the inner store."""
        self.tally.add("head")
        return self.inner.head(key)

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """As the inner store."""
        self.tally.add("create", sent=memoryview(data).nbytes)
        return self.inner.create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """As the inner store."""
        self.tally.add("replace", sent=len(data))
        return self.inner.replace(key, data, etag)

    def delete(self, key: str, etag: str | None = None) -> None:
        """As the inner store."""
        if self._looks and etag is not None:
            self.tally.add("head")
        self.tally.add("delete")
        self.inner.delete(key, etag)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """As the inner store."""
        return self._listed(self.inner.list(prefix, after))

    def _listed(self, found: Iterator[Meta]) -> Iterator[Meta]:
        count = 0
        self.tally.add("list")
        for meta in found:
            count += 1
            if count > PAGE:
                self.tally.add("list")
                count = 1
            yield meta

    def _spans(self, ranges: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Requests that these ranges take, and the bytes that come."""
        wanted = sorted((start, start + length) for start, length in ranges if length > 0)
        if self._coalesce is None:
            return min(1, len(wanted)), sum(end - start for start, end in wanted)
        requests = size = reached = 0
        for start, end in wanted:
            if not requests or start - reached > self._coalesce:
                requests += 1
                size += end - start
                reached = end
            elif end > reached:
                size += end - reached
                reached = end
        return requests, size
