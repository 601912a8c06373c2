"""`rote copy`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size
from rote.services.upkeep.copying import Copied

_NAMES = {
    "data": ("data root", "data roots"),
    "aliases": ("alias", "aliases"),
    "remarks": ("set of remarks", "sets of remarks"),
}


@click.command()
@click.argument("what", nargs=-1, metavar="[WHAT]...")
@click.option("--from", "source", metavar="STORE", help="The store to copy from; by default the project's.")
@click.option("--to", "target", metavar="STORE", help="The store to copy to; by default the project's.")
@click.option("--where", metavar="QUERY", help="Of the runs, only those for which this holds.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def copy_command(
    ctx: click.Context,
    what: tuple[str, ...],
    source: str | None,
    target: str | None,
    where: str | None,
    json_: bool,
) -> None:
    """Copy what one store has to another: only what is missing there.

    WHAT is everything (the default), data, runs, results, models, models/NAME, or a data path.
    """
    copied = project(ctx).store.copy(*what, source=source, target=target, where=where)
    if json_:
        as_json(copied)
    else:
        _show(copied)
    if not copied.ok:
        ctx.exit(1)


def _show(copied: Copied) -> None:
    new = " (a new store)" if copied.founded else ""
    click.echo(f"from {copied.source} to {copied.target}{new}")
    if copied.sent or copied.logs:
        what = [_counted(kind, number) for kind, number in copied.sent.items()]
        what += [count(copied.logs, "piece of logs", "pieces of logs")] if copied.logs else []
        click.echo(f"copied {', '.join(what)}: {size(copied.size)} in {count(copied.packs, 'pack')}")
    there = sum(copied.there.values())
    if there:
        click.echo(
            f"{there:,} there already" if copied.sent else f"all {there:,} there already: nothing to copy"
        )
    elif not copied.sent and copied.ok:
        click.echo("nothing to copy")
    for left in copied.conflicts:
        click.echo(f"left alone: {left.key}: {left.why}")
    for left in copied.damaged:
        click.echo(f"cannot be read: {left.key}: {left.why}")
    if copied.damaged:
        click.echo(f"  next: rote --store {copied.source} store check")


def _counted(kind: str, number: int) -> str:
    return count(number, *_NAMES.get(kind, (kind.removesuffix("s"), kind)))
