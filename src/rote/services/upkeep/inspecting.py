"""The small objects that no root needs and somebody reads: is each what its digest says, and what if it is not?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from rote.errors import Corrupt, NotFound
from rote.laws.models.remarks import Remarks
from rote.ports import ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.runs.livelog import unpack_segment
from rote.services.store import conditional, fence, founding
from rote.words.channel import AliasArchive
from rote.words.encoding import without_check
from rote.words.record import Fence, StoreInfo
from rote.words.snapshot import SnapshotRecord

BY_HAND = (
    "with the store's own tools (a file of the same name below the store's folder, or a key in its bucket)"
)


class Flaw(msgspec.Struct, frozen=True):
    """A damaged object: why it is, and what to do."""

    key: str
    why: str
    advice: str


def inspect(store: ObjectStore, listed: Iterable[str], *, deep: bool) -> Iterator[Flaw]:
    """What is damaged of the store's own records and of those among the `listed` keys that are not roots: histories of
    aliases, remarks on versions, and with `deep` logs of runs. Raises TooNew, StoreUnavailable."""
    own = [
        (founding.KEY, lambda data: without_check(data, StoreInfo, founding.KEY)),
        (fence.KEY, lambda data: without_check(data, Fence, fence.KEY)),
    ]
    for key, read in own:
        yield from _flaws(store, key, read)
    for key in listed:
        names = key.split("/")
        if names[0] == "models" and len(names) == 5 and names[2] == "aliases":
            yield from _flaws(store, key, lambda data, key=key: without_check(data, AliasArchive, key))  # type: ignore[misc]  # bound on purpose
        elif names[0] == "models" and len(names) == 4 and names[2] == "remarks":
            yield from _flaws(store, key, lambda data, key=key: without_check(data, Remarks, key))  # type: ignore[misc]  # as above
        elif deep and names[0] == "runs" and len(names) == 4 and names[2] == "live":
            yield from _flaws(store, key, lambda data, key=key: list(unpack_segment(data, key)))  # type: ignore[misc]  # as above


class Records:
    """Reads the nodes of records as a reader would, each once: what a sound record names may not be what lies there."""

    def __init__(self, store: ObjectStore) -> None:
        self._snapshots = Snapshots(store)
        self._read: set[tuple[object, ...]] = set()

    def why_unreadable(self, record: SnapshotRecord) -> str | None:
        """Why some node of the record cannot be read, though its packs are sound; None if all can."""
        new: dict[tuple[object, ...], int] = {}
        for number, node in enumerate(record.nodes):
            place = (
                record.single,
                record.packs[node.pack],
                *msgspec.structs.astuple(node)[:4],
                *msgspec.structs.astuple(node)[5:9],
            )
            if place not in self._read:
                new[place] = number
        try:
            for _ in self._snapshots.nodes(record, sorted(new.values())):
                pass
        except (Corrupt, NotFound) as e:
            return e.what
        self._read.update(new)
        return None


def _flaws(store: ObjectStore, key: str, read: Callable[[bytes], object]) -> Iterator[Flaw]:
    found = conditional.look(store, key)
    try:
        if found is not None:
            read(found.data)
    except Corrupt as e:
        yield Flaw(key, e.what, advice(key))


def advice(key: str) -> str:
    """What to do about a damaged object that is no pack and no snapshot's record."""
    names = key.split("/")
    match names[0]:
        case "rote.json":
            return f"put it back from a copy of this store, {BY_HAND}; or copy all to a new one: rote copy --to URL"
        case "gc":
            return f"once nobody writes or collects here, delete it {BY_HAND}: it is made anew"
        case "txns":
            return f"once nobody writes here, delete it {BY_HAND}; what was being written just then is done again"
        case "data":
            snapshot = names[-1][:12]
            return f"delete it {BY_HAND}; then rote add --force PATH, of the pointer that names {snapshot}"
        case "results":
            return f"delete it {BY_HAND}: the stage runs once more"
        case "runs" if names[2:3] == ["live"]:
            return f"the machine that ran has the log in .rote/runs/{names[1]}/; nothing else needs it"
    return f"put it back from a copy of this store, {BY_HAND}"
