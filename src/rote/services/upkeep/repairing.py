"""Making whole what a check found damaged, from what is sound elsewhere. `rote store check --repair`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import BadPath, Changed, Corrupt, Missing, NotFound, StoreError
from rote.laws.store.mirroring import relocated
from rote.laws.store.rooted import PREFIXES, is_root
from rote.ports import ObjectStore, Progress, Silence, Tree
from rote.ports.logger import Logger
from rote.services.data.identity import identify
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.presence import Presence, Source
from rote.services.data.snapshots import Snapshots
from rote.services.store import conditional
from rote.services.store.roots import Roots, held
from rote.services.store.transactions import Beaten, Transactions, Write
from rote.services.upkeep.carrying import Carrier
from rote.services.upkeep.check import CheckReport, Mended, Repaired
from rote.services.upkeep.piecework import ChunkFinder, Patched
from rote.words.channel import Channel
from rote.words.encoding import with_check, without_check
from rote.words.ids import Digest, TxnId
from rote.words.record import Root, StoreInfo
from rote.words.snapshot import SnapshotRecord, SnapshotRef

_log = Logger(__name__)

_TRIES = 8
_HERE, _OTHER = "this store", "the other store"


class _Users(msgspec.Struct):
    """The roots and channels that keep a damaged snapshot, and the paths in a working tree where it may lie."""

    ref: SnapshotRef
    keys: list[str]
    paths: list[str]


class Repairing:
    """Repairs one store. `tree_at` gives what lies at a path of the working tree, if anything does; `forget` is told
    of damaged packs, so that nothing is stored into them by reference again."""

    def __init__(
        self,
        store: ObjectStore,
        info: StoreInfo,
        transactions: Transactions,
        *,
        other: ObjectStore | None = None,
        tree_at: Callable[[str], Tree | None] = lambda path: None,
        forget: Callable[[Iterable[str]], None] = lambda packs: None,
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._info = info
        self._transactions = transactions
        self._other = Source(other) if other is not None else None
        self._tree_at = tree_at
        self._forget = forget
        self._progress = progress or Silence()
        self._roots = Roots(store)
        self._snapshots = Snapshots(store)

    def repair(self, report: CheckReport) -> Repaired:
        """Store anew what the damages of `report` harm, as far as this store, the other one or the working tree still
        has it, and point the roots at it. Damaged packs stay, needed by nothing, for the collector. Raises StoreFull,
        StoreUnavailable, Unknown."""
        done = Repaired()
        bad = {d.key.partition("/")[2] for d in report.damages if d.key.startswith("packs/")}
        self._forget(bad)
        users = self._users({s.snapshot.key for d in report.damages for s in d.suffering})
        self._progress.start("repairing", len(users), "snapshots")
        try:
            if users:
                self._write(users, bad, done)
                self._channels(done)
        finally:
            self._progress.done()
        return done

    # ---- who needs what ----------------------------------------------------------------------------------------

    def _users(self, suffering: set[str]) -> dict[str, _Users]:
        found: dict[str, _Users] = {}
        for key, refs, body in self._all_roots():
            for ref in refs:
                if ref.key in suffering:
                    user = found.setdefault(ref.key, _Users(ref, [], []))
                    user.keys.append(key)
                    user.paths += [p for p in _paths(key, body, ref) if p not in user.paths]
        return found

    def _all_roots(self) -> Iterator[tuple[str, Sequence[SnapshotRef], Mapping[str, Any]]]:
        for prefix in PREFIXES:
            for key in self._roots.list(prefix):
                try:
                    if is_root(key):
                        root = self._roots.envelope(key)
                        if root is not None:
                            yield key, root.needs, root.body
                    elif (channel := self._channel(key)) is not None:
                        yield key, [channel.snapshot], {}
                except Corrupt as e:
                    _log.debug("%s is passed over: %s", key, e)  # the check names it

    def _channel(self, key: str) -> Channel | None:
        names = key.split("/")
        if names[0] != "models" or len(names) != 4 or names[2] != "aliases":
            return None
        found = conditional.look(self._store, key)
        return without_check(found.data, Channel, key) if found else None

    def _write(self, users: Mapping[str, _Users], bad: set[str], done: Repaired) -> None:
        for left in range(_TRIES - 1, -1, -1):
            try:
                self._transactions.write(lambda write: self._mend_all(write, users, bad, done))
                return
            except Beaten:
                if not left:
                    raise

    # ---- snapshots ---------------------------------------------------------------------------------------------

    def _mend_all(self, write: Write, users: Mapping[str, _Users], bad: set[str], done: Repaired) -> None:
        done.mended.clear()
        where: dict[tuple[str, str], SnapshotRef] = {}
        for user in users.values():
            found = self._mend(write, user, bad)
            self._progress.step()
            if found is not None:
                ref, source = found
                where[user.ref.id, user.ref.txn] = ref
                done.mended.append(Mended(user.ref, source, sorted(user.keys)))
        for key in sorted({key for user in users.values() for key in user.keys if is_root(key)}):
            # A write that was given up may hold the key still.
            root = held(self._store, key, conditional.look(self._store, key), end=True).in_force
            if root is not None:
                self._replace(write, key, root, where)

    def _replace(
        self, write: Write, key: str, root: Root, where: Mapping[tuple[str, str], SnapshotRef]
    ) -> None:
        needs = [where.get((ref.id, ref.txn), ref) for ref in root.needs]
        if needs != root.needs and all(write.use(ref) for ref in needs):
            write.root(key, relocated(key, root.body, where), needs, replace=True, expected=root)

    def _mend(self, write: Write, user: _Users, bad: set[str]) -> tuple[SnapshotRef, str] | None:
        """The snapshot as it is whole now, and what from; None if nobody has it."""
        shunning = _Shunning(write, bad)
        ways: list[tuple[str, Callable[[], SnapshotRef | None]]] = [
            (_HERE, lambda: self._as_it_is(shunning, user)),
            (_OTHER, lambda: self._from_other(shunning, user, bad)),
            ("what was left of it", lambda: self._patched(shunning, user, bad)),
        ]
        ways += [(f"{path} in the working tree", self._saved(shunning, user, path)) for path in user.paths]
        for source, way in ways:
            try:
                ref = way()
            except (Missing, NotFound, Corrupt, Changed, BadPath) as e:
                _log.debug("%s cannot be repaired from %s: %s", user.ref.key, source, e)
                continue
            if ref is not None:
                return ref, source
        return None

    def _as_it_is(self, write: _Shunning, user: _Users) -> SnapshotRef | None:
        """Another sound record of it."""
        presence = Presence(self._store, None, write.bad)
        return next((ref for ref in presence.find(user.ref.id) if write.inner.use(ref)), None)

    def _from_other(self, write: _Shunning, user: _Users, bad: set[str]) -> SnapshotRef | None:
        if self._other is None:
            return None
        ref = self._other.snapshots.find(user.ref.id)
        presence = Presence(self._store, None, bad)
        with Carrier(self._other, presence, write) as carrier:
            brought = carrier.bring(ref)
            carrier.finish()
        return brought

    def _patched(self, write: _Shunning, user: _Users, bad: set[str]) -> SnapshotRef | None:
        """Its nodes are sound: what is lost of its content may lie in other packs, here or there, or in files."""
        record = self._snapshots.record(user.ref)
        finders = [ChunkFinder(self._store, bad)]
        if self._other is not None:
            finders.append(ChunkFinder(self._other.store))
        tree = Patched(self._store, record, bad, finders, [t for p in user.paths if (t := self._tree_at(p))])
        saved = SnapshotWriter(self._store, write, info=self._info).save(tree, parent=record)
        return saved.ref() if saved.id == record.id else None

    def _saved(self, write: _Shunning, user: _Users, path: str) -> Callable[[], SnapshotRef | None]:
        def save() -> SnapshotRef | None:
            tree = self._tree_at(path)
            if tree is None or identify(tree, Silence()).id != user.ref.id:
                return None
            again = self._tree_at(path)
            assert again is not None
            saved = SnapshotWriter(self._store, write, info=self._info).save(again, fresh=True)
            return saved.ref() if saved.id == user.ref.id else None

        return save

    # ---- channels ----------------------------------------------------------------------------------------------

    def _channels(self, done: Repaired) -> None:
        """A channel names the snapshot of its version, which may lie elsewhere now. It is no move of the alias."""
        for mended in done.mended:
            for key in mended.roots:
                if is_root(key):
                    continue
                found = conditional.look(self._store, key)
                if found is None:
                    continue
                channel = without_check(found.data, Channel, key)
                version = self._roots.envelope(f"models/{channel.model}/versions/{channel.version}")
                if version is None or channel.snapshot.id != mended.snapshot.id:
                    continue
                moved = msgspec.structs.replace(channel, snapshot=version.needs[0])
                if conditional.put(self._store, key, with_check(moved), found.etag).etag is None:
                    raise StoreError("an alias was moved meanwhile", where=key, next="do the same again")


class _Shunning:
    """A write that relies on nothing that is damaged."""

    def __init__(self, inner: Write, bad: Iterable[str]) -> None:
        self.inner = inner
        self.id: TxnId = inner.id
        self.bad = frozenset(bad)

    def put_pack(self, digest: Digest, data: bytes | bytearray | memoryview) -> str:
        return self.inner.put_pack(digest, data)

    def usable(self, packs: Iterable[str]) -> set[str]:
        return self.inner.usable(set(packs) - self.bad)

    def use(self, ref: SnapshotRef) -> bool:
        return False  # whatever is there is what suffers

    def add_snapshot(self, record: SnapshotRecord) -> SnapshotRef:
        return self.inner.add_snapshot(record)


def _paths(key: str, body: Mapping[str, Any], ref: SnapshotRef) -> Iterator[str]:
    """Where in a working tree the snapshot's files may lie."""
    match key.partition("/")[0]:
        case "data":
            yield str(body.get("path"))
        case "results":
            yield from _outs(body.get("outs"), ref)
        case "runs":
            for stage in body.get("stages") or ():
                yield from _outs(stage.get("outs"), ref)


def _outs(outs: Any, ref: SnapshotRef) -> Iterator[str]:
    return (path for path, out in (outs or {}).items() if out.get("id") == ref.id)
