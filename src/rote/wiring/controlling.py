"""Runs under way: who is at work, stopping one, following one, going on with one. The parts come from the wiring."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from rote.adapters.worktree import lock, trees
from rote.errors import Locked, Missing, Refused
from rote.laws.pipeline.pacing import patience
from rote.laws.pipeline.redaction import MASK, redact_values
from rote.laws.pipeline.resuming import apart
from rote.services.runs.control import Control
from rote.services.runs.following import Following
from rote.services.runs.vigil import Vigil
from rote.services.runs.waking import NAME as WAKE
from rote.services.runs.waking import poke
from rote.wiring.config import overrides as overriding
from rote.wiring.config import params
from rote.wiring.config.root import FOLDER
from rote.wiring.leftovers import LOST, Leftovers
from rote.wiring.parts import Wiring
from rote.words.ids import RunId, run_id, shown
from rote.words.run import FINISHED, RUNNING, Run

SILENT = "its machine gave no sign of life any more"
_CHAIN = 100
"""Runs of which each goes on with the next that are looked at, at most."""


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """A run that counts as running. `state` is running, silent (no sign of life for long, by both machines' clocks) or
    gone (its process was on this machine and is no more)."""

    id: RunId
    state: str
    host: str
    by: str
    began: str
    running: list[str]
    done: int
    of: int
    seen: float | None
    """Seconds since the last sign of life, by the clocks of both machines: for people."""
    command: str


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request to end a run. `run` is its record as it is then."""

    run: Run
    over: bool
    """It had ended before."""
    asked: str = ""
    """Who had asked for it already, if somebody had."""
    gone: bool = False
    """Nothing ran any more: it was recorded as stopped just now."""


class Controlling:
    """Control of the runs of one store, from one working tree."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self._control = Control(wiring.store, wiring.clock, wiring.by)

    def here(self, id: RunId) -> bool | None:
        """Whether a run is made in a working tree of this project: True while its process is at work, False if it is
        gone, None if the run is made elsewhere."""
        for tree in trees.trees(self._w.root):
            begun = trees.begun(tree)
            if begun is not None and begun.run == id:
                worker = lock.worker(os.path.join(tree, FOLDER, "lock"))
                return worker is not None and (not worker or not begun.pid or worker == begun.pid)
        return False if self._w.runs.local(id) else None

    def _tree(self, id: RunId) -> Wiring:
        """The working tree of this project in which a run is made; this one, if it is made elsewhere."""
        for tree in trees.trees(self._w.root)[1:]:
            begun = trees.begun(tree)
            if begun is not None and begun.run == id:
                return self._w.elsewhere(tree)
        return self._w

    def ps(self) -> list[Active]:
        """The runs that count as running, oldest first."""
        self._w.catalogue.sync()
        rows = self._w.catalogue.runs("state = 'running'", sort="began", columns=["id"]).rows
        return [self._active(self._w.runs.get(run_id(str(row[0])))) for row in rows]

    def _active(self, run: Run) -> Active:
        vigil = Vigil(self._w.store, self._w.clock, run.id)
        sign = vigil.glance()
        here = self.here(run.id)
        seen = self._since(sign.at if sign else run.began)
        state = "running"
        if here is False:
            state = "gone"
        elif here is None and seen is not None and seen > patience(vigil.every):
            state = "silent"
        return Active(
            id=run.id, state=state, host=run.host.name if run.host else "", by=run.by, began=run.began,
            running=sign.running if sign else [], done=sign.done if sign else 0, of=sign.of if sign else 0,
            seen=seen, command=run.command,
        )  # fmt: skip

    def _since(self, moment: str) -> float | None:
        with suppress(ValueError):
            then = datetime.fromisoformat(moment).astimezone(UTC).timestamp()
            return max(0.0, self._w.clock.now() - then)
        return None

    def follow(self, id: RunId, stage: str | None) -> Iterator[bytes]:
        """See `Project.logs`."""
        following = Following(self._w.store, self._w.runs, self._control, self._w.clock, here=self._near)
        return following.follow(id, stage)

    def logs(self, id: RunId, stage: str | None) -> Iterator[bytes]:
        """See `Project.logs`."""
        return self._tree(id).runs.logs(id, stage)

    def _near(self, id: RunId) -> bool | None:
        """As `here`; but one under way in another tree is followed through the store: its files go with the tree."""
        here = self.here(id)
        return None if here and self._tree(id) is not self._w else here

    # ---- stopping ----------------------------------------------------------------------------------------------

    def stop(self, id: RunId, *, now: bool, wait: bool) -> Stopped:
        """See `Project.stop`."""
        run = self._w.runs.get(id)
        if run.state != RUNNING:
            return Stopped(run=run, over=True)
        if self.here(id) is False:
            return Stopped(run=self.bury(id, LOST), over=False, gone=True)
        before = self._control.stop(id, now=now)
        poke(os.path.join(self._tree(id).runs.folder(id), WAKE))
        asked = before.by if before else ""
        if not wait:
            return Stopped(run=run, over=False, asked=asked)
        grace = "" if now else "; its stages have ten seconds for that"
        self._w.progress.say(f"run {id} is asked to end{grace}")
        if self._ends(id):
            return Stopped(run=self._w.runs.get(id), over=False, asked=asked)
        return Stopped(run=self.bury(id, SILENT), over=False, asked=asked, gone=True)

    def _ends(self, id: RunId) -> bool:
        """Wait until a run is over. False if it counts as dead."""
        vigil = Vigil(self._w.store, self._w.clock, id)
        told = False
        while self._w.runs.get(id).state == RUNNING:
            here = self.here(id)
            if here is False:
                return self._w.runs.get(id).state != RUNNING
            vigil.look()
            if vigil.left <= 0 and here is None:
                return False
            if not told and here is None and vigil.still > vigil.every + 5:
                told = True
                self._w.progress.say(
                    f"run {id} gives no sign of life; after {vigil.left:.0f} s more it counts as dead"
                )
            self._w.clock.sleep(self._w.runs.pace.follow)
        return True

    def bury(self, id: RunId, why: str) -> Run:
        """Record a run whose process is gone as stopped. Where it was made here, the rest of its log is sent."""
        if self.here(id) is None:
            self._w.runs.bury(id, why)
        else:
            tree = self._tree(id)
            with suppress(Locked), tree.workspace.lock("rote stop", wait=False):
                Leftovers(tree).here()
                tree.runs.bury(id, why)
        return self._w.runs.get(id)

    # ---- going on ----------------------------------------------------------------------------------------------

    def ended(self, id: RunId) -> Run:
        """The run as it ended, so that another can go on with it; one whose process is gone is recorded as stopped.

        Raises Locked if it is under way, Refused if it is finished.
        """
        run = self._w.runs.get(id)
        if run.state == RUNNING:
            run = self._given_up(run)
        if run.state == FINISHED:
            raise Refused(
                f"the run {id} is finished: there is nothing to go on with",
                safe="nothing was done",
                next="rote run runs what has changed since",
            )
        return run

    def _given_up(self, run: Run) -> Run:
        here = self.here(run.id)
        if here is None:
            vigil = Vigil(self._w.store, self._w.clock, run.id)
            vigil.look()
            self._w.progress.say(
                f"run {run.id} on {run.host.name if run.host else run.by} counts as running; watching for"
                f" {vigil.left:.0f} s whether it gives a sign of life"
            )
            while vigil.left > 0 and self._w.runs.get(run.id).state == RUNNING:
                self._w.clock.sleep(min(vigil.left, self._w.runs.pace.follow))
                if vigil.look():
                    here = True
                    break
        if here:
            raise Locked(
                f"the run {run.id} is under way, on {run.host.name if run.host else run.by}",
                safe="it was not touched",
                next=f"rote logs -f {run.id} follows it, rote stop {run.id} ends it",
            )
        return self.bury(run.id, LOST if here is False else SILENT)

    def overrides(self, run: Run, more: Sequence[str]) -> list[str]:
        """The overrides with which the params are those of the run, and `more`.

        Raises Refused if a param cannot be brought back; ConfigError, UsageError.
        """
        keys = {text.partition("=")[0].strip() for text in more}
        kept = [text for text in run.overrides if text.partition("=")[0].strip() not in keys]
        hidden = [text.partition("=")[0] for text in kept if MASK in text]
        if hidden:
            raise Refused(
                f"the override {shown(hidden[0])} of the run {run.id} was a secret, which no record keeps",
                next=f"say it again: rote resume {run.id} -S {hidden[0]}=…",
            )
        values = params.of(self._w.root, self._w.pipeline, overriding.parse([*kept, *more]))
        found = apart(run.params, redact_values(values, self._w.secrets), MASK)
        if found.lost:
            raise Refused(
                f"the params of the run {run.id} cannot be brought back: {', '.join(found.lost[:5])}"
                " is in its files or in those of now, and not in both",
                safe="nothing was done",
                next=f"git checkout {(run.commit.id or 'COMMIT')[:12]} has the run's files; rote run begins a new run",
            )
        again = [
            text
            for text in found.overrides
            if not {left := text.partition("=")[0], left.partition(":")[2]} & keys
        ]
        if again:
            self._w.progress.say(f"as in run {run.id}, other than in the files now: {', '.join(again)}")
        return [*kept, *again, *more]

    def chain(self, run: Run) -> frozenset[RunId]:
        """The run, the one that it goes on with, the one that that one goes on with, and so on."""
        found = {run.id}
        while run.resumes and run.resumes not in found and len(found) < _CHAIN:
            found.add(run.resumes)
            try:
                run = self._w.runs.get(run.resumes)
            except Missing:
                break
        return frozenset(found)
