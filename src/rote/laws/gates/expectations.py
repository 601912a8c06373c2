"""What is expected of data, as it is written in rote.yaml, and what has to be asked of the data to find out.

    rows > 1000
    null_rate(label) = 0
    classes(label) >= 10
    max(width) <= 2 * avg(width)
    unique(id, day)
    every(width BETWEEN 1 AND 512)

A comparison (`= == != <> < <= > >=`) has two sides, each an SQL expression over all rows; `unique` names columns, and
`every` holds an SQL condition that must be true of each row. Other SQL than that is only passed on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from rote.errors import ConfigError
from rote.words.ids import shown
from rote.words.pipeline import At, Expect, Stage, Table

COMPARE, UNIQUE, EVERY, QUERY = "compare", "unique", "every", "query"
FORMATS = ("csv", "parquet", "jsonl", "files")
LONGEST = 10_000
"""Characters that an expectation or a query may have."""
CLASS = "label"
"""The column that `classes` means by itself."""
CLASSES = "classes"
_ALONE = {"rows": "count(*)", CLASSES: f"{CLASSES}({CLASS})"}
"""Words that stand for themselves, and what they are in SQL."""

_NEXT = "an expectation is like 'rows > 1000', 'unique(id)' or 'every(width > 0)'"
_COMMA = "; in YAML's [ ] an entry with a comma needs quotes"
_TOKENS = re.compile(
    r"(?P<space>\s+)|(?P<text>'(?:[^']|'')*')|(?P<quoted>\"(?:[^\"]|\"\")*\")|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)|(?P<compare><>|<=|>=|==|!=|=|<|>)|(?P<mark>.)",
    re.DOTALL,
)
_OPEN, _CLOSE = "([{", ")]}"
_MACROS = """
CREATE MACRO nulls(x) AS count(*) - count(x);
CREATE MACRO null_rate(x) AS coalesce((count(*) - count(x)) / nullif(count(*), 0), 0);
CREATE MACRO classes(x) AS count(DISTINCT x);
"""
MACROS = tuple(line for line in _MACROS.splitlines() if line)
"""What has to be told to the engine first: the functions that SQL does not have."""


class Token(msgspec.Struct, frozen=True):
    """A word of an expectation; `kind` is `text`, `quoted`, `number`, `name`, `compare` or `mark`."""

    kind: str
    text: str
    start: int


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """One that was read. `kind` is compare (`left` `sign` `right`), unique (of `args`), every (`left` is the
    condition) or query (`left` is the query)."""

    kind: str
    text: str
    table: str = "data"
    left: str = ""
    sign: str = ""
    right: str = ""
    args: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[str, str, str]:
        """What is measured, how it must compare, and with what: two SQL expressions over all rows of the table."""
        if self.kind == UNIQUE:
            there = " AND ".join(f"({arg}) IS NOT NULL" for arg in self.args)
            one = self.args[0] if len(self.args) == 1 else f"({', '.join(self.args)})"
            only = f"FILTER (WHERE {there})"
            return f"count(*) {only} - count(DISTINCT {one}) {only}", "=", "0"
        if self.kind == EVERY:
            return f"count(*) FILTER (WHERE ({self.left}\n) IS NOT TRUE)", "=", "0"
        return self.left, self.sign, self.right


def parse(expect: Expect, at: At) -> Expectation:
    """Read what is written. Raises ConfigError that points at the column."""
    text = expect.sql or expect.text
    if len(text) > LONGEST:
        raise ConfigError(f"this is longer than {LONGEST:,} characters", where=str(at))
    if "\0" in text:
        raise _error("a NUL has no meaning here", text, text.index("\0"), at)
    if expect.sql:
        _balanced(expect.sql, at)
        said = expect.says or " ".join(expect.sql.split())
        return Expectation(kind=QUERY, text=said, table=expect.table, left=expect.sql.strip().rstrip(";"))
    tokens = _balanced(text, at)
    if not tokens:
        raise _error("there is nothing", text, 0, at)
    call = _call(text, tokens)
    if call and call[0] == UNIQUE:
        if not all(call[1]):
            raise _error("unique(…) names columns", text, 0, at)
        return Expectation(kind=UNIQUE, text=text.strip(), table=expect.table, args=tuple(call[1]))
    if call and call[0] == EVERY:
        inside = text[tokens[1].start + 1 : tokens[-1].start]
        if not inside.strip():
            raise _error("every(…) holds a condition", text, 0, at)
        return Expectation(kind=EVERY, text=text.strip(), table=expect.table, left=inside)
    return _comparison(expect, tokens, at)


def _comparison(expect: Expect, tokens: Sequence[Token], at: At) -> Expectation:
    text = expect.text
    depth, signs = 0, []
    for token in tokens:
        depth += (token.text in _OPEN) - (token.text in _CLOSE) if token.kind == "mark" else 0
        if token.kind == "compare" and not depth:
            signs.append(token)
    if not signs:
        raise _error("nothing is compared", text, len(text.rstrip()), at)
    if len(signs) > 1:
        raise _error("this compares twice; write two expectations", text, signs[1].start, at)
    sign = signs[0]
    left, right = text[: sign.start], text[sign.start + len(sign.text) :]
    for side, column in ((left, sign.start), (right, len(text.rstrip()))):
        if not side.strip():
            raise _error("something is missing here", text, column, at)
    return Expectation(
        kind=COMPARE, text=text.strip(), table=expect.table, left=_plain(left), right=_plain(right),
        sign={"==": "=", "!=": "<>"}.get(sign.text, sign.text),
    )  # fmt: skip


def _plain(side: str) -> str:
    """A side as SQL: `rows` is the number of rows, `classes` that of the column `label`."""
    found = list(_tokens(side))
    parts, end = [], 0
    for token, after in zip(found, [*found[1:], None], strict=True):
        word = _ALONE.get(token.text.lower()) if token.kind == "name" else None
        if word and (after is None or after.text not in ("(", ".")):
            parts += [side[end : token.start], word]
            end = token.start + len(token.text)
    return "".join([*parts, side[end:]]).strip()


def _call(text: str, tokens: Sequence[Token]) -> tuple[str, list[str]] | None:
    """`f(a, b)` as its name in lower case and its arguments; None if the whole is no single call."""
    if len(tokens) < 3 or tokens[0].kind != "name" or tokens[1].text != "(":
        return None
    depth, begun, parts = 0, tokens[1].start + 1, []
    for index, token in enumerate(tokens[1:], 1):
        if token.kind != "mark":
            continue
        depth += (token.text in _OPEN) - (token.text in _CLOSE)
        if (token.text == "," and depth == 1) or not depth:
            parts.append(text[begun : token.start].strip())
            begun = token.start + 1
        if not depth:
            return (tokens[0].text.lower(), parts) if index == len(tokens) - 1 else None
    return None


def called(side: str) -> tuple[str, list[str]] | None:
    """A side of a comparison as the name of a function and its arguments, if it is one call and nothing else."""
    return _call(side, list(_tokens(side)))


def offending(e: Expectation) -> str:
    """The SQL condition of the rows because of which the expectation does not hold; empty where no row can be named."""
    if e.kind == UNIQUE:
        names = ", ".join(e.args)
        there = " AND ".join(f"({arg}) IS NOT NULL" for arg in e.args)
        table = quoted(e.table)
        twice = f"SELECT ({names}) FROM {table} WHERE {there} GROUP BY {names} HAVING count(*) > 1"
        return f"({there}) AND ({names}) IN ({twice})"
    if e.kind == EVERY:
        return f"({e.left}\n) IS NOT TRUE"
    found = called(e.left)
    if found is None or len(found[1]) != 1 or any(token.text == "(" for token in _tokens(e.right)):
        return ""
    name, [argument] = found
    if name in ("nulls", "null_rate") and e.sign in ("=", "<", "<="):
        return f"({argument}) IS NULL"
    if (name == "min" and e.sign in (">", ">=")) or (name == "max" and e.sign in ("<", "<=")):
        return f"NOT (({argument}) {e.sign} ({e.right}))"
    return ""


def counted(e: Expectation) -> str:
    """The SQL expression whose values are to be told with their numbers: of a comparison of classes."""
    found = called(e.left) if e.kind == COMPARE else None
    return found[1][0] if found and found[0] == CLASSES and len(found[1]) == 1 else ""


def names(text: str) -> list[str]:
    """What may be the names of columns in a piece of SQL, each once, in lower case."""
    found: dict[str, None] = {}
    for token in _tokens(text):
        if token.kind == "name":
            found[token.text.lower()] = None
        elif token.kind == "quoted":
            found[token.text[1:-1].replace('""', '"').lower()] = None
    return list(found)


def quoted(name: str) -> str:
    """A name as SQL writes one that may be anything."""
    return '"' + name.replace('"', '""') + '"'


def lines(tables: Sequence[Table], expects: Sequence[Expect]) -> tuple[str, ...]:
    """What stands for the commands of a stage that consists of expectations (docs/format.md, 7.1)."""
    found = []
    for table in tables:
        line = f"table {table.name}: {table.path}"
        line += f" format={table.format}" if table.format else ""
        line += f" delimiter={msgspec.json.encode(table.delimiter).decode()}" if table.delimiter else ""
        found.append(line + ("" if table.header else " header=false"))
    found += [f"none {e.table}: {e.sql}" if e.sql else f"expect {e.table}: {e.text}" for e in expects]
    return tuple(found)


VARIABLE, MEMORY, THREADS = "ROTE_CHECK", "ROTE_CHECK_MEMORY", "ROTE_CHECK_THREADS"
"""The variables in which the process that looks at expectations is told what they are, and what it may take."""
DIFFERS, REFUSED = 1, 2
"""Exit codes of that process: something does not hold; it cannot be asked."""


def handed(stage: Stage) -> dict[str, str]:
    """The variables for the process that looks at the stage's expectations."""
    found = {VARIABLE: msgspec.json.encode(stage.check).decode()}
    if stage.resources.memory:
        found[MEMORY] = str(stage.resources.memory)
    if stage.resources.cpus:
        found[THREADS] = str(math.ceil(stage.resources.cpus))
    return found


