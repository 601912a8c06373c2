"""Where in the store a chunk lies already: in this write, in the parent snapshot, or as this machine remembers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import msgspec

from rote.errors import Corrupt, NotFound
from rote.laws.data.nodes import DIGEST
from rote.ports.logger import Logger
from rote.services.data.reading import LoadedNode
from rote.services.data.snapshots import Snapshots
from rote.services.store.abreast import WIDTH
from rote.services.store.packing import Packer
from rote.services.store.packs import Footer
from rote.words.ids import Digest
from rote.words.snapshot import Block, Chunk, NodeRef, SnapshotRecord

_log = Logger(__name__)

_NODES = 64
"""Nodes of the parent that are read at a time."""
EMPTY = -1
"""The location of a file without bytes."""


class Pieced(msgspec.Struct):
    """The location of a file of two or more chunks: a column each. `digests` has 32 bytes a chunk, joined."""

    lengths: list[int]
    digests: bytes
    spots: list[int]


Location = int | Pieced
"""A spot (a block's number << 32 | where the chunk begins in it), EMPTY, or the spots of several chunks."""


class Reusing(Protocol):
    """The part of a write that says what may be used again."""

    def usable(self, packs: Iterable[str]) -> set[str]:
        """Those of `packs` that may be relied upon."""


class Memory(Protocol):
    """What this machine remembers of a store. A hint: never relied upon without asking the write."""

    def find(self, digest: bytes) -> tuple[Chunk, Block] | None:
        """Where a chunk was last seen."""

    def renew(self) -> None:
        """Something is about to be saved: what was remembered before is to be found."""

    def remember(self, pack: str, footer: Footer) -> None:
        """The chunks of a pack that was written."""


class Locator:
    """Finds chunks. Every answer was allowed by the write (`usable`). One thread."""

    def __init__(
        self,
        packer: Packer,
        write: Reusing,
        snapshots: Snapshots,
        parent: SnapshotRecord | None,
        known: Memory | None,
    ) -> None:
        self.spots: dict[bytes, int] = {}
        """Chunk digest -> spot, of all that was found or written so far."""
        self.packer = packer
        self._write = write
        self._snapshots = snapshots
        self._parent = parent
        self._known = known
        self._files: dict[bytes, Pieced] = {}
        self._firsts = [ref.first for ref in parent.nodes] if parent else []
        self._by_id: dict[Digest, int] = {ref.id: n for n, ref in enumerate(parent.nodes)} if parent else {}
        self._loaded: set[int] = set()
        self._usable: dict[str, bool] = {}
        if known is not None:
            known.renew()
        self.has_hints = parent is not None or known is not None

    def may_use(self, packs: Iterable[str]) -> bool:
        """True if all these packs may be used; asks about each one once."""
        wanted = set(packs)
        unasked = [pack for pack in wanted if pack not in self._usable]
        if unasked:
            usable = self._write.usable(unasked)
            self._usable.update((pack, pack in usable) for pack in unasked)
        return all(self._usable[pack] for pack in wanted)

    def node(self, id: Digest) -> NodeRef | None:
        """The parent's node with this id, if it may be used as it is."""
        number = self._by_id.get(id)
        if number is None or self._parent is None:
            return None
        ref = self._parent.nodes[number]
        wanted = self._packs_of(ref)
        if not wanted <= self._usable.keys():
            self._ask_ahead(number)
        return ref if self.may_use(wanted) else None

    def _packs_of(self, ref: NodeRef) -> set[str]:
        assert self._parent is not None
        names = self._parent.packs
        return {names[ref.pack], *(names[i] for i in ref.into)}

    def _ask_ahead(self, number: int) -> None:
        """Ask about the packs of a node and of those after it, which will probably be used again as well: all at once
        takes as long as one."""
        assert self._parent is not None
        unasked: set[str] = set()
        for ref in islice(self._parent.nodes, number, None):
            more = self._packs_of(ref) - self._usable.keys() | unasked
            if unasked and len(more) > WIDTH:
                break
            unasked = more
        self.may_use(unasked)

    def near(self, paths: Iterable[str]) -> None:
        """Look into the parent's nodes that have these paths or their neighbours, each once."""
        parent = self._parent
        if not self._firsts or parent is None:
            return
        numbers = {max(bisect_right(self._firsts, path) - 1, 0) for path in paths} - self._loaded
        self._loaded |= numbers
        packs = {number: parent.packs[parent.nodes[number].pack] for number in numbers}
        self.may_use(packs.values())
        good = sorted(number for number in numbers if self._usable[packs[number]])
        for begin in range(0, len(good), _NODES):
            try:
                for node in self._snapshots.nodes(parent, good[begin : begin + _NODES]):
                    self.learn(node)
            except (NotFound, Corrupt) as e:
                _log.debug("nodes of the parent are of no use: %s", e)  # what they have is stored anew

    def find(self, digest: bytes) -> int | None:
        """The spot of a chunk, or None."""
        spot = self.spots.get(digest)
        if spot is None and self._known is not None:
            found = self._known.find(digest)
            if found and self.may_use([found[1].pack]):
                spot = self.spots[digest] = (self.packer.foreign(found[1]) << 32) | found[0].offset
        return spot

    def file(self, digest: bytes) -> Location | None:
        """Where a whole file lies, or None."""
        return self._files.get(digest) or self.find(digest)

    def learn(self, node: LoadedNode) -> None:
        """Remember where the chunks of this node lie, as far as they may be used."""
        self.has_hints = True
        rows, places = node.rows, node.places
        self.may_use(places.packs)
        good = [self._usable[name] for name in places.packs]
        numbers = [
            self.packer.foreign(block) if good[places.block_pack[i]] else None
            for i, block in enumerate(_blocks(node))
        ]
        at = many = 0
        for row, count in enumerate(places.counts):
            spots: list[int] = []
            for k in range(at, at + count):
                number = numbers[places.blocks[k]]
                if number is not None:
                    spots.append((number << 32) | places.starts[k])
            at += count
            if count == 1 and spots:
                self.spots.setdefault(rows.digest(row), spots[0])
            elif count > 1:
                if len(spots) == count:
                    digests = places.digests[many * DIGEST : (many + count) * DIGEST]
                    self._files[rows.digest(row)] = Pieced(
                        list(places.lengths[many : many + count]), digests, spots
                    )
                    for k in range(count):
                        self.spots.setdefault(digests[k * DIGEST : k * DIGEST + DIGEST], spots[k])
                many += count


def _blocks(node: LoadedNode) -> Iterator[Block]:
    places = node.places
    for pack, offset, stored, length, codec in zip(
        places.block_pack,
        places.block_offset,
        places.block_stored,
        places.block_length,
        places.block_codec,
        strict=True,
    ):
        yield Block(places.packs[pack], offset, stored, length, codec)
