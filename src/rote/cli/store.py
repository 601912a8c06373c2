"""`rote store` and what is below it."""

from __future__ import annotations

import click

from rote.cli.checking import check_command
from rote.cli.figures import stats_command
from rote.cli.opening import project
from rote.cli.probing import show_findings
from rote.cli.spending import budget_command
from rote.cli.tables import as_json


@click.group()
def store_command() -> None:
    """Look at the store."""


store_command.add_command(budget_command)
store_command.add_command(check_command)
store_command.add_command(stats_command)


@store_command.command("probe")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def probe_command(ctx: click.Context, json_: bool) -> None:
    """Try with two clients what the store really guarantees."""
    probed = project(ctx).store.probe()
    if json_:
        as_json(probed)
    else:
        click.echo(f"store {probed.url}")
        show_findings(probed)
    if not probed.abilities.shared:
        ctx.exit(1)
