"""A collector for these tests only, step by step as docs/format.md and the design say. The real one comes later."""

from __future__ import annotations

import random

import msgspec

from rote import conditional
from rote.encoding import with_check, without_check
from rote.errors import Unknown
from rote.ports import ObjectStore
from rote.record import COMMITTED, OPEN, PENDING, TOMBSTONE, Fence, Root, Txn
from rote.roots import Roots, end_txn
from rote.snapshot import SnapshotRecord, SnapshotRef

ROOTS = ("data/", "models/", "results/", "runs/")


class Collector:
    """One collector; `mark` may name anything as a candidate, for only the second look is relied upon."""

    def __init__(self, store: ObjectStore, rng: random.Random, wild: bool = True) -> None:
        self.store = store
        self.rng = rng
        self.wild = wild

    def round(self) -> None:
        """One round, or the rest of somebody else's. Gives up as soon as the fence is not what it was left as."""
        raw = conditional.look(self.store, "gc/fence")
        fence = without_check(raw.data, Fence, "gc/fence") if raw else Fence()
        etag = raw.etag if raw else None
        if fence.phase == "sweep":
            self.sweep(fence, etag)
            return
        if fence.phase == "cand":
            names = set(fence.objects)  # a takeover
        else:
            names = {m.key for prefix in ("packs/", "snapshots/") for m in self.store.list(prefix)}
            if not self.wild or self.rng.random() < 0.5:
                names -= self.needed(names)
        if not names:
            return
        fence = Fence(generation=fence.generation + 1, phase="cand", objects=sorted(names))
        etag = self.move(fence, etag)
        if etag is None:
            return
        condemned = sorted(names - self.needed(names))
        fence = Fence(generation=fence.generation, phase="sweep" if condemned else "idle", objects=condemned)
        etag = self.move(fence, etag)
        if etag is not None and condemned:
            self.sweep(fence, etag)

    def sweep(self, fence: Fence, etag: str | None) -> None:
        for key in sorted(fence.objects, reverse=True):  # records before packs
            conditional_delete(self.store, key)
        self.move(Fence(generation=fence.generation), etag)

    def move(self, fence: Fence, etag: str | None) -> str | None:
        fence = msgspec.structs.replace(fence, nonce=f"{self.rng.getrandbits(64):016x}")
        return conditional.put(self.store, "gc/fence", with_check(fence), etag).etag

    def needed(self, names: set[str]) -> set[str]:
        """Those of `names` that must stay: all transactions completely, then all roots."""
        keep: set[str] = set()
        for meta in self.shuffled("txns/"):
            found = conditional.look(self.store, meta)
            txn = without_check(found.data, Txn, meta) if found else None
            if txn and txn.state == OPEN:
                keep |= {f"packs/{p}" for p in txn.packs} | {f"snapshots/{s}" for s in txn.snapshots}
                keep |= {n for n in names if txn.id in n.split("/")}
        for prefix in ROOTS:
            for key in self.shuffled(prefix):
                for ref in self.refs(key):
                    keep |= self.reach(ref)
        return keep

    def shuffled(self, prefix: str) -> list[str]:
        keys = [m.key for m in self.store.list(prefix)]
        self.rng.shuffle(keys)
        return keys

    def refs(self, key: str) -> list[SnapshotRef]:
        while True:
            found = conditional.look(self.store, key)
            if found is None:
                return []
            root = without_check(found.data, Root, key)
            if root.state == TOMBSTONE:
                return []
            if root.state != PENDING:
                return root.needs
            there = conditional.look(self.store, f"txns/{root.txn}")
            state = without_check(there.data, Txn, key).state if there else None
            if there is None:
                again = conditional.look(self.store, key)
                if again is None or again.etag != found.etag:
                    continue
            before = msgspec.convert(root.before, Root).needs if root.before and state != COMMITTED else []
            return before + (root.needs if state in (OPEN, COMMITTED) else [])

    def reach(self, ref: SnapshotRef) -> set[str]:
        key = f"snapshots/{ref.key}"
        found = conditional.look(self.store, key)
        packs = without_check(found.data, SnapshotRecord, key).packs if found else []
        return {key, *(f"packs/{p}" for p in packs)}


class Janitor:
    """Loses patience with open transactions, settles roots, deletes finished transactions nobody is pending on."""

    def __init__(self, store: ObjectStore, rng: random.Random, impatience: float = 0.3) -> None:
        self.store = store
        self.rng = rng
        self.impatience = impatience

    def round(self) -> None:
        roots = Roots(self.store)
        for prefix in ROOTS:
            for key in roots.list(prefix):
                roots.settle(key)
        for meta in list(self.store.list("txns/")):
            if self.rng.random() < self.impatience:
                end_txn(self.store, meta.key.split("/")[1])
            found = conditional.look(self.store, meta.key)
            if (
                found
                and without_check(found.data, Txn, meta.key).state != OPEN
                and not self.pending_on(meta.key)
            ):
                conditional_delete(self.store, meta.key)

    def pending_on(self, txn: str) -> bool:
        for prefix in ROOTS:
            for meta in self.store.list(prefix):
                found = conditional.look(self.store, meta.key)
                root = without_check(found.data, Root, meta.key) if found else None
                if root and root.state == PENDING and f"txns/{root.txn}" == txn:
                    return True
        return False


def conditional_delete(store: ObjectStore, key: str) -> None:
    """Delete what nobody ever makes again: after a lost reply it is simply deleted once more."""
    while True:
        try:
            store.delete(key)
            return
        except Unknown:
            continue
