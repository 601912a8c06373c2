"""Audit of hits: a stage that has a result is done once more, elsewhere, and what comes out is compared."""

from __future__ import annotations

import os
import random
import tempfile
from collections.abc import Collection, Mapping
from contextlib import closing

import msgspec

from rote.adapters.executors.local import LocalExecutor
from rote.errors import RoteError, UsageError
from rote.laws.pipeline.completeness import FOLDER
from rote.laws.pipeline.graph import stage_of
from rote.ports import Process
from rote.services.runs.outcomes import text_of
from rote.services.runs.redoing import differences
from rote.services.runs.stagework import Done
from rote.wiring import workbench
from rote.wiring.operating import Operating
from rote.wiring.parts import Wiring
from rote.words.ids import RunId, shown
from rote.words.pipeline import Stage
from rote.words.result import Result
from rote.words.run import Differing
from rote.words.snapshot import SnapshotRef

SAME, DIFFERS, FAILED = "same", "differs", "failed"


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """A stage that was done again. `verdict` is `same`, `differs` (the stage is nondeterministic, or its result was
    made from something that rote does not know of) or `failed` (it could not be done again, and `why`)."""

    stage: str
    verdict: str
    run: RunId
    """The run that made the result."""
    differences: list[Differing] = []
    why: str = ""


class Auditing:
    """Audits the hits of one project. Nothing in its working tree or its store is changed."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring
        self._stages = wiring.pipeline.stages

    def audit(self, targets: Collection[str] = (), *, sample: int | None = None) -> list[Audited]:
        """Do `targets` again (none: every stage that is a hit), or `sample` of them by chance. Raises UsageError for
        one that is no hit, StoreError."""
        hits = Operating(self._w).hits()
        for target in targets:
            name = stage_of(self._stages, target)
            if name not in hits:
                raise UsageError(
                    f"the stage {shown(name)} has no result to compare with", next=f"rote run {name}"
                )
        wanted = [
            name for name in hits if not targets or name in {stage_of(self._stages, t) for t in targets}
        ]
        if sample is not None and sample < len(wanted):
            chosen = set(random.Random(self._w.clock.token(8)).sample(wanted, sample))
            wanted = [name for name in wanted if name in chosen]
        made = {path: ref for result in hits.values() for path, ref in result.outs.items()}
        self._w.progress.start("auditing", len(wanted), "stages")
        try:
            return [self._again(self._stages[name], hits[name], made) for name in wanted]
        finally:
            self._w.progress.done()

    def _again(self, stage: Stage, result: Result, made: Mapping[str, SnapshotRef]) -> Audited:
        self._w.progress.say(f"{stage.name}: once more")
        try:
            with tempfile.TemporaryDirectory(prefix="rote-audit-", ignore_cleanup_errors=True) as folder:
                root = os.path.realpath(folder)
                other = self._laid(root, stage, result, made)
                left = self._done(other, stage)
                found = differences(other.data, result, left)
        except (RoteError, OSError) as e:
            why = text_of(e) if isinstance(e, RoteError) else f"{e.filename}: {e.strerror}"
            return Audited(stage=stage.name, verdict=FAILED, run=result.run, why=why)
        finally:
            self._w.progress.step()
        verdict = DIFFERS if found else SAME
        return Audited(stage=stage.name, verdict=verdict, run=result.run, differences=found)

    # ---- elsewhere ---------------------------------------------------------------------------------------------

    def _laid(self, root: str, stage: Stage, result: Result, made: Mapping[str, SnapshotRef]) -> Wiring:
        """A folder with all that the stage needs: its deps, what it was found to read, and the project's other files,
        without anything that a stage makes."""
        found = [path for path, digest in (result.found.files if result.found else {}).items() if digest]
        other = workbench.tree(self._w, root, found)
        os.makedirs(os.path.join(root, stage.wdir), exist_ok=True)
        for path in stage.deps:
            if path in made:
                other.data.bring(path, made[path])
            else:
                workbench.copy(os.path.join(self._w.root, path), os.path.join(root, path))
        return other

    def _done(self, other: Wiring, stage: Stage) -> Done:
        process: list[Process] = []
        operating = Operating(other)
        work = operating.work()
        for out in stage.outs:
            os.makedirs(os.path.dirname(os.path.join(other.root, out.path)), exist_ok=True)
        with closing(LocalExecutor()) as executor:
            try:
                inputs = work.inputs(stage, {})
                return work.execute(
                    stage, inputs, executor, log=lambda data: None, started=process.append,
                    environment={**_checkpoints(other.root, stage), **operating.begun(stage, inputs)},
                )  # fmt: skip
            finally:
                for each in process:
                    each.stop(0)


def _checkpoints(root: str, stage: Stage) -> Mapping[str, str]:
    """An empty folder, if the stage writes checkpoints: it is done from its beginning."""
    if stage.checkpoints is None:
        return {}
    folder = os.path.join(root, stage.checkpoints.path)
    os.makedirs(folder, exist_ok=True)
    return {FOLDER: folder}
