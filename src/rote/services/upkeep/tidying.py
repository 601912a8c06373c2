"""The janitor: what writes that are over left, and what removed roots left (docs/format.md, 11.3)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rote.errors import Conflict, Corrupt, Unknown, Unsupported
from rote.laws.store.retention import RUNNING, is_old
from rote.ports import ObjectStore
from rote.services.store import conditional
from rote.services.store.roots import Roots, end_txn
from rote.services.upkeep.marking import Look, Marker, RootSeen
from rote.services.upkeep.trash import Trash
from rote.words.encoding import without_check
from rote.words.record import PENDING, TOMBSTONE
from rote.words.unfinished import FREE, Lease


class Tidied(msgspec.Struct):
    """What the janitor did, in numbers."""

    txns_ended: int = 0
    roots_settled: int = 0
    txns: int = 0
    tombstones: int = 0
    leases: int = 0
    segments: int = 0
    size: int = 0
    """Bytes of the live segments that went."""


DAY = 86_400.0
"""Seconds that a tombstone stays at least: a request that was sent twice may arrive late."""


class Janitor:
    """Ends writes that nobody works on, settles roots, deletes what is over. `now` in seconds since 1970, `moment` the
    same as text; `grace` in seconds. None of it decides what is safe, only what is left alone for a while."""

    def __init__(
        self, store: ObjectStore, marker: Marker, *, now: float, moment: str, grace: float, rest: float = DAY
    ) -> None:
        self._rest = max(grace, rest)
        self._store = store
        self._marker = marker
        self._now, self._moment, self._grace = now, moment, grace
        self.done = Tidied()

    def stale(self, look: Look) -> list[str]:
        """Transactions that have been open for longer than the grace period."""
        return [txn for txn in look.open if is_old(txn, self._now, self._grace)]

    def begin(self, look: Look) -> None:
        """Before a collection: end stale transactions, settle the roots of those that are over."""
        for txn in list(look.open):
            if is_old(txn, self._now, self._grace):
                end_txn(self._store, txn)
                self.done.txns_ended += 1
        roots = Roots(self._store)
        for seen in look.roots:
            # Of one that was open a moment ago too: it may just have been ended.
            if seen.root.state == PENDING and roots.settle(seen.key):
                self.done.roots_settled += 1

    def end(self) -> None:
        """After a collection: delete transactions that are over, tombstones that nobody can need, and the logs of
        runs that were removed."""
        look = self._marker.look()
        pending = look.pending_on()
        gone = set()
        for txn in sorted(look.over - pending):
            if is_old(txn, self._now, self._grace):
                self._delete(f"txns/{txn}")
                gone.add(txn)
                self.done.txns += 1
        self._leases()
        present = (look.over | set(look.open)) - gone
        for seen in look.roots:
            if seen.root.state == TOMBSTONE and seen.trash is None:
                self._tombstone(seen, seen.root.txn in present, look)
        records = {seen.key for seen in look.roots}
        for run in look.segments:
            # Segments come after the record: without one, it was removed and tidied away.
            if f"runs/{run}/record" not in records and is_old(run, self._now, self._grace):
                self._segments(run, look)
        running = {seen.key for seen in look.roots if seen.root.body.get("state") == "running"}
        for run, left in look.under_way.items():
            # A process that ended as it should has taken them away itself.
            if f"runs/{run}/record" not in running and is_old(run, self._now, self._grace):
                for meta in left:
                    self._delete(meta.key)

    def _leases(self) -> None:
        """Leases that nobody holds any more, or whose run cannot be under way."""
        for meta in list(self._store.list("leases/")):
            found = conditional.look(self._store, meta.key)
            try:
                lease = without_check(found.data, Lease, meta.key) if found else None
            except Corrupt:
                continue  # it binds nobody, and `rote store check` is not about it
            if lease is None or found is None or not is_old(lease.run, self._now, self._grace):
                continue
            if lease.state == FREE or is_old(lease.run, self._now, RUNNING):
                self.done.leases += self._delete_exactly(meta.key, found.etag)

    def _tombstone(self, seen: RootSeen, txn_present: bool, look: Look) -> None:
        names = seen.key.split("/")
        if names[0] == "runs":
            self._segments(names[1], look)
        removed = seen.root.body.get("removed")
        if removed is None and self._rest > 0:
            Trash(self._store).stamp(seen, self._moment)
        elif not txn_present and self._rested(removed):
            self.done.tombstones += self._delete_exactly(seen.key, seen.etag)

    def _rested(self, removed: object) -> bool:
        if self._rest <= 0:
            return True
        try:
            made = datetime.fromisoformat(str(removed)).timestamp()
        except ValueError:
            return False
        return self._now - made >= self._rest

    def _segments(self, run: str, look: Look) -> None:
        for meta in look.segments.get(run, ()):
            self._delete(meta.key)
            self.done.segments += 1
            self.done.size += meta.size

    def _delete(self, key: str) -> None:
        conditional.delete(self._store, key)

    def _delete_exactly(self, key: str, etag: str) -> bool:
        """Delete a small object, if it is still that one. It may stay as well: a look tells next time."""
        try:
            self._store.delete(key, etag)
        except (Conflict, Unknown, Unsupported):
            return False
        return True
