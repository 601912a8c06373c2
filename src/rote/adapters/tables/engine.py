"""DuckDB over the tables of one check: it reads their files and nothing else, and writes nothing."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, Final

import msgspec

from rote.adapters.tables.sources import Source, line_without_json
from rote.errors import ConfigError, MissingExtra, StageFailed
from rote.laws.gates.expectations import CLASS, MACROS, quoted
from rote.words.ids import nearest, shown

_PREFIX: Final = "check-"
ROW, FILE = "rote row", "rote file"
"""Columns besides the table's own: the number of the row, and its file."""

# What a column of text is, if all of it is: tried in this order. Numbers with zeros in front are names.
_TYPES: Final = (
    ("BOOLEAN", "lower({0}) IN ('true', 'false')"),
    ("BIGINT", "CAST(TRY_CAST({0} AS BIGINT) AS VARCHAR) = {0}"),
    (
        "DOUBLE",
        "TRY_CAST({0} AS DOUBLE) IS NOT NULL AND substr(ltrim({0}, '+-'), 1, 2) NOT BETWEEN '00' AND '09'",
    ),
    ("DATE", "length({0}) = 10 AND TRY_CAST({0} AS DATE) IS NOT NULL"),
    ("TIMESTAMP", "length({0}) > 10 AND TRY_CAST({0} AS TIMESTAMP) IS NOT NULL"),
)
_FIRST: Final = 10_000
"""Rows that are looked at first: what is nothing of a kind there need not be asked for in all the others."""
EMPTY: Final = "NULL"
"""The type of a column without a value."""
_NUMBER: Final = "DOUBLE"
_LINE = re.compile(r"CSV Error on Line: (\d+)")
_NO_JSON = re.compile(r'Malformed JSON in file "(.*?)", at byte \d+ in line \d+: (.*)')
_NO_COLUMN = re.compile(
    r'Referenced column "(.*?)" not found|column named "(.*?)"|does not have a column named "(.*?)"'
)


class Column(msgspec.Struct, frozen=True):
    """A column of a table, with the type that it has to the engine."""

    name: str
    type: str


