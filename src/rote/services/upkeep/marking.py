"""What the objects of a store are needed for: the look of a collector (docs/format.md, 11.1 and 11.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from rote.errors import BadName
from rote.laws.store.readback import in_force
from rote.laws.store.rooted import PREFIXES, is_root
from rote.ports import Found, Meta, ObjectStore
from rote.services.store import conditional
from rote.words import ids
from rote.words.channel import Channel
from rote.words.encoding import without_check
from rote.words.ids import SnapshotId, TxnId
from rote.words.record import COMMITTED, OPEN, PENDING, TOMBSTONE, Root, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef

T = TypeVar("T")
R = TypeVar("R")

OBJECTS = ("snapshots/", "packs/")
"""Where a collector deletes, in this order: records before the packs that they name."""


class RootSeen(msgspec.Struct, frozen=True):
    """A root as it was read: what lies there (`root`, with `etag`), its txn's state if it is pending, and what is in
    force."""

    key: str
    etag: str
    root: Root
    txn_state: str | None = None

    @property
    def in_force(self) -> Root | None:
        """The root in force, if any."""
        return in_force(self.root, self.txn_state)

    @property
    def trash(self) -> Root | None:
        """The root that lies in the trash here, if any."""
        if self.root.state != TOMBSTONE or self.root.before is None:
            return None
        return msgspec.convert(self.root.before, Root)

    def kept(self) -> Iterator[SnapshotRef]:
        """The snapshots that a collector keeps for it."""
        before = msgspec.convert(self.root.before, Root).needs if self.root.before else []
        if self.root.state != PENDING:
            yield from self.root.needs  # a tombstone needs nothing, except for what lies in the trash
            yield from before
            return
        if self.txn_state in (OPEN, COMMITTED):
            yield from self.root.needs
        if self.txn_state != COMMITTED:
            yield from before


class Look(msgspec.Struct):
    """One look at a store: its open transactions first, then its roots and channels."""

    open: dict[TxnId, Txn]
    over: set[TxnId]
    """Transactions that are there and over."""
    roots: list[RootSeen] = []
    channels: dict[str, Channel] = {}
    segments: dict[str, list[Meta]] = {}
    """Run -> its live segments."""
    under_way: dict[str, list[Meta]] = {}
    """Run -> what is only for the time that it is under way."""

    def pending_on(self) -> set[TxnId]:
        """Transactions that roots are pending on."""
        return {seen.root.txn for seen in self.roots if seen.root.state == PENDING}


class Marker:
    """Looks at one store, and remembers what can never change or has not: the second look is cheaper than the first.

    `pinned` are snapshots that pointers name. With `workers` above 1 that many requests are under way at once.
    """

    def __init__(
        self, store: ObjectStore, pinned: frozenset[SnapshotId] = frozenset(), workers: int = 1
    ) -> None:
        self._store = store
        self._pinned = pinned
        self._workers = workers
        self._over: set[TxnId] = set()
        self._roots: dict[str, RootSeen] = {}
        self._channels: dict[str, tuple[str, Channel]] = {}
        self._records: dict[str, SnapshotRecord] = {}
        self.missing: set[str] = set()
        """Snapshots, as `ref.key`, that something needs and the store does not have."""

    def look(self) -> Look:
        """All transactions completely, then all roots. Raises Corrupt, TooNew: who cannot read deletes nothing."""
        look = self._txns()
        listed: list[Meta] = []
        for prefix in PREFIXES:
            for meta in self._store.list(prefix):
                names = meta.key.split("/")
                if is_root(meta.key) or _is_channel(names):
                    listed.append(meta)
                elif names[0] == "runs" and names[2:] in (["now"], ["ask"]):
                    look.under_way.setdefault(names[1], []).append(meta)
                elif names[0] == "runs" and names[2:3] == ["live"]:
                    look.segments.setdefault(names[1], []).append(meta)
        for seen in self.each(self._read, listed):
            if isinstance(seen, RootSeen):
                look.roots.append(seen)
            elif seen is not None:
                look.channels[f"{seen.model}@{seen.alias}"] = seen
        return look

    def _txns(self) -> Look:
        listed = [meta.key for meta in self._store.list("txns/")]
        present = {TxnId(key.partition("/")[2]) for key in listed}
        unknown = [key for key in listed if key.partition("/")[2] not in self._over]
        open: dict[TxnId, Txn] = {}
        for key, found in zip(unknown, self.each(self._look_at, unknown), strict=True):
            txn = without_check(found.data, Txn, key) if found else None
            if txn is None:
                present.discard(TxnId(key.partition("/")[2]))
            elif txn.state == OPEN:
                open[txn.id] = txn
            else:
                self._over.add(txn.id)  # for good
        return Look(open=open, over=present & self._over)

    def _look_at(self, key: str) -> Found | None:
        return conditional.look(self._store, key)

    def _read(self, meta: Meta) -> RootSeen | Channel | None:
        if not is_root(meta.key):
            return self._channel(meta)
        known = self._roots.get(meta.key)
        if known is not None and known.etag == meta.etag and known.root.state != PENDING:
            return known
        while True:
            found = conditional.look(self._store, meta.key)
            if found is None:
                return None
            root = without_check(found.data, Root, meta.key)
            seen = RootSeen(meta.key, found.etag, root)
            if root.state == PENDING:
                there = conditional.look(self._store, f"txns/{root.txn}")
                if there is None:
                    # Over and tidied away: then the root was settled before, and what was read is old.
                    again = conditional.look(self._store, meta.key)
                    if again is None or again.data != found.data:
                        continue
                state = without_check(there.data, Txn, f"txns/{root.txn}").state if there else None
                return RootSeen(meta.key, found.etag, root, state)
            self._roots[meta.key] = seen
            return seen

    def _channel(self, meta: Meta) -> Channel | None:
        known = self._channels.get(meta.key)
        if known is None or known[0] != meta.etag:
            found = conditional.look(self._store, meta.key)
            if found is None:
                return None
            known = self._channels[meta.key] = (found.etag, without_check(found.data, Channel, meta.key))
        return known[1]

    # ---- what is needed --------------------------------------------------------------------------------------------

    def needed(self, look: Look) -> Needed:
        """What must stay for what this look saw."""
        refs = {ref.key: ref for seen in look.roots for ref in seen.kept()}
        refs.update({ref.key: ref for ref in (channel.snapshot for channel in look.channels.values())})
        kept = {need.id for seen in look.roots if (root := seen.in_force) for need in root.needs}
        keys = {f"snapshots/{key}" for key in refs} | set(self._pinned_records(self._pinned - kept))
        for txn in look.open.values():
            keys |= {f"packs/{p}" for p in txn.packs} | {f"snapshots/{s}" for s in txn.snapshots}
        for record in self.records(sorted(key for key in keys if key.startswith("snapshots/"))):
            keys |= {f"packs/{pack}" for pack in record.packs}
        return Needed(keys, frozenset(look.open))

    def _pinned_records(self, snapshots: Iterable[SnapshotId]) -> Iterator[str]:
        for id in sorted(snapshots):
            for meta in self._store.list(f"snapshots/{id[:2]}/{id}/"):
                yield meta.key

    def records(self, keys: Sequence[str]) -> list[SnapshotRecord]:
        """The records under these keys, as far as they are there."""
        unknown = [key for key in keys if key not in self._records]
        for key, found in zip(unknown, self.each(self._look_at, unknown), strict=True):
            if found is None:
                self.missing.add(key.partition("/")[2])
            else:
                self._records[key] = without_check(found.data, SnapshotRecord, key)
        return [self._records[key] for key in keys if key in self._records]

    def each(self, ask: Callable[[T], R], asked: Sequence[T]) -> list[R]:
        """Ask for all of them, several at a time."""
        if self._workers < 2 or len(asked) < 2:
            return [ask(one) for one in asked]
        from concurrent.futures import ThreadPoolExecutor  # a small store never needs it: start-up time

        with ThreadPoolExecutor(self._workers, "rote-gc") as pool:
            return list(pool.map(ask, asked))


class Needed(msgspec.Struct, frozen=True):
    """What must stay: keys, and everything whose name carries the id of an open transaction."""

    keys: set[str]
    open: frozenset[TxnId]

    def __contains__(self, key: object) -> bool:
        return key in self.keys or owner(str(key)) in self.open


def owner(key: str) -> TxnId | None:
    """The transaction that made a pack or a record; None for a key that is neither."""
    names = key.split("/")
    try:
        if names[0] == "packs" and len(names) == 3:
            ids.digest(names[2])
            return ids.txn_id(names[1])
        if names[0] == "snapshots" and len(names) == 4 and ids.snapshot_id(names[2])[:2] == names[1]:
            return ids.txn_id(names[3])
    except BadName:
        pass  # not a name that a rote gives
    return None


def _is_channel(names: Sequence[str]) -> bool:
    return names[0] == "models" and len(names) == 4 and names[2] == "aliases"
