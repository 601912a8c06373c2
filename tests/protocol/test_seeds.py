"""The real Transactions and Roots, several processes at once, with crashes and lost replies: no committed object is lost."""

from __future__ import annotations

import random
from zlib import crc32

import msgspec
import pytest
from protocol_processes import Wild, aliaser, forgetter, janitor, repacker, trasher, undoer
from protocol_stage import Odds, Stage

from rote.errors import Conflict, Locked, NotFound, Unknown
from rote.laws.store.rooted import PREFIXES, is_root
from rote.ports import ObjectStore
from rote.services.store.roots import Roots
from rote.services.store.transactions import Beaten, LostTxn, Transactions, Write
from rote.services.upkeep.collecting import Collector
from rote.services.upkeep.marking import Marker
from rote.testing.clock import StillClock
from rote.words.channel import Channel
from rote.words.encoding import digest_of, tagged, without_check
from rote.words.ids import SnapshotId
from rote.words.record import COMMITTED, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef

KEPT = [f"results/{n}{n}/{n}" for n in "abc"]
"""Keys where the first root wins."""
MOVED = [f"runs/{n}/record" for n in "xy"]
"""Keys whose root is replaced."""


class Note(msgspec.Struct):
    text: str


class World:
    """What the processes know of each other, as local caches do (hints), and what they were told (promises)."""

    def __init__(self, seed: int, odds: Odds) -> None:
        self.stage = Stage(seed, odds, self.watch)
        self.seed = seed
        self.hints: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.removed: set[str] = set()
        self.committed: set[str] = set()
        self.commits: dict[str, int] = {}
        self.repacks: set[str] = set()
        """Transactions that did nothing but store the same anew."""
        self.aliases: dict[tuple[str, int], str] = {}
        """What aliases were told to name: (alias, seq) -> version."""

    def watch(self, kind: str, key: str) -> None:
        """Look at the store behind everybody's back after each request that was applied."""
        if kind == "delete" and not key.startswith("txns/"):
            self.check_reach()
        elif kind == "replace" and key.startswith("txns/"):
            txn = without_check(self.stage.store.get(key).data, Txn, key)
            if txn.state == COMMITTED:
                self.committed.add(txn.id)
                if txn.by == "p":
                    self.repacks.add(txn.id)

    def check_reach(self) -> None:
        """Everything that a root in force, a root in the trash, or an alias as its mover was told needs is there."""
        store = self.stage.store
        for meta in [meta for prefix in PREFIXES for meta in store.list(prefix)]:
            if is_root(meta.key):
                seen = Marker(store)._read(meta)
                for root in (seen.in_force, seen.trash):
                    for ref in root.needs if root else ():
                        self.check_snapshot(ref)
            elif "/aliases/" in meta.key:
                channel = without_check(store.get(meta.key).data, Channel, meta.key)
                if (channel.alias, channel.seq) in self.aliases:
                    self.check_snapshot(channel.snapshot)

    def check_snapshot(self, ref: SnapshotRef) -> None:
        record = without_check(self.stage.store.get(f"snapshots/{ref.key}").data, SnapshotRecord, ref.key)
        for pack in record.packs:
            assert digest_of(self.stage.store.get(f"packs/{pack}").data) == pack.split("/")[1]

    def check_promises(self) -> None:
        roots = Roots(self.stage.store)
        for key, txn in self.told:
            root = roots.envelope(key)
            if key in KEPT and key not in self.removed:
                assert root is not None, f"{key} was promised by {txn} and is gone"
                assert root.txn == txn or root.txn in self.repacks, (
                    f"{key} was promised by {txn} and is {root.txn}"
                )
            if key not in self.removed:
                assert root is not None
                assert root.txn in self.committed

    # ---- processes -----------------------------------------------------------------------------------------------

    def transactions(self, store: ObjectStore, name: str) -> Transactions:
        return Transactions(store, StillClock(seed=crc32(f"{self.seed} {name}".encode())), name)

    def save(self, write: Write, rng: random.Random) -> SnapshotRef:
        content = bytes([rng.randrange(4)])
        packs = []
        if rng.random() < 0.6:
            old = sorted(write.usable(rng.sample(self.hints, min(len(self.hints), 3))))
            packs += old[: rng.randrange(3)]
        if not packs or rng.random() < 0.5:
            pack = write.put_pack(digest_of(content), content)
            self.hints.append(pack)
            packs.append(pack)
        id = SnapshotId(tagged("snapshot", b"".join(p.encode() for p in packs)))
        return write.add_snapshot(SnapshotRecord(id=id, txn=write.id, files=1, size=1, packs=packs, nodes=[]))

    def writer(self, name: str, rounds: int):
        def work(store: ObjectStore) -> None:
            rng = random.Random(f"{self.seed} {name}")
            transactions, roots = self.transactions(store, name), Roots(store)
            for _ in range(rounds):
                keys = rng.sample(KEPT + MOVED, rng.choice([1, 1, 2]))
                try:
                    with transactions.begin() as write:
                        for key in keys:
                            ref = self.save(write, rng)
                            write.root(key, Note(name), [ref], replace=key in MOVED)
                        if rng.random() < 0.1:
                            continue
                        write.commit()
                except (Beaten, LostTxn, Unknown):
                    continue
                self.told += [(key, write.id) for key in keys]
                for key in keys:
                    found = roots.get(key, Note)
                    assert found is not None or key in self.removed

        return work

    def hitter(self, name: str, rounds: int):
        def work(store: ObjectStore) -> None:
            rng = random.Random(f"{self.seed} {name}")
            transactions, roots = self.transactions(store, name), Roots(store)
            for n in range(rounds):
                found = roots.get(rng.choice(KEPT + MOVED), Note)
                if found is None:
                    continue
                key = f"data/aa/{name}{n}"
                try:
                    with transactions.begin() as write:
                        if not all(write.use(ref) for ref in found[1].needs):
                            continue
                        write.root(key, Note(name), found[1].needs)
                        write.commit()
                except (Beaten, LostTxn, Unknown):
                    continue
                self.told.append((key, write.id))

        return work

    def remover(self, name: str, rounds: int):
        def work(store: ObjectStore) -> None:
            rng = random.Random(f"{self.seed} {name}")
            for _ in range(rounds):
                key = rng.choice([*KEPT, *MOVED, "data/aa/h0"])
                self.removed.add(key)
                try:
                    Roots(store).remove(key)
                except (Unknown, Conflict):
                    continue

        return work

    def collector(self, name: str, rounds: int):
        def work(store: ObjectStore) -> None:
            rng = random.Random(f"{self.seed} {name}")
            wild = Wild(store, rng)
            for _ in range(rounds):
                try:
                    if rng.random() < 0.5:
                        janitor(store, rng)
                    wild.round()
                except (Unknown, Locked):
                    continue

        return work

    def finish(self) -> None:
        """Everybody is gone; one janitor and one collector work alone: exactly what roots in force need is left."""
        store, rng = self.stage.store, random.Random(0)
        self.check_reach()
        self.check_promises()
        for _ in range(3):
            janitor(store, rng, impatience=1)
            Wild(store, rng, wild=0, empty=1).round()
        self.check_reach()
        self.check_promises()
        marker = Marker(store)
        needed = marker.needed(marker.look())
        assert {m.key for prefix in ("packs/", "snapshots/") for m in store.list(prefix)} == needed.keys
        assert not list(store.list("txns/"))
        assert Collector(store, marker, lambda: "").unfinished() is None


