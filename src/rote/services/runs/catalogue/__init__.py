"""The catalogue: a local SQLite index of the runs and models in a store. Deleting it loses nothing (docs/runs.md)."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rote.errors import RoteError
from rote.ports import Clock, ObjectStore
from rote.services.runs.catalogue.asking import MOST_ROWS, SECONDS, Table, ask, select_runs
from rote.services.runs.catalogue.filling import Synced, fill, read_run, write_runs
from rote.services.runs.catalogue.opening import (
    PATIENCE,
    discard,
    is_damage,
    is_writable,
    open_file,
    open_to_read,
)
from rote.words.ids import RunId

if TYPE_CHECKING:
    import tempfile

__all__ = ["Catalogue", "Synced", "Table"]

T = TypeVar("T")


class Catalogue:
    """The runs of one store, ready to be asked. Thread-safe, and safe for several processes on one file."""

    def __init__(
        self, store: ObjectStore, clock: Clock, path: str = os.path.join(".rote", "cache", "catalogue.db")
    ) -> None:
        self._store = store
        self._clock = clock
        self._path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._spare: tempfile.TemporaryDirectory[str] | None = None
        """Where the file lies if its own folder is somebody else's, or read-only: made anew by each command."""

    def sync(self, *, full: bool = False) -> Synced:
        """Bring the catalogue up to the store: new runs, those that were running, new versions and aliases.

        Lists what is newer than a day before the newest known run, and everything with `full` or once an hour. Raises
        StoreError; RoteError if the file cannot be written.
        """
        return self._do(lambda db: fill(db, self._store, self._clock.now(), full=full), filled=False)

    def note(self, run: RunId) -> None:
        """Read one run again, for a caller that has just changed it. Raises as `sync`."""

        def work(db: sqlite3.Connection) -> None:
            write_runs(db, [read_run(self._store, run)])

        self._do(work)

    def runs(
        self,
        where: str | None = None,
        sort: str | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Table:
        """The runs for which `where` holds, newest first or as `sort` says; with the `columns` named, or some that
        fit. Asks what was last synced. Raises UsageError with a caret under the trouble."""
        return self._do(lambda db: select_runs(db, where or None, sort or None, columns, limit))

    def sql(self, query: str, *, most_rows: int = MOST_ROWS, seconds: float = SECONDS) -> Table:
        """The answer to one SELECT over the views of docs/runs.md. Nothing can be changed by it. Raises UsageError:
        what SQLite says of the query, more rows or more time than allowed."""

        def work(db: sqlite3.Connection) -> Table:
            reader = open_to_read(self._path)
            try:
                return ask(reader, query, self._clock, most_rows, seconds)
            finally:
                reader.close()

        return self._do(work)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _do(self, work: Callable[[sqlite3.Connection], T], *, filled: bool = True) -> T:
        """Do `work` on a catalogue that, with `filled`, was synced at least once; where the file turns out to be
        damaged, make it anew and do it again, once."""
        with self._lock:
            try:
                return work(self._opened(filled))
            except sqlite3.Error as e:
                if not is_damage(e):
                    raise self._translated(e) from e
            discard(self._path, self._db)
            self._db = None
            try:
                return work(self._opened(filled))
            except sqlite3.Error as e:
                raise self._translated(e) from e

    def _opened(self, filled: bool) -> sqlite3.Connection:
        if self._db is not None and not os.path.exists(self._path):
            self._db.close()  # somebody deleted it
            self._db = None
        if self._db is None:
            if not is_writable(self._path):
                import tempfile  # takes some milliseconds to load, and is hardly ever needed

                self._spare = tempfile.TemporaryDirectory(prefix="rote-catalogue-")
                self._path = os.path.join(self._spare.name, "catalogue.db")
            self._db = open_file(self._path, self._store.url)
        if filled and self._db.execute("SELECT text FROM meta WHERE name = 'full'").fetchone() is None:
            fill(self._db, self._store, self._clock.now(), full=True)
        return self._db

    def _translated(self, error: sqlite3.Error) -> RoteError:
        locked = "locked" in str(error)
        return RoteError(
            f"the catalogue of runs cannot be used: {error}",
            where=self._path,
            safe="it is only a cache: every run is in the store",
            next=f"another process held it for {PATIENCE:.0f} s; try again" if locked else f"rm {self._path}",
        )
