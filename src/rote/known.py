"""Where this machine has put chunks: hints in SQLite, per store. Deleting them loses nothing.

Imported only where something large is saved: sqlite3 costs start-up time.
"""

from __future__ import annotations

import logging
import sqlite3
import struct
import threading
from collections.abc import Iterator

from rote.nodes import DIGEST
from rote.packs import DATA, MAGIC, Footer
from rote.snapshot import Block, Chunk

_log = logging.getLogger(__name__)

LIMIT = 4_000_000
"""Chunks that are remembered of all stores together; the oldest packs are forgotten first."""
LEAST = 1 << 16
"""Packs of fewer bytes are not remembered: storing them again costs less than asking whether they are still there."""
_PLACE = struct.Struct("<QIIBII")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, store TEXT NOT NULL, name TEXT NOT NULL, chunks INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chunks (
    digest BLOB NOT NULL, store TEXT NOT NULL, pack INTEGER NOT NULL, place BLOB NOT NULL,
    PRIMARY KEY (digest, store)) WITHOUT ROWID;
"""


class Known:
    """The chunks of one store that this machine has put there. Thread-safe.

    `path` is the cache's file, shared by all stores and processes; `store` is the store's id. Anything that goes wrong
    with the file means that nothing is known.
    """

    def __init__(self, path: str, store: str) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._names: dict[int, str] = {}
        self._db: sqlite3.Connection | None = None
        self._empty = True
        try:
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
            # A cache: a power cut may lose it, but must not make it slow.
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)
            self._empty = not self._db.execute(
                "SELECT 1 FROM packs WHERE store=? LIMIT 1", (store,)
            ).fetchone()
        except sqlite3.Error as e:
            self._give_up(e)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db:
                self._db.close()
                self._db = None

    def find(self, digest: bytes) -> tuple[Chunk, Block] | None:
        """Where a chunk was put, if this machine put it there. It may be gone since."""
        with self._lock:
            if self._empty or self._db is None:
                return None
            try:
                query = "SELECT pack, place FROM chunks WHERE digest=? AND store=?"
                row = self._db.execute(query, (digest, self._store)).fetchone()
                name = self._name(row[0]) if row else None
            except sqlite3.Error as e:
                self._give_up(e)
                return None
        if name is None:
            return None
        offset, stored, unpacked, codec, start, length = _PLACE.unpack(row[1])
        return Chunk(digest, 0, start, length), Block(name, offset, stored, unpacked, codec)

    def _name(self, pack: int) -> str | None:
        if pack not in self._names and self._db:
            row = self._db.execute("SELECT name FROM packs WHERE id=?", (pack,)).fetchone()
            if row is None:
                return None
            self._names[pack] = row[0]
        return self._names[pack]

    def remember(self, pack: str, footer: Footer) -> None:
        """The chunks of a pack that was written."""
        with self._lock:
            if self._db is None or sum(footer.stored) < LEAST:
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                query = "INSERT INTO packs (store, name, chunks) VALUES (?, ?, ?)"
                number = self._db.execute(query, (self._store, pack, len(footer.chunk_length))).lastrowid
                rows = sorted((digest, self._store, number, place) for digest, place in _places(footer))
                self._db.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)", rows)
                self._forget()
                self._db.execute("COMMIT")
                self._empty = False
            except sqlite3.Error as e:
                self._give_up(e)

    def _forget(self) -> None:
        if self._db is None:
            return
        total = self._db.execute("SELECT total(chunks) FROM packs").fetchone()[0]
        if total > LIMIT:
            half = self._db.execute("SELECT (min(id) + max(id)) / 2 FROM packs").fetchone()[0]
            self._db.execute("DELETE FROM chunks WHERE pack <= ?", (half,))
            self._db.execute("DELETE FROM packs WHERE id <= ?", (half,))

    def _give_up(self, error: sqlite3.Error) -> None:
        _log.debug("the cache of known chunks cannot be used: %s", error)
        if self._db:
            self._db.close()
        self._db = None


def _places(footer: Footer) -> Iterator[tuple[bytes, bytes]]:
    offset, chunk = len(MAGIC), 0
    columns = zip(footer.stored, footer.length, footer.codec, footer.kind, footer.count, strict=True)
    for stored, unpacked, codec, kind, count in columns:
        start = 0
        for number in range(chunk, chunk + count):
            length = footer.chunk_length[number]
            if kind == DATA:
                digest = footer.digests[number * DIGEST : number * DIGEST + DIGEST]
                yield digest, _PLACE.pack(offset, stored, unpacked, codec, start, length)
            start += length
        offset += stored
        chunk += count
