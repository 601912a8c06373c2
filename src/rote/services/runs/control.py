"""Asking a run under way for something, from anywhere that reaches its store (docs/format.md, 8.3)."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from rote.ports import Clock, ObjectStore
from rote.services.runs.livelog import ask_key
from rote.services.store import conditional
from rote.words.alive import Ask, Stop
from rote.words.encoding import with_check, without_check
from rote.words.ids import RunId


class Control:
    """What people ask of runs. `by` is who asks (user@host)."""

    def __init__(self, store: ObjectStore, clock: Clock, by: str) -> None:
        self._store = store
        self._clock = clock
        self._by = by

    def stop(self, id: RunId, *, now: bool = False) -> Stop | None:
        """Ask a run to end; with `now` at once. Returns who had asked for that before, if somebody had.

        Raises StoreError; Corrupt.
        """
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        before: list[Stop | None] = [None]

        def change(ask: Ask) -> Ask | None:
            before[0] = ask.stop
            if ask.stop is not None and (ask.stop.now or not now):
                return None
            return msgspec.structs.replace(ask, stop=Stop(by=self._by, at=at, now=now))

        self._change(id, change)
        return before[0]

    def watch(self, id: RunId) -> None:
        """Say that somebody follows the log. Raises StoreError."""
        self._change(id, lambda ask: msgspec.structs.replace(ask, watch=ask.watch + 1))

    def _change(self, id: RunId, change: Callable[[Ask], Ask | None]) -> None:
        key = ask_key(id)
        found = conditional.look(self._store, key)
        while True:
            ask = change(without_check(found.data, Ask, key) if found else Ask())
            if ask is None:
                return
            data = with_check(msgspec.structs.replace(ask, nonce=self._clock.token(8)))
            put = conditional.put(self._store, key, data, found.etag if found else None)
            if put.etag is not None:
                return
            found = put.found
