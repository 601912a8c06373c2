"""Where this machine has put chunks: hints in SQLite, per store. Deleting them loses nothing.

Imported only where something large is saved: sqlite3 costs start-up time.
"""

from __future__ import annotations

import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate

import msgspec

from rote.laws.data.nodes import DIGEST
from rote.ports.logger import Logger
from rote.services.store.packs import DATA, MAGIC, Footer
from rote.words.snapshot import Block, Chunk

_log = Logger(__name__)

LIMIT = 500_000
"""Chunks that are remembered of one store; the older half of its packs is forgotten first."""
LEAST = 1 << 16
"""Packs of fewer bytes are not remembered: storing them again costs less than asking whether they are still there."""
_LOW = (1 << 32) - 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, store TEXT NOT NULL, name TEXT NOT NULL, chunks INTEGER NOT NULL, footer BLOB NOT NULL);
"""


class _Pack:
    """A pack's name and contents, and where its blocks and chunks begin."""

    def __init__(self, name: str, footer: Footer) -> None:
        self.name = name
        self.footer = footer
        self._firsts: list[int] = []
        self._offsets: list[int] = []

    def place(self, number: int) -> tuple[Chunk, Block] | None:
        """Where a chunk of a file lies; None if it is a node."""
        footer = self.footer
        if not self._firsts:
            self._firsts = [0, *accumulate(footer.count)]
            self._offsets = list(accumulate(footer.stored, initial=len(MAGIC)))
        block = bisect_right(self._firsts, number) - 1
        if footer.kind[block] != DATA:
            return None
        start = sum(footer.chunk_length[self._firsts[block] : number])
        digest = footer.digests[number * DIGEST : number * DIGEST + DIGEST]
        place = Block(
            self.name, self._offsets[block], footer.stored[block], footer.length[block], footer.codec[block]
        )
        return Chunk(digest, 0, start, footer.chunk_length[number]), place


class Known:
    """The chunks of one store that this machine has put there. Thread-safe.

    `path` is the cache's file, shared by all stores and processes; `store` is the store's id. Anything that goes wrong
    with the file means that nothing is known.
    """

    def __init__(self, path: str, store: str) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._packs: list[_Pack] = []
        self._where: dict[bytes, int] | None = None
        self._last = 0  # of the rows that were loaded
        self._behind = False
        self._path: str | None = path
        self._db: sqlite3.Connection | None = None

    def _open(self) -> sqlite3.Connection | None:
        """The file, opened when it is first needed: a small write never does."""
        if self._db is None and self._path is not None:
            path, self._path = self._path, None
            try:
                self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
                # A cache: a power cut may lose it, but must not make it slow.
                self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)
            except sqlite3.Error as e:
                self._give_up(e)
        return self._db

    def close(self) -> None:
        """Close the file; nothing is known afterwards."""
        with self._lock:
            if self._db:
                self._db.close()
            self._path, self._db, self._packs, self._where = None, None, [], {}

    def find(self, digest: bytes) -> tuple[Chunk, Block] | None:
        """Where a chunk was put, if this machine put it there. It may be gone since."""
        with self._lock:
            if self._where is None:
                self._load()
            found = self._where.get(digest) if self._where else None
            return None if found is None else self._packs[found >> 32].place(found & _LOW)

    def renew(self) -> None:
        """Something is about to be saved: from now on `find` knows what was remembered before, too."""
        with self._lock:
            if self._behind and self._where is not None:
                self._load()

    def remember(self, pack: str, footer: Footer) -> None:
        """The chunks of a pack that was written. `find` does not know them before `renew`: whoever writes them does,
        and a million of them twice would be too many."""
        with self._lock:
            if sum(footer.stored) < LEAST:
                return
            db = self._open()
            if db is None:
                return
            try:
                db.execute("BEGIN IMMEDIATE")
                row = (self._store, pack, len(footer.chunk_length), msgspec.msgpack.encode(footer))
                db.execute("INSERT INTO packs (store, name, chunks, footer) VALUES (?, ?, ?, ?)", row)
                self._forget(db)
                db.execute("COMMIT")
            except sqlite3.Error as e:
                self._give_up(e)
                return
            self._behind = True

    def forget(self, packs: Iterable[str]) -> None:
        """Know nothing of these packs any more: they are damaged."""
        with self._lock:
            db = self._open()
            if db is None:
                return
            try:
                for pack in packs:
                    db.execute("DELETE FROM packs WHERE store=? AND name=?", (self._store, pack))
            except sqlite3.Error as e:
                self._give_up(e)
            self._packs, self._where, self._last = [], None if self._db else {}, 0

    def _load(self) -> None:
        if self._where is None:
            self._where = {}
        self._behind = False
        db = self._open()
        if db is None:
            return
        try:
            query = "SELECT id, name, footer FROM packs WHERE store=? AND id>? ORDER BY id"
            for id, name, footer in db.execute(query, (self._store, self._last)):
                self._learn(name, msgspec.msgpack.decode(footer, type=Footer))
                self._last = id
        except (sqlite3.Error, msgspec.DecodeError) as e:
            self._give_up(e)

    def _learn(self, name: str, footer: Footer) -> None:
        if self._where is None:
            return
        first = len(self._packs) << 32
        self._packs.append(_Pack(name, footer))
        digests = footer.digests
        for number in range(len(footer.chunk_length)):
            self._where[digests[number * DIGEST : number * DIGEST + DIGEST]] = first | number

    def _forget(self, db: sqlite3.Connection) -> None:
        query = "SELECT total(chunks), (min(id) + max(id)) / 2 FROM packs WHERE store=?"
        total, half = db.execute(query, (self._store,)).fetchone()
        if total > LIMIT:
            db.execute("DELETE FROM packs WHERE store=? AND id <= ?", (self._store, half))

    def _give_up(self, error: Exception) -> None:
        _log.debug("the cache of known chunks cannot be used: %s", error)
        if self._db:
            self._db.close()
        self._db, self._packs, self._where = None, [], {}