class Engine:
    """The tables of a check, to be asked. Use it as a context; `memory` are the bytes that it may take, `threads` how
    many processors. What does not fit into memory goes below `scratch`, if that is a folder."""

    def __init__(
        self, *, memory: int | None = None, threads: int | None = None, scratch: str | None = None
    ) -> None:
        self._duckdb = _duckdb()
        self._error: type[Exception] = self._duckdb.Error
        self._memory = memory
        self._threads = threads
        self._scratch = scratch if scratch and os.path.isdir(scratch) else None
        self.columns: dict[str, list[Column]] = {}
        self.sources: dict[str, Source] = {}
        self.odd: dict[str, list[str]] = {}
        """For each table the columns of text that are numbers but for a few."""

    def __enter__(self) -> Engine:
        if self._scratch:
            _bury(self._scratch)
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{_PREFIX}{os.getpid()}-", dir=self._scratch, ignore_cleanup_errors=True
        )
        self._connection = self._duckdb.connect(":memory:")
        return self

    def __exit__(self, *what: object) -> None:
        self._connection.close()
        self._folder.cleanup()

    def open(self, sources: Sequence[Source]) -> None:
        """Make each source a table under its name. Raises StageFailed for one that cannot be read."""
        listings = {s.table.name: self._listing(s) for s in sources if s.kind == "files"}
        allowed = [file for s in sources if s.kind != "files" for file in s.files]
        self._shut([*allowed, *listings.values()])
        for macro in MACROS:
            self._connection.execute(macro)
        for source in sources:
            name = source.table.name
            self.sources[name] = source
            raw = self._relation(source, listings.get(name, ""))
            columns = self._typed(source, raw)
            self.columns[name] = columns
            self._views(name, raw, columns, text=source.kind in ("csv", "files"))

    def _shut(self, allowed: Sequence[str]) -> None:
        settings: dict[str, Any] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "temp_directory": self._folder.name,
            "allowed_paths": list(allowed),
            "preserve_insertion_order": True,
        }
        if self._memory:
            # It is told of the whole limit, and the rest of the process is not nothing.
            settings["memory_limit"] = f"{max(self._memory * 7 // 10, 32 << 20)}B"
        if self._threads:
            settings["threads"] = self._threads
        for name, value in settings.items():
            self._connection.execute(f"SET {name} = {literal(value)}")
        self._connection.execute("SET enable_external_access = false")
        self._connection.execute("SET lock_configuration = true")

    # ---- making tables -----------------------------------------------------------------------------------------

    def _relation(self, source: Source, listing: str) -> str:
        files = literal([listing] if source.kind == "files" else list(source.files))
        also = f"filename = {literal(FILE)}"
        if source.kind == "parquet":
            return f"read_parquet({files}, union_by_name = true, {also})"
        if source.kind == "jsonl":
            return f"read_json({files}, format = 'newline_delimited', sample_size = -1, union_by_name = true, {also})"
        names = source.columns or ("path", CLASS, "suffix", "size")
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        header = source.kind == "csv" and source.table.header
        return (
            f"read_csv({files}, auto_detect = false, header = {header}, delim = {literal(source.delimiter)},"
            f" quote = '\"', escape = '\"', columns = {{{columns}}}, {also})"
        )

    def _listing(self, source: Source) -> str:
        """The files of a folder, as a table in a file."""
        place = os.path.join(self._folder.name, f"{source.table.name}.csv")
        base = os.path.join(source.root, source.table.path)
        with open(place, "w", encoding="utf-8", errors="backslashreplace", newline="") as f:
            writer = csv.writer(f)
            for file in source.files:
                path = os.path.relpath(file, base).replace(os.sep, "/")
                above = os.path.basename(os.path.dirname(path))
                writer.writerow([path, above, os.path.splitext(path)[1].lower(), os.path.getsize(file)])
        return place

    def _typed(self, source: Source, raw: str) -> list[Column]:
        """The columns. What is text in the files is what all of its values are."""
        self.odd[source.table.name] = []
        told = self._rows(f"DESCRIBE SELECT * FROM {raw}", source)
        columns = [Column(name, type) for name, type, *_ in told if name != FILE]
        if source.kind == "files":
            return [Column(c.name, "BIGINT" if c.name == "size" else c.type) for c in columns]
        if source.kind != "csv":
            return columns
        rules = {c.name: dict(_TYPES) for c in columns}
        first = self._fits(f"(SELECT * FROM {raw} LIMIT {_FIRST})", rules, source)
        for name, (there, fit) in first.items():
            likely = {type for type, count in fit.items() if count == there}
            if 2 * fit[_NUMBER] > there:
                likely.add(_NUMBER)
            rules[name] = {type: rule for type, rule in _TYPES if type in likely}
        found = []
        for name, (there, fit) in self._fits(raw, rules, source).items():
            types = [type for type, count in fit.items() if count == there]
            if there and not types and 2 * fit.get(_NUMBER, 0) > there:
                self.odd[source.table.name].append(name)
            found.append(Column(name, EMPTY if not there else types[0] if types else "VARCHAR"))
        return found

    def _fits(
        self, raw: str, rules: Mapping[str, Mapping[str, str]], source: Source
    ) -> dict[str, tuple[int, dict[str, int]]]:
        """For each column how many values it has, and how many of them keep each rule."""
        asked = []
        for name, each in rules.items():
            column = quoted(name)
            asked.append(f"count({column})")
            asked += [f"count(*) FILTER (WHERE {rule.format(column)})" for rule in each.values()]
        [row] = self._rows(f"SELECT {', '.join(asked)} FROM {raw}", source)
        counts = iter(row)
        return {name: (next(counts), {type: next(counts) for type in each}) for name, each in rules.items()}

    def _views(self, name: str, raw: str, columns: Sequence[Column], *, text: bool) -> None:
        """The table under its name, and once more with ROW and FILE. What is no number (NaN) counts as null."""
        shown = []
        for column in columns:
            value = quoted(column.name) if column.type != EMPTY else "NULL"
            if value != "NULL" and text and column.type != "VARCHAR":
                value = f"CAST({value} AS {column.type})"
            if column.type in ("DOUBLE", "FLOAT"):
                # Not isnan(): where a Parquet file's statistics leave NaN out, as they should, the engine takes it for
                # false without looking.
                value = f"CASE WHEN isfinite({value}) OR isinf({value}) THEN {value} END"
            shown.append(f"{value} AS {quoted(column.name)}")
        every = ", ".join(shown)
        self._connection.execute(f"CREATE VIEW {quoted(name)} AS SELECT {every} FROM {raw}")
        self._connection.execute(
            f"CREATE VIEW {numbered(name)} AS"
            f" SELECT row_number() OVER () AS {quoted(ROW)}, {quoted(FILE)}, {every} FROM {raw}"
        )

    # ---- asking ------------------------------------------------------------------------------------------------

    def ask(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names of the columns and the rows that a query finds. Raises ConfigError for a query that cannot be
        meant, StageFailed for data that cannot be read."""
        try:
            self._connection.execute(query)
            return [c[0] for c in self._connection.description or ()], self._connection.fetchall()
        except self._error as e:
            raise self._translated(e, None) from e
        except UnicodeDecodeError as e:
            raise StageFailed("it holds text that is no UTF-8") from e

    def _rows(self, query: str, source: Source) -> list[tuple[Any, ...]]:
        try:
            return list(self._connection.execute(query).fetchall())
        except self._error as e:
            raise self._translated(e, source) from e

    def _translated(self, error: Exception, source: Source | None) -> ConfigError | StageFailed:
        """What happened, in few words: the engine gives advice that is for its own users."""
        said = re.sub(r"^[A-Z][A-Za-z ]* Error: ", "", str(error))
        if isinstance(error, self._duckdb.OutOfMemoryException):
            return StageFailed(
                "looking at it takes more memory than there is", where=_where(source),
                next="raise `resources.memory` of the stage",
            )  # fmt: skip
        place = self._file_in(said, source)
        if line := _LINE.search(said):
            why = _sentence(said)
            return StageFailed(f"line {line[1]} cannot be read: {why}", where=place)
        if wrong := _NO_JSON.search(said):
            # The engine counts lines in its own way.
            number = line_without_json(wrong[1]) if os.path.isabs(wrong[1]) else 0
            why = wrong[2].rstrip(". ")
            return StageFailed(
                f"line {number} is no JSON: {why}" if number else f"it is no JSON: {why}", where=place
            )
        first = self._relative(said.strip().splitlines()[0])
        if isinstance(error, self._duckdb.PermissionException):
            wanted = re.search(r'Cannot access file "(.*?)"', said)
            return ConfigError(
                f"it reads {shown(wanted[1]) if wanted else 'something else'}, and a check reads what it names alone",
                next="make it a table: check: {NAME: PATH}",
            )
        broken = (self._duckdb.IOException, self._duckdb.InvalidInputException)
        if source is not None or isinstance(error, broken):
            return StageFailed(f"it cannot be read: {first}", where=place)
        if missing := _NO_COLUMN.search(said):
            return self._no_column(next(name for name in missing.groups() if name))
        return ConfigError(f"the engine cannot do this: {first}")

    def _no_column(self, name: str) -> ConfigError:
        known = [column.name for columns in self.columns.values() for column in columns]
        near = nearest(name, known)
        every = ", ".join(shown(each, 40)[1:-1] for each in known[:20]) + (", …" if len(known) > 20 else "")
        return ConfigError(
            f"there is no column {shown(name)}",
            next=f"did you mean {shown(near)}?" if near else f"there are: {every}{_cut_otherwise(known)}",
        )

    def _file_in(self, said: str, source: Source | None) -> str | None:
        for each in [source] if source else self.sources.values():
            for file in each.files:
                if file in said:
                    return each.called(file)
        return _where(source)

    def _relative(self, text: str) -> str:
        for source in self.sources.values():
            text = text.replace(source.root + os.sep, "")
        return text


def _bury(scratch: str) -> None:
    """Delete what a check left that was killed: a check that is in the middle of a query ends with its process."""
    for name in os.listdir(scratch):
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if not name.startswith(_PREFIX) or not pid.isdigit() or _lives(int(pid)):
            continue
        folder = os.path.join(scratch, name)
        with suppress(OSError):
            for file in os.listdir(folder):
                os.unlink(os.path.join(folder, file))
            os.rmdir(folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def numbered(table: str) -> str:
    """The table with ROW and FILE."""
    return quoted(f"rote rows of {table}")


def _where(source: Source | None) -> str | None:
    return source.table.path if source else None


def _sentence(said: str) -> str:
    """Of what is said about a line of CSV, that which says what is wrong."""
    for line in said.splitlines():
        if line.startswith(
            ("Expected", "Value with", "Maximum line", "Invalid unicode", "Error when converting")
        ):
            return line.split(". This file")[0].rstrip(". ")
    return "it is no CSV"


def literal(value: Any) -> str:
    """A value as SQL writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(literal(each) for each in value)}]"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _duckdb() -> ModuleType:
    try:
        import duckdb  # an extra: few projects check their data with SQL
    except ImportError as e:
        raise MissingExtra(
            "expectations are looked at by DuckDB, which is not installed", next='pip install "rote[checks]"'
        ) from e
    return duckdb


def _cut_otherwise(names: list[str]) -> str:
    """What to say of a table whose only column is called like several."""
    mark = next((mark for mark in ";\t|" if len(names) == 1 and mark in names[0]), None)
    return f"; if {mark!r} stands between columns, write delimiter: {mark!r} beside path" if mark else ""
