"""`rote model diff`: two versions side by side."""

from __future__ import annotations

from collections.abc import Iterable

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, size, table, value
from rote.laws.data.diff import ValueChange
from rote.services.releases.versiondiff import VersionsDiffer

_LINES = 20
_SIGN = {"added": "+", "removed": "-", "modified": "~"}


@click.command("diff")
@click.argument("before", metavar="MODEL@VERSION")
@click.argument("after", metavar="[MODEL@]VERSION")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def diff_command(ctx: click.Context, before: str, after: str, json_: bool) -> None:
    """Show what differs between two versions (or aliases): metrics, params, data, code, environment, files."""
    found = project(ctx).models.diff(before, after)
    if json_:
        as_json(found)
    else:
        click.echo("\n".join(_shown(found)))


def _shown(found: VersionsDiffer) -> list[str]:
    old, new = found.before, found.after
    lines = [f"{old.model}@{old.version} -> {new.model}@{new.version}"]
    if old.snapshot.id == new.snapshot.id:
        lines[0] += ": the files are the same"
    elif found.changes:
        lines[0] += f": a {found.part} change"
    if old.commit and new.commit and old.commit != new.commit:
        lines.append(f"commit {old.commit[:12]} -> {new.commit[:12]}")
    lines += _section("metrics", _values(found.metrics))
    lines += _section("params", _values(found.params))
    lines += _section("data", [_data(d.path, d.added, d.removed, d.changed) for d in found.data])
    told = [c.text for c in found.changes if c.kind not in ("data", "params")]
    lines += _section("model, code and environment", [[text] for text in told])
    around = [[name, was, "->", now] for name, was, now in found.surroundings]
    packages = [[p.name, p.before or "none", "->", p.after or "none"] for p in found.packages]
    lines += _section("machine", around + packages)
    files = [[_SIGN[f.kind], f.path, size(f.size_before), "->", size(f.size_after)] for f in found.files]
    return lines + _section("files", files)


def _section(title: str, rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    more = [f"… and {len(rows) - _LINES} more (--json lists all)"] if len(rows) > _LINES else []
    width = max(len(row) for row in rows)
    padded = [row + [""] * (width - len(row)) for row in rows[:_LINES]]
    return ["", table([title, *[""] * (width - 1)], padded), *more]


def _values(changes: Iterable[ValueChange]) -> list[list[str]]:
    rows = []
    for change in changes:
        by = f"{change.change:+.6g}" if change.change is not None else ""
        before, after = value(change.before) or "none", value(change.after) or "none"
        rows.append([f"{change.file}: {change.key}", before, "->", after, by])
    return rows


def _data(path: str, added: int | None, removed: int | None, changed: int | None) -> list[str]:
    if added is None or removed is None or changed is None:
        return [path, "is another; its files are not in this store any more"]
    return [path, f"{added:,} added, {removed:,} removed, {changed:,} changed"]
