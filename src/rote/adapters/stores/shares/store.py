"""A store on a file share. Shares know no conditional writes: the store looks first and writes then, which is safe for
a single writer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from rote.adapters.stores import keys
from rote.adapters.stores.shares.files import Files
from rote.errors import Conflict, Corrupt, NotFound, Unsupported
from rote.laws.publishing.stretches import GAP
from rote.ports import Abilities, Found, Meta

_AT_ONCE = 4
"""Requests under way for one call."""
_LOCKS = 64


class ShareStore:
    """A ports.ObjectStore on `files`. Safe to share between threads, and for any number of readers; for one writing
    process at a time.

    `abilities` is asked before the first write. With `exclusive` the share itself sees to it that of several who
    create a file one wins, unless it was seen not to.
    """

    def __init__(
        self, url: str, files: Files, abilities: Callable[[], Abilities], *, exclusive: bool = False
    ) -> None:
        self._url = url
        self._files = files
        self._ask = abilities
        self._exclusive = exclusive
        self._asked: Abilities | None = None
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    @property
    def url(self) -> str:
        """The address, without secrets: there are none in it."""
        return self._url

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound, StoreUnavailable."""
        found = self._files.read(keys.check(key))
        if found is None:
            raise NotFound(key, where=self._url)
        return Found(found[0], found[1].etag)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound, Corrupt, StoreUnavailable."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked, small gaps read over. Raises NotFound, Corrupt,
        StoreUnavailable."""
        keys.check(key)
        if not ranges or any(
            length == 0 or start < 0 or start + length >= 1 << 62 for start, length in ranges
        ):
            size = self.head(key).size
            if any(start < 0 or length < 0 or start + length > size for start, length in ranges):
                raise self._short(key)
        if any(length < 0 for _, length in ranges):
            raise self._short(key)
        spans = _joined([r for r in ranges if r[1]])
        try:
            parts = self._files.spans(key, spans) if spans else []
        except FileNotFoundError:
            raise NotFound(key, where=self._url) from None
        if any(len(part) != length for part, (_, length) in zip(parts, spans, strict=True)):
            raise self._short(key)
        return [_cut(spans, parts, start, length) for start, length in ranges]

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound, StoreUnavailable."""
        seen = self._files.look(keys.check(key))
        if seen is None:
            raise NotFound(key, where=self._url)
        return Meta(key, seen.size, seen.etag)

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict, StoreFull, StoreUnavailable,
        Unknown."""
        keys.check(key)
        exclusive = self._abilities().create and self._exclusive
        with self._turn(key):
            if not exclusive and self._files.look(key) is not None:
                raise Conflict(key, where=self._url)
            try:
                return self._files.write(key, data, new=True).etag
            except FileExistsError:
                raise Conflict(key, where=self._url) from None

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict, StoreFull,
        StoreUnavailable, Unknown."""
        keys.check(key)
        self._abilities()
        with self._turn(key):
            self._expect(key, etag)
            return self._files.write(key, data, new=False).etag

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object. Raises StoreUnavailable, Unknown; with `etag` Conflict if it has another, else
        Unsupported: a share would delete without looking at it."""
        keys.check(key)
        self._abilities()
        with self._turn(key):
            if etag is None:
                self._files.remove(key)
                return
            self._expect(key, etag)
        raise Unsupported(
            f"this store cannot delete {key} only if nobody changed it meanwhile",
            where=self._url,
            safe="it was left as it is",
        )

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted: a request or more a folder.
        Raises StoreUnavailable, also in the middle."""
        keys.check_prefix(prefix)
        head, slash, rest = prefix.rpartition("/")
        return self._walk(head + slash, rest, after)

    def _walk(self, head: str, rest: str, after: str) -> Iterator[Meta]:
        """The keys of the folder `head` (empty, or ending with `/`) whose next name begins with `rest`. A folder's name
        is sorted with the `/` that all its keys have."""
        found = [
            (f"{name}/" if seen is None else name, seen)
            for name, seen in self._files.folder(head.rstrip("/"))
            if name.startswith(rest) and keys.is_name(name)
        ]
        for name, seen in sorted(found, key=lambda each: each[0]):
            key = head + name
            if seen is None:
                if key > after or after.startswith(key):
                    yield from self._walk(key, "", after)
            elif key > after:
                yield Meta(key, seen.size, seen.etag)

    def _turn(self, key: str) -> threading.Lock:
        """Threads of this process take turns at one key."""
        return self._locks[hash(key) % _LOCKS]

    def _expect(self, key: str, etag: str) -> None:
        seen = self._files.look(key)
        if not etag or seen is None or seen.etag != etag:
            raise Conflict(key, where=self._url)

    def _abilities(self) -> Abilities:
        if self._asked is None:
            self._asked = self._ask()
        return self._asked

    def _short(self, key: str) -> Corrupt:
        return Corrupt(
            f"the object {key} ends earlier than it should", where=self._url, next="rote store check"
        )


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans to read, in order, with small gaps read over."""
    spans: list[tuple[int, int]] = []
    for start, length in sorted(ranges):
        if spans and start <= spans[-1][0] + spans[-1][1] + GAP:
            first, so_far = spans[-1]
            spans[-1] = (first, max(so_far, start + length - first))
        else:
            spans.append((start, length))
    return spans


def _cut(spans: Sequence[tuple[int, int]], parts: Sequence[bytes], start: int, length: int) -> bytes:
    if not length:
        return b""
    for (first, whole), part in zip(spans, parts, strict=True):
        if first <= start and start + length <= first + whole:
            return part[start - first : start - first + length]
    raise AssertionError  # every range lies in a span


def at_once(work: Callable[[tuple[int, int]], bytes], spans: Sequence[tuple[int, int]]) -> list[bytes]:
    """Read several spans, some of them at the same time."""
    if len(spans) < 2:
        return [work(span) for span in spans]
    with ThreadPoolExecutor(min(_AT_ONCE, len(spans))) as pool:
        return list(pool.map(work, spans))
