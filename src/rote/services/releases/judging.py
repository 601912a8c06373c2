"""Judging: a run held against the gates of a model, with all that they ask for looked up (docs/releases.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import BadName, Missing, RoteError
from rote.laws.gates import gates as law
from rote.laws.gates.figures import AGAIN, RECORDED, Baseline, Figures, Undecided
from rote.laws.gates.gateneeds import needs
from rote.laws.gates.gatewords import HIGHEST, Best
from rote.laws.gates.predictions import SECONDS, Predictions, Unusable, decode
from rote.laws.models import versions
from rote.services.data.snapshots import Snapshots
from rote.services.models.registry import Registry
from rote.words.ids import RunId, shown
from rote.words.pipeline import Model, PredictionsFile
from rote.words.run import Run
from rote.words.snapshot import FILE, SnapshotRef
from rote.words.verdict import GateVerdict
from rote.words.version import Version

LARGEST = 256 << 20
"""Bytes that a file of predictions may have."""


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """A version evaluated as a run was: what of the wanted outs lies between its files and the figures. `metrics` are
    contents of metrics files, `outs` the others. `again`: these are not the figures that it was released with.
    `problem`: why it could not be evaluated. `unrepeatable`: evaluating it again would mean nothing."""

    metrics: Mapping[str, Any] = {}
    outs: Mapping[str, SnapshotRef] = {}
    again: bool = False
    problem: str = ""
    unrepeatable: bool = False


Evaluate = Callable[[Model, Run, Version, Collection[str]], Evaluated]
"""Evaluates a version as a run was, for these outs."""


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds calls took, of a run and of a version, measured in turn; or why they could not be."""

    run: Sequence[float] = ()
    version: Sequence[float] = ()
    problem: str = ""


Measure = Callable[[Model, Run, Version], Timed]
"""Measures the calls of a run and of a version in turn."""


