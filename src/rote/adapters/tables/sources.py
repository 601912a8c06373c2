"""Which files a table consists of, and of which kind they are."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator
from typing import IO, Final, cast

import msgspec
import zstandard

from rote.errors import StageFailed
from rote.words.ids import shown
from rote.words.pipeline import Table

SUFFIXES: Final = {
    ".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip
_PACKED: Final = (".gz", ".zst")
_LONGEST_HEADER: Final = 1 << 20
_KINDS: Final = {"csv": "CSV", "parquet": "Parquet", "jsonl": "JSON lines"}


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a table is read from: its `files` (absolute), all of one `kind`. `columns` are those of CSV files. For the
    kind `files` the listing itself is the table."""

    table: Table
    root: str
    kind: str
    files: tuple[str, ...]
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    def called(self, file: str) -> str:
        """A file as the project calls it."""
        return os.path.relpath(file, self.root).replace(os.sep, "/")


def find(root: str, table: Table) -> Source:
    """What a table is read from. Raises StageFailed if it is not there, or cannot be told what it is."""
    place = os.path.join(root, table.path)
    if os.path.isdir(place):
        files = tuple(sorted(_below(place)))
        kind = table.format or _kind(table, files)
        if kind != "files":
            files = tuple(file for file in files if kind_of(file) == kind)
            if not files:
                raise _trouble(table, f"there are no {_KINDS[kind]} files in this folder")
    elif os.path.isfile(place):
        files = (place,)
        kind = table.format or kind_of(place)
        if not kind:
            raise _trouble(
                table, f"it cannot be told from its name what it is ({', '.join(SUFFIXES)})",
                f"write check: {{{table.name}: {{path: {table.path}, format: csv}}}}",
            )  # fmt: skip
    else:
        raise _trouble(table, "there is no such file or folder")
    if kind != "csv":
        return Source(table=table, root=root, kind=kind, files=files)
    return _of_csv(root, table, files)


def kind_of(file: str) -> str:
    """The kind that a file's name tells; empty if it tells none."""
    name = file.lower()
    for packed in _PACKED:
        name = name.removesuffix(packed)
    kind = SUFFIXES.get(os.path.splitext(name)[1], "")
    return "" if kind == "parquet" and name != file.lower() else kind


def _below(folder: str) -> Iterator[str]:
    for above, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (os.path.join(above, name) for name in names)


def _kind(table: Table, files: tuple[str, ...]) -> str:
    kinds = dict.fromkeys(kind_of(file) for file in files)
    found = [kind for kind in kinds if kind]
    if not found:
        return "files"
    if len(kinds) == 1:
        return found[0]
    told = " and ".join(_KINDS[kind] for kind in found)
    raise _trouble(
        table,
        f"this folder holds {told} files and others, so it cannot be told what is meant",
        f"write check: {{{table.name}: {{path: {table.path}, format: {found[0]}}}}}, or format: files",
    )


def line_without_json(file: str) -> int:
    """The number of the first line, from 1, that is no JSON; 0 if each is."""
    with _opened(file) as f:
        for number, line in enumerate(f, 1):
            try:
                if line.strip():
                    msgspec.json.decode(line)
            except msgspec.DecodeError:
                return number
    return 0


# ---- CSV ---------------------------------------------------------------------------------------------------------


def _of_csv(root: str, table: Table, files: tuple[str, ...]) -> Source:
    first = files[0]
    suffix = first.lower().removesuffix(".gz").removesuffix(".zst")
    delimiter = table.delimiter or ("\t" if suffix.endswith(".tsv") else ",")
    source = Source(table=table, root=root, kind="csv", files=files, delimiter=delimiter)
    columns: tuple[str, ...] = ()
    for file in files:
        found = _header(source, file)
        if file == first:
            columns = found
        elif found != columns:
            raise StageFailed(
                f"its columns are {_list(found)}, and those of {source.called(first)} are {_list(columns)}",
                where=source.called(file),
                next="files of one table have the same columns in the same order",
            )
    return msgspec.structs.replace(source, columns=columns)


def _header(source: Source, file: str) -> tuple[str, ...]:
    where = source.called(file)
    try:
        with _opened(file) as f:
            text = io.TextIOWrapper(f, encoding="utf-8-sig", newline="")
            record = next(csv.reader(_bounded(text), delimiter=source.delimiter, strict=True), None)
    except UnicodeDecodeError as e:
        raise StageFailed(f"it is no UTF-8 text (byte {e.start + 1})", where=where) from e
    except csv.Error as e:
        raise StageFailed(f"its first line is no names of columns: {e}", where=where) from e
    except (OSError, EOFError, zstandard.ZstdError) as e:
        raise StageFailed(f"its first line cannot be read: {e}", where=where) from e
    if record is None:
        raise StageFailed("it is empty: not even the names of columns are there", where=where)
    if not source.table.header:
        return tuple(f"column{i}" for i in range(len(record)))
    names = [name.strip() for name in record]
    seen: set[str] = set()
    for index, name in enumerate(names):
        if not name:
            raise StageFailed(
                f"its column {index + 1} has no name", where=where, next="name it, or `header: false`"
            )
        if name.lower() in seen:
            raise StageFailed(f"two of its columns are called {shown(name)}", where=where, next="rename one")
        seen.add(name.lower())
    return tuple(names)


def _opened(file: str) -> IO[bytes]:
    if file.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(file, "rb"))
    if file.lower().endswith(".zst"):
        return cast(IO[bytes], zstandard.open(file, "rb"))
    return open(file, "rb")


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    left = _LONGEST_HEADER
    while line := text.readline(left):
        left -= len(line)
        if left <= 0:
            raise csv.Error(f"it is longer than {_LONGEST_HEADER:,} characters")
        yield line


def _list(columns: tuple[str, ...]) -> str:
    return ", ".join(shown(name, 40)[1:-1] for name in columns[:20]) + (", …" if len(columns) > 20 else "")


def _trouble(table: Table, what: str, next: str | None = None) -> StageFailed:
    return StageFailed(what, where=table.path, next=next)
