"""A gate's text, cut into words and marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from rote.errors import ConfigError
from rote.words.ids import shown
from rote.words.pipeline import At

MAX_LENGTH = 1000
_TOKENS = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<quoted>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>@?[A-Za-z_][A-Za-z0-9_]*(?:\.(?:[A-Za-z0-9_]+|\*(?![A-Za-z0-9_])))*)"
    r"|(?P<compare>>=|<=|==|!=|>|<)|(?P<mark>[-+*/(),=])"
)


class Token(msgspec.Struct, frozen=True):
    """A word or mark: `kind` is the name of what fits in `_TOKENS`, or `end`; `start` its column, counted from 0."""

    kind: str
    text: str
    start: int


class Tokens:
    """The words and marks of a gate, one after the other; errors point at a column."""

    def __init__(self, text: str, at: At) -> None:
        self.text, self.at = text, at
        self.tokens = list(self._tokens())
        self.place = 0

    def error(self, what: str, column: int) -> ConfigError:
        """An error that shows the gate and points at a column, counted from 0."""
        line = "".join(c if c.isprintable() else "?" for c in self.text)
        return ConfigError(
            f"this gate cannot be read: {what} (column {column + 1})\n    {line}\n    {' ' * column}^",
            where=str(self.at),
            next="a gate is like 'accuracy >= 0.95' or 'accuracy >= prod.accuracy - 0.01'",
        )

    def _tokens(self) -> Iterator[Token]:
        if len(self.text) > MAX_LENGTH:
            raise ConfigError(f"this gate is longer than {MAX_LENGTH} characters", where=str(self.at))
        place = 0
        while place < len(self.text):
            found = _TOKENS.match(self.text, place)
            if not found:
                raise self.error(self._stranger(place), place)
            if found.lastgroup != "space":
                yield Token(found.lastgroup or "", found.group(), place)
            place = found.end()
        yield Token("end", "", len(self.text))

    def _stranger(self, place: int) -> str:
        char = self.text[place]
        if char in "'\"":
            return "this quote is not closed"
        if char == "%":
            return "there is no '%'; write 0.95 for 95 %"
        return f"{shown(char)} has no meaning here"

    # ---- tokens ------------------------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def take(self) -> Token:
        self.place += 1
        return self.tokens[self.place - 1]

    def is_mark(self, text: str) -> bool:
        return self.token.kind == "mark" and self.token.text == text

    def is_call(self) -> bool:
        after = self.tokens[min(self.place + 1, len(self.tokens) - 1)]
        return self.token.kind == "name" and after.kind == "mark" and after.text == "("

    def must(self, mark: str) -> None:
        if not self.is_mark(mark):
            raise self.expected(f"'{mark}'")
        self.take()

    def expected(self, what: str) -> ConfigError:
        token = self.token
        if token.text == "=" and token.kind == "mark":
            return self.error("'=' alone compares nothing; write '=='", token.start)
        found = "the gate ends" if token.kind == "end" else f"found {shown(token.text)}"
        if token.text in ("and", "or", "not"):
            found = f"'{token.text}' joins no gates; write each as a gate of its own"
        return self.error(f"expected {what}, {found}", token.start)
