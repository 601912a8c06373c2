"""`rote audit`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, table
from rote.services.runs.redoing import told

MOST = 10
"""So many differences of a stage are listed."""


@click.command()
@click.argument("stages", nargs=-1)
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Only N of them, by chance.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def audit_command(ctx: click.Context, stages: tuple[str, ...], sample: int | None, json_: bool) -> None:
    """Do STAGES that are hits (default: all) once more in a temporary folder, and compare what comes out."""
    found = project(ctx).audit(*stages, sample=sample)
    bad = [audited for audited in found if audited.verdict != "same"]
    if json_:
        as_json(found)
    elif not found:
        click.echo("no stage is a hit, so there is nothing to compare; `rote run` first")
    else:
        click.echo(table(["stage", "again", "result of"], [[a.stage, a.verdict, a.run] for a in found]))
        for audited in bad:
            if audited.why:
                click.echo(f"{audited.stage}: {audited.why}")
            for one in audited.differences[:MOST]:
                click.echo(f"{audited.stage}: {told(one)}")
            if len(audited.differences) > MOST:
                click.echo(f"{audited.stage}: and {len(audited.differences) - MOST} more")
        differ = sum(a.verdict == "differs" for a in found)
        sums = f"{count(differ, 'stage')} of {len(found)} made something else" if differ else ""
        failed = sum(a.verdict == "failed" for a in found)
        sums += ("; " if sums and failed else "") + (
            f"{count(failed, 'stage')} could not be done again" if failed else ""
        )
        click.echo(sums or f"{count(len(found), 'stage')} made the same again")
    if bad:
        ctx.exit(1)
