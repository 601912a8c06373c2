"""`rote store stats` and `rote store check`."""

from __future__ import annotations

import click

from rote.check import Damage
from rote.cli.opening import project
from rote.cli.probing import show_findings
from rote.cli.tables import as_json, count, size, table


@click.group()
def store_command() -> None:
    """Look at the store."""


@store_command.command("stats")
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


@store_command.command("check")
@click.option("--read-data", is_flag=True, help="Read and verify every byte.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def check_command(ctx: click.Context, read_data: bool, json_: bool) -> None:
    """Check that everything that is needed is there and sound."""
    report = project(ctx).store_check(read_data=read_data)
    if json_:
        as_json(report)
    else:
        looked = (
            f"{count(report.roots, 'root')}, {count(report.snapshots, 'snapshot')}, "
            f"{count(report.packs, 'pack')} ({size(report.size)})"
        )
        click.echo(f"looked at {looked}" + ("" if read_data else "; `--read-data` reads every byte"))
        for damage in report.damages:
            _show(damage)
        if report.ok:
            click.echo("all is sound")
    if not report.ok:
        ctx.exit(1)


@store_command.command("probe")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def probe_command(ctx: click.Context, json_: bool) -> None:
    """Try with two clients what the store really guarantees."""
    probed = project(ctx).store_probe()
    if json_:
        as_json(probed)
    else:
        click.echo(f"store {probed.url}")
        show_findings(probed)
    if not probed.abilities.shared:
        ctx.exit(1)


def _show(damage: Damage) -> None:
    click.echo(f"damaged: {damage.key}: {damage.why}")
    for harm in damage.suffering:
        names = ", ".join(harm.paths[:5]) + (", …" if harm.files > 5 else "")
        owners = ", ".join(root.name for root in harm.roots)
        click.echo(f"  {count(harm.files, 'file')} of {owners}" + (f": {names}" if names else ""))
    for repair in damage.repairs():
        click.echo(f"  next: {repair}")
