"""A store that is asked again when it is busy or out of reach: patiently, and never so often that this is the trouble.

The wait before a try is drawn evenly between nothing and a limit that doubles each time ("full jitter": Marc Brooker,
Exponential Backoff and Jitter, AWS Architecture Blog, 2015), so that many clients do not come back at one moment.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import msgspec

from rote.errors import Conflict, StoreUnavailable, Unknown
from rote.ports import Found, Meta, ObjectStore

_T = TypeVar("_T")
_log = logging.getLogger(__name__)
REMEMBERED = 1000
"""Writes that ended without success and may be made again."""
QUIET = 4
"""Tries that fail before a word is said about it."""


class Waiting(Protocol):
    """What of a ports.Clock is needed to wait."""

    def monotonic(self) -> float:
        """Seconds from some fixed point."""

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""

    def token(self, count: int) -> str:
        """`count` random bytes as hexadecimal digits."""


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how long a store is asked again. Times are in seconds."""

    base: float = 0.1
    """The first wait is at most so long, each further one at most twice the one before ..."""
    cap: float = 20.0
    """... and never longer than this, unless the store itself asks for it."""
    deadline: float = 120.0
    """A request is given up so long after it failed first ..."""
    stranger: float = 5.0
    """... or so long, if nothing there has ever answered: then the address is probably wrong."""
    burst: float = 20.0
    """So many tries again may be made at once."""
    share: float = 0.6
    """So many more for each request that the store serves: over time well below one for one."""
    trickle: float = 0.2
    """So many more each second, so that a store that was away for a while is found again."""


class RetryBudget:
    """A bucket of tokens, one a try again, shared by all requests of a process to one store. Thread-safe."""

    def __init__(self, patience: Patience, clock: Waiting) -> None:
        self._patience = patience
        self._clock = clock
        self.known = False
        """Whether the store has answered at all."""
        self._tokens = patience.burst
        self._seen = clock.monotonic()
        self._lock = threading.Lock()

    def served(self) -> None:
        """The store served a request."""
        self.known = True
        with self._lock:
            self._add(self._patience.share)

    def take(self) -> float:
        """Take a token. Returns for how many seconds it is not there yet."""
        with self._lock:
            now = self._clock.monotonic()
            self._add((now - self._seen) * self._patience.trickle)
            self._seen = now
            self._tokens -= 1
            return max(0.0, -self._tokens / self._patience.trickle)

    def give_back(self) -> None:
        """A token was not used."""
        with self._lock:
            self._add(1.0)

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._patience.burst, self._tokens + tokens)


class _Trouble:
    """What one request has met so far: how often, since when, and when last; `lost` if a reply was."""

    def __init__(self, now: float, lost: bool = False) -> None:
        self.began = self.last = now
        self.times = 0
        self.lost = lost


