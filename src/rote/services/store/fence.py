"""The collector's fence, and what this process has seen while it stood still (docs/format.md, 6.4 and 6.5)."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import msgspec

from rote.ports import ObjectStore
from rote.services.store import conditional
from rote.words.encoding import without_check
from rote.words.record import Fence

KEY = "gc/fence"


class Sight(msgspec.Struct, frozen=True):
    """The fence as it was read: its bytes (none if there is no fence yet) and the objects it names, in either phase."""

    data: bytes
    named: frozenset[str]


class Seen:
    """Objects that this process saw, or made, after it read the fence as it still is.

    Bodies of the fence never repeat. So whoever reads the same bytes again may count everything remembered here as
    seen after this read: no collector has opened or closed a round since the first one. Thread-safe.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._sight: Sight | None = None
        self._packs: set[str] = set()
        self._records: dict[str, tuple[str, ...]] = {}
        self._writes = 0

    def begun(self) -> None:
        """A write begins. From a process's second one on it pays to know the fence before objects are made: then the
        later writes may rely on those without asking for each of them."""
        with self._lock:
            self._writes += 1
            pays = self._writes == 2 and self._sight is None
        if pays:
            self.look()

    @property
    def sight(self) -> Sight | None:
        """The fence as it was read last, without reading it."""
        return self._sight

    def look(self) -> Sight:
        """Read the fence. If it has moved, all that was remembered is forgotten."""
        found = conditional.look(self._store, KEY)
        data = found.data if found else b""
        with self._lock:
            if self._sight is None or self._sight.data != data:
                named = without_check(data, Fence, KEY).objects if data else []
                self._sight = Sight(data, frozenset(named))
                self._packs.clear()
                self._records.clear()
            return self._sight

    def add(
        self,
        since: Sight | None,
        packs: Iterable[str] = (),
        records: dict[str, tuple[str, ...]] | None = None,
    ) -> None:
        """Remember packs, and records with the packs they name, that were seen after `since` was read."""
        with self._lock:
            if since is not None and self._sight is since:
                self._packs.update(packs)
                self._records.update(records or {})

    def has_pack(self, since: Sight, pack: str) -> bool:
        """Whether the pack was seen while the fence stood as in `since`."""
        with self._lock:
            return self._sight is since and pack in self._packs

    def packs_of(self, since: Sight, record: str) -> tuple[str, ...] | None:
        """The packs of a record that was seen while the fence stood as in `since`, or None."""
        with self._lock:
            return self._records.get(record) if self._sight is since else None
