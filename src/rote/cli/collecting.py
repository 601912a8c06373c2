"""`rote gc`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table
from rote.errors import UsageError
from rote.services.upkeep.gc import Amount, GcReport, Going

MOST = 20
"""Roots that are named; of more only the number is told."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go: this is the default.")
@click.option("--yes", is_flag=True, help="Delete what goes.")
@click.option("--keep-last", metavar="N", type=click.IntRange(0), help="Keep the last N runs.")
@click.option("--keep-days", metavar="D", type=click.FloatRange(0), help="Keep the runs of the last D days.")
@click.option("--keep-tagged", is_flag=True, help="Keep the runs with tags.")
@click.option("--unpinned-data", is_flag=True, help="Let data of this repository go that no pointer pins.")
@click.option("--forget-repository", metavar="URL", multiple=True, help="Let the data of a repository go.")
@click.option("--forget-version", metavar="MODEL@VERSION", multiple=True, help="Let a version go.")
@click.option(
    "--grace", metavar="HOURS", type=click.FloatRange(0), default=72.0, help="Leave alone what is newer."
)
@click.option("--no-repack", is_flag=True, help="Leave packs as they are that are mostly dead.")
@click.option("--undo", is_flag=True, help="Bring back what the last collection removed.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def gc_command(
    ctx: click.Context,
    dry_run: bool,
    yes: bool,
    keep_last: int | None,
    keep_days: float | None,
    keep_tagged: bool,
    unpinned_data: bool,
    forget_repository: tuple[str, ...],
    forget_version: tuple[str, ...],
    grace: float,
    no_repack: bool,
    undo: bool,
    json_: bool,
) -> None:
    """Say what the store does not need any more, and why the rest stays; with --yes, delete it."""
    if dry_run and (yes or undo):
        raise UsageError(f"--dry-run and {'--yes' if yes else '--undo'} exclude each other")
    rules = keep_last is not None or keep_days is not None or keep_tagged or unpinned_data
    if undo and (yes or rules or forget_repository or forget_version):
        raise UsageError("--undo goes with no other option", next="rote gc --undo")
    here = project(ctx)
    if undo:
        back = here.store.gc_undo()
        if json_:
            as_json(back)
        else:
            _roots("back", back)
            click.echo("nothing lay in the trash" if not back else f"{count(len(back), 'root')} came back")
        return
    report = here.store.gc(
        delete=yes, keep_last=keep_last, keep_days=keep_days, keep_tagged=keep_tagged, unpinned_data=unpinned_data,
        forget_repositories=forget_repository, forget_versions=forget_version, grace_hours=grace,
        repack=not no_repack,
    )  # fmt: skip
    if json_:
        as_json(report)
    else:
        show(report)


def show(report: GcReport) -> None:
    """What goes, what stays and why, and how many bytes."""
    click.echo(f"store {report.url}")
    if report.unfinished:
        click.echo("an interrupted collection " + ("was finished" if report.done else "will be finished"))
    _roots("goes", report.going)
    _roots("gone for good" if report.done else "will be gone for good", report.emptied)
    for why, number in report.staying.items():
        click.echo(f"stays: {count(number, 'root')}: {why}")
    for key in report.missing:
        click.echo(f"missing: snapshot {key.split('/')[1][:12]}: `rote store check` says what that costs")
    freed = "deleted" if report.done else "would be deleted"
    rows = [
        [f"garbage: {freed}", *_amount(report.freed)],
        ["in the trash: the next collection deletes it", *_amount(report.later)],
        ["garbage within the grace period: stays", *_amount(report.waiting)],
        ["needed: stays", *_amount(report.stays)],
    ]
    click.echo(table(["", "objects", "stored"], rows, right=(1, 2)))
    _repacked(report)
    if report.stale_txns:
        click.echo(
            f"{count(report.stale_txns, 'write')} given up long ago: "
            + ("ended" if report.done else "to end")
        )
    if not report.done:
        click.echo("nothing was changed; `--yes` with the same options does it")
    elif report.going:
        click.echo("`rote gc --undo` brings back what went, until the next `rote gc --yes`")


def _roots(word: str, roots: Sequence[Going]) -> None:
    for root in roots[:MOST]:
        click.echo(f"{word}: {root.name}" + (f" ({root.why})" if root.why and word != "back" else ""))
    if len(roots) > MOST:
        click.echo(f"{word}: {len(roots) - MOST:,} more (`--json` names all)")


def _amount(amount: Amount) -> list[str]:
    return [f"{amount.objects:,}", size(amount.size)]


def _repacked(report: GcReport) -> None:
    packs = report.repacked.packs
    if packs:
        dead = sum(pack.size - pack.needed for pack in packs)
        did = (
            "emptied into new ones; the next collection deletes them" if report.done else "would be repacked"
        )
        click.echo(
            f"{count(len(packs), 'pack')} mostly dead ({size(dead)} of {size(sum(p.size for p in packs))}): {did}"
        )
