"""One attempt at a stage that has to be done: from making way for its outs to what it left, or how it failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

import msgspec

from rote.errors import RoteError
from rote.laws.pipeline.sightings import short
from rote.laws.pipeline.stagekey import Inputs
from rote.ports import Executor, Process, Progress
from rote.services.runs import fitting
from rote.services.runs.committing import Item
from rote.services.runs.outcomes import done, failed, starts_of
from rote.services.runs.redoing import compared, told
from rote.services.runs.stagework import Done, Stagework, label_of
from rote.services.runs.trying import Trying
from rote.services.runs.underway import Underway
from rote.services.runs.watching import Findings, Watch, Watching, strayed, undeclared
from rote.words.ids import RunId, StageKey
from rote.words.pipeline import Stage
from rote.words.result import Found, Result
from rote.words.run import Compared, StageOutcome

_TOLD = 3
"""Of what a stage made otherwise than before, so many are named."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that has to be done: what it is made of, in which run, why, and where its output goes. `replace` if its
    result takes the place of one in force."""

    stage: Stage
    inputs: Inputs
    run: RunId
    why: str
    log: Callable[[bytes], None]
    slot: StageKey | None = None
    """What stands for the files as they are when it begins (`Match.slot`)."""
    replace: bool = False
    former: Result | None = None
    """The result that it has already, to be compared with."""
    gpus: tuple[str, ...] = ()
    """The GPUs that it may use."""


class Ended(msgspec.Struct, frozen=True):
    """What became of a stage; without an outcome, `trouble` is what came between."""

    stage: Stage
    outcome: StageOutcome | None
    trouble: BaseException | None = None
    item: Item | None = None
    """What is to be saved."""


class Given(Exception):
    """A stage was given up: why, and where its partial outs are."""

    def __init__(self, error: RoteError, aside: list[str]) -> None:
        super().__init__(str(error))
        self.error = error
        self.aside = aside


class Companion(Protocol):
    """Goes along with every attempt at a stage and helps it: takes checkpoints and brings them back, traces, limits."""

    def along(self, task: Task) -> AbstractContextManager[Aid]:
        """Entered when the way for the stage's outs is free and its command is about to start, left when the command
        is over and its outs were looked at (with the exception, if it failed). Must be thread-safe."""


class Aid(Protocol):
    """What a companion does for one attempt."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for the command, besides its own."""

    def started(self, process: Process, found: Callable[[], Found]) -> None:
        """The command runs. `found` tells, until `along` is left, what it was seen to read so far."""


