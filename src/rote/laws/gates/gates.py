"""Gates: a run held against constants, against the holder of an alias and against the best so far; pass or fail, and
why. `gatetext` has the language. Figures are decimal, as they are written: 0.9 >= 0.91 - 0.01 holds.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

import msgspec

from rote.laws.gates import quantity, scoring
from rote.laws.gates.figures import AGAIN, Baseline, Figures, Undecided, bound, files_of
from rote.laws.gates.gatetext import parse
from rote.laws.gates.gatewords import (
    Best,
    Expr,
    Fold,
    GateExpr,
    Latency,
    Name,
    Number,
    Size,
    Term,
    TestExpr,
    leaves,
    stars,
)
from rote.laws.gates.predictions import Unusable
from rote.words.ids import nearest
from rote.words.pipeline import Gate
from rote.words.verdict import Evidence, GateVerdict

__all__ = ["Baseline", "Expr", "evaluate", "parse"]

DEFAULT = "prod"
"""The alias that is known before anybody holds it."""

_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_REASON = {
    ">=": "below",
    ">": "not above",
    "<=": "above",
    "<": "not below",
    "==": "not equal to",
    "!=": "equal to",
}
_EXACT = Context(prec=60)
_NAMED = 5
"""So many of what fails are named."""


class _Nobody(Exception):
    """There is nothing yet to be compared with: the gate passes."""


class _Scope:
    """What names stand for. With a `binding`, what `*` stands for."""

    def __init__(
        self,
        run: Figures,
        holders: Mapping[str, Figures | None],
        bests: Mapping[Best, Figures | None],
        held: Callable[[], Sequence[str]],
        binding: tuple[str, ...] = (),
    ) -> None:
        self.run = run
        self.holders = holders
        self.bests = bests
        self.held = held
        self.binding = binding
        self.used: list[Figures] = []

    def bound(self, binding: tuple[str, ...]) -> _Scope:
        return _Scope(self.run, self.holders, self.bests, self.held, binding)

    def unheld(self, alias: str) -> str:
        """That nobody holds an alias; and which one may be meant, for a gate against a wrong name always passes."""
        near = nearest(alias, list(self.held()))
        return f"nobody holds {alias} yet" + (f"; is it {near}?" if near else "")

    def value(self, term: Term) -> Decimal:
        match term:
            case Number():
                number = Decimal(repr(float(term.text)) if "e" in term.text.lower() else term.text)
                return number * Decimal(term.times) if term.times else number
            case Name():
                figures, name = self.of(term)
                if (
                    figures is not self.run
                    and self.binding
                    and stars(name)
                    and not figures.has(self.key(name))
                ):
                    raise _Nobody(f"{figures.of.version} has no {self.key(name)} yet")
                return self.number(figures, term, self.key(name))
            case Fold():
                return self.folded(term)
            case Best():
                return self.best(term)
            case Size():
                return self.side(term.of).size(term.path)
            case Latency():
                return self.side(term.of).latency(term.share)
        try:
            left = self.value(term.left)
        except _Nobody:
            self.value(term.right)  # a wrong name beside it must not pass unseen
            raise
        right = self.value(term.right)
        if term.sign == "/" and not right:
            raise Undecided("it divides by zero")
        result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[term.sign](
            left, right
        )
        return Decimal(result)

    def number(self, figures: Figures, term: Name, key: str) -> Decimal:
        """The metric, or what may be meant if there is none. Raises Undecided."""
        try:
            return figures.number(key)
        except Undecided as e:
            alias, _, inner = term.text.partition(".")
            if figures is self.run and term.kind == "bare" and inner and self.run.has(inner):
                raise Undecided(f"{e} If {alias} is an alias, write @{term.text}") from None
            if term.text in ("size", "latency"):
                call = "size()" if term.text == "size" else "latency(p95)"
                raise Undecided(f"{e}; write {call}") from None
            raise

    def key(self, name: str) -> str:
        return bound(name, self.binding)

    def of(self, name: Name) -> tuple[Figures, str]:
        """Whose metric a name is, and what it is called there. Raises _Nobody, Undecided."""
        alias, dot, key = name.text.partition(".")
        known = alias in self.holders or alias == DEFAULT
        if name.kind == "quoted" or not dot or (name.kind == "bare" and not known):
            return self.run, name.text
        if name.kind == "bare" and (
            self.run.bindings(name.text) if stars(name.text) else self.run.has(name.text)
        ):
            raise Undecided(
                f"{name.text} is a metric of the run, and {alias} is an alias: write @{name.text} or '{name.text}' "
                "in quotes"
            )
        return self.compared(alias), key

    def side(self, alias: str) -> Figures:
        if not alias:
            return self.run
        holder = self.holders.get(alias)
        if holder is None:
            raise _Nobody(self.unheld(alias))
        return holder

    def compared(self, alias: str) -> Figures:
        """The holder, if its metrics can be compared with the run's."""
        return self._comparable(self.side(alias))

    def _comparable(self, figures: Figures) -> Figures:
        if figures.of.problem:
            raise Undecided(figures.of.problem)
        if figures not in self.used:
            self.used.append(figures)
        return figures

    def folded(self, fold: Fold) -> Decimal:
        figures, name = self.of(fold.metric)
        values = [figures.number(bound(name, binding)) for binding in figures.bindings(name)]
        if not values:
            raise Undecided(f"{figures.whose} has no metric like {name}")
        return (
            sum(values, Decimal()) / len(values)
            if fold.how == "mean"
            else {"min": min, "max": max}[fold.how](values)
        )

    def best(self, best: Best) -> Decimal:
        name = self.key(best.metric.text)
        self.run.number(name)  # a wrong name must not pass unseen
        figures = self.bests.get(Best(best.sense, Name(name, best.metric.kind)))
        if figures is None:
            raise _Nobody(f"no version has {name} yet")
        return self._comparable(figures).number(name)


