"""What gates ask for besides a run's metrics, so that it is looked up before they are decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rote.laws.gates.figures import Baseline, Figures, bound
from rote.laws.gates.gatewords import Best, Expr, Fold, Latency, Name, Size, Term, TestExpr, leaves


class Needs(msgspec.Struct):
    """What gates ask for besides the run's metrics. `aliases`: words that may be aliases -> the metrics that are asked
    of who holds them; `bests`: the best figures; `predictions`: aliases whose predictions are asked for; `latency`:
    aliases whose latency is, and nothing for the run's; `sizes`: whether sizes are."""

    aliases: dict[str, set[str]]
    bests: list[Best]
    predictions: set[str]
    latency: set[str]
    sizes: bool = False


def needs(gates: Iterable[Expr], metrics: Mapping[str, Any]) -> Needs:
    """What the gates ask for, of a run with these metrics."""
    found = Needs({}, [], set(), set())
    run = Figures(Baseline("", metrics), "the run")
    for gate in gates:
        if isinstance(gate, TestExpr):
            found.aliases.setdefault(gate.than, set())
            found.predictions.add(gate.than)
            continue
        for leaf in leaves(gate.left, gate.right):
            _ask(leaf, run, found)
    return found


def _ask(leaf: Term, run: Figures, found: Needs) -> None:
    if isinstance(leaf, Best):
        for binding in run.bindings(leaf.metric.text):
            best = Best(leaf.sense, Name(bound(leaf.metric.text, binding), leaf.metric.kind))
            if best not in found.bests:
                found.bests.append(best)
    elif isinstance(leaf, Name | Fold):
        name = leaf.metric if isinstance(leaf, Fold) else leaf
        alias, dot, key = name.text.partition(".")
        if name.kind != "quoted" and dot:
            found.aliases.setdefault(alias, set()).add(key)
    elif isinstance(leaf, Size | Latency):
        if leaf.of:
            found.aliases.setdefault(leaf.of, set())
        if isinstance(leaf, Latency):
            found.latency.add(leaf.of)
        else:
            found.sizes = True
