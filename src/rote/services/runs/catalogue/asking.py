"""Asking the catalogue: the query language, and SQL that can only read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from rote.errors import UsageError
from rote.laws.pipeline.query import FIELDS, FLAG, Field, fields_of, parse, parse_columns, parse_sort, refuse
from rote.laws.pipeline.querysql import COLUMNS, SHIFT, select
from rote.ports import Clock
from rote.services.runs.catalogue.opening import is_damage
from rote.services.runs.catalogue.schema import VIEW_NAMES
from rote.words.ids import nearest

MOST_ROWS = 1_000_000
"""Rows that an answer in SQL may have."""
SECONDS = 30.0
"""Seconds that a query in SQL may take."""
DEFAULT = ("id", "state", "began", "seconds", "commit", "by")
"""Columns shown when none are named; metrics that the runs have follow."""
MOST_METRICS = 4
_STEPS = 10_000
_MASK = (1 << SHIFT) - 1
_FEW = 200


class Table(msgspec.Struct, frozen=True):
    """An answer: the columns' names, and a tuple of values for each row."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class _Keys:
    """The metrics, params and tags that runs have."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def find(self, field: Field) -> list[int]:
        """The numbers of the keys that a field means: KEY in any file, or FILE:KEY."""
        found = self._db.execute(
            "SELECT id FROM key WHERE kind = ? AND name = ? ORDER BY file", (field.group, field.key)
        ).fetchall()
        if not found and ":" in field.key:
            found = self._db.execute(
                "SELECT id FROM key WHERE kind = ? AND file || ':' || name = ?", (field.group, field.key)
            ).fetchall()
        return [id for (id,) in found]

    def check(self, fields: Sequence[Field], text: str, option: str) -> None:
        """A metric or param that no run has is most likely misspelt: say so, if runs have any at all."""
        for field in fields:
            if field.group not in ("metrics", "params") or self.find(field):
                continue
            names = [
                n for (n,) in self._db.execute("SELECT DISTINCT name FROM key WHERE kind = ?", (field.group,))
            ]
            if names:
                close = nearest(field.key, names)
                meant = f"; did you mean {field.group}.{close}?" if close else ""
                what = f"no run has {field}{meant}"
                some = ", ".join(f"{field.group}.{n}" for n in sorted(names)[:10])
                raise refuse(text, field.at, what, option, next=f"runs have {some}")


def select_runs(
    db: sqlite3.Connection,
    where: str | None,
    sort: str | None,
    columns: Sequence[str] | None,
    limit: int | None,
) -> Table:
    """The runs for which `where` holds. Raises UsageError."""
    keys = _Keys(db)
    query = parse(where) if where else None
    order = parse_sort(sort) if sort else ()
    if query is not None and where:
        keys.check(fields_of(query), where, "--where")
    if sort:
        keys.check([term.field for term in order], sort, "--sort")
    wanted = _wanted(keys, columns) if columns is not None else None
    statement = select(query, order, limit, keys.find)
    numbers = [no for (no,) in db.execute(statement.sql, statement.values)]
    if wanted is not None:
        return Table(
            [str(f) for f in wanted], list(zip(*[_column(db, keys, f, numbers) for f in wanted], strict=True))
        )
    shown = [(f, _column(db, keys, Field("", f), numbers)) for f in DEFAULT]
    smoke = _column(db, keys, Field("", "smoke"), numbers)
    if any(smoke):
        shown.append(("smoke", smoke))
    shown += _metrics(db, keys, numbers)
    return Table([name for name, _ in shown], list(zip(*[values for _, values in shown], strict=True)))


def _wanted(keys: _Keys, columns: Sequence[str]) -> list[Field]:
    wanted: list[Field] = []
    for text in columns:
        fields = parse_columns(text)
        keys.check(fields, text, "--columns")
        wanted += fields
    if not wanted:
        raise UsageError("name at least one column", where="--columns")
    return wanted


def _metrics(db: sqlite3.Connection, keys: _Keys, numbers: list[int]) -> list[tuple[str, list[Any]]]:
    """The first metrics that at least one of the runs has: whole ones by name, then those that lie in others."""
    found: list[tuple[str, list[Any]]] = []
    names = "SELECT DISTINCT name FROM key WHERE kind = 'metrics' ORDER BY name LIKE '%.%', name"
    for (name,) in db.execute(names):
        values = _column(db, keys, Field("metrics", name), numbers)
        if any(value is not None for value in values):
            found.append((f"metrics.{name}", values))
            if len(found) == MOST_METRICS:
                break
    return found


def _column(db: sqlite3.Connection, keys: _Keys, field: Field, numbers: list[int]) -> list[Any]:
    """A field's value in each of the runs."""
    if not field.group:
        column = COLUMNS[field.key]
        values = _many(db, f"SELECT r.no, {column} FROM run AS r", "r.no", 0, numbers)
        if FIELDS[field.key] == FLAG:
            return [bool(values[no]) for no in numbers]
        return [values.get(no) for no in numbers]
    found: dict[int, Any] = {}
    for key in reversed(keys.find(field)):
        # the first file is looked at last, so that it counts
        found.update(_many(db, "SELECT id, v FROM value", "id", key << SHIFT, numbers))
    return [found.get(no) for no in numbers]


