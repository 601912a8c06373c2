"""Recording a run: its log while it is under way, its record in the end (docs/format.md, 8)."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from rote.laws.pipeline.pacing import FOLDER, Pace
from rote.laws.pipeline.redaction import redact, redact_values
from rote.ports import Clock, ObjectStore
from rote.services.runs.pulse import Far, Pulse
from rote.services.runs.spool import Spool
from rote.services.runs.waking import NAME as WAKE
from rote.services.store.transactions import Transactions, Write
from rote.words.alive import Stop
from rote.words.ids import RunId
from rote.words.run import Run
from rote.words.snapshot import SnapshotRef


def record_key(run: RunId) -> str:
    """The key of a run's record."""
    return f"runs/{run}/record"


def clean(run: Run, secrets: tuple[str, ...] = ()) -> Run:
    """The run without what looks like a secret: command line, diff, overrides, params, tags and messages."""
    return msgspec.structs.replace(
        run,
        command=redact(run.command, secrets),
        commit=msgspec.structs.replace(run.commit, diff=redact(run.commit.diff, secrets)),
        overrides=[redact(text, secrets) for text in run.overrides],
        params=redact_values(run.params, secrets),
        metrics=redact_values(run.metrics, secrets),
        tags=redact_values(run.tags, secrets),
        error=redact(run.error, secrets),
        stages=[
            msgspec.structs.replace(s, why=redact(s.why, secrets), metrics=redact_values(s.metrics, secrets))
            for s in run.stages
        ],
    )


def needs_of(run: Run) -> list[SnapshotRef]:
    """Every snapshot that the run's stages left, each once, sorted."""
    found = {(ref.id, ref.txn): ref for stage in run.stages for ref in stage.outs.values()}
    return [found[key] for key in sorted(found)]


class Recorder:
    """One run that is under way. `log` is thread-safe; `finish` comes last.

    A line goes to the run's local file at once and to the store within some seconds, from a thread of its own: a slow
    store never holds a stage up.
    """

    def __init__(
        self,
        store: ObjectStore,
        transactions: Transactions,
        run: RunId,
        folder: str,
        secrets: tuple[str, ...],
        *,
        clock: Clock,
        pace: Pace = FOLDER,
        host: str = "",
        segments: int = 0,
    ) -> None:
        self.id = run
        self.spool = Spool(folder, secrets)
        self.pulse = Pulse(store, self.spool, run, clock=clock, pace=pace, host=host, segments=segments)
        self._transactions = transactions
        self._folder = folder
        self._secrets = secrets

    def attend(self, heard: Callable[[Stop], None], far: Callable[[], Far]) -> None:
        """Give signs of life, which tell how `far` the run is, and listen: `heard` is called with what others ask, from
        another thread."""
        self.pulse.heard = heard
        self.pulse.far = far
        self.pulse.start(os.path.join(self._folder, WAKE))

    def log(self, stage: str, data: bytes) -> None:
        """Take what a stage wrote. Raises StoreFull if the local disk is full, RoteError if it cannot be written."""
        self.spool.log(stage, data)
        self.pulse.start()
        self.pulse.said()

    def finish(self, run: Run, write: Write | None = None) -> None:
        """Send the rest of the log and write the run's record.

        With `write`, the record becomes a root of it, in force once the caller commits it; without, it is written at
        once, with the snapshots its stages left kept as far as the store still holds them. May be called again if a
        write was lost. Raises StoreFull, StoreUnavailable, Unknown.
        """
        self.close()
        cleaned = clean(run, self._secrets)
        key = record_key(self.id)
        if write is not None:
            write.root(key, cleaned, needs_of(cleaned), replace=True)
            return

        def work(own: Write) -> None:
            own.root(key, cleaned, [ref for ref in needs_of(cleaned) if own.use(ref)], replace=True)

        self._transactions.write(work)
        self.pulse.clear()

    def close(self) -> None:
        """Send what waits and let go of the local files; the record stays as it is."""
        self.spool.end()
        self.pulse.close()
        self.spool.close()
