"""Predictions of a model, one row an example: CSV with a header, or JSON lines (docs/releases.md, "Predictions")."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.words.ids import nearest, shown
from rote.words.pipeline import PredictionsFile

_WHOLE = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")
_MOST_COLUMNS = 1000
SECONDS = "seconds"
"""The column that says how long the call took."""


class Unusable(Exception):
    """Predictions cannot be used; the text says why, with the place."""


class Predictions(msgspec.Struct, frozen=True):
    """A table of text, column by column: `columns` by name, all of one length; `at` names the file."""

    at: str
    columns: Mapping[str, Sequence[str]]
    names: PredictionsFile

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def texts(self, name: str) -> Sequence[str]:
        """A column. Raises Unusable if it is not there."""
        if name not in self.columns:
            near = nearest(name, list(self.columns))
            hint = f"is it {near}?" if near else f"there are {', '.join(map(shown, list(self.columns)[:20]))}"
            raise Unusable(f"{self.at} has no column {shown(name)}; {hint}")
        return self.columns[name]

    def numbers(self, name: str) -> list[float]:
        """A column of finite numbers. Raises Unusable for one that is none."""
        found = []
        for row, text in enumerate(self.texts(name), 1):
            try:
                value = float(text)
            except ValueError:
                value = math.nan
            if not math.isfinite(value):
                raise Unusable(
                    f"{self.at}: {shown(text, 40)} in row {row} of column {shown(name)} is no finite number"
                )
            found.append(value)
        return found


class Pair(msgspec.Struct, frozen=True):
    """Predictions of two models for the same examples: row `i` of the run's belongs to row `order[i]` of the other."""

    run: Predictions
    other: Predictions
    order: Sequence[int]


def decode(data: bytes, names: PredictionsFile, whose: str) -> Predictions:
    """The rows of a file of predictions. Raises Unusable if it is none: not UTF-8, a row that is too short or too long,
    no rows, an example that is there twice."""
    at = f"{names.path} of {whose}"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise Unusable(f"{at} is not UTF-8 (byte {e.start})") from e
    lines = names.path.lower().endswith((".jsonl", ".ndjson"))
    columns = _of_json(text, at) if lines else _of_csv(text, at)
    if not columns or not next(iter(columns.values())):
        raise Unusable(f"{at} has no rows")
    if names.id in columns:
        first: dict[str, int] = {}
        for row, id in enumerate(columns[names.id], 1):
            if first.setdefault(id, row) != row:
                raise Unusable(f"{at} has the example {shown(id, 60)} twice, in rows {first[id]} and {row}")
    return Predictions(at, columns, names)


def pair(run: Predictions, other: Predictions) -> Pair:
    """Which rows are of the same example: those of one id, or without ids those of one number. Raises Unusable if one
    has an example that the other lacks, or their labels differ."""
    names = run.names
    if (names.id in run.columns) != (names.id in other.columns):
        without = other if names.id in run.columns else run
        raise Unusable(f"{without.at} has no column {shown(names.id)}, and the other has")
    if names.id in run.columns:
        rows = {id: row for row, id in enumerate(other.columns[names.id])}
        ids = run.columns[names.id]
        here, there = len([id for id in ids if id not in rows]), len(rows.keys() - set(ids))
        if here or there:
            raise Unusable(
                f"they are of different examples: {here} of {len(ids)} are in {run.at} alone, "
                f"{there} of {len(rows)} in {other.at} alone"
            )
        order = [rows[id] for id in ids]
    else:
        if len(run) != len(other):
            raise Unusable(
                f"{run.at} has {len(run)} examples and {other.at} has {len(other)}, without a column {shown(names.id)} "
                "to tell which belong together"
            )
        order = list(range(len(run)))
    _same_labels(run, other, order)
    return Pair(run, other, order)


def _same_labels(run: Predictions, other: Predictions, order: Sequence[int]) -> None:
    label = run.names.label
    if label not in run.columns or label not in other.columns:
        return
    mine, theirs = run.columns[label], other.columns[label]
    unlike = sum(plain(mine[row]) != plain(theirs[at]) for row, at in enumerate(order))
    if unlike:
        raise Unusable(
            f"they have different labels for {unlike} of {len(order)} examples, so they are of different tests"
        )


def plain(text: str) -> str:
    """A label as it is compared: `1` and `1.0` are the same, for who writes one reads it as the other."""
    text = text.strip()
    return text.rstrip("0").rstrip(".") if "." in text and _WHOLE.fullmatch(text) else text


def _of_csv(text: str, at: str) -> dict[str, list[str]]:
    reader = csv.reader(_lines(text), strict=True)
    try:
        head = next(reader, [])
        rows: list[list[str]] = []
        for row in reader:
            if len(row) != len(head) and row:
                raise Unusable(
                    f"{at}: line {reader.line_num} has {len(row)} values, and the header has {len(head)}"
                )
            if row:
                rows.append(row)
    except csv.Error as e:
        raise Unusable(f"{at}: line {reader.line_num}: {e}") from e
    names = [name.strip() for name in head]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable(f"{at} has the column {shown(twice)} twice")
    return (
        {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}
        if rows
        else {}
    )


def _lines(text: str) -> Iterator[str]:
    """Lines with their ends: a line separator of Unicode ends none."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _of_json(text: str, at: str) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    rows = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError) as e:
            raise Unusable(f"{at}: line {number} is no JSON object: {e}") from e
        if rows and row.keys() != columns.keys():
            raise Unusable(f"{at}: line {number} has other keys than the first")
        if len(row) > _MOST_COLUMNS:
            raise Unusable(f"{at}: line {number} has more than {_MOST_COLUMNS} keys")
        rows += 1
        for key, value in row.items():
            columns.setdefault(key, []).append(_text(value))
    return columns


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return repr(value) if isinstance(value, int | float) else msgspec.json.encode(value).decode()
