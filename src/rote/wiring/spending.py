"""The month so far against the plan of a store, as this user's commands on this machine counted it."""

from __future__ import annotations

import time

from rote.adapters.stores.months import Months
from rote.errors import UsageError
from rote.laws.store.usage import PLANS, Budget, expected, shares, together
from rote.wiring.parts import Wiring
from rote.words.ids import nearest, shown
from rote.words.pipeline import Limits

LAST = 5
"""Runs that the next one is expected to be like."""


def budget(wiring: Wiring, *, plan: str | None = None, stored: bool = False) -> Budget:
    """See `Store.budget`."""
    limits, source = _limits(wiring, plan)
    url = wiring.settings.store.value
    now = wiring.clock.now()
    if "://" in url:
        url = wiring.store.url  # as it is counted; opening it asks nothing
    months = Months(wiring.settings.account, url)
    held = sum(meta.size for meta in wiring.store.list("")) if stored else None
    lines = months.month(now)
    last = months.last("run", LAST, now)
    used, next = together(line.usage for line in lines), expected(last)
    return Budget(
        url=url,
        counted="://" in url,
        month=time.strftime("%Y-%m", time.gmtime(now)),
        commands=len(lines),
        used=used,
        plan=limits.plan if limits else None,
        source=source,
        shares=shares(limits or Limits(), used, next, held),
        next=next,
        last=len(last),
    )


def _limits(wiring: Wiring, plan: str | None) -> tuple[Limits | None, str]:
    declared, source = wiring.settings.budget, wiring.settings.budget_source
    if plan is None:
        return declared, source
    if plan == "custom":
        if declared is None or declared.plan != "custom":
            raise UsageError(
                "no limits are declared",
                where="rote.yaml: budget",
                next="write budget: {writes: 2000, reads: 20000}",
            )
        return declared, source
    if plan not in PLANS:
        meant = nearest(plan, list(PLANS))
        raise UsageError(
            f"no plan is called {shown(plan)}",
            next=f"did you mean {meant}?" if meant else f"known: {', '.join(PLANS)}, custom",
        )
    return PLANS[plan], "--plan"
