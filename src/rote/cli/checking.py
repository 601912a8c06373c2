"""`rote store check`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size
from rote.services.upkeep.check import CheckReport, Damage, Repaired


@click.command("check")
@click.option("--read-data", is_flag=True, help="Read and verify every byte.")
@click.option("--sample", metavar="SHARE", help="Read and verify every byte of a share of the packs: 1%.")
@click.option("--repair", is_flag=True, help="Restore what is damaged from what is sound elsewhere.")
@click.option("--from", "source", metavar="STORE", help="With --repair: another store that may have it.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def check_command(
    ctx: click.Context, read_data: bool, sample: str | None, repair: bool, source: str | None, json_: bool
) -> None:
    """Check that everything that is needed is there and sound."""
    opened = project(ctx)
    report = opened.store.check(read_data=read_data, sample=_share(sample), repair=repair, source=source)
    if json_:
        as_json(report)
    else:
        _show_report(report, read_data)
    if not report.ok:
        ctx.exit(1)


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise click.BadParameter(
            "a share is a number like 1% or 0.01, above 0 and at most 100%", param_hint="--sample"
        )
    return share


def _show_report(report: CheckReport, read_data: bool) -> None:
    looked = (
        f"{count(report.roots, 'root')}, {count(report.snapshots, 'snapshot')}, "
        f"{count(report.packs, 'pack')} ({size(report.size)})"
    )
    click.echo(
        f"looked at {looked}" + ("" if read_data or report.sample else "; `--read-data` reads every byte")
    )
    if report.sample:
        click.echo(
            f"read {count(len(report.read), 'pack')} of {report.packs:,}, the sample of {report.sample.seed}: "
            + ", ".join(report.read[:3])
            + (", …" if len(report.read) > 3 else "")
        )
    if report.repaired:
        _show_repaired(report.repaired)
    for damage in report.damages:
        _show(damage)
    if report.ok:
        click.echo("all is sound")
    if report.unused_packs or report.unused_records:
        click.echo(
            f"nothing needs {count(report.unused_packs, 'pack')} ({size(report.unused_size)}) and "
            f"{count(report.unused_records, 'snapshot record')}: rote gc"
        )
    if report.open_writes:
        first = report.open_writes[0]
        click.echo(
            f"{count(len(report.open_writes), 'write')} under way or given up, the first by {first.by} "
            f"since {first.began}"
        )


def _show_repaired(repaired: Repaired) -> None:
    for mended in repaired.mended:
        click.echo(
            f"repaired: snapshot {mended.snapshot.id[:12]} ({count(mended.snapshot.files, 'file')}) "
            f"from {mended.source}, for {', '.join(mended.roots)}"
        )


def _show(damage: Damage) -> None:
    click.echo(f"damaged: {damage.key}: {damage.why}")
    for harm in damage.suffering:
        names = ", ".join(harm.paths[:5]) + (", …" if harm.files > 5 else "")
        owners = ", ".join(root.name for root in harm.roots)
        if harm.files:
            click.echo(f"  {count(harm.files, 'file')} of {owners}" + (f": {names}" if names else ""))
    for repair in damage.repairs():
        click.echo(f"  next: {repair}")
