"""Gates: the metrics of a run held against constants and against the holder of an alias; pass or fail, and why.

    accuracy >= 0.95
    accuracy >= prod.accuracy - 0.01
    @staging.loss * 1.1 > 'eval/metrics.json:test.loss'

A gate is one comparison (`>= > <= < == !=`) of two terms of numbers, metrics, `+ - * /` and parentheses. Figures are
decimal, as they are written: 0.9 >= 0.91 - 0.01 holds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

import msgspec

from rote.errors import ConfigError
from rote.ids import nearest, shown
from rote.pipeline import At, Gate
from rote.record import GateVerdict

DEFAULT = "prod"
"""The alias that is known before anybody holds it."""

MAX_LENGTH = 1000
_MAX_DEPTH = 50
_TOKENS = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<quoted>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>@?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)|(?P<compare>>=|<=|==|!=|>|<)|(?P<mark>[-+*/()])"
)
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


class Number(msgspec.Struct, frozen=True):
    """A constant, as it is written."""

    text: str


class Name(msgspec.Struct, frozen=True):
    """A metric: `text` as written without `@` or quotes. `kind` is `bare`, `alias` (with @) or `quoted`."""

    text: str
    kind: str = "bare"


class Sum(msgspec.Struct, frozen=True):
    """Two terms joined by + - * or /."""

    sign: str
    left: Term
    right: Term


Term = Number | Name | Sum


class GateExpr(msgspec.Struct, frozen=True):
    """A gate that was parsed."""

    text: str
    left: Term
    compare: str
    right: Term


class Baseline(msgspec.Struct, frozen=True):
    """Who holds an alias: the version, and the metrics it was released with (metrics file -> content)."""

    version: str
    metrics: Mapping[str, Any]


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    start: int


class _Parser:
    def __init__(self, text: str, at: At) -> None:
        self.text, self.at = text, at
        self.tokens = list(self._tokens())
        self.place = 0
        self.depth = 0

    def error(self, what: str, column: int) -> ConfigError:
        """An error that shows the gate and points at a column, counted from 0."""
        line = "".join(c if c.isprintable() else "?" for c in self.text)
        return ConfigError(
            f"this gate cannot be read: {what} (column {column + 1})\n    {line}\n    {' ' * column}^",
            where=str(self.at),
            next="a gate is like 'accuracy >= 0.95' or 'accuracy >= prod.accuracy - 0.01'",
        )

    def _tokens(self) -> Iterator[_Token]:
        if len(self.text) > MAX_LENGTH:
            raise ConfigError(f"this gate is longer than {MAX_LENGTH} characters", where=str(self.at))
        place = 0
        while place < len(self.text):
            found = _TOKENS.match(self.text, place)
            if not found:
                raise self.error(self._stranger(place), place)
            if found.lastgroup != "space":
                yield _Token(found.lastgroup or "", found.group(), place)
            place = found.end()
        yield _Token("end", "", len(self.text))

    def _stranger(self, place: int) -> str:
        char = self.text[place]
        if char in "'\"":
            return "this quote is not closed"
        if char == "=":
            return "'=' alone compares nothing; write '=='"
        if char == "%":
            return "there is no '%'; write 0.95 for 95 %"
        return f"{shown(char)} has no meaning here"

    @property
    def token(self) -> _Token:
        return self.tokens[self.place]

    def take(self) -> _Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def gate(self) -> GateExpr:
        left = self.sum()
        if self.token.kind != "compare":
            raise self.expected("a comparison (>= > <= < == !=)")
        compare = self.take().text
        right = self.sum()
        if self.token.kind == "compare":
            raise self.error("a gate has one comparison; write two gates", self.token.start)
        if self.token.kind != "end":
            raise self.expected("the end of the gate, or + - * /")
        if not any(True for _ in _names(left)) and not any(True for _ in _names(right)):
            raise self.error("it names no metric", 0)
        return GateExpr(self.text.strip(), left, compare, right)

    def expected(self, what: str) -> ConfigError:
        token = self.token
        found = "the gate ends" if token.kind == "end" else f"found {shown(token.text)}"
        if token.text in ("and", "or", "not"):
            found = f"'{token.text}' joins no gates; write each as a gate of its own"
        return self.error(f"expected {what}, {found}", token.start)

    def sum(self) -> Term:
        term = self.product()
        while self.token.kind == "mark" and self.token.text in "+-":
            term = Sum(self.take().text, term, self.product())
        return term

    def product(self) -> Term:
        term = self.atom()
        while self.token.kind == "mark" and self.token.text in "*/":
            term = Sum(self.take().text, term, self.atom())
        return term

    def atom(self) -> Term:
        token = self.token
        if token.kind == "number":
            if not _finite(float(token.text)):
                raise self.error("this number is too large", token.start)
            return Number(self.take().text)
        if token.kind == "name" and token.text not in ("and", "or", "not"):
            return self.name()
        if token.kind == "quoted":
            if len(token.text) == 2:
                raise self.error("these quotes name no metric", token.start)
            return Name(self.take().text[1:-1], "quoted")
        if token.kind == "mark" and token.text in "(-+":
            return self.nested()
        raise self.expected("a number or a metric")

    def name(self) -> Term:
        token = self.take()
        if token.text[0] != "@":
            return Name(token.text)
        if "." not in token.text:
            raise self.error(
                f"after the alias {token.text} comes '.' and a metric", token.start + len(token.text)
            )
        return Name(token.text[1:], "alias")

    def nested(self) -> Term:
        token = self.take()
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error("this is nested too deeply", token.start)
        if token.text == "(":
            term = self.sum()
            if self.token.text != ")":
                raise self.expected("')'")
            self.take()
        else:
            term = Sum(token.text, Number("0"), self.atom())
        self.depth -= 1
        return term


def parse(text: str, at: At) -> GateExpr:
    """Parse a gate; `at` is where it stands. Raises ConfigError, which points at the column."""
    return _Parser(text, at).gate()


def _names(term: Term) -> Iterator[Name]:
    if isinstance(term, Name):
        yield term
    elif isinstance(term, Sum):
        yield from _names(term.left)
        yield from _names(term.right)


def aliases(gates: Iterable[GateExpr]) -> set[str]:
    """The words that may be aliases: before the first dot of an unquoted metric. Whoever evaluates the gates looks
    them up."""
    names = (name for gate in gates for term in (gate.left, gate.right) for name in _names(term))
    return {name.text.partition(".")[0] for name in names if name.kind != "quoted" and "." in name.text}


class _Nobody(Exception):
    """The alias has no holder yet: the gate passes."""


class _Undecided(Exception):
    """The gate cannot be decided, and so fails; the text says why."""


class _Metrics:
    """Numbers of metrics by dotted key, from metrics files."""

    def __init__(self, files: Mapping[str, Any], whose: str) -> None:
        self.whose = whose
        self.found: dict[str, dict[str, Decimal]] = {}
        for file in sorted(files):
            self._flatten(file, files[file], "")

    def _flatten(self, file: str, value: Any, key: str) -> None:
        if isinstance(value, Mapping):
            for inner, below in value.items():
                self._flatten(file, below, f"{key}.{inner}" if key else str(inner))
        elif isinstance(value, (int, float)) and key:
            number = Decimal(int(value)) if isinstance(value, int) else Decimal(repr(value))
            self.found.setdefault(key, {})[file] = number

    def has(self, name: str) -> bool:
        return name in self.found

    def number(self, name: str) -> Decimal:
        """The metric's value. Raises _Undecided if there is none, or files differ."""
        file, colon, key = name.rpartition(":")
        by_file = self.found.get(key if colon else name, {})
        if colon:
            by_file = {f: n for f, n in by_file.items() if f == file}
        if not by_file:
            near = nearest(name, list(self.found))
            raise _Undecided(
                f"{self.whose} has no metric {shown(name)}" + (f"; is it {near}?" if near else "")
            )
        if len(set(by_file.values())) > 1:
            first = next(iter(by_file))
            raise _Undecided(
                f"{self.whose} has the metric {name} with different values in {', '.join(by_file)}; "
                f"write '{first}:{name}' in quotes"
            )
        value = next(iter(by_file.values()))
        if not value.is_finite():
            raise _Undecided(f"the metric {name} of {self.whose} is not a finite number")
        return value


