"""What there is to hold a version against: its run, and the results of the stages that its files come from."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rote.errors import Corrupt, Missing
from rote.laws.models import links
from rote.laws.pipeline.stagekey import Inputs
from rote.services.releases.verifying.retracing import Retraced
from rote.services.runs.results import Results, inputs_of
from rote.services.runs.runs import Runs
from rote.words.ids import Digest, SnapshotId, StageKey
from rote.words.result import Result
from rote.words.run import Run, StageOutcome
from rote.words.version import Version


class Made(msgspec.Struct, frozen=True):
    """A stage of the run: what became of it, its result (None: it is gone, or never was one) and what that was made
    of."""

    outcome: StageOutcome
    result: Result | None
    inputs: Inputs | None
    trouble: str = ""
    """Why the result cannot be read."""

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.outcome.stage


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a version, of its run, and of the stages that made its files and metrics, with all that these need;
    and the files of the project as they were."""

    version: Version
    run: Run | None
    stages: list[Made]
    was: Retraced
    trouble: str = ""
    """Why the record of the run cannot be read."""

    @property
    def outs(self) -> list[str]:
        """Every out of these stages."""
        return [out for made in self.stages for out in made.outcome.outs]

    def deps(self) -> Iterable[tuple[Made, str, SnapshotId]]:
        """What stages read that no stage of the run made: stage, path, snapshot id."""
        for made in self.stages:
            for path, id in (made.inputs.deps if made.inputs else {}).items():
                if not any(links.overlaps(path, out) for out in self.outs):
                    yield made, path, SnapshotId(Digest(id))

    def made_deps(self) -> Iterable[tuple[Made, str, SnapshotId]]:
        """What stages read that stages of the run made, wholly or in part."""
        for made in self.stages:
            for path, id in (made.inputs.deps if made.inputs else {}).items():
                if any(links.overlaps(path, out) for out in self.outs):
                    yield made, path, SnapshotId(Digest(id))


def run_of(version: Version, runs: Runs) -> tuple[Run | None, str]:
    """The record of the run that a version was made of; None if it is gone, or (and then why) cannot be read."""
    if version.run is None:
        return None, ""
    try:
        return runs.get(version.run), ""
    except Missing:
        return None, ""
    except Corrupt as e:
        return None, str(e)


def stages_of(version: Version, run: Run, results: Results) -> list[Made]:
    """The stages that made the version's files and metrics, and all that these need, in the run's order."""
    all_made = [_made(outcome, results) for outcome in run.stages]
    wanted = {made.name for made in all_made if made.outcome.metrics or _gives(made.outcome, version)}
    for number, made in reversed(list(enumerate(all_made))):
        if made.name in wanted and made.inputs is None:
            wanted |= {other.name for other in all_made[:number]}  # what it read is not known: any of them
            break
    grown = True
    while grown:
        needed = {
            other.name
            for made in all_made
            if made.name in wanted and made.inputs is not None
            for other in all_made
            if any(links.overlaps(out, dep) for out in other.outcome.outs for dep in made.inputs.deps)
        }
        grown = not needed <= wanted
        wanted |= needed
    return [made for made in all_made if made.name in wanted]


def _gives(outcome: StageOutcome, version: Version) -> bool:
    """Whether an out of the stage can be where a file of the version comes from."""
    return any(
        True
        for out, ref in outcome.outs.items()
        for file in version.files
        for below in links.inside(out, file.path)
        if ref.single == (not below)
    )


def _made(outcome: StageOutcome, results: Results) -> Made:
    slot: StageKey | None = outcome.slot or outcome.key
    try:
        result = results.get(slot) if slot is not None else None
    except Corrupt as e:
        return Made(outcome, None, None, str(e))
    return Made(outcome, result, inputs_of(result) if result is not None else None)
