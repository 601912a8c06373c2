"""What a store holds, in figures: `rote store stats`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rote.errors import Corrupt, NotFound
from rote.ports import ObjectStore, Progress, Silence
from rote.services.store import packs
from rote.services.store.packs import DATA
from rote.services.upkeep.marking import Look, Marker
from rote.words.ids import SnapshotId
from rote.words.record import Root
from rote.words.snapshot import SnapshotRecord, SnapshotRef

KINDS = (
    "packs",
    "snapshots",
    "txns",
    "results",
    "runs",
    "data",
    "models",
    "checkpoints",
    "leases",
    "gc",
    "other",
)
"""What objects are counted by: the first name of their key."""
MOST = 5
"""How many of the largest and of the oldest are named."""


class Kind(msgspec.Struct):
    """Objects of one kind, and their bytes as stored."""

    objects: int = 0
    size: int = 0


class Owner(msgspec.Struct, kw_only=True):
    """What a data path, a model, a run or a stage (of results) takes; sizes in bytes."""

    kind: str
    name: str
    snapshots: int = 0
    logical: int = 0
    """When checked out, each snapshot once."""
    stored: int = 0
    """Packs that it needs, those it shares with others too."""
    own: int = 0
    """Packs that nobody else needs: what would go with it."""
    oldest: str = ""
    """When its oldest snapshot was stored, UTC."""


class Unpacked(msgspec.Struct, frozen=True):
    """The needed packs' content, in bytes: `length` unpacked, `stored` as it lies there."""

    length: int
    stored: int


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
    unpacked: Unpacked | None = None
    """None: not asked for."""
    owners: list[Owner] = []
    """The largest first."""
    largest: list[str] = []
    """Names of the largest data paths and models, as `data images`."""
    oldest: list[str] = []
    """Names of those whose first snapshot is the oldest."""
    garbage: Kind
    """Packs and records that nothing needs: what a collection frees, once they are old enough."""
    open_txns: int
    """Writes under way, or given up without a word."""

    @property
    def by_sharing(self) -> int:
        """Bytes that equal content in several places does not take (0 if it was not asked for)."""
        return max(self.logical - self.unpacked.length, 0) if self.unpacked else 0

    @property
    def by_compression(self) -> int:
        """Bytes that compression saves (0 if it was not asked for)."""
        return self.unpacked.length - self.unpacked.stored if self.unpacked else 0


class StoreStats:
    """Counts what is in a store. Reads every key, every root and every record that is needed; of packs the tables of
    contents, unless a quick answer is asked for. `pinned` are snapshots that pointers name."""

    def __init__(self, store: ObjectStore, pinned: Iterable[SnapshotId] = ()) -> None:
        self._store = store
        self._marker = Marker(store, frozenset(pinned))

    def stats(self, progress: Progress | None = None, *, quick: bool = False) -> StoreFigures:
        """Raises Corrupt, TooNew, StoreUnavailable."""
        progress = progress or Silence()
        kinds = {kind: Kind() for kind in KINDS}
        sizes: dict[str, int] = {}
        progress.start("counting", unit="objects")
        for meta in self._store.list(""):
            progress.step()
            first = meta.key.partition("/")[0]
            kind = kinds.get(first) or kinds["other"]
            kind.objects += 1
            kind.size += meta.size
            if first in ("packs", "snapshots"):
                sizes[meta.key] = meta.size
        progress.done()
        look = self._marker.look()
        garbage = self._garbage(look, sizes)
        roots = [(seen.key, root) for seen in look.roots if (root := seen.in_force)]
        needed = {ref.id: ref for _, root in roots for ref in root.needs}
        records = self._records(roots)
        logical = sum(ref.size for ref in needed.values())
        stored = kinds["packs"].size
        owners = _owners(roots, records, sizes)
        named = [owner for owner in owners if owner.kind in ("data", "model")]
        return StoreFigures(
            url=self._store.url,
            kinds=kinds,
            objects=sum(kind.objects for kind in kinds.values()),
            stored=sum(kind.size for kind in kinds.values()),
            snapshots=len(needed),
            files=sum(ref.files for ref in needed.values()),
            logical=logical,
            ratio=logical / stored if stored else 0.0,
            unpacked=None if quick else self._unpacked(records.values(), sizes, progress),
            owners=owners,
            largest=[f"{o.kind} {o.name}" for o in named[:MOST]],
            oldest=[f"{o.kind} {o.name}" for o in sorted(named, key=lambda o: (o.oldest, o.name))[:MOST]],
            garbage=garbage,
            open_txns=len(look.open),
        )

    def _garbage(self, look: Look, sizes: dict[str, int]) -> Kind:
        needed = self._marker.needed(look)
        gone = [size for key, size in sizes.items() if key not in needed]
        return Kind(len(gone), sum(gone))

    def _records(self, roots: list[tuple[str, Root]]) -> dict[str, SnapshotRecord]:
        keys = sorted({f"snapshots/{ref.key}" for _, root in roots for ref in root.needs})
        return {record.ref().key: record for record in self._marker.records(keys)}

    def _unpacked(
        self, records: Iterable[SnapshotRecord], sizes: dict[str, int], progress: Progress
    ) -> Unpacked:
        needed = sorted({pack for record in records for pack in record.packs})
        progress.start("counting", len(needed), "packs")
        length = stored = 0
        for pack in needed:
            progress.step()
            try:
                footer = packs.read_footer(self._store, pack, sizes.get(f"packs/{pack}"))
            except (NotFound, Corrupt):
                continue  # that is for a check to tell
            for kind, unpacked, packed in zip(footer.kind, footer.length, footer.stored, strict=True):
                if kind == DATA:
                    length += unpacked
                    stored += packed
        progress.done()
        return Unpacked(length, stored)


def _owner_of(key: str, root: Root) -> tuple[str, str]:
    names = key.split("/")
    match names[0]:
        case "data":
            return "data", str(root.body.get("path"))
        case "results" | "checkpoints":
            return "stage", str(root.body.get("stage"))
        case "runs":
            return "run", names[1]
    return "model", names[1]


def _owners(
    roots: list[tuple[str, Root]], records: dict[str, SnapshotRecord], sizes: dict[str, int]
) -> list[Owner]:
    needs: dict[tuple[str, str], dict[str, SnapshotRef]] = {}
    for key, root in roots:
        needs.setdefault(_owner_of(key, root), {}).update({ref.key: ref for ref in root.needs})
    packs_of = {
        owner: {pack for key in refs if key in records for pack in records[key].packs}
        for owner, refs in needs.items()
    }
    users: dict[str, int] = {}
    for found in packs_of.values():
        for pack in found:
            users[pack] = users.get(pack, 0) + 1
    owners = []
    for (kind, name), refs in needs.items():
        here = packs_of[kind, name]
        owner = Owner(
            kind=kind,
            name=name,
            snapshots=len({ref.id for ref in refs.values()}),
            logical=sum({ref.id: ref.size for ref in refs.values()}.values()),
            stored=sum(sizes.get(f"packs/{pack}", 0) for pack in here),
            own=sum(sizes.get(f"packs/{pack}", 0) for pack in here if users[pack] == 1),
            oldest=_day(min((ref.txn for ref in refs.values()), default="")),
        )
        owners.append(owner)
    return sorted(owners, key=lambda o: (-o.logical, o.kind, o.name))


def _day(txn: str) -> str:
    """`2026-11-21` of a transaction's id."""
    return f"{txn[:4]}-{txn[4:6]}-{txn[6:8]}" if txn else ""
