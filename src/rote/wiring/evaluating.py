"""Versions of a model evaluated as a run was: the stages between the model's files and the figures are done with the
files of the version in the place of the run's. Where that was done before, on the same data with the same code, its
result is taken: a version that was evaluated so when it was made is a hit.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from typing import TypeVar

import msgspec

from rote.adapters.executors.local import LocalExecutor
from rote.adapters.worktree.places import delete
from rote.errors import BadName, Missing, RoteError, StoreError
from rote.laws.gates.evaluation import Evaluation, between, in_version
from rote.laws.pipeline.stagekey import Inputs
from rote.ports import Process
from rote.services.releases.judging import Evaluated, outs_of
from rote.services.runs.committing import Committer, Item
from rote.services.runs.outcomes import text_of
from rote.services.runs.results import LastResults
from rote.services.runs.stagework import Done, Stagework
from rote.services.runs.watching import Findings
from rote.wiring import workbench
from rote.wiring.operating import Operating
from rote.wiring.parts import Wiring
from rote.words.ids import SnapshotId, StageKey, shown
from rote.words.pipeline import Model, Stage
from rote.words.run import Run, StageOutcome
from rote.words.snapshot import FILE, SnapshotRef
from rote.words.version import Version

_PREFIX = "rote-evaluate-"
_OLD = 86_400.0
"""Seconds after which a folder was left by somebody who was killed."""


T = TypeVar("T")


class Cannot(Exception):
    """The version cannot be evaluated as the run was; the text says why."""


class Unrepeatable(Cannot):
    """The stages are such that doing them with other files means nothing."""


class Place(msgspec.Struct, frozen=True):
    """Where stages are looked at: the working tree, or a folder that was laid."""

    wiring: Wiring
    stages: Mapping[str, Stage]
    work: Stagework


class _Made(msgspec.Struct, frozen=True):
    """What a stage left."""

    outs: Mapping[str, SnapshotRef]
    metrics: Mapping[str, object]


class Evaluating:
    """Evaluates versions for one project. The working tree is not changed; results go into the store."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def evaluated(self, model: Model, run: Run, version: Version, wanted: Collection[str]) -> Evaluated:
        """The version's `wanted` outs (metrics files, predictions), as this run would have made them with it. What does
        not come from the model's files is left out. Raises StoreError."""
        plan = between(self._w.pipeline.stages, model.files, wanted)
        if not plan.stages:
            return Evaluated()
        try:
            return Case(self._w, model, run, version, plan).evaluated()
        except Unrepeatable:
            return Evaluated(unrepeatable=True)
        except Cannot as e:
            return Evaluated(problem=str(e))


