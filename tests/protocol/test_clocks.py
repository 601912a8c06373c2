"""Clocks that are off by ten years and jump, machines that sleep: nothing committed is lost, whatever the time is."""

from __future__ import annotations

import random
from collections.abc import Callable
from zlib import crc32

import pytest
from protocol_processes import aliaser
from protocol_stage import Odds
from test_seeds import World

from rote.errors import Locked, Refused, Unknown
from rote.laws.store.retention import Rules
from rote.ports import ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.store.transactions import Transactions
from rote.services.upkeep.gc import Garbage
from rote.testing.clock import START, StillClock

TEN_YEARS = 10 * 365.25 * 86_400


class Wild(StillClock):
    """A clock that is off by up to ten years, another amount each time it is asked."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._off = self._chance.choice([-TEN_YEARS, 0.0, TEN_YEARS])
        super().__init__(START, seed)

    def now(self) -> float:
        if self._chance.random() < 0.2:
            self._off = self._chance.uniform(-TEN_YEARS, TEN_YEARS)
        return START + self._off


class Skewed(World):
    """The world of the other seeds, in which no two machines agree what time it is."""

    def clock(self, name: str) -> Wild:
        return Wild(crc32(f"{self.seed} {name}".encode()))

    def transactions(self, store: ObjectStore, name: str) -> Transactions:
        return Transactions(store, self.clock(name), name)

    def gc(self, name: str, rounds: int) -> Callable[[ObjectStore], None]:
        """Whole collections as they are typed, with the grace period of everyday or an hour."""

        def work(store: ObjectStore) -> None:
            chance = random.Random(f"{self.seed} {name}")
            for _ in range(rounds):
                garbage = Garbage(
                    store, self.clock(name + str(chance.random())), snapshots=Snapshots(store),
                    transactions=None, writer=None, workers=1,
                )  # fmt: skip
                try:
                    garbage.collect(Rules(grace=chance.choice([72.0, 1.0]) * 3600), repack=False)
                except (Unknown, Locked, Refused):
                    continue

        return work


def act(seed: int) -> Skewed:
    odds = Odds(crash=[0, 0.01][seed % 2], lose=[0, 0.1][seed // 2 % 2], sleep=[0.02, 0.1][seed // 4 % 2])
    world = Skewed(seed, odds)
    cast = {
        "w0": world.writer("w0", 3),
        "w1": world.writer("w1", 3),
        "h": world.hitter("h", 3),
        "g0": world.gc("g0", 3),
        "g1": world.gc("g1", 3),
    }
    if seed % 3 == 0:
        cast["x"] = world.remover("x", 2)
    if seed % 5 == 0:
        cast["a"] = aliaser(world, "a", 2)
    world.stage.play(cast)
    world.finish()
    return world


def test_nothing_is_lost_whatever_the_time_is() -> None:
    assert sum(len(act(seed).told) for seed in range(120)) > 120


def test_collectors_with_such_clocks_do_collect() -> None:
    """Otherwise nothing was put to the test: some objects of writers that were thought to be dead are deleted."""
    deleted: list[str] = []

    class Counted(Skewed):
        def watch(self, kind: str, key: str) -> None:
            if kind == "delete" and key.startswith("packs/"):
                deleted.append(key)
            super().watch(kind, key)

    for seed in range(60):
        world = Counted(seed, Odds(sleep=0.05))
        cast = {"w0": world.writer("w0", 4), "w1": world.writer("w1", 4), "g0": world.gc("g0", 4)}
        world.stage.play(cast)
    assert len(deleted) > 10


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(10))
def test_nothing_is_lost_in_ten_thousand_stories(block: int) -> None:
    for seed in range(1000 * (1 + block), 1000 * (2 + block)):
        act(seed)
