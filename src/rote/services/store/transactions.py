"""One write: a transaction with one commit point and no recovery code (docs/format.md, 6.5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from rote.errors import Conflict, NotFound, StoreError, Unknown
from rote.laws.store.readback import over
from rote.ports import Clock, Found, ObjectStore
from rote.ports.logger import Logger
from rote.services.store import abreast, conditional
from rote.services.store.fence import Seen, Sight
from rote.services.store.roots import end_txn, held
from rote.words.encoding import with_check, without_check
from rote.words.ids import Digest, SnapshotId, TxnId
from rote.words.record import ABORTED, COMMITTED, LIVE, OPEN, PENDING, Root, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef

T = TypeVar("T")

_log = Logger(__name__)


class Beaten(Conflict):
    """A root is in force already where this write wanted to make one; `root` is that one."""

    def __init__(self, key: str, root: Root) -> None:
        super().__init__(key, safe="nothing was changed", next="use what is there")
        self.root = root


class LostTxn(StoreError):
    """Somebody gave up on this write, or removed what it relied on: nothing of it is in force; start it over."""

    retry = True

    def __init__(self, txn: TxnId, why: str) -> None:
        super().__init__(
            f"this write was given up: {why}",
            where=f"txns/{txn}",
            safe="nothing was changed",
            next="do the same again: what was saved is used again",
        )
        self.txn = txn


class Transactions:
    """Begins writes to one store. Thread-safe; `by` is who writes (user@host)."""

    def __init__(self, store: ObjectStore, clock: Clock, by: str) -> None:
        self._store = store
        self._clock = clock
        self._by = by
        self._seen = Seen(store)

    def begin(self) -> Write:
        """A new write. Nothing is sent before its first object, so that giving it up early costs nothing."""
        return Write(self._store, self._clock, self._by, self._seen)

    def write(self, work: Callable[[Write], T], tries: int = 8) -> T:
        """Do `work` in a write and commit it; start over, up to `tries` times, if the write is lost on the way.

        Raises LostTxn after the last try, Beaten, and whatever `work` raises.
        """
        for left in range(tries - 1, -1, -1):
            try:
                with self.begin() as write:
                    result = work(write)
                    write.commit()
                    return result
            except LostTxn:
                if not left:
                    raise
        raise ValueError("tries must be at least 1")


class _Wanted(msgspec.Struct, frozen=True):
    body: dict[str, Any]
    needs: list[SnapshotRef]
    replace: bool
    expected: Root | None = None


class Write:
    """One write. `put_pack`, `usable`, `use`, `add_snapshot` and `root` are thread-safe; `commit` and `abort` come
    last, from one thread. Leaving the context without a commit aborts."""

    def __init__(self, store: ObjectStore, clock: Clock, by: str, seen: Seen) -> None:
        began = time.gmtime(clock.now())
        self.id = TxnId(f"{time.strftime('%Y%m%dT%H%M%S', began)}-{clock.token(8)}")
        self._txn = Txn(id=self.id, state=OPEN, by=by, began=time.strftime("%Y-%m-%dT%H:%M:%SZ", began))
        self._store = store
        self._clock = clock
        self._seen = seen
        self._lock = threading.RLock()
        self._etag: str | None = None  # of the txn object, once there is one
        self._over: str | None = None  # how it ended
        self._sight: Sight | None = None  # the fence as it was before anything was reused
        self._own: set[str] = set()
        self._usable: dict[str, bool] = {}
        self._hits: dict[str, tuple[str, ...]] = {}
        self._records: dict[SnapshotId, SnapshotRecord] = {}
        self._roots: dict[str, _Wanted] = {}

    # ---- what the write is made of -----------------------------------------------------------------------------

    def put_pack(self, digest: Digest, data: bytes | bytearray | memoryview) -> str:
        """Create the pack of these bytes, whose BLAKE3 is `digest`; returns its key below `packs/`.

        Raises Unknown, StoreFull, StoreUnavailable.
        """
        pack = f"{self.id}/{digest}"
        if pack not in self._own:
            self._open()
            since = self._seen.sight
            conditional.put_pack(self._store, f"packs/{pack}", data)
            self._own.add(pack)
            self._seen.add(since, [pack])
        return pack

    def usable(self, packs: Iterable[str]) -> set[str]:
        """Those of `packs` (keys below `packs/`) that may be relied upon: not about to be collected, and seen to exist
        after that was known. They are pinned by the commit if a snapshot added here names them."""
        wanted = set(packs)
        unseen = sorted(p for p in wanted if p not in self._own and p not in self._usable)
        if unseen:
            sight = self._fence()
            seen = abreast.each(self._store, lambda pack: self._see(pack, sight), unseen)
            self._usable.update(zip(unseen, seen, strict=True))
        return {pack for pack in wanted if pack in self._own or self._usable.get(pack, False)}

    def add_snapshot(self, record: SnapshotRecord) -> SnapshotRef:
        """Save a snapshot with the commit. The reference returned is good once the write is committed.

        A snapshot that was added already keeps the layout it had.
        """
        self._must_be_open()
        if record.txn != self.id:
            record = msgspec.structs.replace(record, txn=self.id)
        with self._lock:
            return self._records.setdefault(record.id, record).ref()

    def use(self, ref: SnapshotRef) -> bool:
        """Rely on a snapshot that exists: its record and packs are there and get pinned. False: treat it as a miss."""
        if ref.txn == self.id:
            return ref.id in self._records
        if ref.key in self._hits:
            return True
        sight = self._fence()
        record_key = f"snapshots/{ref.key}"
        if record_key in sight.named:
            return False
        packs = self._seen.packs_of(sight, ref.key)
        if packs is None:
            found = conditional.look(self._store, record_key)
            if found is None:
                return False
            packs = tuple(without_check(found.data, SnapshotRecord, record_key).packs)
        if len(self.usable(packs)) < len(set(packs)):
            return False
        self._hits[ref.key] = packs
        self._seen.add(sight, records={ref.key: packs})
        return True

    def root(
        self,
        key: str,
        body: msgspec.Struct | dict[str, Any],
        needs: Sequence[SnapshotRef],
        *,
        replace: bool = False,
        expected: Root | None = None,
    ) -> None:
        """Make a root with the commit, which keeps the snapshots `needs`.

        Without `replace`, a root in force wins: the commit then raises Beaten. With it, the root comes in force over
        whatever is, by compare-and-swap on what was seen; with `expected` only over exactly this root (Beaten if
        another is in force, LostTxn if none is).
        """
        self._must_be_open()
        with self._lock:
            self._roots[key] = _Wanted(msgspec.to_builtins(body), list(needs), replace, expected)

    # ---- the end of it -----------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Bring all roots in force at once. Returns at once if that has been done.

        Raises Beaten and LostTxn (the write is aborted then, nothing is changed); Unknown if it cannot be told whether
        the write was committed; StoreFull and StoreUnavailable.
        """
        if self._over == COMMITTED:
            return
        self._must_be_open()
        try:
            self._commit()
        except (Beaten, LostTxn):
            self.abort()
            raise

    def abort(self) -> None:
        """Give the write up; what it uploaded is garbage then. Nothing happens if it is over."""
        if self._over:
            return
        if self._etag is None:
            self._over = ABORTED  # nothing was ever sent
        else:
            self._over = end_txn(self._store, self.id) or ABORTED

    def __enter__(self) -> Write:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._over or isinstance(error, Unknown):
            return  # after an unknown outcome nothing is cleaned up: it may have been a success
        try:
            self.abort()
        except StoreError as e:
            if error is None:
                raise
            _log.debug(
                "could not abort %s: %s", self.id, e
            )  # the first error matters; anybody may end this txn

    # ---- steps -------------------------------------------------------------------------------------------------

    def _must_be_open(self) -> None:
        if self._over:
            raise ValueError(f"the write {self.id} is over ({self._over})")

    def _fence(self) -> Sight:
        """Step 2, at most once a write."""
        with self._lock:
            if self._sight is None:
                self._sight = self._seen.look()
            return self._sight

    def _see(self, pack: str, sight: Sight) -> bool:
        key = f"packs/{pack}"
        if key in sight.named:
            return False
        if not self._seen.has_pack(sight, pack):
            if not self._exists(key):
                return False
            self._seen.add(sight, [pack])
        return True

    def _exists(self, key: str) -> bool:
        try:
            self._store.head(key)
        except NotFound:
            return False
        return True

    def _open(self, packs: Sequence[str] = (), snapshots: Sequence[str] = ()) -> None:
        """Steps 1 and 3: the txn object exists and has these pins."""
        with self._lock:
            self._must_be_open()
            if self._etag is not None and not packs and not snapshots:
                return
            if self._etag is None:
                self._seen.begun()
            self._txn = msgspec.structs.replace(
                self._txn, packs=list(packs), snapshots=list(snapshots), nonce=self._clock.token(8)
            )
            put = conditional.put(self._store, f"txns/{self.id}", with_check(self._txn), self._etag)
            if put.etag is None:
                raise LostTxn(self.id, "another write ended it")
            self._etag = put.etag

    def _commit(self) -> None:
        if self._is_simple():
            for key, wanted in self._roots.items():
                self._hang(key, wanted, LIVE)
            self._over = COMMITTED
            return
        packs, snapshots = self._pins()
        self._open(sorted(packs), sorted(snapshots))
        if packs or snapshots:
            self._check([f"packs/{p}" for p in packs] + [f"snapshots/{s}" for s in snapshots])
        abreast.each(self._store, self._create_record, list(self._records.values()))
        # Roots one by one, in order: of two writes that want the same ones, each would end the other.
        hung = [(key, *self._hang(key, wanted, PENDING)) for key, wanted in sorted(self._roots.items())]
        self._seal(hung)
        self._settle(hung)

    def _is_simple(self) -> bool:
        """One root that needs nothing, or no root at all, and no object made: there is nothing to keep and nothing to
        be atomic with."""
        nothing_made = self._etag is None and not self._records
        return nothing_made and len(self._roots) < 2 and not any(w.needs for w in self._roots.values())

    def _pins(self) -> tuple[set[str], set[str]]:
        """What this write relies on that others made. Raises LostTxn if some of it is gone."""
        packs: set[str] = set()
        snapshots: set[str] = set()
        for record in self._records.values():
            packs.update(p for p in record.packs if p not in self._own)
        needed = sorted({ref.key: ref for w in self._roots.values() for ref in w.needs}.items())
        refs = [ref for _, ref in needed]
        for ref, there in zip(refs, abreast.each(self._store, self.use, refs), strict=True):
            if not there:
                raise LostTxn(self.id, f"the snapshot {ref.id[:12]} is not in the store any more")
            if ref.key in self._hits:
                snapshots.add(ref.key)
                packs.update(self._hits[ref.key])
        gone = packs - self.usable(packs)
        if gone:
            raise LostTxn(self.id, f"the pack {min(gone)} is not in the store any more")
        return packs, snapshots

    def _check(self, pins: list[str]) -> None:
        """Step 4: the fence again, now that the pins are written."""
        before, now = self._fence(), self._seen.look()
        if now.data == before.data:
            return
        gone = set(pins) & now.named
        if not gone:
            there = abreast.each(self._store, self._exists, pins)
            gone = {key for key, exists in zip(pins, there, strict=True) if not exists}
        if gone:
            raise LostTxn(self.id, f"{min(gone)} is being collected")

    def _create_record(self, record: SnapshotRecord) -> None:
        """Step 5."""
        ref = record.ref()
        since = self._seen.sight
        put = conditional.put(self._store, f"snapshots/{ref.key}", with_check(record), None)
        if put.etag is None:
            raise Conflict(f"snapshots/{ref.key}", next="rote store check")
        self._seen.add(since, records={ref.key: tuple(record.packs)})

    def _hang(self, key: str, wanted: _Wanted, state: str) -> tuple[str, Root]:
        """Step 6: take the root's key. Returns its etag there and the root. Raises Beaten."""
        root = Root(state=state, txn=self.id, needs=wanted.needs, body=wanted.body)
        # Where nothing is expected, the create itself is the look.
        found = conditional.look(self._store, key) if wanted.replace else None
        while True:
            there = held(self._store, key, found, end=wanted.expected is None)
            if there.in_force and (
                not wanted.replace or (wanted.expected and there.in_force != wanted.expected)
            ):
                raise Beaten(key, there.in_force)
            if wanted.expected and (there.in_force is None or there.txn_state == OPEN):
                raise LostTxn(self.id, f"{key} was removed, or is just being replaced")
            if state == PENDING:
                root = msgspec.structs.replace(root, before=over(there.in_force))
            put = conditional.put(
                self._store, key, with_check(root), there.found.etag if there.found else None
            )
            if put.etag is not None:
                return put.etag, root
            found = put.found

    def _seal(self, hung: list[tuple[str, str, Root]]) -> None:
        """Step 7, the commit point."""
        txn = msgspec.structs.replace(self._txn, state=COMMITTED, nonce=self._clock.token(8))
        put = conditional.put(self._store, f"txns/{self.id}", with_check(txn), self._etag)
        if put.etag is None and not self._was_committed(put.found, hung):
            raise LostTxn(self.id, "another write ended it")
        self._over = COMMITTED

    def _was_committed(self, found: Found | None, hung: list[tuple[str, str, Root]]) -> bool:
        if found is not None:
            return without_check(found.data, Txn, f"txns/{self.id}").state == COMMITTED
        # Over and tidied away, after its roots were settled: they tell, as long as nobody has replaced them since.
        for key, _, _ in hung:
            there = held(self._store, key, conditional.look(self._store, key)).root
            if there and there.txn == self.id:
                return there.state == LIVE
        raise Unknown(f"txns/{self.id}", next="look whether it is there; if not, do the same again")

    def _settle(self, hung: list[tuple[str, str, Root]]) -> None:
        """Step 8: readers are spared a look at the txn. The write is done, whatever becomes of this."""

        def settle(one: tuple[str, str, Root]) -> None:
            key, etag, root = one
            live = msgspec.structs.replace(root, state=LIVE, before=None)
            try:
                conditional.put(self._store, key, with_check(live), etag)
            except StoreError as e:
                _log.debug("could not settle %s: %s", key, e)

        abreast.each(self._store, settle, hung)