class Case:
    """One version, evaluated as one run was."""

    def __init__(self, wiring: Wiring, model: Model, run: Run, version: Version, plan: Evaluation) -> None:
        self._w = wiring
        self._model = model
        self._run = run
        self._version = version
        self._plan = plan
        self.outs = outs_of(run)
        self.given = plan.given
        self._own = self._outs_of_version()

    def evaluated(self) -> Evaluated:
        here = self.place(self._w)
        self.must_be_possible(here)
        theirs = self.of_version()
        unlike = self.unlike(here, still=True)
        made = None if unlike else self._known(here, theirs)
        if made is None:
            name = f"{self._version.model}@{self._version.version}"
            self._w.progress.say(f"evaluating {name} as run {self._run.id} was: {', '.join(here.stages)}")
            made = self.elsewhere(here, unlike, lambda wiring: self._with(wiring, theirs))
        measured = self._plan.measured
        metrics = {p: m for each in made for p, m in each.metrics.items() if p in measured}
        outs = {p: ref for each in made for p, ref in each.outs.items() if p in measured}
        own = {path: ref.id for path, ref in self._own.items()}
        again = any(own[p] != ref.id for p, ref in outs.items() if p in own)
        again = again or any(self._version.metrics.get(p) != m for p, m in metrics.items() if p not in own)
        return Evaluated(metrics=metrics, outs=outs, again=again)

    def place(self, wiring: Wiring, overrides: Collection[str] | None = None) -> Place:
        asked = self._run.overrides if overrides is None else overrides
        try:
            pipeline, work = Operating(wiring).seen(list(asked))
        except RoteError as e:
            raise Cannot(text_of(e)) from e
        gone = [name for name in self._plan.stages if name not in pipeline.stages]
        if gone:
            raise Cannot(f"rote.yaml of that commit has no stage {gone[0]}")
        return Place(wiring, {name: pipeline.stages[name] for name in self._plan.stages}, work)

    def must_be_possible(self, place: Place) -> None:
        """Raise Unrepeatable, Cannot."""
        for name, stage in place.stages.items():
            self._outcome(name)
            if stage.frozen or stage.warm or any(out.persist for out in stage.outs):
                raise Unrepeatable(f"the stage {name} is frozen, or goes on from what there was")

    def _outcome(self, name: str) -> StageOutcome:
        for outcome in self._run.stages:
            if outcome.stage == name and outcome.key is not None:
                return outcome
        raise Cannot(f"run {self._run.id} did not do the stage {name}")

    def _outs_of_version(self) -> dict[str, SnapshotRef]:
        """The outs of the run that made the version; none if it is gone."""
        if self._version.run is None:
            return {}
        try:
            return outs_of(self._w.runs.get(self._version.run))
        except (Missing, BadName):
            return {}

    def of_version(self) -> dict[str, SnapshotRef]:
        """The deps that are files of the model, as the run that made the version left them; those that it did not make,
        or that are gone with it, are to be taken from the version's files."""
        theirs = {path: self._own[path] for path in self.given if path in self._own}
        for path in self.given - theirs.keys():
            if in_version(path, self._model.files) is None:
                raise Cannot(
                    f"the dep {shown(path)} holds more than files of the model; name each of those in `deps`"
                )
        return theirs

    # ---- what is there already ---------------------------------------------------------------------------------

    def unlike(self, place: Place, *, still: bool) -> str:
        """What of the stages is otherwise in this place than it was in the run, or nothing. With `still`, all that they
        were found to read is looked at; otherwise only the files among it, for a laid folder has fewer names in it."""
        made = {path: ref.id for path, ref in self.outs.items()}
        for name, stage in place.stages.items():
            outcome = self._outcome(name)
            try:
                key = place.work.inputs(stage, made).key()
            except RoteError as e:
                return text_of(e)
            if key != outcome.key:
                return f"the command, deps or params of {name} are not what they were in run {self._run.id}"
            result = place.wiring.results.get(outcome.slot or key)
            found = result.found if result else None
            if found and not (
                place.wiring.matching.still(found)
                if still
                else all(place.wiring.files.digest(path) == digest for path, digest in found.files.items())
            ):
                return f"files that {name} read are not what they were in run {self._run.id}"
        return ""

    def _known(self, place: Place, theirs: Mapping[str, SnapshotRef]) -> list[_Made] | None:
        """What all stages leave with the files of the version, if that is known."""
        if self.given - theirs.keys():
            return None
        made, found = self._ids(place, theirs), []
        for stage in place.stages.values():
            left = self._hit(place, stage, place.work.inputs(stage, made).key())
            if left is None:
                return None
            found.append(left)
            made.update({path: ref.id for path, ref in left.outs.items()})
        return found

    def _hit(self, place: Place, stage: Stage, key: StageKey) -> _Made | None:
        result = None if stage.always_changed else place.wiring.matching.find(key).result
        if result is None or result.beside.keys() - result.metrics.keys():
            return None  # what the store does not hold cannot be read, but for metrics
        return _Made(result.outs, result.metrics)

    def _ids(self, place: Place, theirs: Mapping[str, SnapshotRef]) -> dict[str, SnapshotId]:
        """What the outs are before any of these stages is done: those of the run, and the version's own."""
        later = {out.path for stage in place.stages.values() for out in stage.outs} | self.given
        made = {path: ref.id for path, ref in self.outs.items() if path not in later}
        return made | {path: ref.id for path, ref in theirs.items()}

    # ---- elsewhere ---------------------------------------------------------------------------------------------

    def elsewhere(self, here: Place, unlike: str, do: Callable[[Wiring], T]) -> T:
        """Do something in a folder that is laid as the run was, with all that the stages read. `unlike` says what in
        the working tree is no longer so. Raises Cannot, StoreError."""
        _sweep()
        wiring = None
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
            try:
                wiring = self._laid(os.path.realpath(folder), unlike)
                self._bring_deps(wiring, here, copy=not unlike)
                if unlike := self.unlike(self.place(wiring, ()), still=False):
                    raise Cannot(unlike)
                return do(wiring)
            except OSError as e:
                raise Cannot(f"{e.filename}: {e.strerror}") from e
            except StoreError:
                raise
            except RoteError as e:
                raise Cannot(text_of(e)) from e
            finally:
                if wiring is not None:
                    wiring.close("rote release")

    def _with(self, wiring: Wiring, theirs: Mapping[str, SnapshotRef]) -> list[_Made]:
        self.bring_model(wiring, theirs)
        return self._done(self.place(wiring, ()), theirs)

    def _laid(self, root: str, unlike: str) -> Wiring:
        commit = self._run.commit
        if not unlike:
            wiring = workbench.tree(self._w, root)
        elif commit.id is None or commit.dirty:
            raise Cannot(f"{unlike}, and that was no clean commit")
        else:
            wiring = workbench.commit(self._w, root, commit.id)
        return workbench.override(wiring, self._run.overrides)

    def _bring_deps(self, wiring: Wiring, here: Place, *, copy: bool) -> None:
        """All that the stages read and that is not made by them: outs of the run, data, other files."""
        own = {out.path for stage in here.stages.values() for out in stage.outs}
        for dep in dict.fromkeys(dep for stage in here.stages.values() for dep in stage.deps):
            if dep in own:
                continue
            for path, ref in self.outs.items():
                if path not in own and _meet(path, dep):
                    wiring.data.bring(path, ref)
            if wiring.workspace.kind(dep) is not None:
                continue
            if copy:
                workbench.copy(os.path.join(self._w.root, dep), os.path.join(wiring.root, dep))
            else:
                pinned = [path for path, _ in wiring.data.pointers() if _meet(path, dep)]
                wiring.data.checkout(pinned)

    def bring_model(self, wiring: Wiring, theirs: Mapping[str, SnapshotRef]) -> None:
        for path in sorted(self.given):
            wiring.workspace.delete(path)
            if path in theirs:
                wiring.data.bring(path, theirs[path])
            else:
                self._write(wiring, path)

    def _write(self, wiring: Wiring, path: str) -> None:
        """Write a dep from the version's own files."""
        inside = in_version(path, self._model.files) or path
        record = self._w.snapshots.record(self._version.snapshot)
        found = False
        for entry in self._w.snapshots.entries(record):
            name = inside if entry.path == FILE else entry.path
            if name != inside and not name.startswith(f"{inside}/"):
                continue
            found = True
            place = os.path.join(wiring.root, path + name[len(inside) :])
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as file:
                file.writelines(self._w.snapshots.read(record, entry.path))
        if not found:
            raise Cannot(f"it has no file {shown(inside)}")

    def _done(self, place: Place, theirs: Mapping[str, SnapshotRef]) -> list[_Made]:
        wiring = place.wiring
        made, found = self._ids(place, theirs), []
        with closing(LocalExecutor()) as executor:
            for stage in place.stages.values():
                left = self._hit(place, stage, place.work.inputs(stage, made).key())
                if left is None:
                    left = self._executed(place, stage, made, executor)
                else:
                    for path, ref in left.outs.items():
                        wiring.data.bring(path, ref)
                found.append(left)
                made.update({path: ref.id for path, ref in left.outs.items()})
        return found

    def _executed(
        self, place: Place, stage: Stage, made: Mapping[str, SnapshotId], executor: LocalExecutor
    ) -> _Made:
        wiring = place.wiring
        inputs = place.work.inputs(stage, made)
        left, findings = ran(place, stage, inputs, executor)
        item = Item(
            stage=stage.name, key=inputs.key(), inputs=inputs, done=left,
            found=findings.found, replace=stage.always_changed,
        )  # fmt: skip
        if left.changed or findings.changed:
            item.key = None
        committer = Committer(
            wiring.data, wiring.transactions, wiring.matching, clock=wiring.clock, run=self._run.id,
            last=LastResults(os.path.join(wiring.cache, "last")),
        )  # fmt: skip
        committer.add(item)
        committer.close()
        if item.trouble is not None:
            raise item.trouble
        return _Made(item.refs, left.metrics)


