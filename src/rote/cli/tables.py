"""Text for people: tables, sizes, times, and rows as JSON or CSV."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import click

from rote.words.ids import counted

count = counted
"""`1 file`, `1,797 files`."""
_STEPS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size(count: int) -> str:
    """Bytes in decimal units: 167 MB."""
    value, step = float(count), 0
    while value >= 999.5 and step < len(_STEPS) - 1:
        value /= 1000
        step += 1
    if step == 0:
        return counted(count, "byte")
    return f"{value:.{0 if value >= 100 else 1}f} {_STEPS[step]}"


def seconds(value: float) -> str:
    """A length of time: 0.21 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if value < 9.95:
        return f"{value:.2g} s" if value >= 0.1 else f"{value:.2f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def value(thing: Any) -> str:
    """A value of a param or metric, short."""
    if thing is None:
        return ""
    if isinstance(thing, bool):
        return "true" if thing else "false"
    if isinstance(thing, float):
        return f"{thing:.6g}"
    if isinstance(thing, list | tuple):
        return ", ".join(value(v) for v in thing)
    return "".join(c if c.isprintable() else " " for c in str(thing))


def width(text: str) -> int:
    """Columns that the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """A table with two spaces between columns; the columns numbered in `right` are aligned to the right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(width(line[i]) for line in lines) for i in range(len(head))]
    shown = []
    for line in lines:
        cells = []
        for i, cell in enumerate(line):
            gap = " " * (widths[i] - width(cell))
            cells.append(gap + cell if i in right else cell + gap)
        shown.append("  ".join(cells).rstrip())
    return "\n".join(shown)


def as_json(thing: Any) -> None:
    """Print a value as indented JSON."""
    import msgspec  # loaded by then; named here so that plain text output does not need it

    click.echo(msgspec.json.format(msgspec.json.encode(thing), indent=2).decode())


def as_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows as CSV (RFC 4180). A text that a spreadsheet would run as a formula gets a leading apostrophe."""
    import csv  # only `--csv` needs it
    import io  # the same

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow([_calm(v) for v in row])
    click.echo(out.getvalue(), nl=False)


def _calm(thing: Any) -> Any:
    if isinstance(thing, str) and thing[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + thing
    if isinstance(thing, list | dict):
        return value(thing)
    return "" if thing is None else thing
