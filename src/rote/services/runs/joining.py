"""Never twice: who computes what is being computed anywhere on the store waits for it (docs/format.md, 12.3)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from rote.errors import Corrupt, Locked, Missing, RoteError, StoreError, TooNew
from rote.ports import Clock, Exit, ObjectStore, Process, Progress
from rote.ports.logger import Logger
from rote.services.runs.attempt import Aid, Task
from rote.services.runs.matching import Match, Matching
from rote.services.runs.runs import Runs
from rote.services.runs.stagework import Failure
from rote.services.runs.vigil import Vigil
from rote.services.store import conditional
from rote.words.encoding import with_check, without_check
from rote.words.ids import RunId, StageKey
from rote.words.result import Found
from rote.words.run import RUNNING
from rote.words.unfinished import FREE, HELD, Lease

LOCAL, BUCKET = 1.0, 10.0
"""Seconds between two looks of one who waits: at a folder, and at a store that bills requests."""
AFTER = 2.0
"""Seconds that a stage runs before it takes a lease: what is shorter is computed twice sooner than told."""

_log = Logger(__name__)


def lease_key(slot: StageKey) -> str:
    """The key of the lease for a slot."""
    return f"leases/{slot[:2]}/{slot}"


class _Found(msgspec.Struct, frozen=True):
    """A lease as it was read: what is there now, and who holds it, if it is held."""

    etag: str | None
    lease: Lease | None = None


class Joining:
    """Waits for what others compute, and says what this run computes. A companion of every attempt. Thread-safe.

    With `wait` false nobody is waited for: Locked. `attach` gets the log of the stage that is waited for, as `follow`
    tells it. `poll` and `after` are in seconds. On a store that is not `able` to hold conditional writes, nothing is
    waited for or said.
    """

    def __init__(
        self,
        store: ObjectStore,
        runs: Runs,
        matching: Matching,
        clock: Clock,
        *,
        by: str,
        progress: Progress,
        poll: float,
        after: float = AFTER,
        wait: bool = True,
        attach: Callable[[bytes], None] | None = None,
        follow: Callable[[RunId, str], Iterator[bytes]] = lambda run, stage: iter(()),
        able: Callable[[], bool] = lambda: True,
    ) -> None:
        self._store = store
        self._runs = runs
        self._matching = matching
        self._clock = clock
        self._by = by
        self._progress = progress
        self._poll = poll
        self._after = after
        self._wait = wait
        self._attach = attach
        self._follow = follow
        self._able = able
        self._gave_way: set[StageKey] = set()
        self._dead: set[RunId] = set()
        self._lock = threading.Lock()
        self._held: dict[StageKey, tuple[Task, str]] = {}

    # ---- before a stage runs -----------------------------------------------------------------------------------

    def result(self, task: Task, stopping: Callable[[], bool]) -> Match | None:
        """Wait while somebody else computes what the task would. Their result, if they left one; None: nobody does, or
        they were cut off, and it is to be done here.

        Raises Locked where nobody is to be waited for, Failure if `stopping` says so meanwhile, StoreError.
        """
        joined = False
        while task.slot is not None and not task.replace and self._able():
            lease = self._look(task.slot).lease
            if lease is None or lease.run == task.run or not self._lives(lease.run):
                break
            joined = True
            self._await(task, lease, stopping)
            match = self._matching.find(task.inputs.key())
            if match.result is not None:
                return match
        return self._matching.find(task.inputs.key()) if joined else None

    def _await(self, task: Task, lease: Lease, stopping: Callable[[], bool]) -> None:
        """Until the lease is another's or free, or the run that holds it is dead."""
        stage = task.stage.name
        who = f"{lease.by} in run {lease.run}, since {lease.since}"
        if not self._wait:
            raise Locked(
                f"it is being computed by {who}",
                safe="nothing was started",
                next="without --no-wait it is waited for; --force computes it here as well",
            )
        self._progress.say(f"{stage}: being computed by {who}: waiting for it")
        with self._attached(lease.run, stage):
            self._watch(task, lease, stopping)

    def _watch(self, task: Task, lease: Lease, stopping: Callable[[], bool]) -> None:
        stage = task.stage.name
        vigil = Vigil(self._store, self._clock, lease.run)
        while True:
            if stopping():
                raise Failure(f"it was waiting for run {lease.run}", exit=Exit(0, 0.0, stopped=True))
            self._clock.sleep(self._poll)
            now = self._look(task.slot or task.inputs.key()).lease
            if now is None or now.run != lease.run:
                return
            vigil.look()
            if vigil.left <= 0:
                self._progress.say(
                    f"{stage}: run {lease.run} gives no sign of life any more: it is done here"
                )
                self._dead.add(lease.run)
                return

    @contextmanager
    def _attached(self, run: RunId, stage: str) -> Iterator[None]:
        """Pass on what the stage writes, from a thread of its own."""
        if self._attach is None:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(
            target=self._pass_on, args=(run, stage, self._attach, over), name="rote-attach", daemon=True
        )
        thread.start()
        try:
            yield
            thread.join(2 * self._poll)  # the last lines may be on their way
        finally:
            over.set()

    def _pass_on(
        self, run: RunId, stage: str, attach: Callable[[bytes], None], over: threading.Event
    ) -> None:
        try:
            for piece in self._follow(run, stage):
                if over.is_set():
                    return
                attach(piece)
        except RoteError as e:
            _log.debug("the log of %s cannot be followed: %s", run, e)  # whether it lives is not told by this

    def _lives(self, run: RunId) -> bool:
        """Whether the run's record says that it is under way, and nobody here has seen that it is not."""
        try:
            return run not in self._dead and self._runs.get(run).state == RUNNING
        except Missing:
            return False

    def _look(self, slot: StageKey) -> _Found:
        found = conditional.look(self._store, lease_key(slot))
        if found is None:
            return _Found(None)
        try:
            lease = without_check(found.data, Lease, lease_key(slot))
        except (Corrupt, TooNew) as e:
            _log.debug("a lease that cannot be read binds nobody: %s", e)
            return _Found(found.etag)
        return _Found(found.etag, lease if lease.state == HELD else None)

    # ---- while it runs -----------------------------------------------------------------------------------------

    def gave_way(self, slot: StageKey | None) -> bool:
        """Whether the attempt that has just ended was stopped because somebody else had begun a moment before."""
        if slot in self._gave_way:
            self._gave_way.discard(slot)
            return True
        return False

    @contextmanager
    def along(self, task: Task) -> Iterator[Aid]:
        """Go along with an attempt (see attempt.Companion): take the lease if it lasts. It is given back when the stage
        has failed, or by `give_back` once its result is in force."""
        taking = _Taking(self, task)
        try:
            yield taking
        except BaseException:
            taking.end()
            self.give_back(task.slot)
            raise
        taking.end()

    def take(self, task: Task, slot: StageKey) -> bool:
        """Take the lease. False if a run that lives has it."""
        found = self._look(slot)
        while True:
            if found.lease is not None and found.lease.run != task.run and self._lives(found.lease.run):
                self._gave_way.add(slot)
                return False
            put = conditional.put(self._store, lease_key(slot), self._lease(task, slot, HELD), found.etag)
            if put.etag is not None:
                with self._lock:
                    self._held[slot] = (task, put.etag)
                return True
            found = self._look(slot)

    def give_back(self, slot: StageKey | None) -> None:
        """The stage failed, or its result is in force. Who has taken the lease meanwhile keeps it; what cannot be given
        back counts until the run is over."""
        with self._lock:
            held = self._held.pop(slot, None) if slot is not None else None
        if held is None or slot is None:
            return
        task, etag = held
        try:
            conditional.put(self._store, lease_key(slot), self._lease(task, slot, FREE), etag)
        except StoreError as e:
            _log.debug("the lease of %s stays until its run is over: %s", slot, e)

    def close(self) -> None:
        """The run is over: give back what is left."""
        for slot in list(self._held):
            self.give_back(slot)

    def _lease(self, task: Task, slot: StageKey, state: str) -> bytes:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        return with_check(
            Lease(
                key=slot, stage=task.stage.name, state=state, by=self._by, run=task.run, since=since,
                nonce=self._clock.token(8),
            )
        )  # fmt: skip

    @property
    def able(self) -> bool:
        """Whether leases can be taken here."""
        return self._able()

    @property
    def after(self) -> float:
        """Seconds that a stage runs before it takes a lease."""
        return self._after


class _Taking:
    """The Aid of one attempt: takes the lease once the stage has run for a while."""

    environment: Mapping[str, str] = {}

    def __init__(self, joining: Joining, task: Task) -> None:
        self._joining = joining
        self._task = task
        self._slot = None if task.replace or not joining.able else task.slot
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def started(self, process: Process, found: Callable[[], Found]) -> None:
        """The command runs."""
        if self._slot is not None:
            self._thread = threading.Thread(
                target=self._work, args=(process, self._slot), name="rote-lease", daemon=True
            )
            self._thread.start()

    def _work(self, process: Process, slot: StageKey) -> None:
        if self._over.wait(self._joining.after):
            return
        try:
            if not self._joining.take(self._task, slot):
                process.stop()
        except StoreError as e:
            _log.debug("no lease for %s: %s", slot, e)  # then it may be computed twice, which harms nothing

    def end(self) -> None:
        """The attempt is over."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
