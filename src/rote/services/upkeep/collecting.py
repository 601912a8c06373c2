"""The collector: what nobody needs goes, through the fence, without trusting a clock (docs/format.md, 11.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from rote.errors import Locked
from rote.ports import ObjectStore
from rote.services.store import conditional, fence
from rote.services.upkeep.marking import Marker
from rote.words.encoding import with_check, without_check
from rote.words.record import Fence

IDLE, CAND, SWEEP = "idle", "cand", "sweep"
LIMIT = 20_000
"""Objects that the fence names at most: every writer who reuses something reads it."""


class Collector:
    """One collector. Several may be at work in a store at once; `token` gives random digits."""

    def __init__(self, store: ObjectStore, marker: Marker, token: Callable[[], str]) -> None:
        self._store = store
        self._marker = marker
        self._token = token

    def finish(self) -> list[str]:
        """Bring what another collector left to its end. Returns the keys that were deleted. Raises as `collect`."""
        gone: list[str] = []
        while True:
            now, etag = self._read()
            if now.phase == IDLE:
                return gone
            gone += self._sweep(now, etag) if now.phase == SWEEP else self._round(now, etag, now.objects)

    def unfinished(self) -> Fence | None:
        """What another collector left, without touching it."""
        now, _ = self._read()
        return None if now.phase == IDLE else now

    def collect(self, candidates: Sequence[str]) -> list[str]:
        """Delete those of the candidates, records first, that nobody needs. Returns their keys.

        Raises Locked if another collector takes over meanwhile; Corrupt, TooNew (nothing was condemned then).
        """
        gone = self.finish()
        for begin in range(0, len(candidates), LIMIT):
            now, etag = self._read()
            if now.phase != IDLE:
                raise _overtaken()
            gone += self._round(now, etag, candidates[begin : begin + LIMIT])
        return gone

    def _round(self, now: Fence, etag: str | None, candidates: Sequence[str]) -> list[str]:
        generation = now.generation + 1
        etag = self._move(Fence(generation=generation, phase=CAND, objects=list(candidates)), etag)
        needed = self._marker.needed(self._marker.look())
        condemned = [key for key in candidates if key not in needed]
        after = Fence(generation=generation, phase=SWEEP if condemned else IDLE, objects=condemned)
        etag = self._move(after, etag)
        return self._sweep(after, etag) if condemned else []

    def _sweep(self, now: Fence, etag: str | None) -> list[str]:
        for prefix in ("snapshots/", "packs/"):
            self._marker.each(self._delete, [key for key in now.objects if key.startswith(prefix)])
        self._move(Fence(generation=now.generation), etag)
        return list(now.objects)

    def _delete(self, key: str) -> None:
        conditional.delete(self._store, key)

    def _read(self) -> tuple[Fence, str | None]:
        found = conditional.look(self._store, fence.KEY)
        return (without_check(found.data, Fence, fence.KEY), found.etag) if found else (Fence(), None)

    def _move(self, to: Fence, etag: str | None) -> str:
        to = msgspec.structs.replace(to, nonce=self._token())
        put = conditional.put(self._store, fence.KEY, with_check(to), etag)
        if put.etag is None:
            raise _overtaken()
        return put.etag


def _overtaken() -> Locked:
    return Locked(
        "another collection is at work in this store and has taken over",
        safe="nothing that is needed was deleted",
        next="let it finish, then `rote gc` again",
    )
