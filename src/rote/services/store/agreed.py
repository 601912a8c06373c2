"""Which roots this machine has found equal in two stores: hints in SQLite. Deleting them loses nothing.

Imported only where stores are copied: sqlite3 costs start-up time.
"""

from __future__ import annotations

import sqlite3

from rote.ports.logger import Logger

_log = Logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS same (
    stores TEXT NOT NULL, key TEXT NOT NULL, here TEXT NOT NULL, there TEXT NOT NULL,
    PRIMARY KEY (stores, key)) WITHOUT ROWID;
"""


class AgreedRoots:
    """Roots of the stores with the ids `here` and `there`, by the etags they had when they were equal. Anything that
    goes wrong with the file at `path` means that nothing is known."""

    def __init__(self, path: str, here: str, there: str) -> None:
        self._stores = f"{here} {there}"
        self._db: sqlite3.Connection | None = None
        try:
            self._db = sqlite3.connect(path, timeout=5, isolation_level=None)
            # A cache: a power cut may lose it, but must not make it slow.
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _SCHEMA)
        except sqlite3.Error as e:
            self._give_up(e)

    def same(self, key: str, here: str, there: str) -> bool:
        """Whether the root was equal when it had these etags."""
        if self._db is None:
            return False
        query = "SELECT 1 FROM same WHERE stores = ? AND key = ? AND here = ? AND there = ?"
        try:
            return self._db.execute(query, (self._stores, key, here, there)).fetchone() is not None
        except sqlite3.Error as e:
            self._give_up(e)
            return False

    def add(self, key: str, here: str, there: str) -> None:
        """The root is equal now."""
        if self._db is None:
            return
        try:
            self._db.execute(
                "INSERT OR REPLACE INTO same VALUES (?, ?, ?, ?)", (self._stores, key, here, there)
            )
        except sqlite3.Error as e:
            self._give_up(e)

    def close(self) -> None:
        """Let go of the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _give_up(self, error: sqlite3.Error) -> None:
        _log.debug("the cache of equal roots cannot be used: %s", error)
        self.close()
