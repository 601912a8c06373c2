"""What a store holds, in figures: `rote store stats`."""

from __future__ import annotations

import msgspec

from rote import conditional
from rote.encoding import without_check
from rote.ports import ObjectStore, Progress, Silence
from rote.record import OPEN, Txn
from rote.rooted import is_root
from rote.roots import Roots
from rote.snapshot import SnapshotRef

KINDS = ("packs", "snapshots", "txns", "results", "runs", "data", "models", "gc", "other")
"""What objects are counted by: the first name of their key."""


class Kind(msgspec.Struct):
    """Objects of one kind, and their bytes as stored."""

    objects: int = 0
    size: int = 0


class StoreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A store in figures; sizes in bytes."""

    url: str
    kinds: dict[str, Kind]
    """Every one of KINDS."""
    objects: int
    stored: int
    """Bytes of all objects."""
    snapshots: int
    """Different snapshots that roots in force need."""
    files: int
    """Files in them, counted once a snapshot."""
    logical: int
    """Bytes that they have when checked out, each snapshot once."""
    ratio: float
    """`logical` to the bytes of packs (0 if there are none): what sharing and compression save."""
    open_txns: int
    """Writes under way, or given up without a word."""


class StoreStats:
    """Counts what is in a store. Reads every key and every root, no pack."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def stats(self, progress: Progress | None = None) -> StoreFigures:
        """Raises Corrupt, TooNew, StoreUnavailable."""
        progress = progress or Silence()
        progress.start("counting", unit="objects")
        kinds = {kind: Kind() for kind in KINDS}
        roots = Roots(self._store)
        needed: dict[str, SnapshotRef] = {}
        open_txns = 0
        for meta in self._store.list(""):
            progress.step()
            first = meta.key.partition("/")[0]
            kind = kinds.get(first) or kinds["other"]
            kind.objects += 1
            kind.size += meta.size
            if is_root(meta.key):
                root = roots.envelope(meta.key)
                needed.update({ref.id: ref for ref in root.needs} if root else {})
            elif first == "txns":
                open_txns += self._is_open(meta.key)
        progress.done()
        logical = sum(ref.size for ref in needed.values())
        packs = kinds["packs"].size
        return StoreFigures(
            url=self._store.url,
            kinds=kinds,
            objects=sum(kind.objects for kind in kinds.values()),
            stored=sum(kind.size for kind in kinds.values()),
            snapshots=len(needed),
            files=sum(ref.files for ref in needed.values()),
            logical=logical,
            ratio=logical / packs if packs else 0.0,
            open_txns=open_txns,
        )

    def _is_open(self, key: str) -> bool:
        found = conditional.look(self._store, key)
        return found is not None and without_check(found.data, Txn, key).state == OPEN