def _finite(number: float) -> bool:
    return number - number == 0


def _shown(value: Decimal | None) -> float | None:
    if value is None:
        return None
    number = float(value)
    return number if _finite(number) else None


def _side(term: Term, scope: _Scope) -> tuple[Decimal | None, str, str]:
    """A term's value; or why it cannot be decided; or which alias has no holder."""
    try:
        return scope.value(term), "", ""
    except Undecided as e:
        return None, str(e), ""
    except _Nobody as e:
        return None, "", str(e)


def _compared(gate: GateExpr, scope: _Scope) -> GateVerdict:
    value, why, nobody = _side(gate.left, scope)
    threshold, why_too, nobody_too = _side(gate.right, scope)
    if why or why_too:
        passed, why = False, why or why_too
    elif value is None or threshold is None:
        passed, why = True, nobody or nobody_too
    else:
        passed = _COMPARE[gate.compare](value, threshold)
        one, two = quantity.told_apart(float(value), float(threshold), gate.unit)
        why = "" if passed else f"{one} is {_REASON[gate.compare]} {two}"
    verdict = GateVerdict(
        gate=gate.text, value=_shown(value), threshold=_shown(threshold), passed=passed, why=why,
        unit=gate.unit or msgspec.UNSET,
    )  # fmt: skip
    return _against(verdict, scope.used)


def _against(verdict: GateVerdict, used: Sequence[Figures]) -> GateVerdict:
    """The verdict, with whom it was held against, if that was evaluated otherwise than when it was released."""
    special = [figures.of for figures in used if figures.of.evaluated]
    if not special:
        return verdict
    told = "; ".join(dict.fromkeys(map(_told, special)))
    evidence = Evidence(against=special[0].version, evaluated=special[0].evaluated)
    why = f"{verdict.why}; {told}" if verdict.why else told
    return msgspec.structs.replace(verdict, why=why, evidence=evidence)


def _told(baseline: Baseline) -> str:
    if baseline.evaluated == AGAIN:
        return f"{baseline.version} was evaluated again, as the run was"
    return f"{baseline.version} counts with the figures it was released with"


def _each(gate: GateExpr, scope: _Scope) -> GateVerdict:
    """A gate with `*`: it must hold for each metric that they stand for."""
    named = [leaf for leaf in leaves(gate.left, gate.right) if isinstance(leaf, Name | Best)]
    bindings: set[tuple[str, ...]] = set()
    for leaf in named:
        name = leaf.metric if isinstance(leaf, Best) else leaf
        if stars(name.text):
            try:
                figures, key = scope.of(name)
            except (_Nobody, Undecided):
                continue
            bindings |= set(figures.bindings(key))
    if not bindings:
        first = next(n.metric if isinstance(n, Best) else n for n in named)
        why = f"the run has no metric like {first.text}"
        return GateVerdict(gate=gate.text, value=None, threshold=None, passed=False, why=why)
    found = [(binding, _compared(gate, scope.bound(binding))) for binding in sorted(bindings)]
    failed = [(binding, verdict) for binding, verdict in found if not verdict.passed]
    binding, worst = min(failed or found, key=lambda pair: _room(gate, pair[1]))
    label = ", ".join(binding)
    if not failed:
        why = f"all {len(found)}, closest: {label}" + (f"; {worst.why}" if worst.why else "")
        return msgspec.structs.replace(worst, why=why)
    others = [", ".join(b) for b, _ in failed if b != binding]
    more = (
        f"; so fail {', '.join(others[:_NAMED])}" + (" …" if len(others) > _NAMED else "") if others else ""
    )
    why = f"{label}: {worst.why}{more} ({len(failed)} of {len(found)})"
    return msgspec.structs.replace(worst, why=why)


