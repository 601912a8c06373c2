"""Samples: the files of a snapshot for training, in any order, without a checkout."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, NamedTuple, overload

from rote.errors import Missing, UsageError
from rote.laws.data import shuffling
from rote.ports import ObjectStore
from rote.services.data.fetching import Blocks
from rote.services.data.snapshots import Snapshots
from rote.services.data.spots import Index, nodes_below
from rote.words.ids import shown
from rote.words.snapshot import FILE, SnapshotRef

MEMORY = 256 << 20
Source = Callable[[], tuple[ObjectStore, Snapshots]]
"""Opens the store. To be pickled with samples, it must be picklable."""


class Sample(NamedTuple):
    """One file: its number, its path in the data, its bytes."""

    number: int
    path: str
    data: bytes

    @property
    def label(self) -> str:
        """The name of the folder that the file lies in; empty at the top."""
        return label(self.path)


class Samples(Sequence[Any]):
    """The files of a snapshot in path order, read from the store when they are asked for, every byte verified.

    `samples[7]` is a `Sample` (or what the function of `map` makes of it), `samples[3:9]` a list, read together.
    Iterating goes through all in order, in bounded memory; `shuffled` gives them mixed. To be pickled, used by threads,
    and used after a fork. Reading raises NotFound, Corrupt, StoreUnavailable.
    """

    def __init__(
        self,
        source: Source,
        ref: SnapshotRef,
        *,
        below: str = "",
        match: str | None = None,
        memory: int = MEMORY,
        threads: int = 8,
        make: Callable[[Sample], Any] | None = None,
    ) -> None:
        """Those files that lie `below` a folder, and whose path matches the pattern `match` (`*.png`). `memory` bytes
        of unpacked blocks are kept at most, about; `threads` requests are under way at once."""
        self.ref = ref
        self.memory = memory
        self._source = source
        self._below = below
        self._match = match
        self._threads = threads
        self._make = make
        self._blocks: Blocks | None = None
        self._pid = os.getpid()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_blocks": None}

    # ---- random access -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.__getitems__(range(*index.indices(len(self))))
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Iterable[int]) -> list[Any]:
        """Several at once, with their blocks fetched together. (torch.utils.data asks for a batch by this name.)"""
        numbers = [self._number(index) for index in indices]
        blocks, index, rows = self._open(), self._index, self._rows
        have = blocks.get(spot for number in numbers for spot in index.spots(rows[number]))
        return [self.made(number, blocks.assembled(index, rows[number], have)) for number in numbers]

    def path(self, index: int) -> str:
        """The path of a sample, without reading it."""
        return FILE if self.ref.single else self._index.path(self._rows[self._number(index)])

    def size(self, index: int) -> int:
        """Bytes of a sample, without reading it."""
        return self._index.sizes[self._rows[self._number(index)]]

    @cached_property
    def labels(self) -> list[str]:
        """Every label there is, sorted: the names of the folders that hold samples."""
        return sorted({label(self.path(number)) for number in range(len(self))})

    def map(self, make: Callable[[Sample], Any]) -> Samples:
        """The same samples, each as `make` returns it. To be pickled, `make` must be a function of a module."""
        before = self._make
        both = make if before is None else _Chain(before, make)
        copy = Samples.__new__(Samples)
        copy.__dict__.update({**self.__getstate__(), "_make": both})
        return copy

    # ---- passes ------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        return iter(self.in_order())

    def in_order(self, *, rank: int = 0, world: int = 1, equal: bool = False) -> Pass:
        """One pass in path order, over the part of shard `rank` of `world`."""
        return Pass(self, None, _shard(len(self), rank, world, equal))

    def shuffled(
        self, seed: int = 0, epoch: int = 0, *, rank: int = 0, world: int = 1, equal: bool = False
    ) -> Pass:
        """One pass in an order that seed and epoch determine, the same on every machine, over the part of shard `rank`
        of `world`. Shards differ by one sample at most; with `equal` not at all (up to world - 1 samples, other ones in
        each epoch, are left out). Blocks are read in parallel and ahead, each about once."""
        return Pass(self, (seed, epoch), _shard(len(self), rank, world, equal))

    # ---- for Pass ----------------------------------------------------------------------------------------------

    def made(self, number: int, data: bytes) -> Any:
        """The sample with these bytes, through the function of `map`."""
        sample = Sample(number, self.path(number), data)
        return sample if self._make is None else self._make(sample)

    @cached_property
    def homes(self) -> Sequence[int]:
        """For each sample the number of the block that it begins in; -1 for an empty one."""
        return array("q", (self._index.block(row) for row in self._rows))

    def plan(self, positions: range, seed: tuple[int, int] | None) -> Iterator[list[int]]:
        """The samples at these positions of the order, in windows that fit three times into memory."""
        order = shuffling.ordered(self.homes, seed)[positions.start : positions.stop]
        costs = {number: self._index.cost(self._rows[number]) for number in order}
        return shuffling.windows(
            order,
            self.homes,
            costs,
            self._index.unpacked,
            memory=self.memory // 3,
            seed=seed and (*seed, positions.start),
        )

    def windows(self, plan: Iterator[list[int]]) -> Iterator[Any]:
        """Every sample of the windows, while the next window is fetched."""
        index, rows = self._index, self._rows
        blocks = Blocks(self._store()[0], limit=self.memory * 2 // 3, threads=self._threads)
        try:
            window = next(plan, None)
            while window is not None:
                have = blocks.get(spot for number in window for spot in index.spots(rows[number]))
                following = next(plan, None)
                if following is not None:
                    blocks.ahead(spot for number in following for spot in index.spots(rows[number]))
                for number in window:
                    yield self.made(number, blocks.assembled(index, rows[number], have))
                window = following
        finally:
            blocks.close()

    # ---- private -----------------------------------------------------------------------------------------------

    def _store(self) -> tuple[ObjectStore, Snapshots]:
        return self._source()

    def _open(self) -> Blocks:
        if self._blocks is None or self._pid != os.getpid():
            self._blocks = Blocks(self._store()[0], limit=self.memory, threads=self._threads)
            self._pid = os.getpid()
        return self._blocks

    @cached_property
    def _index(self) -> Index:
        snapshots = self._store()[1]
        record = snapshots.record(self.ref)
        index = Index.of(snapshots.nodes(record, nodes_below(record, self._below)), self._below)
        if self._below and not len(index):
            raise Missing(
                f"there is nothing at {shown(self._below)} in this data",
                where=f"snapshot {self.ref.id[:12]}",
                next="rote ls shows what it has",
            )
        return index

    @cached_property
    def _rows(self) -> Sequence[int]:
        everything = range(len(self._index))
        if self._match is None:
            return everything
        return array("Q", (row for row in everything if fnmatchcase(self._index.path(row), self._match)))

    def _number(self, index: int) -> int:
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} samples; there is no number {index}")
        return number


class Pass:
    """One pass over samples, or over a part of them. Can be gone through again: it is the same each time."""

    def __init__(self, samples: Samples, seed: tuple[int, int] | None, positions: range) -> None:
        self.samples = samples
        self.seed = seed
        self.positions = positions

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[Any]:
        return self.samples.windows(self.samples.plan(self.positions, self.seed))

    def indices(self) -> list[int]:
        """The numbers of the samples in the order of this pass, nothing being read: a `sampler` for a DataLoader."""
        return [number for window in self.samples.plan(self.positions, self.seed) for number in window]

    def at_epoch(self, epoch: int) -> Pass:
        """The same pass with the order of another epoch."""
        return Pass(self.samples, None if self.seed is None else (self.seed[0], epoch), self.positions)

    def split(self, number: int, of: int) -> Pass:
        """One of `of` equal parts of this pass, for a worker."""
        return Pass(self.samples, self.seed, self._within(shuffling.part(len(self), number, of)))

    def _within(self, part: range) -> range:
        return range(self.positions.start + part.start, self.positions.start + part.stop)


class _Chain:
    """Two functions, one after the other; unlike a lambda it can be pickled."""

    def __init__(self, first: Callable[[Sample], Any], then: Callable[[Any], Any]) -> None:
        self._first = first
        self._then = then

    def __call__(self, sample: Sample) -> Any:
        return self._then(self._first(sample))


def label(path: str) -> str:
    """The name of the folder that a file lies in; empty at the top."""
    return path.rpartition("/")[0].rpartition("/")[2]


def _shard(count: int, rank: int, world: int, equal: bool) -> range:
    if not 0 <= rank < world:
        raise UsageError(
            f"there is no shard {rank} of {world}", next=f"rank is 0 to {max(world, 1) - 1}, world at least 1"
        )
    return shuffling.part(count, rank, world, equal=equal)
