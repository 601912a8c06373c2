"""The language of `--where`, `--sort` and `--columns` (docs/runs.md): text -> a tree of conditions.

    metrics.accuracy > 0.9 and (params.train.lr < 0.1 or tags.owner = 'x') and not state = 'failed'

A condition is either true or false: a comparison with a value that a run does not have is false, and `not` turns
that into true. Numbers and texts are never equal and never in order with each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from rote.errors import UsageError
from rote.words.ids import nearest

NUMBER, TEXT, FLAG = "number", "text", "flag"
FIELDS: dict[str, str] = {
    "id": TEXT,
    "state": TEXT,
    "began": TEXT,
    "ended": TEXT,
    "seconds": NUMBER,
    "by": TEXT,
    "command": TEXT,
    "project": TEXT,
    "commit": TEXT,
    "branch": TEXT,
    "dirty": FLAG,
    "host": TEXT,
    "python": TEXT,
    "error": TEXT,
    "smoke": FLAG,
}
"""The fields that every run has, and what their values are."""
GROUPS = ("metrics", "params", "tags")
"""The fields that runs bring themselves: `GROUP.KEY`."""

DEEPEST = 50
"""How deep parentheses and `not` may nest."""
LONGEST = 10_000
"""How many characters a query may have."""

Value = str | float | int | bool


class Field(msgspec.Struct, frozen=True):
    """What a condition looks at: a field of every run (`group` is empty), or a key in a group. `at` is its column in
    the text, counted from 0."""

    group: str
    key: str
    at: int = 0

    def __str__(self) -> str:
        return f"{self.group}.{self.key}" if self.group else self.key


class Compare(msgspec.Struct, frozen=True):
    """`field op value`; `op` is one of = != < <= > >= ~."""

    field: Field
    op: str
    value: Value
    at: int = 0


class Null(msgspec.Struct, frozen=True):
    """`field is null`: the run does not have the value. With `is not null` it stands inside a Not."""

    field: Field


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    inner: Query


class Both(msgspec.Struct, frozen=True):
    """All of them (`and`)."""

    parts: tuple[Query, ...]


class Either(msgspec.Struct, frozen=True):
    """At least one of them (`or`)."""

    parts: tuple[Query, ...]


Query = Compare | Null | Not | Both | Either


class Order(msgspec.Struct, frozen=True):
    """A field to sort by. Runs without the value come last, whichever the direction."""

    field: Field
    descending: bool


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"""(?P<space>\s+)
    | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<word>(?:[^\W\d]|`(?:[^`]|``)+`)(?:[\w./:@+-]|`(?:[^`]|``)+`)*)
    | (?P<op><=|>=|!=|<>|==|=|<|>|~)
    | (?P<mark>[(),])
    | (?P<rest>.)""",
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(["and", "or", "not", "is", "null", "true", "false"])
_SAME = {"==": "=", "<>": "!="}
_GRAVE = re.compile(r"`((?:[^`]|``)+)`")


def parse(text: str) -> Query:
    """The tree of a `--where` text. Raises UsageError that shows the text with a caret under the trouble."""
    return _Parser(text, "--where").whole()


def parse_sort(text: str) -> tuple[Order, ...]:
    """Fields to sort by, joined by commas: `metrics.accuracy desc, began`; `-FIELD` is the same as `FIELD desc`.
    Raises UsageError."""
    return _Parser(text, "--sort").orders()


def parse_columns(text: str) -> tuple[Field, ...]:
    """Fields joined by commas. Raises UsageError."""
    return _Parser(text, "--columns").fields()


def refuse(text: str, at: int, what: str, option: str = "--where", *, next: str | None = None) -> UsageError:
    """The error that shows `text` with a caret under column `at`, for callers that find trouble after parsing."""
    flat = _flat(text)
    begin = max(0, at - 60)
    shown = ("…" if begin else "") + flat[begin : at + 60] + ("…" if at + 60 < len(flat) else "")
    caret = " " * (at - begin + bool(begin)) + "^"
    return UsageError(
        f"{_flat(what)}\n  {shown}\n  {caret}",
        where=f"{option}, column {at + 1}",
        next=next or "see docs/runs.md",
    )


def _flat(text: str) -> str:
    """On one line, each character one column wide, whatever was typed."""
    return "".join(" " if c.isspace() else c if c.isprintable() else "?" for c in text)


class _Parser:
    """Recursive descent: or < and < not < comparison."""

    def __init__(self, text: str, option: str) -> None:
        self.text = text
        self.option = option
        if len(text) > LONGEST:
            raise UsageError(f"the text is longer than {LONGEST} characters", where=option)
        self.tokens = [
            _Token(str(m.lastgroup), m.group(), m.start())
            for m in _TOKENS.finditer(text)
            if m.lastgroup != "space"
        ]
        self.next = 0
        self.depth = 0

    def whole(self) -> Query:
        if not self.tokens:
            self.fail("a condition is expected, such as metrics.accuracy > 0.9")
        found = self.either()
        if self.peek().kind != "end":
            self.fail(f"'and', 'or' or the end is expected, not {self.shown()}")
        return found

    def orders(self) -> tuple[Order, ...]:
        found = []
        while True:
            down = self.take_minus()
            field = self.field()
            word = self.keyword("asc", "desc")
            if word and down:
                self.fail(f"say either -{field} or {field} desc")
            found.append(Order(field, down or word == "desc"))
            if not self.comma():
                return tuple(found)

    def fields(self) -> tuple[Field, ...]:
        found = [self.field()]
        while self.comma():
            found.append(self.field())
        return tuple(found)

    def either(self) -> Query:
        parts = [self.both()]
        while self.keyword("or"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def both(self) -> Query:
        parts = [self.unary()]
        while self.keyword("and"):
            parts.append(self.unary())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def unary(self) -> Query:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"this nests deeper than {DEEPEST} levels")
        try:
            if self.keyword("not"):
                return Not(self.unary())
            opened = self.peek()
            if opened.text == "(" and opened.kind == "mark":
                self.next += 1
                inner = self.either()
                if self.peek().text != ")":
                    self.fail(f"')' is expected for the '(' in column {opened.at + 1}, not {self.shown()}")
                self.next += 1
                return inner
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Query:
        field = self.field()
        if self.keyword("is"):
            negated = self.keyword("not")
            if not self.keyword("null"):
                self.fail(f"'null' is expected after 'is', not {self.shown()}")
            return Not(Null(field)) if negated else Null(field)
        token = self.peek()
        if token.kind != "op":
            self.fail(f"one of = != < <= > >= ~ or 'is null' is expected after {field}, not {self.shown()}")
        self.next += 1
        at = self.peek().at
        op = _SAME.get(token.text, token.text)
        value = self.value()
        self.check(field, op, value, at)
        return Compare(field, op, value, at)

    def check(self, field: Field, op: str, value: Value, at: int) -> None:
        """A comparison that can never be true is told, not answered with nothing."""
        if op == "~" and not isinstance(value, str):
            self.fail("~ compares with a text in quotes, in which % stands for anything", at)
        if isinstance(value, bool) and op not in ("=", "!="):
            self.fail(
                f"{value!s} is compared with = or != only".replace("True", "true").replace("False", "false"),
                at,
            )
        kind = "" if field.group else FIELDS[field.key]
        given = FLAG if isinstance(value, bool) else TEXT if isinstance(value, str) else NUMBER
        if kind and (given != kind or (op == "~" and kind != TEXT)):
            wanted = {NUMBER: "a number", TEXT: "text in quotes", FLAG: "true or false"}[kind]
            self.fail(f"{field} is compared with {wanted}", at)

    def field(self) -> Field:
        token = self.peek()
        if token.kind != "word" or token.text.lower() in _KEYWORDS:
            self.fail(f"a field is expected, such as metrics.accuracy or state, not {self.shown()}")
        self.next += 1
        group, dot, key = token.text.partition(".")
        if group in GROUPS:
            key = _GRAVE.sub(lambda m: m.group(1).replace("``", "`"), key)
            if not dot or not key:
                self.fail(f"{group} needs a key, such as {group}.accuracy", token.at)
            return Field(group, key, token.at)
        if token.text == "run":
            return Field("", "id", token.at)
        if token.text not in FIELDS:
            self.unknown(token)
        return Field("", token.text, token.at)

    def unknown(self, token: _Token) -> NoReturn:
        group, dot, key = token.text.partition(".")
        close = nearest(group if dot else token.text, [*FIELDS, *GROUPS])
        if dot:
            meant = f"{close}.{key}" if close in GROUPS else f"metrics.{token.text} or params.{token.text}"
        else:
            meant = close or f"metrics.{token.text} or params.{token.text}"
        self.fail(
            f"there is no field {token.text}; did you mean {meant}?",
            token.at,
            next=f"the fields are {', '.join(FIELDS)}, metrics.KEY, params.KEY and tags.KEY",
        )

    def value(self) -> Value:
        token = self.peek()
        self.next += 1
        if token.kind == "number":
            # an integer beyond 64 bits is compared as the nearest float, as it is stored
            whole = re.fullmatch(r"[+-]?\d{1,18}", token.text)
            return int(token.text) if whole else float(token.text)
        if token.kind == "text":
            quote = token.text[0]
            return token.text[1:-1].replace(quote * 2, quote)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        self.next -= 1
        if token.kind == "word":
            self.fail(f"a value is expected; text stands in quotes: '{token.text}'")
        if token.text in ("'", '"'):
            self.fail("this quote is never closed")
        self.fail(f"a number, a text in quotes, true or false is expected, not {self.shown()}")

    def keyword(self, *words: str) -> str | None:
        token = self.peek()
        if token.kind == "word" and token.text.lower() in words:
            self.next += 1
            return token.text.lower()
        return None

    def comma(self) -> bool:
        token = self.peek()
        if token.kind == "end":
            return False
        if token.text != ",":
            self.fail(f"a comma or the end is expected, not {self.shown()}")
        self.next += 1
        return True

    def take_minus(self) -> bool:
        if self.peek().text == "-":
            self.next += 1
            return True
        return False

    def peek(self) -> _Token:
        if self.next < len(self.tokens):
            return self.tokens[self.next]
        return _Token("end", "", len(self.text))

    def shown(self) -> str:
        token = self.peek()
        return "the end" if token.kind == "end" else f"'{token.text}'" if token.kind != "text" else token.text

    def fail(self, what: str, at: int | None = None, *, next: str | None = None) -> NoReturn:
        raise refuse(self.text, self.peek().at if at is None else at, what, self.option, next=next)


def fields_of(query: Query) -> Sequence[Field]:
    """Every field that the query looks at, in the order of the text."""
    if isinstance(query, Compare | Null):
        return [query.field]
    if isinstance(query, Not):
        return fields_of(query.inner)
    return [field for part in query.parts for field in fields_of(part)]
