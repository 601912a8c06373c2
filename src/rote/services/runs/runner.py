"""Runs a pipeline: what has a result is brought, what has none is done, and all of it is recorded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from rote.errors import Missing, RoteError, Stopped
from rote.laws.pipeline import plan as law
from rote.laws.pipeline.bounding import Room
from rote.laws.pipeline.graph import needed, needs
from rote.laws.pipeline.scheduling import Schedule
from rote.laws.pipeline.stagekey import Inputs
from rote.ports import Bounds, Clock, Executor, Progress, Silence
from rote.services.runs.attempt import Attempts, Companion, Ended, Task
from rote.services.runs.committing import Committer, Item
from rote.services.runs.halting import Halt, Halting
from rote.services.runs.interrupts import Interrupts, Mailbox
from rote.services.runs.joining import Joining
from rote.services.runs.matching import Matching
from rote.services.runs.outcomes import BAD, done, failed, starts_of, text_of
from rote.services.runs.planning import GONE, frozen_result
from rote.services.runs.pulse import Far
from rote.services.runs.results import Last, LastResults, inputs_of
from rote.services.runs.runrecord import Begun, RunOutcome, RunRecord
from rote.services.runs.runs import Runs
from rote.services.runs.stagework import Failure, Stagework, label_of
from rote.services.runs.underway import Underway
from rote.services.runs.watching import Watching, undeclared
from rote.services.store.transactions import Transactions
from rote.words import foreign
from rote.words.foreign import Made
from rote.words.ids import RunId, SnapshotId, StageKey, stage_file
from rote.words.pipeline import Pipeline, Stage
from rote.words.result import Result
from rote.words.run import Run, StageOutcome

if TYPE_CHECKING:  # only a project of DVC's has it
    from rote.services.runs.taking import Taking

GRACE = 10.0
"""Seconds between TERM and KILL."""


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner works with. `describe` makes the record of a run that begins now (asked at most once), and `begun`
    is called when it is in the store; `resumes` are the runs that it goes on with;
    `companions` go along with each stage that is done, `done` is told when its result is in force, `joining` waits for
    what others compute, `watching` sees what it reads, `taking` knows what DVC knows."""

    pipeline: Pipeline
    work: Stagework
    executor: Executor
    matching: Matching
    transactions: Transactions
    runs: Runs
    last: LastResults
    clock: Clock
    describe: Callable[[], Run]
    begun: Callable[[Begun], None] = lambda begun: None
    resumes: frozenset[RunId] = frozenset()
    progress: Progress = msgspec.field(default_factory=Silence)
    grace: float = GRACE
    companions: Sequence[Companion] = ()
    done: Callable[[Item], None] = lambda item: None
    joining: Joining | None = None
    watching: Watching | None = None
    taking: Taking | None = None
    followed: bool = False
    """Whether progress goes into the run's log. Otherwise whoever asked for the run tells at its end what became of
    each stage, and of one that failed no more is told before than that it did, while others go on."""


