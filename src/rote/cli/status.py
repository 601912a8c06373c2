"""`rote status`."""

from __future__ import annotations

import click

from rote.cli.changes import lines_of
from rote.cli.opening import project
from rote.cli.tables import as_json, count
from rote.services.data.data import DataStatus
from rote.wiring.keeping import Status

_TOLD = {
    "behind": "the pointer has moved on; `rote checkout` brings it",
    "absent": "not here yet; `rote checkout` brings it",
    "missing": "was here and is gone; `rote checkout` brings it back",
}


@click.command()
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.option("--exit-code", is_flag=True, help="End with 1 if anything changed.")
@click.pass_context
def status_command(ctx: click.Context, json_: bool, exit_code: bool) -> None:
    """Say what changed since the data was added, and which stages would run."""
    status = project(ctx).status()
    if json_:
        as_json(status)
    else:
        _show(status)
    if exit_code and not status.clean:
        ctx.exit(1)


def _show(status: Status) -> None:
    if not status.data and status.plan is None:
        click.echo("nothing here yet: `rote add DATA`, or describe a stage in rote.yaml")
    for data in status.data:
        _show_data(data)
    if status.plan is None:
        return
    total = count(len(status.plan.decisions), "stage")
    told = []
    for verdict, words in (("run", "would run"), ("blocked", "cannot run")):
        names = status.plan.of(verdict)
        if names:
            few = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
            told.append(f"{len(names)} of {total} {words}: {few}")
    if told:
        click.echo(f"pipeline: {'; '.join(told)} (`rote plan` says why)")
    else:
        click.echo(f"pipeline: {total}, nothing to do")


def _show_data(data: DataStatus) -> None:
    if data.state == "unchanged":
        click.echo(f"{data.path}: unchanged, {count(data.pointer.files, 'file')}")
    elif data.state == "refused":
        click.echo(f"{data.path}: {data.problem}")
    elif data.diff is not None:
        click.echo(f"{data.path}: changed; `rote add {data.path}` saves it")
        for line in lines_of(data.diff, data.path):
            click.echo(f"  {line}")
    else:
        click.echo(f"{data.path}: {_TOLD.get(data.state, 'changed')}")
