"""`budget: PLAN` or `budget: {writes, reads, stored, out}`: what the store's plan allows in a month."""

from __future__ import annotations

from typing import Final

from rote.laws.store.usage import PLANS
from rote.wiring.config.caching import bytes_of
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import nearest, shown
from rote.words.pipeline import Limits

KEYS: Final = ("writes", "reads", "stored", "out")
_HINT: Final = "leave it out if it is not limited"


def read(section: Section) -> Limits | None:
    """What the section's key `budget` says; None if it is not there. Raises ConfigError."""
    node = section.get("budget")
    if node is None:
        return None
    names = ", ".join(PLANS)
    if isinstance(node.value, str):
        if node.value in PLANS:
            return PLANS[node.value]
        meant = nearest(node.value, list(PLANS))
        raise refused(
            section.at("budget", node),
            f"no plan is called {shown(node.value)}; known: {names}",
            f"did you mean {meant}?"
            if meant
            else "or write the limits: budget: {writes: 2000, reads: 20000}",
        )
    if not isinstance(node.value, dict):
        raise section.wrong("budget", node, f"a plan ({names}) or a mapping with {', '.join(KEYS)}")
    below = Section(node, section.file, f"{section.key}.budget" if section.key else "budget")
    below.known(KEYS, "budget")
    return Limits(
        writes=_requests(below, "writes"), reads=_requests(below, "reads"),
        stored=bytes_of(below, "stored", _HINT), out=bytes_of(below, "out", _HINT),
    )  # fmt: skip


def _requests(section: Section, name: str) -> int | None:
    node = section.get(name)
    if node is None:
        return None
    if not isinstance(node.value, int) or isinstance(node.value, bool) or node.value < 0:
        raise section.wrong(name, node, "a number of requests a month")
    return node.value
