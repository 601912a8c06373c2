"""`rote checkout`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--rev", metavar="REV", help="To what the pointers said at a revision.")
@click.option("--force", is_flag=True, help="Overwrite or delete changed files all the same.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def checkout_command(
    ctx: click.Context, paths: tuple[str, ...], rev: str | None, force: bool, json_: bool
) -> None:
    """Bring data (all, or PATHS) to what the pointers say."""
    brought = project(ctx).checkout(*paths, rev=rev, force=force)
    if json_:
        as_json(dict(brought))
        return
    if not brought:
        click.echo("no pointer pins any data here yet: `rote add DATA`")
    for path, one in brought:
        if one.written or one.removed:
            gone = f", {count(one.removed, 'file')} removed" if one.removed else ""
            click.echo(
                f"{path}: {count(one.written, 'file')} written ({size(one.bytes)}){gone}, {one.kept:,} kept"
            )
        else:
            click.echo(f"{path}: up to date, {count(one.kept, 'file')}")
