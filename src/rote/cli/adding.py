"""`rote add`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Store all bytes again (repairs a damaged store).")
@click.option("--json", "json_", is_flag=True, help="The result as JSON.")
@click.pass_context
def add_command(ctx: click.Context, paths: tuple[str, ...], force: bool, json_: bool) -> None:
    """Save PATHS to the store and pin each with a pointer."""
    added = project(ctx).add(*paths, force=force)
    if json_:
        as_json(added)
        return
    for one in added:
        what = f"{count(one.ref.files, 'file')}, {size(one.ref.size)}"
        if not one.changed:
            stored = "; stored again" if force else "; this store did not have it yet, and has it now"
            click.echo(f"{one.path}: unchanged, {what}" + (stored if one.saved else ""))
        else:
            had = (
                f" (before: {count(one.before.files, 'file')}, {size(one.before.size)})" if one.before else ""
            )
            click.echo(f"{one.path}: saved, {what}{had}; pinned by {one.path}.rote")