class _Scope:
    def __init__(self, metrics: Mapping[str, Any], baselines: Mapping[str, Baseline | None]) -> None:
        self.run = _Metrics(metrics, "the run")
        self.holders = {
            alias: _Metrics(held.metrics, f"{held.version}, which holds {alias},") if held else None
            for alias, held in baselines.items()
        }

    def value(self, term: Term) -> Decimal:
        if isinstance(term, Number):
            return Decimal(repr(float(term.text)) if "e" in term.text.lower() else term.text)
        if isinstance(term, Name):
            return self.metric(term)
        try:
            left = self.value(term.left)
        except _Nobody:
            self.value(term.right)  # a wrong name beside it must not pass unseen
            raise
        right = self.value(term.right)
        if term.sign == "/" and not right:
            raise _Undecided("it divides by zero")
        result = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[term.sign](
            left, right
        )
        return Decimal(result)

    def metric(self, name: Name) -> Decimal:
        alias, dot, key = name.text.partition(".")
        known = alias in self.holders or alias == DEFAULT
        if name.kind == "quoted" or not dot or (name.kind == "bare" and not known):
            return self.run.number(name.text)
        if name.kind == "bare" and self.run.has(name.text):
            raise _Undecided(
                f"{name.text} is a metric of the run, and {alias} is an alias: write @{name.text} or '{name.text}' "
                "in quotes"
            )
        holder = self.holders.get(alias)
        if holder is None:
            raise _Nobody(f"nobody holds {alias} yet")
        return holder.number(key)


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
    except _Undecided as e:
        return None, str(e), ""
    except _Nobody as e:
        return None, "", str(e)


def _evaluate(gate: GateExpr, scope: _Scope) -> GateVerdict:
    value, why, nobody = _side(gate.left, scope)
    threshold, why_too, nobody_too = _side(gate.right, scope)
    if why or why_too:
        passed, why = False, why or why_too
    elif value is None or threshold is None:
        passed, why = True, nobody or nobody_too
    else:
        passed = _COMPARE[gate.compare](value, threshold)
        why = "" if passed else f"{float(value):.6g} is {_REASON[gate.compare]} {float(threshold):.6g}"
    return GateVerdict(
        gate=gate.text, value=_shown(value), threshold=_shown(threshold), passed=passed, why=why
    )


def evaluate(
    gates: Sequence[GateExpr | Gate],
    metrics: Mapping[str, Any],
    baselines: Mapping[str, Baseline | None],
) -> list[GateVerdict]:
    """Decide every gate, in order.

    `metrics` are the run's: metrics file -> decoded content; a metric is named by its dotted key, whatever file it is
    in. `baselines` says for an alias who holds it; an alias that is there with None, and `prod` in any case, is an
    alias that nobody holds yet: a gate against it passes, and says so. A metric that is not there, is not finite or
    has several values, and a division by zero, fail the gate. Raises ConfigError for a gate that cannot be parsed.
    """
    parsed = [parse(gate.text, gate.at) if isinstance(gate, Gate) else gate for gate in gates]
    scope = _Scope(metrics, baselines)
    with localcontext(_EXACT):
        return [_evaluate(gate, scope) for gate in parsed]
