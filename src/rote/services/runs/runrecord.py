"""The record of one run: begun with the first stage that has to be done, finished when all are settled."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rote.errors import Missing
from rote.ports import Clock
from rote.services.runs.committing import Committer, Item, moment
from rote.services.runs.halting import Halt
from rote.services.runs.outcomes import BAD, keys_of, text_of
from rote.services.runs.recording import Recorder
from rote.services.runs.results import LastResults
from rote.services.runs.runs import Runs
from rote.words.ids import RunId
from rote.words.run import FAILED, FINISHED, Run, StageOutcome


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. `recorded` is false if all of it was what an earlier run did; `run` is that one then."""

    run: Run
    recorded: bool
    stages: list[StageOutcome]
    ok: bool


class Begun(msgspec.Struct, frozen=True):
    """A run whose record is there: what takes its log, and what saves its results."""

    run: Run
    recorder: Recorder
    committer: Committer


class RunRecord:
    """The record of one run, if there will be one: a run that only finds what an earlier one did leaves none."""

    def __init__(
        self,
        runs: Runs,
        last: LastResults,
        clock: Clock,
        describe: Callable[[], Run],
        committer: Callable[[RunId], Committer],
        *,
        begun: Callable[[Begun], None] = lambda begun: None,
    ) -> None:
        """`describe` makes the record of a run that begins now, and is asked at most once; `begun` is told when it is
        in the store."""
        self._runs = runs
        self._last = last
        self._clock = clock
        self._describe = describe
        self._committer = committer
        self._tell = begun
        self._lock = threading.Lock()
        self._begun: Begun | None = None
        self._items: dict[str, Item] = {}

    def begin(self) -> Begun:
        """Begin the record, or give what was begun. Thread-safe. Raises StoreError."""
        with self._lock:
            if self._begun is None:
                run = self._describe()
                self._begun = Begun(run, self._runs.start(run), self._committer(run.id))
                self._tell(self._begun)
            return self._begun

    def save(self, item: Item) -> None:
        """Have a finished stage saved, while the run goes on."""
        self._items[item.stage] = item
        self.begin().committer.add(item)

    def saved(self, outcomes: dict[str, StageOutcome]) -> list[StageOutcome]:
        """Wait until everything is saved; the outcomes of the stages that were, as they are now."""
        if self._begun is not None:
            self._begun.committer.close()
        return [_saved(outcomes[name], item) for name, item in self._items.items()]

    def finish(
        self,
        stages: list[StageOutcome],
        *,
        seconds: float,
        halt: Halt | None,
        makers: set[RunId],
        trouble: BaseException | None = None,
    ) -> RunOutcome:
        """Write the record. `halt` is why the run ended before it was done, if it did; `makers` are the runs that made
        what was hit; `trouble` is raised once it is written."""
        ok = not trouble and not any(o.outcome in BAD for o in stages)
        if self._begun is None and ok and not halt:
            former = self._former(stages, makers)
            if former is not None:
                return RunOutcome(run=former, recorded=False, stages=stages, ok=True)
        begun = self.begin()
        run = self._ended(begun.run, stages, None if ok else halt, ok)
        run = msgspec.structs.replace(run, seconds=round(seconds, 3))
        begun.recorder.finish(run)
        if trouble is not None:
            raise trouble
        if ok:
            self._last.put_run(keys_of(stages), run.id)
        return RunOutcome(run=run, recorded=True, stages=stages, ok=ok)

    def _ended(self, run: Run, stages: Sequence[StageOutcome], halt: Halt | None, ok: bool) -> Run:
        metrics: dict[str, Any] = {}
        for outcome in stages:
            metrics.update(outcome.metrics)
        bad = [f"{o.stage}: {o.why}" for o in stages if o.outcome == "failed"]
        state = FINISHED if ok else halt.state if halt else FAILED
        return msgspec.structs.replace(
            run, state=state, ended=moment(self._clock), metrics=metrics, stages=list(stages),
            error="" if ok else "\n".join([*([halt.why] if halt else []), *bad]),
        )  # fmt: skip

    def _former(self, stages: list[StageOutcome], makers: set[RunId]) -> Run | None:
        """The finished run that did all of this already, if there is one."""
        keys = keys_of(stages)
        known = self._last.run_of(keys)
        if known is None and len(makers) == 1:
            (known,) = makers
        if known is None:
            return None
        try:
            run = self._runs.get(known)
        except Missing:
            return None
        if run.state != "finished" or not keys.items() <= keys_of(run.stages).items():
            return None
        self._last.put_run(keys, run.id)
        return run


def _saved(outcome: StageOutcome, item: Item) -> StageOutcome:
    if item.trouble is not None:
        why = f"its outs could not be saved: {text_of(item.trouble)}"
        return msgspec.structs.replace(outcome, outcome="failed", why=why)
    why = outcome.why
    if item.beaten_by:
        why = f"run {item.beaten_by} made the same result meanwhile, which stays"
    slot = item.put if item.put != outcome.key else None
    return msgspec.structs.replace(outcome, outs=item.refs, why=why, slot=slot)
