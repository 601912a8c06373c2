"""Blocks of packs, read in parallel, ahead of need, each once, and kept as long as memory allows."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from rote.errors import Corrupt, NotFound
from rote.ports import ObjectStore
from rote.services.data.reading import GAP, coalesced, forget
from rote.services.data.spots import Block, Index, Spot
from rote.services.store import packs
from rote.services.store.packs import MAX_BLOCK

_REQUEST = 8 << 20
"""Bytes that one request asks for, about: more of one pack is asked for by several at once."""


class Blocks:
    """Blocks of one store. Thread-safe, and usable again in a child after a fork (with nothing kept)."""

    def __init__(self, store: ObjectStore, *, limit: int = 256 << 20, threads: int = 8) -> None:
        """At most about `limit` bytes of unpacked blocks are kept; `threads` requests are under way at once."""
        self.limit = limit
        self._store = store
        self._threads = threads
        self._renew()

    def get(self, spots: Iterable[Spot]) -> dict[Spot, Block]:
        """These blocks; what is not here is fetched, blocks near each other as one range. Raises NotFound, Corrupt,
        StoreUnavailable."""
        found, coming, mine = self._claim(spots)
        groups = _groups(mine)
        if len(groups) == 1 and not coming:
            self._fetch(groups[0], mine)  # nothing to do meanwhile: no thread is needed
        else:
            self._start(groups, mine)
        for spot, future in {**coming, **mine}.items():
            found[spot] = future.result()
        return found

    def assembled(
        self, index: Index, row: int, have: Mapping[Spot, Block], start: int = 0, end: int | None = None
    ) -> bytes:
        """Bytes of a file out of blocks that `get` gave. Raises Corrupt, and forgets the damaged blocks."""
        try:
            return index.assemble(row, have, start, end)
        except Corrupt:
            for pack in {spot.pack for spot in index.spots(row, start, end)}:
                self.forget(pack)
            raise

    def ahead(self, spots: Iterable[Spot]) -> None:
        """Begin to fetch these blocks. What is wrong with them is told by `get`."""
        _, _, mine = self._claim(spots)
        self._start(_groups(mine), mine)

    def forget(self, pack: str) -> None:
        """A pack was found damaged: what is kept of it goes, here and in a read cache below."""
        forget(self._store, pack)
        with self._lock:
            for spot in [spot for spot in self._kept if spot.pack == pack]:
                del self._kept[spot]
                self._size -= spot.length

    def close(self) -> None:
        """Wait for what is under way, and let go of the threads and of what is kept."""
        if self._pid == os.getpid() and self._pool is not None:
            self._pool.shutdown()
        self._renew()

    def _renew(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._kept: OrderedDict[Spot, Block] = OrderedDict()
        self._size = 0
        self._coming: dict[Spot, Future[Block]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def _claim(
        self, spots: Iterable[Spot]
    ) -> tuple[dict[Spot, Block], dict[Spot, Future[Block]], dict[Spot, Future[Block]]]:
        """What is kept, what is coming, and what the caller must see to."""
        if self._pid != os.getpid():
            self._renew()  # a fork leaves neither threads nor locks in a state to be used
        found: dict[Spot, Block] = {}
        coming: dict[Spot, Future[Block]] = {}
        mine: dict[Spot, Future[Block]] = {}
        with self._lock:
            for spot in spots:
                if spot in self._kept:
                    self._kept.move_to_end(spot)
                    found[spot] = self._kept[spot]
                elif spot in mine:
                    continue
                elif spot in self._coming:
                    coming[spot] = self._coming[spot]
                else:
                    mine[spot] = self._coming[spot] = Future()
        return found, coming, mine

    def _start(self, groups: Sequence[Sequence[Spot]], futures: Mapping[Spot, Future[Block]]) -> None:
        for group in groups:
            with self._lock:
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(self._threads, "rote-read")
                pool = self._pool
            pool.submit(self._fetch, group, futures)

    def _fetch(self, group: Sequence[Spot], futures: Mapping[Spot, Future[Block]]) -> None:
        try:
            blocks = read(self._store, group)
        except BaseException as e:  # noqa: BLE001 - it is raised where the blocks are asked for
            with self._lock:
                for spot in group:
                    self._coming.pop(spot, None)
            for spot in group:
                futures[spot].set_exception(e)
            return
        with self._lock:
            for spot, block in blocks.items():
                self._coming.pop(spot, None)
                self._kept[spot] = block
                self._size += spot.length
            while self._size > self.limit:
                self._size -= self._kept.popitem(last=False)[0].length
        for spot, block in blocks.items():
            futures[spot].set_result(block)


def read(store: ObjectStore, group: Sequence[Spot]) -> dict[Spot, Block]:
    """Blocks of one pack. Raises NotFound, Corrupt, StoreUnavailable."""
    pack = group[0].pack
    try:
        stored = coalesced(store, pack, [(spot.offset, spot.stored) for spot in group], GAP)
    except NotFound as e:
        raise packs.gone(pack) from e
    except Corrupt as e:
        raise packs.damaged(pack, "it is shorter than it should be") from e
    blocks = {}
    for spot, data in zip(group, stored, strict=True):
        plain = packs.unpack(data, spot.codec, spot.length, pack, MAX_BLOCK)
        # A view would keep the whole range in memory for as long as one block of it is kept.
        blocks[spot] = Block(plain if isinstance(plain, bytes) else bytes(plain))
    return blocks


def _groups(spots: Iterable[Spot]) -> list[list[Spot]]:
    """By pack, in the order of their offsets, and not too much in one."""
    groups: list[list[Spot]] = []
    size = 0
    for spot in sorted(spots, key=lambda s: (s.pack, s.offset)):
        if not groups or groups[-1][0].pack != spot.pack or size + spot.stored > _REQUEST:
            groups.append([])
            size = 0
        groups[-1].append(spot)
        size += spot.stored
    return groups
