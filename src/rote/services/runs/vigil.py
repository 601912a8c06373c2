"""Watching a run from outside: whether it lives is told by what changes, on the watcher's own clock alone."""

from __future__ import annotations

from rote.errors import NotFound
from rote.laws.pipeline.pacing import UNSEEN, patience
from rote.ports import Clock, ObjectStore
from rote.services.runs.livelog import Now, live_prefix, now_key, segment_key, unpack_now
from rote.services.store import conditional
from rote.words.alive import Sign
from rote.words.ids import RunId


class Vigil:
    """Watches one run. `look` asks the store; everything else is what was seen so far."""

    def __init__(self, store: ObjectStore, clock: Clock, id: RunId) -> None:
        self.sign: Sign | None = None
        """The newest sign of life that was seen."""
        self.now: Now | None = None
        """The whole object `now`, if there is one."""
        self.segments: int | None = None
        """How many segments are known."""
        self._store = store
        self._clock = clock
        self._id = id
        self._etag: str | None = None
        self._changed = clock.monotonic()

    def glance(self) -> Sign | None:
        """The newest sign of life, with one request."""
        found = conditional.look(self._store, now_key(self._id))
        if found is not None:
            self.sign = unpack_now(found.data, now_key(self._id)).sign
        return self.sign

    def look(self) -> bool:
        """Look for a sign of life. True if there was something new. Raises StoreError."""
        found = conditional.look(self._store, now_key(self._id))
        etag = found.etag if found else None
        new = etag != self._etag
        if new:
            self._etag = etag
            self.now = unpack_now(found.data, now_key(self._id)) if found else None
            self.sign = self.now.sign if self.now else self.sign
            if self.now:
                self.segments = max(self.segments or 0, self.now.sign.after)
        if self.segments is None:
            self.segments = sum(1 for _ in self._store.list(live_prefix(self._id)))
        elif not new:
            while self._is_there(self.segments + 1):
                self.segments += 1
                new = True
        if new:
            self._changed = self._clock.monotonic()
        return new

    def _is_there(self, segment: int) -> bool:
        try:
            self._store.head(segment_key(self._id, segment))
        except NotFound:
            return False
        return True

    @property
    def every(self) -> float:
        """Within so many seconds a run that lives gives its next sign."""
        return self.sign.every if self.sign else UNSEEN

    @property
    def still(self) -> float:
        """For how many seconds nothing has changed, as far as was looked."""
        return self._clock.monotonic() - self._changed

    @property
    def left(self) -> float:
        """For how many seconds more it has to be watched without a change before it counts as dead."""
        return patience(self.every) - self.still