class Attempts:
    """Does stages, one `make` each. Thread-safe for stages that do not depend on each other."""

    def __init__(
        self,
        work: Stagework,
        executor: Executor,
        underway: Underway,
        progress: Progress,
        *,
        companions: Sequence[Companion] = (),
        watching: Watching | None = None,
        chance: Callable[[], float],
    ) -> None:
        self._work = work
        self._executor = executor
        self._underway = underway
        self._progress = progress
        self._companions = companions
        self._watching = watching
        self._chance = chance

    def make(self, task: Task) -> Ended:
        """Do the stage. That it failed is in the outcome; its partial outs are put aside then."""
        stage, key = task.stage, task.inputs.key()
        label = label_of(task.run, stage)
        self.say_aside(stage, self._work.clear(stage, label))
        self._progress.say(f"{stage.name}: running ({task.why})")
        trying = Trying(
            stage, task.log, underway=self._underway, progress=self._progress, chance=self._chance
        )
        try:
            left, findings = self._tried(msgspec.structs.replace(task, log=trying.log), trying, label)
        except Given as e:
            return Ended(stage, failed(stage, key, e.error, e.aside, trying.attempts, stopped=trying.stopped))
        finally:
            trying.close()
        self._say_found(stage, findings)
        why, changed = task.why, left.changed or findings.changed
        if changed:
            why = f"{changed} was changed meanwhile, so this is not kept as a result"
        item = Item(
            stage=stage.name, key=None if changed else key, inputs=task.inputs, done=left,
            found=findings.found, slot=task.slot, replace=task.replace,
        )  # fmt: skip
        outcome = msgspec.structs.replace(
            done(stage, key, left, why),
            undeclared=findings.undeclared,
            attempts=trying.attempts,
            starts=starts_of(task.inputs),
            compared=self._compared(stage, task.former, left),
        )
        return Ended(stage, outcome, item=item)

    def _tried(self, task: Task, trying: Trying, label: str) -> tuple[Done, Findings]:
        """What was left by the attempt that ended well. Raises Given."""
        while True:
            try:
                fitting.check(task.stage, self._executor)
                return self._once(task)
            except RoteError as e:
                try:
                    aside = self._work.put_aside(task.stage, label)
                except RoteError as left:  # the disk is full: why the stage failed matters more
                    self._progress.say(
                        f"{task.stage.name}: what it had written stays where it is, and counts for nothing: {left}"
                    )
                    raise Given(e, []) from e
                if not trying.again(e, aside):
                    raise Given(e, aside) from e
                self._work.clear(task.stage, label)

    def _once(self, task: Task) -> tuple[Done, Findings]:
        watches: list[Watch] = []
        with ExitStack() as stack:
            # Companions look at the notes as well: these go last.
            stack.callback(_forget, watches)
            aids = [stack.enter_context(companion.along(task)) for companion in self._companions]
            environment = {name: value for aid in aids for name, value in aid.environment.items()}

            def started(process: Process) -> None:
                self._underway.started(task.stage.name, process)
                for aid in aids:
                    aid.started(process, lambda: self._so_far(watch))

            watch = self._watching.begin(task.stage, environment) if self._watching else None
            if watch is not None:
                watches.append(watch)
            try:
                left = self._work.execute(
                    task.stage, task.inputs, self._executor, log=task.log, started=started,
                    environment={**environment, **(watch.environment if watch else {})},
                    cmd=watch.cmd if watch else None, gpus=task.gpus, grace=self._underway.grace,
                )  # fmt: skip
                return left, self._found(task.stage, watch)
            finally:
                self._underway.ended(task.stage.name)

    def _so_far(self, watch: Watch | None) -> Found:
        return self._watching.so_far(watch) if self._watching and watch else Found()

    def _found(self, stage: Stage, watch: Watch | None) -> Findings:
        findings = self._watching.end(watch) if self._watching and watch else Findings()
        if findings.strayed:
            raise strayed(stage, findings.strayed)
        if stage.strict and findings.undeclared:
            raise undeclared(stage, findings.undeclared)
        return findings

    def _compared(self, stage: Stage, former: Result | None, left: Done) -> Compared | msgspec.UnsetType:
        if former is None:
            return msgspec.UNSET
        found = compared(self._work.data, former, left)
        if not found.differing:
            self._progress.say(f"{stage.name}: made the same as in run {former.run}")
        else:
            more = f", and {found.differing - _TOLD} more" if found.differing > _TOLD else ""
            what = "; ".join(told(one) for one in found.first[:_TOLD])
            self._progress.say(f"{stage.name}: made something else than in run {former.run}: {what}{more}")
        return found

    def _say_found(self, stage: Stage, findings: Findings) -> None:
        if findings.undeclared:
            self._progress.say(
                f"{stage.name}: read {short(findings.undeclared)}, which it does not name; add "
                f"{'it' if len(findings.undeclared) == 1 else 'them'} to its `deps`"
            )
        for trouble in findings.troubles:
            self._progress.say(f"{stage.name}: not everything that it read was seen: {trouble}")

    def say_aside(self, stage: Stage, places: list[str]) -> None:
        """Tell where things were put: what somebody wrote over an out is not taken away without a word."""
        for place in places:
            self._progress.say(f"{stage.name}: what was in the place of an out is in {place} now")


def _forget(watches: Sequence[Watch]) -> None:
    for watch in watches:
        watch.forget()