def _room(gate: GateExpr, verdict: GateVerdict) -> float:
    """How far a verdict is from failing; negative if it fails. What was not decided comes first where all fail, and
    last where all pass."""
    if verdict.value is None or verdict.threshold is None:
        return float("inf") if verdict.passed else float("-inf")
    room = verdict.value - verdict.threshold
    return room if gate.compare in (">=", ">") else -room if gate.compare in ("<=", "<") else 0.0


def _tested(test: TestExpr, scope: _Scope) -> GateVerdict:
    def verdict(passed: bool, why: str) -> GateVerdict:
        return GateVerdict(gate=test.text, value=None, threshold=None, passed=passed, why=why)

    run = scope.run.of
    if run.predictions is None:
        return verdict(False, run.no_predictions or "the run has no predictions")
    try:
        holder = scope.holders.get(test.than)
        if holder is None:
            alone = scoring.compared(test, run.predictions, run.predictions, "")  # a wrong name must not pass
            return msgspec.structs.replace(verdict(True, scope.unheld(test.than)), value=alone.score)
        other = holder.of
        if other.problem or other.predictions is None:
            why = other.problem or other.no_predictions
            return verdict(False, why or f"{other.version} has no predictions")
        found = scoring.compared(test, run.predictions, other.predictions, other.version)
    except Unusable as e:
        return verdict(False, str(e))
    why = f"{found.why}; {_told(other)}" if other.evaluated else found.why
    return GateVerdict(
        gate=test.text, value=found.score, threshold=found.other, passed=found.passed, why=why,
        evidence=msgspec.structs.replace(found.evidence, evaluated=other.evaluated),
    )  # fmt: skip


def _decided(gate: Expr, scope: _Scope) -> GateVerdict:
    if isinstance(gate, TestExpr):
        return _tested(gate, scope)
    fresh = scope.bound(())
    names = (leaf.metric if isinstance(leaf, Best) else leaf for leaf in leaves(gate.left, gate.right))
    if any(isinstance(name, Name) and stars(name.text) for name in names):
        return _each(gate, fresh)
    return _compared(gate, fresh)


def evaluate(
    gates: Sequence[Expr | Gate],
    metrics: Mapping[str, Any],
    baselines: Mapping[str, Baseline | None],
    *,
    run: Baseline | None = None,
    bests: Mapping[Best, Baseline | None] = {},
    held: Callable[[], Sequence[str]] = tuple,
) -> list[GateVerdict]:
    """Decide every gate, in order.

    `metrics` are the run's: metrics file -> decoded content; a metric is named by its dotted key, whatever file it is
    in. `baselines` says for an alias who holds it; an alias that is there with None, and `prod` in any case, is an
    alias that nobody holds yet: a gate against it passes, and says so. `run` has the run's sizes, latency and
    predictions, `bests` who had the best figures that are asked for; `held` tells the aliases that are held. A metric
    that is not there, is not finite or has several values, and a division by zero, fail the gate. Raises ConfigError
    for a gate that cannot be parsed.
    """
    parsed = [parse(gate.text, gate.at) if isinstance(gate, Gate) else gate for gate in gates]
    own = run or Baseline("the run", metrics, sizes={})
    scope = _Scope(
        Figures(msgspec.structs.replace(own, metrics=metrics), "the run"),
        {a: Figures(b, f"{b.version}, which holds {a},") if b else None for a, b in baselines.items()},
        {best: Figures(b, f"{b.version}, the best so far,") if b else None for best, b in bests.items()},
        held,
    )
    with localcontext(_EXACT):
        return [_decided(gate, scope) for gate in parsed]


def measured_on(names: Iterable[str], metrics: Mapping[str, Any]) -> set[str]:
    """The metrics files of the run in which metrics of these names are."""
    return {file for name in names for file in files_of(name, metrics)}
