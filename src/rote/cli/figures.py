"""`rote store stats`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table
from rote.services.upkeep.stats import Owner, StoreFigures

_SHOWN = 12


@click.command("stats")
@click.option("--quick", is_flag=True, help="Read no pack: without what sharing and compression save.")
@click.option("--json", "json_", is_flag=True, help="As JSON, with everything that takes space.")
@click.pass_context
def stats_command(ctx: click.Context, quick: bool, json_: bool) -> None:
    """Say what the store holds, what dedup and compression saved, and what takes the space."""
    found = project(ctx).store.stats(quick=quick)
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
    if found.owners:
        _show_owners(found.owners)
    if found.oldest:
        click.echo(f"the oldest: {', '.join(found.oldest)}")
    if found.garbage.objects:
        click.echo(
            f"gc would free {size(found.garbage.size)} in {count(found.garbage.objects, 'object')}: rote gc"
        )
    if found.open_txns:
        click.echo(f"{count(found.open_txns, 'write')} under way or given up")
    _show_saved(found)


def _show_saved(found: StoreFigures) -> None:
    if found.unpacked and found.by_sharing + found.by_compression > 0:
        click.echo(
            f"sharing saves {size(found.by_sharing)}, compression {size(max(found.by_compression, 0))}"
        )
    if found.ratio >= 1.05:
        click.echo(f"sharing and compression make that {found.ratio:.1f} times smaller")


def _show_owners(owners: list[Owner]) -> None:
    rows = [
        [o.kind, o.name, f"{o.snapshots:,}", size(o.logical), size(o.stored), size(o.own), o.oldest]
        for o in owners[:_SHOWN]
    ]
    head = ["what", "name", "snapshots", "checked out", "stored", "of it alone", "since"]
    click.echo(table(head, rows, right=(2, 3, 4, 5)))
    if len(owners) > _SHOWN:
        click.echo(f"and {len(owners) - _SHOWN:,} more: --json")
