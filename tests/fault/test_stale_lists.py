"""Listings that lack what was just written: the probe finds out, and gc is refused."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.ports import Meta
from rote.services.store.probe import probe
from rote.testing.clock import StillClock


class Stale(MemoryStore):
    """A store that leaves a `share` of new keys out of the next `reads` listings."""

    def __init__(self, reads: int, share: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.reads, self.share, self.chance = reads, share, random.Random(seed)
        self.hidden: dict[str, int] = {}

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        etag = super().create(key, data)
        if self.chance.random() < self.share:
            self.hidden[key] = self.reads
        return etag

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        found = [meta for meta in super().list(prefix, after) if not self.hidden.get(meta.key)]
        for key in self.hidden:
            self.hidden[key] = max(0, self.hidden[key] - 1)
        return iter(found)


@pytest.mark.parametrize("reads", [*range(1, 20), 50, 1000])
def test_keys_hidden_for_some_reads(reads: int) -> None:
    store = Stale(reads)
    found = probe(lambda: store, StillClock())
    assert not found.abilities.lists
    assert not found.abilities.shared, "so gc is refused: guarantees.must_be_shared"


def test_keys_hidden_now_and_then() -> None:
    """Where only every third key is hidden, six out of seven probes still find out; where none is, none is blamed."""

    def seen(share: float) -> int:
        return sum(
            not probe(lambda store=Stale(1, share, seed): store, StillClock(seed=seed)).abilities.lists  # type: ignore[misc]  # bound on purpose
            for seed in range(200)
        )

    assert seen(0.0) == 0
    assert seen(0.33) > 170