class Judging:
    """Holds runs against gates. Nothing is changed, but that results of evaluations may be kept in the store."""

    def __init__(
        self,
        *,
        registry: Registry,
        snapshots: Snapshots,
        run: Callable[[RunId], Run],
        evaluate: Evaluate | None = None,
        measure: Measure | None = None,
    ) -> None:
        """`run` reads the record of a run. Without `evaluate` every version counts with the figures and predictions
        that it was released with, whatever they were measured on."""
        self._registry = registry
        self._snapshots = snapshots
        self._run = run
        self._evaluate = evaluate
        self._measure = measure

    def verdicts(
        self,
        model: Model,
        run: Run,
        gates: Sequence[law.Expr],
        *,
        sizes: Callable[[], Mapping[str, int]] = dict,
        recorded: bool = False,
    ) -> list[GateVerdict]:
        """What each gate says of the run. `sizes` tells the bytes of the files that a version would hold, by path. With
        `recorded` versions count with the figures that they were released with."""
        asked = needs(gates, run.metrics)
        case = _Case(model, run, recorded=recorded)
        for alias in sorted(asked.aliases):
            held = self._holder(model.name, alias)
            if held:
                case.want(held, asked.aliases[alias], predictions=alias in asked.predictions)
                case.holders[alias] = held.version
        every = self._versions(model.name) if asked.bests else []
        for best in asked.bests:
            first = _first(every, best)
            if first:
                case.want(first, {best.metric.text})
                case.firsts[best] = first.version
        found = {number: self._baseline(case, version) for number, version in case.versions.items()}
        own = Baseline("the run", run.metrics, sizes=sizes() if asked.sizes else {})
        if asked.predictions:
            own = self._with_predictions(own, case, outs_of(run), "the run")
        if asked.latency:
            own = self._timed(own, case, asked.latency, found)
        return law.evaluate(
            gates,
            run.metrics,
            {alias: found[number] for alias, number in case.holders.items()},
            run=own,
            bests={best: found[number] for best, number in case.firsts.items()},
            held=lambda: self._registry.channels.aliases(model.name),
        )

    def _holder(self, model: str, alias: str) -> Version | None:
        if not versions.is_alias(alias) or self._registry.channels.read(model, alias) is None:
            return None
        return self._registry.get(model, alias)

    def _versions(self, model: str) -> list[Version]:
        try:
            return self._registry.versions(model)
        except Missing:
            return []

    def _baseline(self, case: _Case, version: Version) -> Baseline:
        name = f"{version.model}@{version.version}"
        wanted = case.wanted[version.version]
        path = case.model.predictions.path if wanted.predictions and case.model.predictions else ""
        paths = {*law.measured_on(wanted.names, case.run.metrics), *([path] if path else [])}
        found = Evaluated()
        if self._evaluate and paths and not case.recorded:
            found = self._evaluate(case.model, case.run, version, sorted(paths))
        special = AGAIN if found.again else RECORDED if case.recorded or found.unrepeatable else ""
        baseline = Baseline(
            name, found.metrics, recorded=version.metrics, evaluated=special,
            sizes={file.path: file.size for file in version.files},
            problem=_problem(name, found.problem),
        )  # fmt: skip
        if not wanted.predictions or found.problem:
            return baseline
        outs = found.outs if path in found.outs else self._outs(version)
        return self._with_predictions(baseline, case, outs, name)

    def _timed(
        self, own: Baseline, case: _Case, aliases: Collection[str], found: dict[str, Baseline]
    ) -> Baseline:
        """The run with its latency, and into `found` that of the versions. If they are compared, both are measured in
        turn; otherwise it is what the evaluation of the run measured."""
        seconds: list[float] = []
        for number in sorted({case.holders[alias] for alias in aliases if alias in case.holders}):
            timed = (
                self._measure(case.model, case.run, case.versions[number])
                if self._measure
                else Timed(problem="nothing can be measured here")
            )
            found[number] = msgspec.structs.replace(
                found[number], seconds=timed.version, no_seconds=timed.problem
            )
            seconds += timed.run
            own = msgspec.structs.replace(own, no_seconds=timed.problem or own.no_seconds)
        if seconds or own.no_seconds:
            return msgspec.structs.replace(own, seconds=seconds)
        if own.predictions is None:
            own = self._with_predictions(own, case, outs_of(case.run), "the run")
        if own.predictions is None:
            return msgspec.structs.replace(own, no_seconds=own.no_predictions)
        try:
            return msgspec.structs.replace(own, seconds=own.predictions.numbers(SECONDS))
        except Unusable as e:
            return msgspec.structs.replace(own, no_seconds=str(e))

    def _outs(self, version: Version) -> Mapping[str, SnapshotRef]:
        """The outs of the run that made a version; none if that is gone."""
        if version.run is None:
            return {}
        try:
            return outs_of(self._run(version.run))
        except (Missing, BadName):
            return {}

    def _with_predictions(
        self, baseline: Baseline, case: _Case, outs: Mapping[str, SnapshotRef], whose: str
    ) -> Baseline:
        file = case.model.predictions
        try:
            if file is None:
                raise Unusable(
                    f"rote.yaml does not say where the predictions are: models.{case.model.name}.predictions: PATH"
                )
            return msgspec.structs.replace(baseline, predictions=self._predictions(file, outs, whose))
        except Unusable as e:
            return msgspec.structs.replace(baseline, no_predictions=str(e))

    def _predictions(self, file: PredictionsFile, outs: Mapping[str, SnapshotRef], whose: str) -> Predictions:
        holder = next((out for out in outs if file.path == out or file.path.startswith(out + "/")), None)
        if holder is None:
            raise Unusable(f"there are no predictions of {whose}: none of its outs is {shown(file.path)}")
        inner = file.path[len(holder) + 1 :] or FILE
        try:
            record = self._snapshots.record(outs[holder])
            entry = self._snapshots.lookup(record, inner)
            if entry.size > LARGEST:
                raise Unusable(f"{file.path} of {whose} is larger than {LARGEST >> 20} MiB")
            data = b"".join(self._snapshots.read(record, inner))
        except RoteError as e:
            raise Unusable(f"the predictions of {whose} cannot be read: {e}") from e
        return decode(data, file, whose)


def _problem(name: str, why: str) -> str:
    hint = "--recorded compares with the figures that it was released with"
    return f"{name} cannot be evaluated as the run was ({hint}): {why}" if why else ""


class _Wanted:
    """What is asked of a version: metrics, predictions."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.predictions = False


class _Case:
    """One run before its judges: the versions that it is compared with, and what is asked of each."""

    def __init__(self, model: Model, run: Run, *, recorded: bool) -> None:
        self.model = model
        self.run = run
        self.recorded = recorded
        self.versions: dict[str, Version] = {}
        self.wanted: dict[str, _Wanted] = {}
        self.holders: dict[str, str] = {}
        self.firsts: dict[Best, str] = {}

    def want(self, version: Version, names: Collection[str], *, predictions: bool = False) -> None:
        self.versions[version.version] = version
        wanted = self.wanted.setdefault(version.version, _Wanted())
        wanted.names |= set(names)
        wanted.predictions |= predictions


def _first(every: Sequence[Version], best: Best) -> Version | None:
    """The version with the best recorded figure; the newest of several."""
    found = []
    for version in every:
        figures = Figures(Baseline(version.version, version.metrics), version.version)
        try:
            found.append((figures.number(best.metric.text), version))
        except Undecided:
            continue  # it never had that metric
    if not found:
        return None
    figure = (max if best.sense == HIGHEST else min)(number for number, _ in found)
    return next(version for number, version in found if number == figure)


def outs_of(run: Run) -> dict[str, SnapshotRef]:
    """Every out of a run."""
    return {path: ref for stage in run.stages for path, ref in stage.outs.items()}
