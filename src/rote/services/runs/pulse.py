"""A run under way, as the store sees it: signs of life and the log go out, what others ask comes in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from rote.errors import Conflict, StoreError
from rote.laws.pipeline.pacing import Pace
from rote.ports import Clock, ObjectStore
from rote.ports.logger import Logger
from rote.services.runs.livelog import Now, ask_key, now_key, pack_now, pack_segment, segment_key
from rote.services.runs.spool import Part, Spool
from rote.services.runs.waking import Waker
from rote.services.store import conditional
from rote.words.alive import Ask, Sign, Stop
from rote.words.encoding import without_check
from rote.words.ids import RunId

_log = Logger(__name__)

SEALED = 64 << 10
"""Bytes of log beyond which they become a segment; up to this many travel with the sign of life."""


class Far(msgspec.Struct, frozen=True):
    """How far a run is: the stages under way, and how many of all are settled."""

    running: list[str] = []
    done: int = 0
    of: int = 0


class Pulse:
    """What one run writes to the store and reads from it while it is under way.

    `tick` does what is due; between two ticks nothing happens. `start` gives it a thread of its own, which a slow store
    may hold up as long as it likes. Nothing here decides anything: a run whose pulse fails goes on, and its end is
    recorded.
    """

    def __init__(
        self,
        store: ObjectStore,
        spool: Spool,
        run: RunId,
        *,
        clock: Clock,
        pace: Pace,
        host: str = "",
        segments: int = 0,
    ) -> None:
        self.heard: Callable[[Stop], None] = lambda stop: None
        """Called once with each thing that others ask, from the pulse's thread."""
        self.far: Callable[[], Far] = Far
        self._store = store
        self._spool = spool
        self._run = run
        self._clock = clock
        self._pace = pace
        self._host = host
        self._segments = segments
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self._began = clock.monotonic()
        self._looked = self._began
        self._signed = self._began - pace.quiet.least + pace.log.least  # the first sign comes soon
        self._told = 0  # of the bytes that were ever taken, those that somebody else could read
        self._since: float | None = None  # when something began to wait
        self._etag: str | None = None
        self._signs = 0
        self._alone = False  # somebody took this run for dead
        self._ask = Ask()
        self._asked = False
        self._watched_until = float("-inf")
        self._waker: Waker | None = None
        self._ending = False
        self._thread: threading.Thread | None = None

    # ---- the thread --------------------------------------------------------------------------------------------

    def start(self, fifo: str | None = None) -> None:
        """Tick whenever something is due, from now on; at once when another process writes to the FIFO."""
        with self._starting:
            if self._thread is None and not self._ending:
                self._waker = Waker(fifo)
                self._thread = threading.Thread(target=self._work, name="rote-pulse", daemon=True)
                self._thread.start()

    def said(self) -> None:
        """The spool has taken something."""
        waker = self._waker
        if self._since is None and waker is not None:
            waker.wake()

    def close(self) -> None:
        """Stop ticking and send what is left. Raises StoreError: then it may be called again."""
        self._ending = True
        if self._waker is not None and self._thread is not None:
            self._waker.wake()
            if self._thread is not threading.current_thread():
                self._thread.join()
            self._waker.close()
            self._waker = self._thread = None
        with self._sending:
            while self._spool.size:
                self._seal()

    def clear(self) -> None:
        """The run's record says how it ended: what was only for the time under way goes."""
        for key, there in ((now_key(self._run), self._etag is not None), (ask_key(self._run), self._asked)):
            if there:
                with suppress(StoreError):  # a collector takes it away one day
                    self._store.delete(key)

    def _work(self) -> None:
        waker = self._waker
        while waker is not None and not self._ending:
            due = self.tick()
            if not self._ending and waker.wait(due - self._clock.monotonic()):
                self._looked = float("-inf")  # somebody asks for something

    # ---- one step ----------------------------------------------------------------------------------------------

    def tick(self) -> float:
        """Do what is due now. Returns when there will be something to do, if nothing is said before that."""
        now = self._clock.monotonic()
        age = now - self._began
        if now >= self._looked + self._pace.look_gap(age, self._watched(now)):
            self._looked = now
            self._look(now)
        if self._since is None and self._spool.total > self._told:
            self._since = now
        if now >= self._send_due(now):
            self._since = None
            try:
                self._send(now)
            except StoreError as e:
                # nothing is lost: it waits in the local file, and the end of the run tries again and says so
                _log.debug("the log of %s waits: %s", self._run, e)
                self._signed, self._since = now, now
        look_due = self._looked + self._pace.look_gap(age, self._watched(now))
        return min(look_due, self._send_due(now))

    def _watched(self, now: float) -> bool:
        return now < self._watched_until

    def _send_due(self, now: float) -> float:
        age = now - self._began
        quiet = self._signed + self._pace.quiet.at(age)
        if self._since is None:
            return quiet
        return min(quiet, self._since + self._pace.log_gap(age, self._watched(now)))

    def _send(self, now: float) -> None:
        with self._sending:
            sealed = self._spool.size > SEALED
            while self._spool.size > SEALED:
                self._seal()
            # A segment is a sign of life as well; the other one is due all the same now and then.
            if not sealed or now >= self._signed + self._pace.quiet.at(now - self._began):
                self._sign(now)

    def _seal(self) -> None:
        """Put what waits into the next segment."""
        items, taken = self._spool.peek()
        key = segment_key(self._run, self._segments + 1)
        if conditional.put(self._store, key, pack_segment(items), None).etag is None:
            raise Conflict(key, next="a run has one writer: is another process recording it?")
        self._segments += 1
        self._spool.drop(taken)
        self._told = self._spool.total - self._spool.size

    def _sign(self, now: float) -> None:
        self._signed = now
        if self._alone:
            if self._spool.size:
                self._seal()
            return
        items, taken = self._spool.peek()
        far = self.far()
        sign = Sign(
            n=self._signs + 1, nonce=self._clock.token(8), after=self._segments,
            every=self._pace.quiet.at(now - self._began), host=self._host,
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now())),
            running=far.running[:20], done=far.done, of=far.of,
        )  # fmt: skip
        put = conditional.put(self._store, now_key(self._run), pack_now(Now(sign, items)), self._etag)
        if put.etag is None:
            _log.warning("somebody took the run %s for dead; it goes on, and its end is recorded", self._run)
            self._alone = True
            return
        self._etag, self._signs = put.etag, self._signs + 1
        self._told = self._spool.total - self._spool.size + _length(taken)

    def _look(self, now: float) -> None:
        key = ask_key(self._run)
        try:
            found = conditional.look(self._store, key)
            if found is None:
                return
            ask = without_check(found.data, Ask, key)
        except StoreError as e:
            _log.debug("what is asked of %s cannot be read now: %s", self._run, e)
            return
        before, self._ask, self._asked = self._ask, ask, True
        if ask.watch != before.watch:
            self._watched_until = now + self._pace.watched
        if ask.stop is not None and (before.stop is None or before.stop.now != ask.stop.now):
            self.heard(ask.stop)


def _length(parts: list[Part]) -> int:
    return sum(length for _, _, length in parts)
