"""In which order samples are read: shuffled, in equal shards, and every block about once (docs/decisions, shuffle).

1. Samples that begin in the same block are a group. The groups are put into an order drawn from the seed.
2. That sequence of samples is cut into as many equal parts as there are shards.
3. A part is cut into windows of groups that fit into memory together; within a window samples are shuffled.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from blake3 import blake3


def permutation(count: int, *seed: int | str) -> list[int]:
    """The numbers below `count` in an order that the seed determines, the same on every machine."""
    text = "rote shuffle 1 " + " ".join(map(str, seed))
    keys = array("Q")
    keys.frombytes(blake3(text.encode()).digest(length=8 * count))
    return sorted(range(count), key=keys.__getitem__)


def part(count: int, rank: int, world: int, *, equal: bool = False) -> range:
    """The positions of one of `world` shards: sizes differ by one at most; with `equal` not at all, and the last
    `count % world` positions are left out."""
    if equal:
        count -= count % world
    return range(count * rank // world, count * (rank + 1) // world)


def ordered(blocks: Sequence[int], seed: tuple[int | str, ...] | None) -> list[int]:
    """Samples (numbers into `blocks`, which names the block that each begins in) group by group; the groups in the
    order of the seed, or as they come without one."""
    if seed is None:
        return list(range(len(blocks)))
    members: dict[int, list[int]] = {}
    for sample, block in enumerate(blocks):
        members.setdefault(block, []).append(sample)
    groups = list(members.values())
    return [sample for number in permutation(len(groups), *seed) for sample in groups[number]]


def windows(
    samples: Sequence[int],
    blocks: Sequence[int],
    costs: Mapping[int, int],
    size_of: Callable[[int], int],
    *,
    memory: int,
    seed: tuple[int | str, ...] | None,
) -> Iterator[list[int]]:
    """Cut `samples` (from `ordered`) into windows whose blocks take at most `memory` bytes together, or hold a single
    sample; shuffled within, if there is a seed. `size_of` a
    block in bytes, `costs` what a sample needs besides the block it begins in."""
    window: list[int] = []
    held = 0
    number = 0
    for block, group in groupby(samples, key=lambda sample: blocks[sample]):
        size = size_of(block) if block >= 0 else 0
        for count, sample in enumerate(group):
            more = costs[sample] + (0 if count else size)
            if window and held + more > memory:
                yield _mixed(window, seed, number)
                window, held, number = [], 0 if not count else size, number + 1
            window.append(sample)
            held += more
    if window:
        yield _mixed(window, seed, number)


def _mixed(window: list[int], seed: tuple[int | str, ...] | None, number: int) -> list[int]:
    if seed is None:
        return window
    return [window[i] for i in permutation(len(window), *seed, "window", number)]
