"""`rote config` and `rote schema`."""

from __future__ import annotations

import click

import rote
from rote.cli.opening import project
from rote.cli.tables import as_json, table


@click.command()
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def config_command(ctx: click.Context, json_: bool) -> None:
    """Show each setting, its value and where it came from."""
    found = project(ctx).settings()
    if json_:
        as_json([{"key": s.key, "value": s.value, "source": s.source} for s in found])
    else:
        click.echo(table(["setting", "value", "from"], [[s.key, s.value, s.source] for s in found]))


@click.command()
def schema_command() -> None:
    """Print the JSON schema of rote.yaml, for editors."""
    as_json(rote.schema())