def _many(db: sqlite3.Connection, sql: str, id: str, low: int, numbers: list[int]) -> dict[int, Any]:
    """Number of a run -> value: row by row for few runs, a whole stretch for many."""
    if len(numbers) <= _FEW:
        found = [row for no in numbers for row in db.execute(f"{sql} WHERE {id} = ?", (low + no,))]
    else:
        found = db.execute(
            f"{sql} WHERE {id} BETWEEN ? AND ?", (low + min(numbers), low + max(numbers))
        ).fetchall()
    return {row & _MASK: value for row, value in found}


# ---- SQL -----------------------------------------------------------------------------------------------------------


def ask(db: sqlite3.Connection, query: str, clock: Clock, most_rows: int, seconds: float) -> Table:
    """The answer to one SELECT, asked on a connection of its own. Raises UsageError; sqlite3.Error if the file
    is damaged."""
    refused: list[str] = []
    db.set_authorizer(_guard(refused))
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 16 << 20)
    end = clock.monotonic() + seconds
    db.set_progress_handler(lambda: int(clock.monotonic() > end), _STEPS)
    try:
        cursor = db.execute(query)
        rows = cursor.fetchmany(most_rows + 1)
    except (sqlite3.Error, sqlite3.Warning, ValueError, UnicodeEncodeError, MemoryError) as e:
        if isinstance(e, sqlite3.Error) and is_damage(e):
            raise
        raise _told(e, refused, seconds) from e
    if cursor.description is None:
        raise UsageError("this is not a SELECT", where="sql", next='rote sql "SELECT * FROM runs"')
    if len(rows) > most_rows:
        raise UsageError(
            f"the answer has more than {most_rows} rows", where="sql", next="add LIMIT, or a condition"
        )
    return Table([column[0] for column in cursor.description], rows)


def _guard(refused: list[str]) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """What SQLite asks before it prepares a step of a query: only reading is allowed, and only through the views."""
    free = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE)

    def allow(
        action: int, first: str | None, second: str | None, base: str | None, inside: str | None
    ) -> int:
        if action in free:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION and second != "load_extension":
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            # an empty column: rows are counted, nothing of them is read
            if first in VIEW_NAMES or inside in VIEW_NAMES or not first or not second:
                return sqlite3.SQLITE_OK
            refused.append(f"{first} is not one of the views")
        else:
            refused.append("only SELECT is allowed: the catalogue is read-only")
        return sqlite3.SQLITE_DENY

    return allow


def _told(error: Exception, refused: list[str], seconds: float) -> UsageError:
    said = str(error)
    hint = f"the views are {', '.join(VIEW_NAMES)}; docs/runs.md lists their columns"
    if "interrupted" in said:
        return UsageError(
            f"the query took longer than {seconds:g} s", where="sql", next="add a condition on key or run"
        )
    if refused:
        return UsageError(refused[0], where="sql", next=hint)
    if "one statement" in said:
        return UsageError("one statement at a time", where="sql")
    return UsageError(said, where="sql", next=hint)
