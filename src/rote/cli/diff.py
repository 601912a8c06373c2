"""`rote diff`."""

from __future__ import annotations

from typing import Literal

import click

from rote.cli.changes import lines_of
from rote.cli.opening import project
from rote.cli.tables import as_json, table, value
from rote.errors import UsageError
from rote.laws.data.diff import ValueChange


@click.command()
@click.argument("revs", nargs=-1, metavar="[REV [REV]]")
@click.option("--data", "data_", is_flag=True, help="Data pointers, file by file.")
@click.option("--params", "params_", is_flag=True, help="Params files, key by key.")
@click.option("--metrics", "metrics_", is_flag=True, help="Metrics files, key by key.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def diff_command(
    ctx: click.Context, revs: tuple[str, ...], data_: bool, params_: bool, metrics_: bool, json_: bool
) -> None:
    """Compare HEAD, or REV, with the working tree or with another REV: data, params, metrics."""
    if len(revs) > 2:
        raise UsageError("rote diff takes at most two revisions")
    asked: dict[Literal["data", "params", "metrics"], bool] = {
        "data": data_,
        "params": params_,
        "metrics": metrics_,
    }
    what: list[Literal["data", "params", "metrics"]] = [n for n, on in asked.items() if on] or list(asked)
    old, new = (revs[0] if revs else "HEAD"), (revs[1] if len(revs) > 1 else None)
    found = project(ctx).diff(old, new, what=what)
    if json_:
        as_json(found)
        return
    for change in found.data:
        word = "added" if change.before is None else "removed" if change.after is None else "changed"
        click.echo(f"{change.path}: {word}")
        for line in lines_of(change.files, change.path):
            click.echo(f"  {line}")
    for file, values in [*found.params.items(), *found.metrics.items()]:
        click.echo(file)
        click.echo(_values(values))
    if not (found.data or found.params or found.metrics):
        click.echo(f"no difference in {', '.join(what)}")


def _values(changes: list[ValueChange]) -> str:
    return table(
        ["  key", "before", "after"], [[f"  {c.key}", value(c.before), value(c.after)] for c in changes]
    )
