"""What stands around every store that is no folder: what asks again, and below it what counts."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Protocol

from rote.adapters.stores.budget import BudgetStore, Tally
from rote.adapters.stores.months import Months
from rote.adapters.stores.retry import Patience, RetryingStore, Waiting
from rote.laws.publishing.stretches import GAP
from rote.laws.store.usage import Usage
from rote.ports import ObjectStore

_log = logging.getLogger(__name__)


class Timing(Waiting, Protocol):
    """A ports.Clock."""

    def now(self) -> float:
        """Seconds since 1970."""


class Wrapping:
    """Wraps the stores of one command, or of one program, and keeps the account of what they were asked.

    `account` is the folder of the months' accounts. A folder store is never asked again, and counted only with `count`.
    What was counted is written once, by `close` or at the end of the program.
    """

    def __init__(
        self,
        clock: Timing,
        *,
        account: str,
        count: bool = False,
        patience: Patience | None = None,
        say: Callable[[str], None] = _log.warning,
    ) -> None:
        self._clock = clock
        self._account = account
        self._count = count
        self._patience = patience
        self._say = say
        self._books: list[_Book] = []

    def around(self, store: ObjectStore) -> ObjectStore:
        """The store as everybody is to use it."""
        if "://" not in store.url:
            if not self._count:
                return store
            book = _Book(store.url, None)
            self._books.append(book)
            return BudgetStore(store, book.tally)
        book = _Book(store.url, Months(self._account, store.url))
        # Programs that never close anything have their account all the same.
        weakref.finalize(self, _write, book, "python", self._clock)
        self._books.append(book)
        counted = BudgetStore(store, book.tally, coalesce=GAP, looks=True)
        book.retrying = RetryingStore(counted, self._clock, self._patience, say=self._say)
        return book.retrying

    def usage(self) -> dict[str, Usage]:
        """Address -> what was asked of each store so far."""
        found: dict[str, Usage] = {}
        for book in self._books:
            found[book.url] = found.get(book.url, Usage()).plus(book.usage())
        return found

    def close(self, command: str) -> None:
        """Write into the accounts what is not there yet. The stores can be used on."""
        for book in self._books:
            _write(book, command, self._clock)


class _Book:
    def __init__(self, url: str, months: Months | None) -> None:
        self.url = url
        self.months = months
        self.tally = Tally()
        self.written = Usage()
        self.retrying: RetryingStore | None = None

    def usage(self) -> Usage:
        found = self.tally.usage()
        found.retries = self.retrying.retries if self.retrying is not None else 0
        return found


def _write(book: _Book, command: str, clock: Timing) -> None:
    now = book.usage()
    new = now.minus(book.written)
    if book.months is not None and new.total:
        book.months.add(command, new, clock.now())
        book.written = now