def ran(place: Place, stage: Stage, inputs: Inputs, executor: LocalExecutor) -> tuple[Done, Findings]:
    """Run a stage there; what it left, and what it was found to read. Raises Cannot."""
    wiring, watching = place.wiring, Operating(place.wiring).watching()
    for folder in (stage.wdir, *(os.path.dirname(out.path) for out in stage.outs)):
        os.makedirs(os.path.join(wiring.root, folder), exist_ok=True)
    processes: list[Process] = []
    watch = watching.begin(stage, {})
    try:
        left = place.work.execute(
            stage, inputs, executor, log=lambda data: None, started=processes.append,
            environment=watch.environment if watch else {}, cmd=watch.cmd if watch else None,
        )  # fmt: skip
        return left, watching.end(watch) if watch else Findings()
    except RoteError as e:
        raise Cannot(f"{stage.name}: {text_of(e)}") from e
    finally:
        for process in processes:
            process.stop(0)
        if watch:
            watch.forget()


def _sweep() -> None:
    """Delete what was left by those who were killed."""
    with os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            with suppress(OSError, RoteError):  # somebody else deletes it as well, or it is theirs
                old = time.time() - entry.stat(follow_symlinks=False).st_mtime > _OLD
                if entry.name.startswith(_PREFIX) and old:
                    delete(entry.path)


def _meet(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")
