"""Expectations held against tables: which hold, and of those that do not, why and because of which rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from rote.adapters.tables.engine import FILE, ROW, Engine, literal, numbered
from rote.errors import ConfigError
from rote.laws.gates import expectations as law
from rote.laws.gates.expectations import Expectation, quoted
from rote.words.ids import shown

LIMIT = 5
"""Rows that are told of one expectation."""
_CELLS, _WIDE = 6, 60


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an expectation holds, what was `measured`, and `rows` because of which it does not, each a line."""

    expectation: Expectation
    holds: bool
    measured: str = ""
    rows: list[str] = []


class Asking:
    """Asks the tables of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def judge(self, expected: Sequence[Expectation]) -> list[Verdict]:
        """A verdict on each expectation, in order. A table is read once for all that is compared. One that the engine
        cannot understand does not hold. Raises StageFailed for data that cannot be read."""
        found: dict[int, Verdict] = {}
        for table in dict.fromkeys(e.table for e in expected):
            of_table = [(i, e) for i, e in enumerate(expected) if e.table == table and e.kind != law.QUERY]
            verdicts = self._verdicts([e for _, e in of_table])
            found.update((i, verdict) for (i, _), verdict in zip(of_table, verdicts, strict=True))
        for i, e in enumerate(expected):
            if e.kind == law.QUERY:
                found[i] = self._found(e)
        return [found[i] for i in range(len(expected))]

    def _verdicts(self, expected: Sequence[Expectation]) -> list[Verdict]:
        if not expected:
            return []
        try:
            measured = self._at_once(expected)
        except ConfigError as error:
            if len(expected) == 1:
                return [self._lost(expected[0], error)]
            # One of them is at fault: each by itself tells which.
            return [self._verdicts([e])[0] for e in expected]
        return [self._verdict(e, *each) for e, each in zip(expected, measured, strict=True)]

    def _at_once(self, expected: Sequence[Expectation]) -> list[tuple[Any, Any, bool]]:
        asked = []
        for e in expected:
            left, sign, right = e.measured
            # Whatever is written stands in a line of its own: it may end in a comment.
            left, right = f"({left}\n)", f"({right}\n)"
            asked += [left, right, f"coalesce({left} {sign} {right}, false)"]
        _, [row] = self._engine.ask(f"SELECT {', '.join(asked)} FROM {quoted(expected[0].table)}")
        return [(row[i], row[i + 1], bool(row[i + 2])) for i in range(0, len(row), 3)]

    def _verdict(self, e: Expectation, left: Any, right: Any, holds: bool) -> Verdict:
        if e.kind == law.COMPARE:
            said = "there is no value" if left is None else f"it is {value(left)}"
            if law.called(e.right) is not None or not _is_plain(e.right):
                said += (
                    f", and {e.right} is {value(right)}"
                    if right is not None
                    else f", and {e.right} has no value"
                )
        else:
            rows = f"{value(left)} {'row' if left == 1 else 'rows'}"
            said = f"it is not true of {rows}"
            if e.kind == law.UNIQUE:
                said = f"{rows} {'repeats' if left == 1 else 'repeat'} what another has"
        if holds:
            return Verdict(expectation=e, holds=True, measured=said if e.kind == law.COMPARE else "")
        return Verdict(expectation=e, holds=False, measured=said, rows=self._rows(e))

    def _rows(self, e: Expectation) -> list[str]:
        if counted := law.counted(e):
            return self._classes(e, counted)
        condition = law.offending(e)
        if not condition:
            return []
        wanted = self._columns(e)
        names = [quoted(name) for name in (ROW, FILE, *wanted)]
        _, rows = self._engine.ask(
            f"SELECT {', '.join(names)} FROM {numbered(e.table)} WHERE {condition}"
            f" ORDER BY {quoted(ROW)} LIMIT {LIMIT + 1}"
        )
        lines = [f"{self._place(e.table, row[0], row[1])}: {_cells(wanted, row[2:])}" for row in rows[:LIMIT]]
        return [*lines, "…"] if len(rows) > LIMIT else lines

    def _place(self, table: str, row: int, file: str) -> str:
        """Where a row is: counted from 1, in its file."""
        source = self._engine.sources[table]
        if source.kind == "files" or len(source.files) == 1:
            return f"row {row}"
        where = f"{quoted(FILE)} = {literal(file)}"
        _, [[first]] = self._engine.ask(f"SELECT min({quoted(ROW)}) FROM {numbered(table)} WHERE {where}")
        return f"{shown(source.called(file), 200)[1:-1]}, row {row - first + 1}"

    def _columns(self, e: Expectation) -> list[str]:
        """The columns that are told of a row: those that the expectation names, and the table's first."""
        every = [column.name for column in self._engine.columns[e.table]]
        meant = law.names(" ".join([e.left, e.right, *e.args]))
        named = [name for name in every if name.lower() in meant]
        return list(dict.fromkeys([every[0], *named]))[:_CELLS]

    def _classes(self, e: Expectation, expression: str) -> list[str]:
        _, rows = self._engine.ask(
            f"SELECT {expression}, count(*) FROM {quoted(e.table)} GROUP BY 1 ORDER BY 2, 1 LIMIT {LIMIT * 4 + 1}"
        )
        told = [f"{value(each)} ({count})" for each, count in rows[: LIMIT * 4]]
        return [", ".join(told) + (", …" if len(rows) > LIMIT * 4 else "")] if told else []

    def _found(self, e: Expectation) -> Verdict:
        query = f"(\n{e.left}\n)"
        try:
            names, rows = self._engine.ask(f"SELECT * FROM {query} LIMIT {LIMIT + 1}")
            if not rows:
                return Verdict(expectation=e, holds=True)
            _, [[count]] = self._engine.ask(f"SELECT count(*) FROM {query}")
        except ConfigError as error:
            return self._lost(e, error)
        said = f"it finds {count} {'row' if count == 1 else 'rows'}"
        lines = [_cells(names[:_CELLS], row[:_CELLS]) for row in rows[:LIMIT]]
        return Verdict(
            expectation=e, holds=False, measured=said, rows=[*lines, "…"] if len(rows) > LIMIT else lines
        )

    def _lost(self, e: Expectation, error: ConfigError) -> Verdict:
        """The verdict on what cannot be asked; if it is because of a column that should be numbers, with the row."""
        said = f"{error.what} ({error.next})" if error.next else error.what
        meant = law.names(" ".join([e.left, e.right, *e.args]))
        for name in self._engine.odd[e.table]:
            if name.lower() in meant:
                where, odd = self._stray(e.table, name)
                said = f"{shown(name, 40)[1:-1]} is not all numbers: {where} has {value(odd)}"
        return Verdict(expectation=e, holds=False, measured=said)

    def _stray(self, table: str, name: str) -> tuple[str, Any]:
        column = quoted(name)
        _, [[row, file, odd]] = self._engine.ask(
            f"SELECT {quoted(ROW)}, {quoted(FILE)}, {column} FROM {numbered(table)}"
            f" WHERE {column} IS NOT NULL AND TRY_CAST({column} AS DOUBLE) IS NULL ORDER BY 1 LIMIT 1"
        )
        return self._place(table, row, file), odd


def value(given: Any) -> str:
    """A value in one line, fit to be shown."""
    if given is None:
        return "null"
    if isinstance(given, str):
        return shown(given, _WIDE)
    text = repr(given) if isinstance(given, float) else str(given)
    return text if text.isprintable() and len(text) <= _WIDE else shown(text, _WIDE)[1:-1]


def _cells(names: Sequence[str], row: Sequence[Any]) -> str:
    return ", ".join(f"{shown(n, 40)[1:-1]} = {value(v)}" for n, v in zip(names, row, strict=True))


def _is_plain(side: str) -> bool:
    """Whether a side is a number or a text, which needs no telling."""
    text = side.strip()
    try:
        float(text)
    except ValueError:
        return text.startswith("'")
    return True
