"""The trash: roots that were removed, and can come back until the next collection (docs/format.md, 11.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from rote.laws.store.readback import over
from rote.ports import ObjectStore
from rote.services.store import conditional
from rote.services.store.roots import held
from rote.services.upkeep.marking import RootSeen
from rote.words.encoding import with_check
from rote.words.record import LIVE, OPEN, TOMBSTONE, Root


class Trash:
    """The trash of one store. Every step is a compare-and-swap on exactly what was seen: who is too late changes
    nothing, and says so by leaving the key out."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def put(self, seen: RootSeen, why: str, removed: str) -> bool:
        """Put the root in force that was seen into the trash; `removed` is now, UTC. False if it is another by now, or
        a write is just about to replace it."""
        there = held(self._store, seen.key, conditional.look(self._store, seen.key))
        judged = seen.in_force
        if judged is None or there.found is None or there.in_force != judged or there.txn_state == OPEN:
            return False
        body = {"removed": removed, "why": why}
        stone = Root(state=TOMBSTONE, txn=judged.txn, body=body, before=over(judged))
        return self._swap(seen.key, stone, there.found.etag)

    def empty(self, seen: RootSeen, removed: str) -> bool:
        """Let go of the root that lies in the trash here: its snapshots are garbage then. False if it came back."""
        if seen.trash is None:
            return False
        return self.stamp(seen, removed)

    def stamp(self, seen: RootSeen, removed: str) -> bool:
        """A tombstone that says since when it is one, and holds nothing."""
        stone = Root(state=TOMBSTONE, txn=seen.root.txn, body={"removed": removed})
        return self._swap(seen.key, stone, seen.etag)

    def undo(self, seen: RootSeen) -> bool:
        """Bring the root back that lies in the trash here. False if the key holds something else by now."""
        root = seen.trash
        return root is not None and self._swap(seen.key, msgspec.structs.replace(root, state=LIVE), seen.etag)

    def put_all(self, roots: Iterable[RootSeen], why: Mapping[str, str], removed: str) -> list[RootSeen]:
        """`put` for each; those that were put."""
        return [seen for seen in roots if self.put(seen, why[seen.key], removed)]

    def _swap(self, key: str, root: Root, etag: str) -> bool:
        return conditional.put(self._store, key, with_check(root), etag).etag is not None