def act(seed: int) -> World:
    odds = Odds(crash=[0, 0.01, 0.03][seed % 3], lose=[0, 0.05, 0.2][seed // 3 % 3])
    world = World(seed, odds)
    cast = {
        "w0": world.writer("w0", 3),
        "w1": world.writer("w1", 3),
        "h": world.hitter("h", 3),
        "x": world.remover("x", 2),
        "g0": world.collector("g0", 2),
        "g1": world.collector("g1", 2),
    }
    leave_out = seed % 7
    if leave_out < 5:
        del cast[["w1", "h", "x", "g1", "g0"][leave_out]]
    match seed // 7 % 5:
        case 1:
            cast |= {"t": trasher(world, "t", 2), "u": undoer(world, "u", 2)}
        case 2:
            cast |= {"p": repacker(world, "p", 2)}
        case 3:
            cast = {
                "w0": world.writer("w0", 2),
                "g0": world.collector("g0", 3),
                "f0": forgetter(world, "f0", 3),
            }
            cast |= {"a": aliaser(world, "a", 3), "f1": forgetter(world, "f1", 3)}
        case 4:
            cast |= {"t": trasher(world, "t", 2), "u": undoer(world, "u", 2), "p": repacker(world, "p", 2)}
            cast |= {"a": aliaser(world, "a", 2), "f": forgetter(world, "f", 2)}
    world.stage.play(cast)
    world.finish()
    return world


def test_no_committed_object_is_lost() -> None:
    promises = sum(len(act(seed).told) for seed in range(300))
    assert promises > 300  # otherwise nothing was put to the test


def test_the_same_seed_is_the_same_story() -> None:
    assert act(11).told == act(11).told


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(100))
def test_no_committed_object_is_lost_in_many_more_stories(block: int) -> None:
    for seed in range(1000 * (1 + block), 1000 * (2 + block)):
        act(seed)


def test_writers_of_one_key_end_with_one_root() -> None:
    """Many writers of the same key: one is told so, everybody else is beaten or lost and finds that one."""
    for seed in range(20):
        world = World(seed, Odds(lose=0.1))
        winners: list[str] = []
        beaten_by: list[str] = []

        def writer(name: str):
            def work(store: ObjectStore) -> None:
                def save(write: Write) -> None:
                    ref = self_save(write)
                    write.root(KEPT[0], Note(name), [ref])

                def self_save(write: Write) -> SnapshotRef:
                    pack = write.put_pack(digest_of(name.encode()), name.encode())
                    record = SnapshotRecord(
                        id=SnapshotId(digest_of(name.encode())),
                        txn=write.id,
                        files=1,
                        size=1,
                        packs=[pack],
                        nodes=[],
                    )
                    return write.add_snapshot(record)

                try:
                    world.transactions(store, name).write(save, tries=50)
                    winners.append(name)
                except Beaten as e:
                    beaten_by.append(e.root.txn)

            return work

        world.stage.play({f"w{n}": writer(f"w{n}") for n in range(6)})
        assert len(winners) == 1
        assert beaten_by
        assert set(beaten_by) <= world.committed
        found = Roots(world.stage.store).get(KEPT[0], Note)
        assert found is not None
        assert found[0].text == winners[0]
        with pytest.raises(NotFound):
            world.stage.store.get(KEPT[1])
