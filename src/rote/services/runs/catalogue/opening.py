"""Opening the catalogue's file, or making it anew where that is needed."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from rote.errors import RoteError
from rote.services.runs.catalogue.schema import APPLICATION, TABLES, VERSION, VIEWS

PATIENCE = 60.0
"""Seconds to wait for another process that is writing."""


def open_file(path: str, store: str) -> sqlite3.Connection:
    """The catalogue of the store `store` (its address) in the file `path`. A file that is missing, damaged, of
    another schema or of another store is made anew. Raises RoteError if there can be no such file."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with _alone(path):
            return _fitting(path, store) or _new(path, store)
    except (OSError, sqlite3.Error) as e:
        raise RoteError(
            f"the catalogue of runs cannot be opened: {e}",
            where=path,
            safe="it is only a cache: every run is in the store",
            next=f"is {os.path.dirname(path) or '.'} writable, with space left?",
        ) from e


def is_writable(path: str) -> bool:
    """Whether a file can be made at `path`, as far as the folder above it says."""
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK)


def open_to_read(path: str) -> sqlite3.Connection:
    """A second connection that cannot write. Raises sqlite3.Error."""
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro"
    db = sqlite3.connect(uri, uri=True, timeout=PATIENCE, isolation_level=None)
    db.execute("PRAGMA query_only = ON")
    return db


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the error says that the file is damaged or was taken away."""
    name = getattr(error, "sqlite_errorname", "") or ""
    text = str(error)
    return (
        name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_IOERR", "SQLITE_READONLY"))
        or "malformed" in text
        or "no such table: main." in text
    )


def discard(path: str, broken: sqlite3.Connection | None) -> None:
    """Take a damaged file away, so that the next opening makes a new one. A sound one that another process has made
    meanwhile is made once more; nothing but time is lost."""
    if broken is not None:
        broken.close()
    with _alone(path):
        _remove(path)


@contextmanager
def _alone(path: str) -> Iterator[None]:
    """Hold off other processes that open or discard the file. This is SQLite's own lock on an empty database beside
    it, since it works on every system that SQLite works on."""
    lock = _locked(path + ".lock")
    try:
        yield
    finally:
        lock.close()


def _locked(path: str) -> sqlite3.Connection:
    for last in (False, True):
        lock = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
            return lock
        except sqlite3.Error as e:
            lock.close()
            if last or not is_damage(e):
                raise
            os.unlink(path)  # nobody can hold a lock on what is no database
    raise AssertionError("the last round returns or raises")


def _connect(path: str) -> sqlite3.Connection:
    # used by one thread at a time: Catalogue holds a lock
    return sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)


def _fitting(path: str, store: str) -> sqlite3.Connection | None:
    """The file as it is, if it is whole and ours."""
    if not os.path.exists(path):
        return None
    db = _connect(path)
    try:
        ours = db.execute("PRAGMA application_id").fetchone()[0] == APPLICATION
        if ours and db.execute("PRAGMA user_version").fetchone()[0] == VERSION:
            found = db.execute("SELECT text FROM meta WHERE name = 'store'").fetchone()
            if found and found[0] == store:
                _tune(db)
                return db
    except sqlite3.OperationalError as e:
        if not is_damage(e) and "no such" not in str(e):
            db.close()
            raise  # locked or without space: that is no reason to throw it away
    except sqlite3.DatabaseError:
        pass  # not a database, or a damaged one: it is made anew below
    db.close()
    return None


def _new(path: str, store: str) -> sqlite3.Connection:
    _remove(path)
    db = _connect(path)
    # a journal beside the file lets readers and a writer work at once
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(
        f"BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {TABLES} {VIEWS} COMMIT;"
    )
    db.execute("INSERT INTO meta VALUES ('store', ?)", (store,))
    _tune(db)
    return db


def _tune(db: sqlite3.Connection) -> None:
    # a power cut may lose the last transactions, never the file's soundness; the store has everything
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA cache_size = -65536")


def _remove(path: str) -> None:
    for name in (path, path + "-wal", path + "-shm", path + "-journal"):
        try:
            os.remove(name)
        except FileNotFoundError:
            pass