class Runner:
    """One run of one pipeline; an object runs once. `run` belongs in the main thread, where signals arrive."""

    def __init__(self, parts: Parts) -> None:
        self._p = parts
        self._stages = parts.pipeline.stages
        self._events: Mailbox[Ended | Halt] = Mailbox()
        self._outcomes: dict[str, StageOutcome] = {}
        self._made: dict[str, SnapshotId] = {}
        self._lock = threading.Lock()
        self._count = 0  # of the stages that are wanted
        self._inline = False
        self._trouble: BaseException | None = None
        self._force = False
        self._on = False  # after a failure
        self._failed = False
        self._makers: set[RunId] = set()  # of the results that were hit
        self._parked: dict[str, Callable[[], Ended]] = {}  # what is to be done when there is room for it
        self._gpus: dict[str, tuple[str, ...]] = {}
        self._underway = Underway(parts.grace)
        self._attempts = Attempts(
            parts.work, parts.executor, self._underway, parts.progress,
            companions=parts.companions, watching=parts.watching, chance=self._chance,
        )  # fmt: skip
        self._halting = Halting(self._events.put, self._underway, parts.progress.say)
        self._record = RunRecord(
            parts.runs, parts.last, parts.clock, parts.describe, self._committer, begun=self._begun
        )

    def run(
        self,
        targets: Collection[str] = (),
        *,
        jobs: int = 1,
        force: bool = False,
        keep_going: bool = False,
        deadline: float | None = None,
    ) -> RunOutcome:
        """Run `targets` (stages, or paths of outs; none: all) and what they need, up to `jobs` stages at a time.
        It is paused in time to be over in `deadline` seconds.

        A stage that fails is in the outcome. Raises ConfigError before anything is done, StoreError, and Stopped if
        it was interrupted for the third time.
        """
        self._force, self._on = force, keep_going
        wanted = needs(self._stages)
        order = needed(self._stages, targets)
        self._count = len(order)
        began = self._p.clock.monotonic()
        self._p.progress.start("running", len(order), "stages")
        try:
            with Interrupts(self._interrupted, self._events.descriptor), self._halting.until(deadline):
                schedule = Schedule(order, wanted, jobs=jobs, room=self._room(order))
                self._loop(schedule, wanted)
                for outcome in self._record.saved(self._outcomes):
                    self._note(outcome)
                return self._record.finish(
                    [self._outcomes[name] for name in order],
                    seconds=self._p.clock.monotonic() - began,
                    halt=self._halting.first,
                    makers=self._makers,
                    trouble=self._trouble,
                )
        except RoteError:  # nobody gets an outcome that tells of them
            for outcome in self._outcomes.values():
                if outcome.outcome == "failed":
                    self._p.progress.say(f"{outcome.stage}: failed: {outcome.why}")
            raise
        finally:
            self._underway.kill()
            self._p.progress.done()
            self._p.last.save()
            self._p.matching.files.save()

    def _committer(self, run: RunId) -> Committer:
        return Committer(
            self._p.work.data, self._p.transactions, self._p.matching, last=self._p.last,
            clock=self._p.clock, run=run, fresh=self._force, done=self._p.done,
        )  # fmt: skip

    def _room(self, order: Sequence[str]) -> Room | None:
        if not any(self._stages[name].resources.wanted for name in order):
            return None
        there = self._p.executor.capacity()
        if any(self._stages[name].resources.memory for name in order):
            unkept = self._p.executor.unbounded(Bounds(memory=1))
            if unkept:
                self._p.progress.say(unkept)
        return Room(there.cpus, there.memory, there.gpus)

    # ---- what runs next ----------------------------------------------------------------------------------------

    def _loop(self, schedule: Schedule, wanted: Mapping[str, tuple[str, ...]]) -> None:
        while True:
            while not self._ending() and (turn := schedule.next()):
                if turn.bad:
                    why = f"needs {', '.join(turn.bad)}"
                    self._settle(schedule, StageOutcome(stage=turn.stage, outcome="blocked", why=why))
                elif outcome := self._begin(self._stages[turn.stage], schedule):
                    self._settle(schedule, outcome)
            if not schedule.busy:
                break
            event = self._events.get()
            if isinstance(event, Halt):
                self._halting.act(event)
            else:
                self._settle(schedule, self._taken(event))
        for name in schedule.waiting:
            self._p.progress.step()
            self._note(self._never(name, wanted))

    def _never(self, name: str, wanted: Mapping[str, tuple[str, ...]]) -> StageOutcome:
        if self._halting:
            return StageOutcome(stage=name, outcome="stopped", why="it was not started")
        makers = [m for m in wanted[name] if m in self._outcomes and self._outcomes[m].outcome in BAD]
        first = [o.stage for o in self._outcomes.values() if o.outcome == "failed"]
        why = f"needs {', '.join(makers)}" if makers else f"not started after {', '.join(first)} failed"
        return StageOutcome(stage=name, outcome="blocked", why=why)

    def _ending(self) -> bool:
        return bool(self._halting or self._trouble) or (self._failed and not self._on)

    def _begin(self, stage: Stage, schedule: Schedule) -> StageOutcome | None:
        """The outcome if nothing has to be done; otherwise a worker is started, if there is room for it."""
        self._inline = True
        try:
            work = self._parked.pop(stage.name, None) or self._prepared(stage)
        except Stopped:
            return StageOutcome(stage=stage.name, outcome="stopped", why="it was not started")
        except RoteError as e:
            return StageOutcome(stage=stage.name, outcome="failed", why=text_of(e))
        finally:
            self._inline = False
        if isinstance(work, StageOutcome):
            return work
        if not schedule.admit(stage.name, stage.resources):
            self._parked[stage.name] = work
            return None
        self._gpus[stage.name] = schedule.share(stage.name).gpus
        threading.Thread(target=self._worker, args=(stage, work), daemon=True).start()
        return None

    def _prepared(self, stage: Stage) -> StageOutcome | Callable[[], Ended]:
        if stage.frozen:
            return self._frozen(stage)
        inputs = self._p.work.inputs(stage, self._made)
        key = inputs.key()
        match = self._p.matching.find(key, self._p.last.slot(stage.name, key))
        skip = self._force or stage.always_changed
        if match.result is not None and match.result.run in self._p.resumes:
            skip = False  # what a run did that this one goes on with is not done again
        result = None if skip else match.result
        if result is not None:
            self._check(stage, result)
            unfit = self._p.work.unfit(stage, result)
            if unfit:
                return lambda: self._execute(stage, inputs, unfit, match.slot, replace=True)
            if self._p.work.in_place(result):
                return self._hit(stage, result, inputs, match.slot)
            found = result
            return lambda: self._bring(stage, found, inputs, match.slot)
        if self._p.taking and not skip and (made := self._p.taking.find(stage, inputs.params)):
            known = made
            return lambda: self._take(stage, inputs, known, match.slot)
        last = self._p.last.get(stage.name)
        decision = law.decide(
            stage.name, inputs, None, last=last.inputs if last else None, force=self._force,
            always_changed=stage.always_changed, differences=match.differences,
        )  # fmt: skip
        self._record.begin()
        why = "; ".join(decision.why)
        former = match.result if self._force else None
        return lambda: self._execute(stage, inputs, why, match.slot, former=former)

    def _check(self, stage: Stage, result: Result) -> None:
        """A strict stage is no hit either, if it read data that it does not name."""
        if stage.strict and self._p.watching and (paths := self._p.watching.undeclared(stage, result.found)):
            raise undeclared(stage, paths)

    def _frozen(self, stage: Stage) -> StageOutcome | Callable[[], Ended]:
        ids = self._p.work.present(stage)
        if ids is not None:
            self._made.update(ids)
            metrics = self._p.work.metrics(stage)
            return StageOutcome(stage=stage.name, outcome="frozen", metrics=metrics)
        result = frozen_result(stage, self._made, self._p.work, self._p.matching, self._p.last)
        if result is None:
            raise Failure(GONE, next="take `frozen` away for one run")
        return lambda: self._bring(stage, result, None, None)

    # ---- in a worker's thread ----------------------------------------------------------------------------------

    def _worker(self, stage: Stage, work: Callable[[], Ended]) -> None:
        try:
            ended = work()
        except BaseException as e:  # noqa: BLE001  # kept whole, and raised in the main thread, by finish
            ended = Ended(stage, None, e)
        self._events.put(ended)

    def _bring(self, stage: Stage, result: Result, inputs: Inputs | None, slot: StageKey | None) -> Ended:
        try:
            self._attempts.say_aside(stage, self._p.work.bring(result, f"brought/{stage_file(stage.name)}"))
        except Missing:
            if inputs is None:
                raise
            # The store has lost what the result names: then it is no hit.
            return self._execute(stage, inputs, "its result is no longer whole in the store", slot)
        outcome = self._hit(stage, result, inputs, slot)
        if inputs is None:
            outcome = msgspec.structs.replace(outcome, outcome="frozen")
        return Ended(stage, outcome)

    def _hit(
        self, stage: Stage, result: Result, inputs: Inputs | None, slot: StageKey | None
    ) -> StageOutcome:
        slot = slot if slot != result.key else None
        with self._lock:
            self._made.update({path: ref.id for path, ref in result.outs.items()})
            self._made.update(result.beside)
            self._makers.add(result.run)
        if inputs is not None:
            known = inputs_of(result) or inputs
            self._p.last.put(
                stage.name, Last(key=result.key, slot=slot, run=result.run, made=result.made, inputs=known)
            )
        return StageOutcome(
            stage=stage.name, outcome="hit", key=result.key, slot=slot, outs=result.outs, metrics=result.metrics,
            why=f"made by run {result.run}", starts=starts_of(inputs) if inputs is not None else {},
        )  # fmt: skip

    def _take(self, stage: Stage, inputs: Inputs, known: Made, slot: StageKey | None) -> Ended:
        """Make a result of what DVC knows the stage has left."""
        assert self._p.taking is not None  # it found what is to be taken
        begun = self._record.begin()
        try:
            places = self._p.taking.take(stage, known, label_of(begun.run.id, stage))
            left = self._p.work.taken(stage)
        except RoteError as e:
            return self._execute(stage, inputs, foreign.trouble(e), slot)
        self._attempts.say_aside(stage, places)
        with self._lock:
            self._made.update(left.ids)
        key = inputs.key()
        outcome = msgspec.structs.replace(
            done(stage, key, left, foreign.why(known)), outcome="hit", exit_code=None
        )
        return Ended(
            stage, outcome, item=Item(stage=stage.name, key=key, inputs=inputs, done=left, slot=slot)
        )

    def _execute(
        self,
        stage: Stage,
        inputs: Inputs,
        why: str,
        slot: StageKey | None,
        *,
        replace: bool = False,
        former: Result | None = None,
    ) -> Ended:
        begun = self._record.begin()
        task = Task(
            stage=stage, inputs=inputs, run=begun.run.id, why=why,
            log=lambda data: begun.recorder.log(stage.name, data), gpus=self._gpus.get(stage.name, ()),
            slot=slot, former=former, replace=replace or self._force or stage.always_changed,
        )  # fmt: skip
        while True:
            try:
                theirs = (
                    self._p.joining.result(task, lambda: bool(self._halting)) if self._p.joining else None
                )
            except Failure as e:
                return Ended(stage, failed(stage, inputs.key(), e, []))
            if theirs is not None and theirs.result is not None:
                return self._bring(stage, theirs.result, inputs, theirs.slot)
            ended = self._attempts.make(task)
            if self._p.joining is None or not self._p.joining.gave_way(slot):
                break
        if ended.item is not None:
            with self._lock:
                self._made.update(ended.item.done.ids)
        return ended

    def _chance(self) -> float:
        return int(self._p.clock.token(4), 16) / 2**32

    # ---- in the main thread ------------------------------------------------------------------------------------

    def _interrupted(self, name: str) -> None:
        self._halting.signal(name)
        if self._inline or self._halting.signals > 2:
            raise Stopped(f"stopped by {name}")

    def _begun(self, begun: Begun) -> None:
        begun.recorder.attend(self._halting.asked, self._far)
        self._p.begun(begun)

    def _far(self) -> Far:
        return Far(running=self._underway.stages, done=len(self._outcomes), of=self._count)

    def _taken(self, ended: Ended) -> StageOutcome:
        name = ended.stage.name
        if ended.outcome is None:
            if isinstance(ended.trouble, RoteError):
                return StageOutcome(stage=name, outcome="failed", why=text_of(ended.trouble))
            self._trouble = self._trouble or ended.trouble
            return StageOutcome(stage=name, outcome="failed", why=str(ended.trouble))
        if ended.item is not None:
            self._record.save(ended.item)
        return ended.outcome

    def _settle(self, schedule: Schedule, outcome: StageOutcome) -> None:
        schedule.settle(outcome.stage, bad=outcome.outcome in BAD)
        self._p.progress.step()
        self._note(outcome)
        if outcome.outcome == "failed" and (
            self._p.followed or schedule.busy or (self._on and schedule.waiting)
        ):
            what = outcome.why if self._p.followed else outcome.why.partition("\n")[0]
            self._p.progress.say(f"{outcome.stage}: failed: {what}")

    def _note(self, outcome: StageOutcome) -> None:
        self._outcomes[outcome.stage] = outcome
        if outcome.outcome == "failed":
            self._failed = True
