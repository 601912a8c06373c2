"""How long calls of two models take, measured side by side: the stages that evaluate are done with the one and the
other in turn, on this machine, now. What a machine did on another day says nothing about today.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing

from rote.adapters.executors.local import LocalExecutor
from rote.laws.gates.evaluation import between
from rote.laws.gates.predictions import SECONDS, Unusable, decode
from rote.services.releases.judging import Timed
from rote.wiring.evaluating import Cannot, Case, ran
from rote.wiring.parts import Wiring
from rote.words.pipeline import Model, PredictionsFile
from rote.words.run import Run
from rote.words.version import Version

ROUNDS = 3


class Timing:
    """Times versions for one project. Neither the working tree nor the store is changed."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def timed(self, model: Model, run: Run, version: Version) -> Timed:
        """How many seconds each call took, of the run and of the version: the column `seconds` of the predictions, of
        three rounds. Raises StoreError."""
        file = model.predictions
        if file is None:
            return Timed(problem=f"rote.yaml does not say models.{model.name}.predictions")
        outs = [o.path for s in self._w.pipeline.stages.values() for o in s.outs]
        out = [path for path in outs if file.path == path or file.path.startswith(path + "/")]
        plan = between(self._w.pipeline.stages, model.files, out)
        if not plan.stages:
            return Timed(problem=f"no stage makes {file.path} of the model's files")
        case = Case(self._w, model, run, version, plan)
        name = f"{version.model}@{version.version}"
        try:
            here = case.place(self._w)
            case.must_be_possible(here)
            self._w.progress.say(f"measuring run {run.id} and {name} in turn: {', '.join(here.stages)}")
            return case.elsewhere(
                here, case.unlike(here, still=True), lambda wiring: _in_turn(wiring, case, file, name)
            )
        except (Cannot, Unusable) as e:
            return Timed(problem=str(e))


def _in_turn(wiring: Wiring, case: Case, file: PredictionsFile, name: str) -> Timed:
    theirs, found = case.of_version(), (list[float](), list[float]())
    if case.given - case.outs.keys():
        raise Cannot("a file of the model is none of the run's outs, so it cannot be put in place again")
    own = {path: case.outs[path] for path in case.given}
    with closing(LocalExecutor()) as executor:
        for _ in range(ROUNDS):
            for refs, seconds, whose in ((own, found[0], "the run"), (theirs, found[1], name)):
                case.bring_model(wiring, refs)
                seconds.extend(_once(wiring, case, executor, file, whose))
    return Timed(run=found[0], version=found[1])


def _once(
    wiring: Wiring, case: Case, executor: LocalExecutor, file: PredictionsFile, whose: str
) -> Sequence[float]:
    place = case.place(wiring, ())
    for stage in place.stages.values():
        for out in stage.outs:
            wiring.workspace.delete(out.path)
        ran(place, stage, place.work.inputs(stage, {}), executor)
    with open(os.path.join(wiring.root, file.path), "rb") as opened:
        return decode(opened.read(), file, whose).numbers(SECONDS)
