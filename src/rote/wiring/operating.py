"""Runs and plans of a project: the engine, built from its wiring."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from rote.adapters import executors
from rote.adapters.executors.local import LocalExecutor
from rote.adapters.worktree import trees
from rote.errors import UsageError
from rote.laws.pipeline import smoking
from rote.laws.pipeline.completeness import FOLDER, RESUMED
from rote.laws.pipeline.graph import needed
from rote.laws.pipeline.overriding import Override
from rote.laws.pipeline.plan import Plan, Why
from rote.laws.pipeline.smoking import SMOKE
from rote.laws.pipeline.stagekey import Inputs
from rote.services.runs.attempt import Companion
from rote.services.runs.committing import Item
from rote.services.runs.fitting import refuse
from rote.services.runs.joining import Joining
from rote.services.runs.planning import Planner
from rote.services.runs.results import LastResults
from rote.services.runs.runner import Parts, Runner
from rote.services.runs.runrecord import Begun, RunOutcome
from rote.services.runs.stagework import Stagework
from rote.services.runs.watching import Watching
from rote.wiring import config
from rote.wiring.config import overrides as overriding
from rote.wiring.config import params, reading
from rote.wiring.controlling import Controlling
from rote.wiring.leftovers import Leftovers
from rote.wiring.parts import Wiring
from rote.words.ids import RunId
from rote.words.pipeline import Pipeline, Stage, Values
from rote.words.result import Result
from rote.words.run import Request, Run

if TYPE_CHECKING:  # loaded on demand
    from rote.services.runs.warming import Warming

HOOK = os.path.join(os.path.dirname(executors.__file__), "hook")
"""The folder of the sitecustomize that takes notes in a stage's Python processes."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms a run goes: in how many seconds it has to be over; the run that it goes on with, and all that that
    one went on with; and who is told, once it is in the store, of it and of where to write for its log."""

    deadline: float | None = None
    resumes: Run | None = None
    chain: frozenset[RunId] = frozenset()
    begun: Callable[[Run, Callable[[bytes], None]], None] | None = None
    wait: bool = True
    """Whether to wait for what another run computes."""
    attach: Callable[[bytes], None] | None = None
    """Who gets the log of a run that is waited for."""
    cold: bool = False
    """Whether stages begin from nothing that would go on from a model or an earlier result."""
    smoke: bool = False
    """Whether it is a trial with less, whose results are never those of another run."""
    rev: str = ""
    """The commit of the working tree, if that was made for this run."""


class Operating:
    """Runs and plans the pipeline of one project. `run` expects the working tree's lock to be held."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self._last = LastResults(os.path.join(wiring.cache, "last"))

    def run(
        self,
        targets: Collection[str],
        *,
        overrides: Sequence[str],
        jobs: int,
        force: bool,
        keep_going: bool,
        strict: bool = False,
        tags: Mapping[str, str],
        command: str,
        terms: Terms = Terms(),
    ) -> RunOutcome:
        """See `Project.run`."""
        if not self._w.pipeline.stages:
            raise UsageError(
                "this project describes no stages yet, so there is nothing to run",
                where="dvc.yaml" if self._w.pipeline.dvc else "rote.yaml",
                next="describe one: stages: {train: {cmd: python train.py, deps: [train.py], outs: [model.bin]}}",
            )
        Leftovers(self._w).here()
        asked = Request(
            targets=list(targets),
            jobs=jobs,
            force=force,
            keep_going=keep_going,
            rev=terms.rev or msgspec.UNSET,
        )
        parsed = self._parsed(overrides, terms.smoke)
        pipeline = self._overridden(parsed)
        if self._w.dvc:
            self._w.dvc.keep_out_of_git()
            self._w.dvc.pinning.bring_absent(
                {dep for name in needed(pipeline.stages, targets) for dep in pipeline.stages[name].deps}
            )
        joining = self._w.joining(
            wait=terms.wait,
            attach=terms.attach,
            follow=lambda run, stage: Controlling(self._w).follow(run, stage),
        )
        warming = self._warming(pipeline, cold=terms.cold, smoke=terms.smoke)
        with (
            overriding.overridden(self._w.root, pipeline, parsed) as values,
            closing(LocalExecutor()) as executor,
            closing(joining),
        ):
            parts = Parts(
                pipeline=_strict(pipeline) if strict else pipeline,
                work=self._work(values, warming, smoke=terms.smoke),
                executor=executor,
                matching=self._w.matching,
                transactions=self._w.transactions,
                runs=self._w.runs,
                last=self._last,
                clock=self._w.clock,
                describe=lambda: self._described(
                    values, asked, overrides, tags=tags, command=command, terms=terms, token=executor.token
                ),
                begun=lambda begun: _begun(begun, terms),
                resumes=terms.chain,
                progress=self._w.progress,
                companions=[*self._companions(pipeline, terms, joining), *([warming] if warming else [])],
                joining=joining,
                done=lambda item: self._saved(pipeline, item, joining),
                watching=self.watching(),
                followed=terms.begun is not None,
                taking=self._w.dvc.taking if self._w.dvc else None,
            )
            refuse(
                parts.pipeline,
                targets,
                executor,
                lambda: self.plan(targets, overrides=overrides, force=force, smoke=terms.smoke),
            )
            outcome = Runner(parts).run(
                targets, jobs=jobs, force=force, keep_going=keep_going, deadline=terms.deadline
            )
        if tags and not outcome.recorded:
            tagged = self._w.runs.tag(outcome.run.id, tags)
            outcome = RunOutcome(run=tagged, recorded=False, stages=outcome.stages, ok=outcome.ok)
        self._reported(outcome.run.id)
        with suppress(OSError):
            trees.over(self._w.root, outcome.run.id)
        return outcome

    def _companions(self, pipeline: Pipeline, terms: Terms, joining: Joining) -> list[Companion]:
        # The lease is given back last: who waits for it begins with the last checkpoint.
        found: list[Companion] = [joining]
        if any(stage.checkpoints for stage in pipeline.stages.values()):
            found.append(self._w.checkpointing(terms.chain))
        return found

    def _saved(self, pipeline: Pipeline, item: Item, joining: Joining) -> None:
        joining.give_back(item.slot)
        if pipeline.stages[item.stage].checkpoints and item.key is not None:
            self._w.checkpoints.remove(item.slot or item.key)

    def plan(
        self, targets: Collection[str], *, overrides: Sequence[str], force: bool, smoke: bool = False
    ) -> Plan:
        """See `Project.plan`. With `smoke` this is the tree of smoke runs."""
        return self._planner(overrides, smoke=smoke).plan(targets, force=force)

    def why(self, stage: str, *, smoke: bool = False) -> Why:
        """See `Project.why`. With `smoke` this is the tree of smoke runs."""
        return self._planner((), smoke=smoke).why(stage)

    def hits(self) -> dict[str, Result]:
        """The stages that are hits now, in their order, each with its result."""
        return self._planner(()).hits()

    def work(self) -> Stagework:
        """What works on the stages of this working tree, with the params as they are."""
        values = params.of(self._w.root, self._w.pipeline, overriding.parse(()))
        return self._work(values, self._warming(self._w.pipeline))

    def begun(self, stage: Stage, inputs: Inputs) -> Mapping[str, str]:
        """The variables of a warm start with these inputs; what they lead to is brought. Raises Missing."""
        warming = self._warming(self._w.pipeline) if stage.warm else None
        return warming.placed(stage, inputs) if warming else {}

    def seen(self, overrides: Sequence[str]) -> tuple[Pipeline, Stagework]:
        """The pipeline as it is with these overrides, and what works on its stages. No params file is changed."""
        parsed = overriding.parse(overrides)
        pipeline = self._overridden(parsed)
        values = params.of(self._w.root, pipeline, parsed)
        return pipeline, self._work(values, self._warming(pipeline))

    def _planner(self, overrides: Sequence[str], *, smoke: bool = False) -> Planner:
        parsed = self._parsed(overrides, smoke)
        pipeline = self._overridden(parsed)
        values = params.of(self._w.root, pipeline, parsed)
        dvc = self._w.dvc
        return Planner(
            pipeline, self._work(values, self._warming(pipeline, smoke=smoke), smoke=smoke), self._w.matching,
            self._last, taking=dvc.taking if dvc else None, absent=dvc.absent() if dvc else {},
        )  # fmt: skip

    def _parsed(self, overrides: Sequence[str], smoke: bool) -> list[Override]:
        """What was typed, and in a smoke run what the stages say besides."""
        parsed = overriding.parse(overrides)
        if not smoke:
            return parsed
        return smoking.joined(params.of(self._w.root, self._w.pipeline), self._w.pipeline.stages, parsed)

    def _overridden(self, overrides: Sequence[Override]) -> Pipeline:
        """The pipeline as it is with the overrides: templates may name what they change."""
        pipeline = self._w.pipeline
        if not overrides or not pipeline.named:
            return pipeline
        changed = overriding.rendered(self._w.root, params.of(self._w.root, pipeline), overrides)
        if not changed.keys() & set(pipeline.named):
            return pipeline
        return config.load(self._w.root, instead=changed)

    def _work(self, values: Values, warming: Warming | None, *, smoke: bool = False) -> Stagework:
        return Stagework(
            self._w.workspace, self._w.data, values=values, environment=_environment(smoke), decode=_decode,
            files=self._w.files, python=self._python, warmed=warming.warmed if warming else None, smoke=smoke,
            checker=_checker(),
        )  # fmt: skip

    def _warming(self, pipeline: Pipeline, *, cold: bool = False, smoke: bool = False) -> Warming | None:
        """The warm starts of the pipeline, if it has any."""
        if not any(stage.warm for stage in pipeline.stages.values()):
            return None
        from rote.adapters.landing.folder import Folder  # few pipelines go on from what there was
        from rote.adapters.worktree.places import delete
        from rote.services.runs.warming import Warming, same_project

        return Warming(
            self._w.store, self._w.snapshots, self._w.registry, self._w.results.get,
            landing=Folder, remove=delete, project=same_project(self._w.project) + (" smoke" if smoke else ""),
            folder=os.path.join(self._w.root, ".rote", "starts"),
            commit=lambda: self._w.git.commit().id or "",
            cold=cold,
        )  # fmt: skip

    def watching(self) -> Watching:
        """What watches the stages of this working tree."""
        return Watching(
            self._w.workspace, self._w.files, self._w.pipeline, hook=HOOK, environment=os.environ,
            folder=os.path.join(self._w.own, "trace"), tracer=_tracer,
            instead=trees.instead(self._w.root), apart=trees.apart(self._w.root),
        )  # fmt: skip

    def _python(self, stage: Stage) -> str:
        from rote.adapters.executors.interpreter import Interpreters  # for stages that say `python: true`

        known = Interpreters(os.path.join(self._w.cache, "interpreters"))
        cwd = os.path.normpath(os.path.join(self._w.root, stage.wdir))
        return known.version(stage.cmd, cwd, os.environ)

    def _described(
        self,
        values: Values,
        asked: Request,
        overrides: Sequence[str],
        *,
        tags: Mapping[str, str],
        command: str,
        terms: Terms,
        token: str,
    ) -> Run:
        id = self._w.runs.new_id()
        with suppress(OSError):
            trees.note(self._w.root, trees.Begun(run=id, pid=os.getpid(), token=token))
        return Run(
            id=id,
            state="running",
            began=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._w.clock.now())),
            by=self._w.by,
            command=command,
            project=self._w.project,
            commit=self._w.git.commit(),
            host=self._w.host,
            params={file: dict(content) for file, content in values.items()},
            overrides=list(overrides),
            tags=dict(tags),
            asked=asked,
            resumes=terms.resumes.id if terms.resumes else None,
            smoke=terms.smoke or msgspec.UNSET,
        )

    def _reported(self, run: str) -> None:
        """Remember the run that a release means when nobody names one. A cache: without it the newest is meant."""
        with suppress(OSError):
            os.makedirs(self._w.cache, exist_ok=True)
            with open(os.path.join(self._w.cache, "run"), "w", encoding="ascii") as f:
                f.write(run + "\n")


def _checker() -> str:
    """How expectations are held against data: by the Python that rote itself runs on."""
    return f"exec {shlex.quote(sys.executable)} -P -m rote.expecting"


def _tracer() -> str | None:
    import shutil  # brings every kind of archive with it; only for stages that say `trace: strace`

    return shutil.which("strace")


def _strict(pipeline: Pipeline) -> Pipeline:
    """The same pipeline, in which every stage is strict."""
    stages = {name: msgspec.structs.replace(s, strict=True) for name, s in pipeline.stages.items()}
    return msgspec.structs.replace(pipeline, stages=stages)


def _begun(begun: Begun, terms: Terms) -> None:
    if terms.begun is not None:
        terms.begun(begun.run, lambda data: begun.recorder.log("", data))


def _environment(smoke: bool) -> Mapping[str, str]:
    """What stages are started with: all that rote was, but for what it was told itself as the stage of another rote."""
    own = {name: value for name, value in os.environ.items() if name not in (FOLDER, RESUMED, SMOKE)}
    return {**own, SMOKE: "1"} if smoke else own


def _decode(file: str, data: bytes) -> Mapping[str, Any]:
    return params.decode(reading.decode(data, file), file)
