"""What a run would do with each stage, and why; nothing is changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from rote.errors import RoteError
from rote.laws.pipeline import plan as law
from rote.laws.pipeline.graph import makers, needed, needs, stage_of
from rote.laws.pipeline.plan import Decision, Plan, Why
from rote.laws.pipeline.stagekey import Inputs
from rote.services.runs.matching import Match, Matching
from rote.services.runs.results import LastResults
from rote.services.runs.stagework import Stagework
from rote.words import foreign
from rote.words.foreign import Made, Mark
from rote.words.ids import SnapshotId
from rote.words.pipeline import Pipeline, Stage
from rote.words.result import Result

if TYPE_CHECKING:  # only a project of DVC's has it
    from rote.services.runs.taking import Taking

GONE = "it is frozen, and its outs are neither here nor in the store"


class _Known(msgspec.Struct):
    """A stage that was looked at: the decision, its inputs, what its outs are or will be (None: only a run will tell),
    and whether they lie in the working tree already."""

    decision: Decision
    inputs: Inputs | None = None
    outs: dict[str, SnapshotId] | None = None
    here: bool = False
    match: Match | None = None
    marks: Mapping[str, Mark] | None = None
    """What DVC says the outs are, where they are still to be brought."""


class Planner:
    """Plans runs of one pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        work: Stagework,
        matching: Matching,
        last: LastResults,
        *,
        taking: Taking | None = None,
        absent: Mapping[str, Mark] = {},
    ) -> None:
        """`absent` is data that a run would bring first."""
        self._stages = pipeline.stages
        self._taking = taking
        self._absent = absent
        self._work = work
        self._matching = matching
        self._last = last

    def plan(self, targets: Collection[str] = (), *, force: bool = False) -> Plan:
        """What a run of `targets` (stages, or paths of outs; none: all) would do. Raises ConfigError, StoreError."""
        found = self._look(targets, force)
        self._matching.files.save()
        return Plan([known.decision for known in found.values()])

    def hits(self) -> dict[str, Result]:
        """Every stage that is a hit, in their order, with its result. Raises ConfigError, StoreError."""
        found = {name: known.match for name, known in self._look((), False).items()}
        return {name: match.result for name, match in found.items() if match and match.result}

    def why(self, target: str) -> Why:
        """Why a stage would run, or is a hit. Raises ConfigError, StoreError."""
        name = stage_of(self._stages, target)
        known = self._look([name], False)[name]
        self._matching.files.save()
        match = known.match
        inputs, found = known.inputs, match.result.found if match and match.result else None
        if match is not None and match.near is not None and match.result is None:
            near = match.near
            return Why(
                decision=known.decision, changes=law.found_changes(match.differences), compared_with=near.run,
                made=near.made, inputs=inputs,
            )  # fmt: skip
        last = self._last.get(name)
        if last is None:
            return Why(decision=known.decision, inputs=inputs, found=found)
        changed = law.changes(last.inputs, inputs) if inputs else []
        return Why(
            decision=known.decision, changes=changed, compared_with=last.run, made=last.made, inputs=inputs,
            found=found,
        )  # fmt: skip

    def _look(self, targets: Collection[str], force: bool) -> dict[str, _Known]:
        wanted, made_by = needs(self._stages), makers(self._stages)
        found: dict[str, _Known] = {}
        made: dict[str, SnapshotId] = {}
        for name in needed(self._stages, targets):
            before = {maker: found[maker] for maker in wanted[name]}
            known = self._one(self._stages[name], before, made_by[name], made, force)
            found[name] = known
            made.update(known.outs or {})
        return found

    def _one(
        self,
        stage: Stage,
        before: Mapping[str, _Known],
        makers: Collection[str],
        made: Mapping[str, SnapshotId],
        force: bool,
    ) -> _Known:
        """`before` are the stages before it, of which `makers` make what it needs; the others only check that."""
        if stage.frozen:
            return self._frozen(stage, made)
        stuck = [name for name, known in before.items() if known.decision.verdict == law.BLOCKED]
        if stuck:
            return _Known(law.blocked(stage.name, f"needs {', '.join(stuck)}"))
        first = [name for name in makers if not self._settled(stage, before[name], made)]
        if first:
            marks = _marks_of([before[name] for name in first])
            if marks is not None and not force and (known := self._by_marks(stage, marks, made)):
                return known
            waits = law.waits(stage.name, first)
            return _Known(msgspec.structs.replace(waits, why=["forced"], certain=True) if force else waits)
        try:
            inputs = self._work.inputs(stage, made)
        except RoteError as e:
            if self._absent.keys() & set(stage.deps):
                brought = law.waits(stage.name, sorted(self._absent.keys() & set(stage.deps)))
                return self._by_marks(stage, self._absent, made) or _Known(brought)
            return _Known(law.blocked(stage.name, e.what))
        key = inputs.key()
        skip = force or stage.always_changed
        match = None if skip else self._matching.find(key, self._last.slot(stage.name, key))
        result = match.result if match else None
        last = self._last.get(stage.name)
        decision = law.decide(
            stage.name, inputs, result, last=last.inputs if last else None, force=force,
            always_changed=stage.always_changed, differences=match.differences if match else (),
        )  # fmt: skip
        if result is None:
            if match is not None and self._taking and (theirs := self._taking.find(stage, inputs.params)):
                return self._foreign(stage, theirs, inputs)
            return _Known(decision, inputs, match=match)
        unfit = self._work.unfit(stage, result)
        if unfit:
            return _Known(Decision(stage=stage.name, verdict=law.RUN, why=[unfit], key=inputs.key()), inputs)
        ids = {path: ref.id for path, ref in result.outs.items()} | result.beside
        return _Known(decision, inputs, ids, self._work.in_place(result), match)

    def _foreign(self, stage: Stage, known: Made, inputs: Inputs | None) -> _Known:
        """A hit of what DVC knows."""
        assert self._taking is not None  # it found what is known
        key = inputs.key() if inputs else None
        decision = Decision(stage=stage.name, verdict=law.HIT, why=[foreign.why(known)], key=key)
        if self._taking.in_place(stage, known):
            return _Known(decision, inputs, self._work.present(stage), True)
        return _Known(decision, inputs, marks=known.outs)

    def _by_marks(
        self, stage: Stage, marks: Mapping[str, Mark], made: Mapping[str, SnapshotId]
    ) -> _Known | None:
        """The decision on a stage some of whose deps are still to be brought from DVC's cache, if that is known."""
        if self._taking is None:
            return None
        try:
            known = self._taking.find(stage, self._work.params(stage, made), {**self._absent, **marks})
        except RoteError:
            return None  # a run will tell
        return self._foreign(stage, known, None) if known else None

    def _settled(self, stage: Stage, maker: _Known, made: Mapping[str, SnapshotId]) -> bool:
        """Whether all that the stage needs of this maker is known now."""
        if maker.outs is None:
            return False
        if maker.here:
            return True
        # An out that is still to be brought is known as a whole; a file in it, or what a params file says, is not.
        wanted = [path for path in stage.deps if path not in made]
        wanted += [param.file for param in stage.params]
        return not any(_touch(path, out) for path in wanted for out in maker.outs)

    def _frozen(self, stage: Stage, made: Mapping[str, SnapshotId]) -> _Known:
        try:
            ids = self._work.present(stage)
        except RoteError as e:
            return _Known(law.blocked(stage.name, e.what))
        if ids is not None:
            return _Known(Decision(stage=stage.name, verdict=law.FROZEN), outs=ids, here=True)
        result = frozen_result(stage, made, self._work, self._matching, self._last)
        if result is None:
            return _Known(law.blocked(stage.name, GONE))
        return _Known(
            Decision(stage=stage.name, verdict=law.FROZEN, why=["its outs are brought"], run=result.run),
            outs={path: ref.id for path, ref in result.outs.items()},
            here=False,
        )


def _marks_of(makers: Sequence[_Known]) -> dict[str, Mark] | None:
    """What DVC says the outs of the makers are, or None if one of them is none of DVC's."""
    marks: dict[str, Mark] = {}
    for maker in makers:
        if maker.marks is None:
            return None
        marks.update(maker.marks)
    return marks


def frozen_result(
    stage: Stage, made: Mapping[str, SnapshotId], work: Stagework, matching: Matching, last: LastResults
) -> Result | None:
    """The result whose outs stand in for the missing ones of a frozen stage: the last known one, else the one that its
    deps as they are would give."""
    known = last.get(stage.name)
    paths = {out.path for out in stage.outs}
    result = matching.results.get(known.slot or known.key) if known else None
    if result is not None and set(result.outs) == paths:
        return result
    try:
        result = matching.find(work.inputs(stage, made).key()).result
    except RoteError:
        return None  # a frozen stage need not have its deps
    return result if result is not None and set(result.outs) == paths else None


def _touch(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")
