"""Processes of a collection for the stage: the real code, with marks as wrong as the protocol allows."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any
from zlib import crc32

from rote.errors import Locked, Missing, Refused, Unknown
from rote.laws.store.retention import Rules
from rote.ports import ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.models.registry import Registry
from rote.services.store.roots import Roots
from rote.services.store.transactions import Beaten, LostTxn
from rote.services.upkeep.collecting import Collector
from rote.services.upkeep.gc import Garbage
from rote.services.upkeep.marking import OBJECTS, Marker
from rote.services.upkeep.tidying import Janitor
from rote.services.upkeep.trash import Trash
from rote.testing.clock import StillClock
from rote.words.encoding import digest_of
from rote.words.snapshot import SnapshotRecord
from rote.words.version import Version

NOW = "2026-11-21T11:00:00Z"
Work = Callable[[ObjectStore], None]


def janitor(store: ObjectStore, rng: random.Random, impatience: float = 0.3) -> None:
    """Everything at once, or only what takes no grace period."""
    grace = 0.0 if rng.random() < impatience else 1e12
    marker = Marker(store)
    one = Janitor(store, marker, now=0.0, moment=NOW, grace=grace, rest=0.0)
    one.begin(marker.look())
    one.end()


class Wild:
    """The real collector; with chance `wild` its mark names everything. With chance `empty` it empties the trash."""

    def __init__(self, store: ObjectStore, rng: random.Random, wild: float = 0.5, empty: float = 0.5) -> None:
        self.store, self.rng, self.wild, self.empty = store, rng, wild, empty
        self.marker = Marker(store)
        self.collector = Collector(store, self.marker, lambda: f"{rng.getrandbits(64):016x}")

    def round(self) -> None:
        if self.rng.random() < self.empty:
            for seen in self.marker.look().roots:
                if seen.trash:
                    Trash(self.store).empty(seen, NOW)
        keys = [meta.key for prefix in OBJECTS for meta in self.store.list(prefix)]
        if self.rng.random() >= self.wild:
            needed = self.marker.needed(self.marker.look())
            keys = [key for key in keys if key not in needed]
        self.collector.collect(keys)


def trasher(world: Any, name: str, rounds: int) -> Work:
    """Puts roots into the trash."""

    def work(store: ObjectStore) -> None:
        rng = random.Random(f"{world.seed} {name}")
        for _ in range(rounds):
            roots = [s for s in Marker(store).look().roots if s.in_force and not s.key.startswith("models/")]
            if not roots:
                continue
            seen = rng.choice(roots)
            world.removed.add(seen.key)
            try:
                Trash(store).put(seen, "a rule", NOW)
            except Unknown:
                continue

    return work


def undoer(world: Any, name: str, rounds: int) -> Work:
    """Brings back what lies in the trash; from then on it is a root like any other."""

    def work(store: ObjectStore) -> None:
        for _ in range(rounds):
            for seen in Marker(store).look().roots:
                try:
                    Trash(store).undo(seen)
                except Unknown:
                    continue

    return work


def repacker(world: Any, name: str, rounds: int) -> Work:
    """Stores the snapshot of a root anew and replaces the root by itself, only if it is still that one."""

    def work(store: ObjectStore) -> None:
        rng = random.Random(f"{world.seed} {name}")
        transactions = world.transactions(store, name)
        for _ in range(rounds):
            roots = [s for s in Marker(store).look().roots if s.root.state == "live" and s.root.needs]
            roots = [s for s in roots if not s.key.startswith("models/")]
            if not roots:
                continue
            seen = rng.choice(roots)
            try:
                with transactions.begin() as write:
                    needs = []
                    for ref in seen.root.needs:
                        content = digest_of(ref.id.encode()).encode()
                        pack = write.put_pack(digest_of(content), content)
                        record = SnapshotRecord(
                            id=ref.id, txn=write.id, files=1, size=1, packs=[pack], nodes=[]
                        )
                        needs.append(write.add_snapshot(record))
                    write.root(seen.key, seen.root.body, needs, replace=True, expected=seen.root)
                    write.commit()
            except (Beaten, LostTxn, Unknown):
                continue

    return work


def version_of(number: int, ref: Any) -> Version:
    return Version(
        model="m",
        version=f"1.0.{number}",
        snapshot=ref,
        files=[],
        run=None,
        commit=None,
        released=NOW,
        by="me",
    )


def aliaser(world: Any, name: str, rounds: int) -> Work:
    """Makes versions, and moves an alias to one of them."""

    def work(store: ObjectStore) -> None:
        rng = random.Random(f"{world.seed} {name}")
        transactions = world.transactions(store, name)
        clock = StillClock(seed=crc32(f"{world.seed} {name} moves".encode()))
        registry = Registry(store, Roots(store), clock, name)
        for n in range(rounds):
            try:
                with transactions.begin() as write:
                    ref = world.save(write, rng)
                    write.root(f"models/m/versions/1.0.{n}", version_of(n, ref), [ref])
                    write.commit()
                moved = registry.promote("m", f"1.0.{rng.randrange(n + 1)}", "prod")
            except (Beaten, LostTxn, Unknown, Missing, Refused):
                continue
            world.aliases["prod", moved.seq] = moved.version

    return work


def forgetter(world: Any, name: str, rounds: int) -> Work:
    """Forgets a version with a whole collection, as `rote gc --forget-version` does."""

    def work(store: ObjectStore) -> None:
        rng = random.Random(f"{world.seed} {name}")
        clock = StillClock(seed=crc32(f"{world.seed} {name}".encode()))
        for _ in range(rounds):
            garbage = Garbage(
                store, clock, snapshots=Snapshots(store), transactions=None, writer=None, workers=1
            )  # nothing is repacked: these snapshots have no nodes
            keys = [s.key for s in Marker(store).look().roots if s.in_force and s.key.startswith("models/")]
            rules = Rules(forget_versions=frozenset(rng.sample(keys, min(1, len(keys)))), grace=0.0)
            try:
                garbage.collect(rules, repack=False)
            except (Unknown, Locked, Refused):
                continue

    return work
