"""`rote store stats`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table


@click.command("stats")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def stats_command(ctx: click.Context, json_: bool) -> None:
    """Say what the store holds, and what dedup and compression saved."""
    found = project(ctx).store_stats()
    if json_:
        as_json(found)
        return
    rows = [[kind, f"{k.objects:,}", size(k.size)] for kind, k in found.kinds.items() if k.objects]
    click.echo(f"store {found.url}")
    click.echo(
        table(
            ["kind", "objects", "stored"],
            [*rows, ["all", f"{found.objects:,}", size(found.stored)]],
            right=(1, 2),
        )
    )
    click.echo(
        f"{count(found.snapshots, 'snapshot')} of {count(found.files, 'file')}: {size(found.logical)} when checked out"
    )
    if found.ratio >= 1.05:
        click.echo(f"sharing and compression make that {found.ratio:.1f} times smaller")
    if found.open_txns:
        click.echo(f"{count(found.open_txns, 'write')} under way or given up")