def told(code: int, tail: bytes | bytearray) -> str:
    """Why a check did not pass, by what that process said last; empty if it did not end by itself."""
    if code not in (DIFFERS, REFUSED):
        return ""
    said = tail.decode("utf-8", "replace").rpartition("\n\n")[2].strip()
    return "\n  | ".join(said.splitlines())


def _tokens(text: str) -> Iterator[Token]:
    for found in _TOKENS.finditer(text):
        if found.lastgroup != "space":
            yield Token(found.lastgroup or "", found.group(), found.start())


def _balanced(text: str, at: At) -> list[Token]:
    """The tokens, if what is opened is closed and nothing ends the statement."""
    tokens, open_ = list(_tokens(text)), []
    for place, token in enumerate(tokens):
        if token.kind != "mark":
            continue
        if token.text in "'\"":
            raise _error("this quote is not closed", text, token.start, at)
        if token.text == ";" and place != len(tokens) - 1:
            raise _error("one expectation is one expression; ';' has no meaning here", text, token.start, at)
        if token.text in _OPEN:
            open_.append(token)
        elif token.text in _CLOSE and (
            not open_ or _OPEN.index(open_.pop().text) != _CLOSE.index(token.text)
        ):
            raise _error(f"{token.text!r} closes nothing", text, token.start, at, _COMMA)
    if open_:
        raise _error(f"{open_[-1].text!r} is not closed", text, open_[-1].start, at, _COMMA)
    return tokens


def _error(what: str, text: str, column: int, at: At, more: str = "") -> ConfigError:
    """An error that shows the expectation and points at a column, counted from 0; of a long one only its place."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    if len(line) > 200:
        return ConfigError(
            f"this cannot be read: {what} (character {column + 1}, at {shown(line[column : column + 20])})",
            where=str(at), next=_NEXT,
        )  # fmt: skip
    return ConfigError(
        f"this cannot be read: {what} (column {column + 1}){more}\n    {line}\n    {' ' * column}^",
        where=str(at),
        next=_NEXT,
    )
