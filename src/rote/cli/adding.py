"""`rote add`, `rote update`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size
from rote.services.data.upstream import Updated

_NAMED = 10
"""Files named of each kind of change."""


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--from", "source", metavar="URL", help="Fetch the data from there first, and follow it.")
@click.option("--force", is_flag=True, help="Store all bytes again (repairs a damaged store).")
@click.option("--json", "json_", is_flag=True, help="The result as JSON.")
@click.pass_context
def add_command(
    ctx: click.Context, paths: tuple[str, ...], source: str | None, force: bool, json_: bool
) -> None:
    """Save PATHS to the store and pin each with a pointer."""
    if not paths and source is None:
        raise click.UsageError("Say what to add: `rote add PATH…`, or `rote add --from URL [PATH]`.", ctx)
    if source is not None and force:
        raise click.UsageError("--force stores again what is here; --from fetches. One of them.", ctx)
    added = project(ctx).add(*paths, force=force, source=source)
    if json_:
        as_json(added)
        return
    for one in added:
        what = f"{count(one.ref.files, 'file')}, {size(one.ref.size)}"
        if one.left:
            click.echo(f"{one.path}: no longer follows {one.left}")
        if not one.changed:
            stored = "; stored again" if force else "; this store did not have it yet, and has it now"
            click.echo(f"{one.path}: unchanged, {what}" + (stored if one.saved else ""))
        else:
            had = (
                f" (before: {count(one.before.files, 'file')}, {size(one.before.size)})" if one.before else ""
            )
            click.echo(f"{one.path}: saved, {what}{had}; pinned by {one.path}.rote")


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Say what changed at the sources, and fetch nothing.")
@click.option("--json", "json_", is_flag=True, help="The result as JSON.")
@click.pass_context
def update_command(ctx: click.Context, paths: tuple[str, ...], dry_run: bool, json_: bool) -> None:
    """Fetch what changed at the sources of data that was added with `rote add --from` (all of it, or PATHS)."""
    done = project(ctx).update(*paths, dry_run=dry_run)
    if json_:
        as_json(done)
    elif not done:
        click.echo("no data here follows a source: `rote add --from URL PATH`, or `rote import REPO PATH`")
    for one in () if json_ else done:
        if one.state == "failed":
            click.echo(f"{one.path}: FAILED: {one.problem}")
        elif one.state == "unchanged":
            click.echo(f"{one.path}: unchanged at {one.url}")
        else:
            _show_update(one, dry_run)
    ctx.exit(1 if any(one.state == "failed" for one in done) else 0)


def _show_update(one: Updated, dry_run: bool) -> None:
    parts = ((one.new, "new"), (one.changed, "changed"), (one.gone, "gone"))
    counts = ", ".join(f"{len(names):,} {word}" for names, word in parts if names)
    if dry_run:
        told = f"{counts}; {size(one.bytes)} to fetch from {one.url}"
    elif one.state == "same":
        told = f"the same content as before, {size(one.bytes)} fetched from {one.url}"
    else:
        told = f"{counts}; {size(one.bytes)} fetched from {one.url}; pinned by {one.path}.rote"
    click.echo(f"{one.path}: {told}")
    for names, sign in ((one.new, "+"), (one.changed, "~"), (one.gone, "-")):
        if names == ["file"] and not (len(one.new) + len(one.changed) + len(one.gone) > 1):
            continue
        for name in names[:_NAMED]:
            click.echo(f"  {sign} {name}")
        if len(names) > _NAMED:
            click.echo(f"  {sign} … and {len(names) - _NAMED:,} more")
