"""`rote init`."""

from __future__ import annotations

import click

import rote
from rote.cli.probing import show_findings


@click.command()
@click.option(
    "--store", metavar="URL", help="Write this store into rote.yaml (default: the folder .rote/store)."
)
@click.pass_context
def init_command(ctx: click.Context, store: str | None) -> None:
    """Make the current folder a rote project and found its store."""
    made = rote.init(".", store=store or ctx.obj["store"])
    click.echo(f"{'A rote project' if made.is_new else 'Still a rote project'}: {made.root}")
    click.echo(f"The store is {made.store_url} ({made.store_source}).")
    if made.probed is not None:
        show_findings(made.probed)
    if made.is_new:
        click.echo("Next: `rote add DATA`, describe your stages in rote.yaml, then `rote run`.")