class RetryingStore:
    """A ports.ObjectStore around another one. Safe to share between threads.

    A request that the store did not serve (StoreUnavailable) is made again, if waiting can help; a listing goes on
    after the last key that came. A write with a lost reply stays Unknown, for only its writer can tell whether what is
    found is its own; when the writer sends it again, that is a try again like any other, with its wait and its token.
    A write that was served although the store said otherwise may come back as Conflict when it is made again: writers
    read back after both (`rote.services.store.conditional`).
    """

    def __init__(
        self,
        inner: ObjectStore,
        clock: Waiting,
        patience: Patience | None = None,
        *,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self.inner = inner
        self.retries = 0
        """How often something was tried again so far."""
        self._clock = clock
        self._patience = patience or Patience()
        self._say = say
        self._budget = RetryBudget(self._patience, clock)
        self._troubled: dict[tuple[str, str, str | None], _Trouble] = {}
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    def get(self, key: str) -> Found:
        """As the inner store, in the end."""
        return self._ask(lambda: self.inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """As the inner store, in the end."""
        return self._ask(lambda: self.inner.get_range(key, start, length))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """As the inner store, in the end."""
        return self._ask(lambda: self.inner.get_ranges(key, ranges))

    def head(self, key: str) -> Meta:
        """As the inner store, in the end."""
        return self._ask(lambda: self.inner.head(key))

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """As the inner store, in the end; a lost reply is Unknown at once."""
        return self._write(("create", key, None), lambda: self.inner.create(key, data))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """As the inner store, in the end; a lost reply is Unknown at once."""
        return self._write(("replace", key, etag), lambda: self.inner.replace(key, data, etag))

    def delete(self, key: str, etag: str | None = None) -> None:
        """As the inner store, in the end; a lost reply is Unknown at once."""
        self._write(("delete", key, etag), lambda: self.inner.delete(key, etag))

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """As the inner store, in the end, also in the middle."""
        found, trouble = self._begin(prefix, after, None)
        return self._listed(prefix, after, found, trouble)

    def _begin(
        self, prefix: str, after: str, trouble: _Trouble | None
    ) -> tuple[Iterator[Meta], _Trouble | None]:
        while True:
            try:
                return self.inner.list(prefix, after), trouble
            except StoreUnavailable as e:
                trouble = self._wait(e, trouble)

    def _listed(
        self, prefix: str, after: str, found: Iterator[Meta], trouble: _Trouble | None
    ) -> Iterator[Meta]:
        begun = False
        while True:
            try:
                meta = next(found, None)
            except StoreUnavailable as e:
                found, trouble = self._begin(prefix, after, self._wait(e, trouble))
                begun = False
                continue
            if not begun:
                self._budget.served()
            if meta is None:
                return
            begun, trouble, after = True, None, meta.key
            yield meta

    def _ask(self, request: Callable[[], _T], trouble: _Trouble | None = None) -> _T:
        while True:
            try:
                reply = request()
            except StoreUnavailable as e:
                trouble = self._wait(e, trouble)
                continue
            self._budget.served()
            return reply

    def _write(self, what: tuple[str, str, str | None], request: Callable[[], _T]) -> _T:
        """Make a write; `what` (kind, key, condition) tells whether it is one that failed a moment ago."""
        with self._lock:
            trouble = self._troubled.pop(what, None)
        if trouble is not None and self._clock.monotonic() - trouble.last > self._patience.cap:
            trouble = None  # an old story
        if trouble is not None and trouble.lost:
            self._wait(Unknown(what[1], where=self.url), trouble)
        elif trouble is not None:
            self._clock.sleep(self._drawn(trouble))
        try:
            return self._ask(request, trouble)
        except (Unknown, Conflict) as e:
            # Whoever makes the very same write again is in trouble or in a crowd: not at once, then.
            now = self._clock.monotonic()
            trouble = trouble or _Trouble(now)
            trouble.last, trouble.lost = now, isinstance(e, Unknown)
            with self._lock:
                if len(self._troubled) >= REMEMBERED:
                    self._troubled.clear()
                self._troubled[what] = trouble
            raise

    def _wait(self, error: StoreUnavailable | Unknown, trouble: _Trouble | None) -> _Trouble:
        """Wait as long as is right after `error`, or raise it."""
        if not error.retry:
            raise error
        now = self._clock.monotonic()
        trouble = trouble or _Trouble(now)
        asked = error.retry_after or 0.0 if isinstance(error, StoreUnavailable) else 0.0
        pause = max(self._drawn(trouble) + asked, self._budget.take())
        deadline = self._deadline(error)
        if now + pause > trouble.began + deadline:
            self._budget.give_back()
            error.what += f" (tried {trouble.times} times in {now - trouble.began:.0f} seconds)"
            raise error
        if trouble.times == QUIET:
            self._say(f"{error}; trying again for {deadline:.0f} seconds")
        self._clock.sleep(pause)
        with self._lock:
            self.retries += 1
        return trouble

    def _deadline(self, error: StoreUnavailable | Unknown) -> float:
        if isinstance(error, StoreUnavailable) and error.reached:
            self._budget.known = True
        known = self._budget.known or isinstance(error, Unknown)
        return self._patience.deadline if known else min(self._patience.deadline, self._patience.stranger)

    def _drawn(self, trouble: _Trouble) -> float:
        limit = min(self._patience.cap, self._patience.base * 2.0 ** min(trouble.times, 60))
        trouble.times += 1
        return limit * int(self._clock.token(4), 16) / 2**32
