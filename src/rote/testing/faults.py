"""Stores that go wrong on purpose, and one that counts: wrappers around any ports.ObjectStore."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import TypeVar

from rote.errors import Corrupt, StoreFull, StoreUnavailable, Unknown
from rote.ports import Found, Meta, ObjectStore

_T = TypeVar("_T")

WRITES = frozenset(["create", "replace", "delete"])
"""The kinds of request that change something."""
KINDS = WRITES | {"get", "get_ranges", "head", "list"}
"""Every kind of request; `get_range` counts as `get_ranges`."""


class Crashed(BaseException):
    """The process died here. A BaseException, so that no `except Exception` lives on."""


class Fault(Enum):
    """What goes wrong with one request."""

    CRASH_BEFORE = "the process dies before the request is applied"
    CRASH_AFTER = "the process dies after the request was applied, before it learns of it"
    LOST_BEFORE = "the request never arrives, and the writer cannot know that (Unknown)"
    LOST_AFTER = "the request is applied and its reply lost (Unknown)"
    FULL = "no space left (StoreFull), nothing applied"
    UNAVAILABLE = "the store cannot be reached (StoreUnavailable), nothing applied"
    ROT = "one bit of what is read is wrong"


Plan = Callable[[int, str, str], Fault | None]
"""(number of the request from 0, its kind, its key or prefix) -> what goes wrong, or None."""


def never(n: int, kind: str, key: str) -> Fault | None:
    """The plan in which nothing goes wrong."""
    return None


def at(number: int, fault: Fault) -> Plan:
    """`fault` at request `number`, once."""
    return lambda n, kind, key: fault if n == number else None


def on(kind: str, prefix: str, fault: Fault, times: int = 1) -> Plan:
    """`fault` at the first `times` requests of this kind whose key begins with `prefix`."""
    left = [times]

    def plan(n: int, asked: str, key: str) -> Fault | None:
        if asked != kind or not key.startswith(prefix) or left[0] == 0:
            return None
        left[0] -= 1
        return fault

    return plan


def each_write_once(fault: Fault) -> Plan:
    """`fault` the first time each (kind, key) is written; the same request again is served."""
    met: set[tuple[str, str]] = set()

    def plan(n: int, kind: str, key: str) -> Fault | None:
        if kind not in WRITES or (kind, key) in met:
            return None
        met.add((kind, key))
        return fault

    return plan


def by_chance(seed: int, share: float, faults: Sequence[Fault]) -> Plan:
    """One of `faults` at about `share` (0 to 1) of all requests, the same ones for the same seed."""
    chance = random.Random(seed)
    return lambda n, kind, key: chance.choice(faults) if chance.random() < share else None


class FaultyStore:
    """A ports.ObjectStore in which `plan` goes wrong. Safe to share between threads, if the plan's order is not
    asked for.

    After a crash every further request raises Crashed too and changes nothing: who is dead cannot tidy up.
    """

    def __init__(self, inner: ObjectStore, plan: Plan = never) -> None:
        self.inner = inner
        self.plan = plan
        self.requests = 0
        """How many requests were made so far."""
        self.dead = False
        self.met: list[tuple[int, str, str, Fault]] = []
        """What went wrong: number, kind, key, fault."""
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    def get(self, key: str) -> Found:
        """As the inner store, or as planned."""
        found, fault = self._ask("get", key, lambda: self.inner.get(key))
        return Found(_rotten(found.data), found.etag) if fault is Fault.ROT else found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the inner store, or as planned."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """As the inner store, or as planned."""
        found, fault = self._ask("get_ranges", key, lambda: self.inner.get_ranges(key, ranges))
        return [_rotten(data) for data in found] if fault is Fault.ROT else found

    def head(self, key: str) -> Meta:
        """As the inner store, or as planned."""
        return self._ask("head", key, lambda: self.inner.head(key))[0]

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """As the inner store, or as planned."""
        return self._ask("create", key, lambda: self.inner.create(key, data))[0]

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """As the inner store, or as planned."""
        return self._ask("replace", key, lambda: self.inner.replace(key, data, etag))[0]

    def delete(self, key: str, etag: str | None = None) -> None:
        """As the inner store, or as planned."""
        self._ask("delete", key, lambda: self.inner.delete(key, etag))

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """As the inner store, or as planned; a listing is one request."""
        return self._ask("list", prefix, lambda: self.inner.list(prefix, after))[0]

    def _ask(self, kind: str, key: str, request: Callable[[], _T]) -> tuple[_T, Fault | None]:
        with self._lock:
            if self.dead:
                raise Crashed(f"{kind} {key} after the crash")
            fault = self.plan(self.requests, kind, key)
            if fault is not None:
                self.met.append((self.requests, kind, key, fault))
            self.requests += 1
            self.dead = fault in (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
        self._before(fault, kind, key)
        reply = request()
        if fault is Fault.CRASH_AFTER:
            raise Crashed(f"after {kind} {key}")
        if fault is Fault.LOST_AFTER:
            raise _lost(kind, key)
        return reply, fault

    def _before(self, fault: Fault | None, kind: str, key: str) -> None:
        if fault is Fault.CRASH_BEFORE:
            raise Crashed(f"before {kind} {key}")
        if fault is Fault.LOST_BEFORE:
            raise _lost(kind, key)
        if fault is Fault.FULL and kind in WRITES:
            raise StoreFull(f"no space left for {key}", where=self.url)
        if fault is Fault.UNAVAILABLE:
            raise StoreUnavailable("planned", where=self.url)


class CountingStore:
    """A ports.ObjectStore that counts. Safe to share between threads."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner
        self.requests: Counter[str] = Counter()
        """Kind (see KINDS) -> requests. A listing is one a thousand keys, as it is on S3."""
        self.bytes: Counter[str] = Counter()
        """Kind -> bytes of bodies moved."""
        self.journal: list[tuple[str, str]] = []
        """Every request in order: kind, key or prefix."""
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    @property
    def total(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._lock:
            self.requests.clear()
            self.bytes.clear()
            self.journal.clear()

    def get(self, key: str) -> Found:
        """As the inner store."""
        self._count("get", key)
        found = self.inner.get(key)
        self._moved("get", len(found.data))
        return found

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the inner store."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """As the inner store."""
        self._count("get_ranges", key)
        found = self.inner.get_ranges(key, ranges)
        self._moved("get_ranges", sum(map(len, found)))
        return found

    def head(self, key: str) -> Meta:
        """As the inner store."""
        self._count("head", key)
        return self.inner.head(key)

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """As the inner store."""
        self._count("create", key)
        self._moved("create", memoryview(data).nbytes)
        return self.inner.create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """As the inner store."""
        self._count("replace", key)
        self._moved("replace", len(data))
        return self.inner.replace(key, data, etag)

    def delete(self, key: str, etag: str | None = None) -> None:
        """As the inner store."""
        self._count("delete", key)
        self.inner.delete(key, etag)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """As the inner store."""
        self._count("list", prefix)
        return self._listed(prefix, self.inner.list(prefix, after))

    def _listed(self, prefix: str, found: Iterator[Meta]) -> Iterator[Meta]:
        for n, meta in enumerate(found, 1):
            yield meta
            if n % 1000 == 0:
                self._count("list", prefix)

    def _count(self, kind: str, key: str) -> None:
        with self._lock:
            self.requests[kind] += 1
            self.journal.append((kind, key))

    def _moved(self, kind: str, amount: int) -> None:
        with self._lock:
            self.bytes[kind] += amount


def _lost(kind: str, key: str) -> Unknown | StoreUnavailable:
    if kind in WRITES:
        return Unknown(key, where="planned")
    return StoreUnavailable(
        f"the reply to {kind} {key} was lost", where="planned"
    )  # a read is simply asked again


def _rotten(data: bytes) -> bytes:
    if not data:
        raise Corrupt("an empty object has no bit to flip", where="planned")
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
