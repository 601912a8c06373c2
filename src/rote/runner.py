"""Runs a pipeline: what has a result is brought, what has none is done, and all of it is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

from rote import plan as law
from rote.committing import Committer, Item, moment
from rote.errors import Missing, RoteError, Stopped
from rote.graph import needed, needs
from rote.ids import RunId, SnapshotId
from rote.interrupts import Interrupts, Mailbox
from rote.outcomes import BAD, done, failed, keys_of, text_of
from rote.pipeline import Pipeline, Stage
from rote.planning import GONE, frozen_result
from rote.ports import Clock, Executor, Process, Progress, Silence
from rote.record import Result, Run, StageOutcome
from rote.recording import Recorder
from rote.results import Last, LastResults, Results, inputs_of
from rote.runs import Runs
from rote.stagekey import Inputs
from rote.stagework import Failure, Stagework, label_of
from rote.transactions import Transactions

GRACE = 10.0
"""Seconds between TERM and KILL."""


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. `recorded` is false if all of it was what an earlier run did; `run` is that one then."""

    run: Run
    recorded: bool
    stages: list[StageOutcome]
    ok: bool


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner works with. `describe` makes the record of a run that begins now (asked at most once)."""

    pipeline: Pipeline
    work: Stagework
    executor: Executor
    results: Results
    transactions: Transactions
    runs: Runs
    last: LastResults
    clock: Clock
    describe: Callable[[], Run]
    progress: Progress = msgspec.field(default_factory=Silence)
    grace: float = GRACE


class _Ended(msgspec.Struct, frozen=True):
    """What a worker says when it is through."""

    stage: Stage
    outcome: StageOutcome | None
    trouble: BaseException | None = None
    item: Item | None = None


class Runner:
    """One run of one pipeline; an object runs once. `run` belongs in the main thread, where signals arrive."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._stages = parts.pipeline.stages
        self._events: Mailbox[_Ended | str] = Mailbox()
        self._outcomes: dict[str, StageOutcome] = {}
        self._made: dict[str, SnapshotId] = {}
        self._items: dict[str, Item] = {}
        self._processes: dict[str, Process] = {}
        self._lock = threading.Lock()
        self._stops = 0  # signals that came
        self._told = 0  # how often running stages were told to end
        self._inline = False
        self._run: Run | None = None
        self._recorder: Recorder | None = None
        self._committer: Committer | None = None
        self._trouble: BaseException | None = None
        self._force = False
        self._failed = False
        self._makers: set[RunId] = set()  # of the results that were hit

    def run(
        self,
        targets: Collection[str] = (),
        *,
        jobs: int = 1,
        force: bool = False,
        keep_going: bool = False,
    ) -> RunOutcome:
        """Run `targets` (stages, or paths of outs; none: all) and what they need, up to `jobs` stages at a time.

        A stage that fails is in the outcome. Raises ConfigError before anything is done, StoreError, and Stopped if
        it was interrupted for the third time.
        """
        self._force = force
        wanted = needs(self._stages)
        order = needed(self._stages, targets)
        began = self._p.clock.monotonic()
        self._p.progress.start("running", len(order), "stages")
        try:
            with Interrupts(self._interrupted, self._events.descriptor):
                self._loop(order, wanted, jobs, keep_going)
                self._close()
                return self._finish(order, self._p.clock.monotonic() - began)
        finally:
            self._kill()
            self._p.progress.done()
            self._p.last.save()

    # ---- what runs next ----------------------------------------------------------------------------------------

    def _loop(self, order: list[str], wanted: Mapping[str, tuple[str, ...]], jobs: int, on: bool) -> None:
        waiting = dict.fromkeys(order)
        busy: set[str] = set()
        while True:
            for name in list(waiting):
                if len(busy) >= jobs or self._ending(on):
                    break
                makers = [self._outcomes.get(maker) for maker in wanted[name]]
                bad = [o.stage for o in makers if o and o.outcome in BAD]
                if bad:
                    del waiting[name]
                    self._settle(StageOutcome(stage=name, outcome="blocked", why=f"needs {', '.join(bad)}"))
                elif None not in makers:
                    del waiting[name]
                    if self._begin(self._stages[name]):
                        busy.add(name)
            if not busy:
                break
            event = self._events.get()
            if isinstance(event, str):
                self._stop(event)
            else:
                busy.discard(event.stage.name)
                self._take(event)
        for name in waiting:
            self._settle(self._never(name, wanted))

    def _never(self, name: str, wanted: Mapping[str, tuple[str, ...]]) -> StageOutcome:
        if self._stops:
            return StageOutcome(stage=name, outcome="stopped", why="it was not started")
        makers = [m for m in wanted[name] if m in self._outcomes and self._outcomes[m].outcome in BAD]
        first = [o.stage for o in self._outcomes.values() if o.outcome == "failed"]
        why = f"needs {', '.join(makers)}" if makers else f"not started after {', '.join(first)} failed"
        return StageOutcome(stage=name, outcome="blocked", why=why)

    def _ending(self, keep_going: bool) -> bool:
        return bool(self._stops or self._trouble) or (self._failed and not keep_going)

    def _begin(self, stage: Stage) -> bool:
        """Settle the stage at once if nothing has to be done; otherwise start a worker and return True."""
        self._inline = True
        try:
            work = self._prepared(stage)
        except Stopped:
            self._settle(StageOutcome(stage=stage.name, outcome="stopped", why="it was not started"))
            return False
        except RoteError as e:
            self._settle(StageOutcome(stage=stage.name, outcome="failed", why=text_of(e)))
            return False
        finally:
            self._inline = False
        if work is None:
            return False
        threading.Thread(target=self._worker, args=(stage, work), daemon=True).start()
        return True

    def _prepared(self, stage: Stage) -> Callable[[], _Ended] | None:
        if stage.frozen:
            return self._frozen(stage)
        inputs = self._p.work.inputs(stage, self._made)
        skip = self._force or stage.always_changed
        result = None if skip else self._p.results.get(inputs.key())
        if result is not None:
            if self._p.work.in_place(result):
                self._settle(self._hit(stage, result, inputs))
                return None
            found = result
            return lambda: self._bring(stage, found, inputs)
        last = self._p.last.get(stage.name)
        decision = law.decide(
            stage.name, inputs, None, last=last.inputs if last else None, force=self._force,
            always_changed=stage.always_changed,
        )  # fmt: skip
        self._record()
        why = "; ".join(decision.why)
        self._p.progress.say(f"{stage.name}: running ({why})")
        return lambda: self._execute(stage, inputs, why)

    def _frozen(self, stage: Stage) -> Callable[[], _Ended] | None:
        ids = self._p.work.present(stage)
        if ids is not None:
            self._made.update(ids)
            metrics = self._p.work.metrics(stage)
            self._settle(StageOutcome(stage=stage.name, outcome="frozen", metrics=metrics))
            return None
        result = frozen_result(stage, self._made, self._p.work, self._p.results, self._p.last)
        if result is None:
            raise Failure(GONE, next="take `frozen` away for one run")
        return lambda: self._bring(stage, result, None)

    # ---- in a worker's thread ----------------------------------------------------------------------------------

    def _worker(self, stage: Stage, work: Callable[[], _Ended]) -> None:
        try:
            ended = work()
        except BaseException as e:  # noqa: BLE001  # kept whole, and raised in the main thread, by _take
            ended = _Ended(stage, None, e)
        self._events.put(ended)

    def _bring(self, stage: Stage, result: Result, inputs: Inputs | None) -> _Ended:
        try:
            self._say_aside(stage, self._p.work.bring(result, f"brought/{stage.name}"))
        except Missing:
            if inputs is None:
                raise
            # The store has lost what the result names: then it is no hit.
            self._record()
            return self._execute(stage, inputs, "its result is no longer whole in the store")
        outcome = self._hit(stage, result, inputs)
        if inputs is None:
            outcome = msgspec.structs.replace(outcome, outcome="frozen")
        return _Ended(stage, outcome)

    def _hit(self, stage: Stage, result: Result, inputs: Inputs | None) -> StageOutcome:
        with self._lock:
            self._made.update({path: ref.id for path, ref in result.outs.items()})
            self._makers.add(result.run)
        if inputs is not None:
            known = inputs_of(result) or inputs
            self._p.last.put(stage.name, Last(key=result.key, run=result.run, made=result.made, inputs=known))
        return StageOutcome(
            stage=stage.name, outcome="hit", key=result.key, outs=result.outs, metrics=result.metrics,
            why=f"made by run {result.run}",
        )  # fmt: skip

    def _execute(self, stage: Stage, inputs: Inputs, why: str) -> _Ended:
        recorder, _, run = self._record()
        label = label_of(run.id, stage)
        self._say_aside(stage, self._p.work.clear(stage, label))
        try:
            left = self._p.work.execute(
                stage, inputs, self._p.executor,
                log=lambda data: recorder.log(stage.name, data),
                started=lambda process: self._started(stage, process),
            )  # fmt: skip
        except RoteError as e:
            aside = self._p.work.put_aside(stage, label)
            return _Ended(stage, failed(stage, inputs.key(), e, aside))
        finally:
            with self._lock:
                self._processes.pop(stage.name, None)
        with self._lock:
            self._made.update(left.ids)
        key = inputs.key()
        if left.changed:
            why = f"{left.changed} was changed meanwhile, so this is not kept as a result"
        replace = self._force or stage.always_changed
        item = Item(
            stage=stage.name, key=None if left.changed else key, inputs=inputs, done=left, replace=replace
        )
        return _Ended(stage, done(stage, key, left, why), item=item)

    def _say_aside(self, stage: Stage, places: list[str]) -> None:
        for place in places:  # what somebody wrote over an out is not taken away without a word
            self._p.progress.say(f"{stage.name}: what was in the place of an out is in {place} now")

    def _started(self, stage: Stage, process: Process) -> None:
        with self._lock:
            self._processes[stage.name] = process
            told = self._told
        for _ in range(told):
            process.stop(self._p.grace)

    # ---- in the main thread ------------------------------------------------------------------------------------

    def _interrupted(self, name: str) -> None:
        self._stops += 1
        self._events.put(name)
        if self._inline or self._stops > 2:
            raise Stopped(f"stopped by {name}")

    def _stop(self, name: str) -> None:
        with self._lock:
            # A stage that starts at this moment is told either here or by `_started`, never by both.
            self._told += 1
            processes = list(self._processes.values())
        if self._told == 1:
            self._p.progress.say(f"{name}: the stages are told to end; once more kills them")
        for process in processes:
            process.stop(self._p.grace)

    def _kill(self) -> None:
        """Leave nothing running, whatever has happened here."""
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process.stop(0)

    def _take(self, ended: _Ended) -> None:
        if ended.outcome is None:
            if isinstance(ended.trouble, RoteError):
                self._settle(
                    StageOutcome(stage=ended.stage.name, outcome="failed", why=text_of(ended.trouble))
                )
            else:
                self._trouble = self._trouble or ended.trouble
                self._settle(StageOutcome(stage=ended.stage.name, outcome="failed", why=str(ended.trouble)))
            return
        if ended.item is not None:
            self._items[ended.stage.name] = ended.item
            self._record()[1].add(ended.item)
        self._settle(ended.outcome)

    def _settle(self, outcome: StageOutcome) -> None:
        self._outcomes[outcome.stage] = outcome
        self._p.progress.step()
        if outcome.outcome == "failed":
            self._failed = True
            self._p.progress.say(f"{outcome.stage}: failed: {outcome.why}")

    def _record(self) -> tuple[Recorder, Committer, Run]:
        """Begin the record of this run, with the first stage that has to be done."""
        with self._lock:
            if self._recorder is None or self._committer is None or self._run is None:
                self._run = self._p.describe()
                self._recorder = self._p.runs.start(self._run)
                self._committer = Committer(
                    self._p.work.data, self._p.transactions, self._p.results, last=self._p.last,
                    clock=self._p.clock, run=self._run.id, fresh=self._force,
                )  # fmt: skip
            return self._recorder, self._committer, self._run

    # ---- the end -----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        if self._committer is not None:
            self._committer.close()
        for name, item in self._items.items():
            outcome = self._outcomes[name]
            if item.trouble is not None:
                self._settle(
                    msgspec.structs.replace(
                        outcome, outcome="failed", why=f"its outs could not be saved: {text_of(item.trouble)}"
                    )
                )
                continue
            why = outcome.why
            if item.beaten_by:
                why = f"run {item.beaten_by} made the same result meanwhile, which stays"
            self._outcomes[name] = msgspec.structs.replace(outcome, outs=item.refs, why=why)

    def _finish(self, order: list[str], seconds: float) -> RunOutcome:
        stages = [self._outcomes[name] for name in order]
        ok = not self._trouble and not any(o.outcome in BAD for o in stages)
        if self._recorder is None and ok and not self._stops:
            former = self._former(stages)
            if former is not None:
                return RunOutcome(run=former, recorded=False, stages=stages, ok=True)
        recorder, _, run = self._record()
        state = "stopped" if self._stops and not ok else "finished" if ok else "failed"
        metrics: dict[str, Any] = {}
        for outcome in stages:
            metrics.update(outcome.metrics)
        bad = [f"{o.stage}: {o.why}" for o in stages if o.outcome == "failed"]
        run = msgspec.structs.replace(
            run, state=state, ended=moment(self._p.clock), seconds=round(seconds, 3), metrics=metrics,
            stages=stages, error="" if ok else "\n".join(bad),
        )  # fmt: skip
        recorder.finish(run)
        if self._trouble is not None:
            raise self._trouble
        if ok:
            self._p.last.put_run(keys_of(stages), run.id)
        return RunOutcome(run=run, recorded=True, stages=stages, ok=ok)

    def _former(self, stages: list[StageOutcome]) -> Run | None:
        """The finished run that did all of this already, if there is one."""
        keys = keys_of(stages)
        known = self._p.last.run_of(keys)
        if known is None and len(self._makers) == 1:
            (known,) = self._makers
        if known is None:
            return None
        try:
            run = self._p.runs.get(known)
        except Missing:
            return None
        if run.state != "finished" or not keys.items() <= keys_of(run.stages).items():
            return None
        self._p.last.put_run(keys, run.id)
        return run
