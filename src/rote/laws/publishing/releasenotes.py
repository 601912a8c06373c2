"""Release notes for people: a version's record as Markdown, with its metrics beside those of the version before."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rote.laws.gates.quantity import BARE, told, told_apart
from rote.words.verdict import GateVerdict
from rote.words.version import Version

MAX_BYTES = 100_000
"""GitHub takes notes of up to 125,000 characters."""
_ROWS = 100
_SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|<>~&@])")


def notes(version: Version, before: Version | None = None) -> str:
    """The notes of a version; `before` is the one that its metrics are compared with."""
    parts = [
        _note(version),
        _metrics(version, before),
        _gates(version),
        _files(version),
        _origin(version),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= MAX_BYTES else encoded[:MAX_BYTES].decode("utf-8", "ignore") + "\n\n…\n"


def _note(version: Version) -> str:
    """What whoever released it wrote, Markdown and all."""
    return "".join(c if c.isprintable() else " " for c in version.note).strip()


def _metrics(version: Version, before: Version | None) -> str:
    found = dict(numbers(version.metrics))
    if not found:
        return ""
    former = dict(numbers(before.metrics)) if before else {}
    rows = ["## Metrics", ""]
    if before:
        rows += [
            f"| metric | {plain(version.version)} | {plain(before.version)} | change |",
            "|---|---:|---:|---:|",
        ]
    else:
        rows += ["| metric | value |", "|---|---:|"]
    for name, value in list(found.items())[:_ROWS]:
        row = f"| {plain(name)} | {figure(value)} |"
        if before:
            old = former.get(name)
            row += f" {figure(old) if old is not None else ''} | {_change(value, old)} |"
        rows.append(row)
    if len(found) > _ROWS:
        rows.append(f"\n… and {len(found) - _ROWS} more.")
    return "\n".join(rows)


def numbers(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every number with its dotted key; with its file before it where two files have the key."""
    seen: dict[str, list[tuple[str, float]]] = {}
    for file, content in metrics.items():
        for key, value in _leaves(content, ""):
            seen.setdefault(key, []).append((file, value))
    for key, places in seen.items():
        for file, value in places:
            yield (key if len(places) == 1 else f"{file}:{key}"), value


def _leaves(content: Any, prefix: str) -> Iterator[tuple[str, float]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield prefix, content


def figure(value: float) -> str:
    """A number, for people."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def verdict_figures(gate: GateVerdict) -> tuple[str, str]:
    """The value and the threshold of a verdict, for people; nothing where there is none."""
    unit = gate.unit or BARE
    if gate.value is not None and gate.threshold is not None:
        return told_apart(gate.value, gate.threshold, unit)
    value, threshold = ("" if n is None else told(n, unit) for n in (gate.value, gate.threshold))
    return value, threshold


def _change(value: float, old: float | None) -> str:
    if old is None:
        return "new"
    change = value - old
    return "" if not change else f"{change:+.4g}"


def _gates(version: Version) -> str:
    if not version.gates:
        return ""
    rows = ["## Gates", "", "| gate | value | threshold | |", "|---|---:|---:|---|"]
    for gate in version.gates[:_ROWS]:
        figures = verdict_figures(gate)
        word = "passed" if gate.passed else "failed"
        rows.append(f"| {plain(gate.gate)} | {figures[0]} | {figures[1]} | {word} |")
    return "\n".join(rows)


def _files(version: Version) -> str:
    rows = ["## Files", "", "| file | bytes | BLAKE3 |", "|---|---:|---|"]
    rows += [f"| {plain(f.path)} | {f.size:,} | `{f.digest}` |" for f in version.files[:_ROWS]]
    if len(version.files) > _ROWS:
        rows.append(f"\n… and {len(version.files) - _ROWS:,} more; `rote-manifest.json` lists all.")
    return "\n".join(rows)


def _origin(version: Version) -> str:
    told = [f"{plain(version.model)} {plain(version.version)}"]
    if version.run:
        told.append(f"made by run {version.run}")
    if version.commit:
        told.append(f"from commit {plain(version.commit)}")
    told.append(f"released {plain(version.released)}")
    return ", ".join(told) + "."


def plain(text: str) -> str:
    """Text as it is, whatever it holds: nothing in it is markup, a mention or a link."""
    one = "".join(c if c.isprintable() or c == " " else " " for c in text)
    return _SPECIAL.sub(r"\\\1", one).replace("://", ":\u200b//").replace("\\@", "@\u200b").strip()
