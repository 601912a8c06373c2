"""Quantities: whether a figure of a gate is bytes, seconds, or just a number; and how it is told to people."""

from __future__ import annotations

from rote.laws.gates.gatewords import Latency, Number, Size, Sum, Term

BYTES, SECONDS, BARE, ANY = "bytes", "seconds", "", "any"
"""`BARE` is a number without a unit, `ANY` what is not known: a metric may be either."""

_STEPS = {
    BYTES: ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")),
    SECONDS: ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
}


class Unlike(Exception):
    """Bytes and seconds are added or compared."""


def of_term(term: Term) -> str:
    """What a term is: `bytes`, `seconds`, `` or `any`. Raises Unlike."""
    if isinstance(term, Number):
        return term.unit
    if isinstance(term, Size | Latency):
        return BYTES if isinstance(term, Size) else SECONDS
    if not isinstance(term, Sum):
        return ANY
    left, right = of_term(term.left), of_term(term.right)
    if term.sign in "+-":
        return together(left, right)
    if term.sign == "/" and left == right and left != ANY:
        return BARE
    return left if right == BARE else right if left == BARE and term.sign == "*" else ANY


def together(left: str, right: str) -> str:
    """What two quantities are that are added or compared. A bare number goes with any. Raises Unlike."""
    units = {left, right} & {BYTES, SECONDS}
    if len(units) > 1:
        raise Unlike
    return units.pop() if units else ANY if ANY in (left, right) else BARE


def told(value: float, unit: str = BARE) -> str:
    """A figure for people, in six digits: 0.961818, 20 MB, 8.8 ms."""
    steps = _STEPS.get(unit)
    if steps is None:
        return f"{value:.6g}"
    times, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{value / times if value else 0:.6g} {name}"


def told_apart(value: float, other: float, unit: str = BARE) -> tuple[str, str]:
    """Two figures, with as many digits as it takes to tell them apart."""
    one, two = told(value, unit), told(other, unit)
    if one != two or value == other:
        return one, two
    return _whole(value, unit), _whole(other, unit)


def _whole(value: float, unit: str) -> str:
    """A figure with all its digits."""
    if unit == BYTES and value.is_integer():
        return f"{int(value):,} B"
    return f"{value!r} {'s' if unit == SECONDS else 'B' if unit == BYTES else ''}".rstrip()
