"""The law of the shuffle: what a pass must be, whatever the blocks are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rote.laws.data import shuffling

BLOCKS = st.lists(st.integers(-1, 12), max_size=200)


@given(BLOCKS, st.integers(0, 5), st.integers(1, 6), st.integers(1, 500))
def test_shards_and_windows_are_a_partition_and_bounded(
    blocks: list[int], seed: int, world: int, memory: int
) -> None:
    count = len(blocks)
    costs = {i: (i * 7) % 90 if i % 5 == 0 else 0 for i in range(count)}
    order = shuffling.ordered(blocks, (seed, 0))
    assert sorted(order) == list(range(count))
    seen: list[int] = []
    for rank in range(world):
        part = shuffling.part(count, rank, world)
        samples = order[part.start : part.stop]
        windows = list(
            shuffling.windows(samples, blocks, costs, lambda b: 10 + b, memory=memory, seed=(seed, 0, rank))
        )
        assert sorted(i for w in windows for i in w) == sorted(samples)
        for window in windows:
            held = sum(10 + b for b in {blocks[i] for i in window} if b >= 0) + sum(costs[i] for i in window)
            assert held <= memory or len(window) == 1
        seen += [i for w in windows for i in w]
    assert sorted(seen) == list(range(count))


@given(BLOCKS, st.integers(0, 5))
def test_a_block_is_one_group(blocks: list[int], seed: int) -> None:
    order = shuffling.ordered(blocks, (seed, 1))
    runs = [blocks[i] for n, i in enumerate(order) if n == 0 or blocks[order[n - 1]] != blocks[i]]
    assert len(runs) == len(set(blocks))


@given(st.integers(0, 300), st.integers(1, 9))
def test_parts(count: int, world: int) -> None:
    parts = [shuffling.part(count, rank, world) for rank in range(world)]
    assert [i for part in parts for i in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    equal = [shuffling.part(count, rank, world, equal=True) for rank in range(world)]
    assert {len(part) for part in equal} == {count // world}


def test_the_order_is_the_same_for_ever() -> None:
    """Written down: a run that is resumed with a later rote sees the same order."""
    assert shuffling.permutation(8, 1, 0) == EIGHT
    assert shuffling.permutation(8, 1, 0, "window", 0) != EIGHT
    assert sorted(shuffling.permutation(1000, 7)) == list(range(1000))


EIGHT = [6, 1, 4, 2, 7, 0, 5, 3]
