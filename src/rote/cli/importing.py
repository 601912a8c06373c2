"""`rote import dvc`; getting.py has the rest of `rote import`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count


@click.command("dvc")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--remove", is_flag=True, help="Remove dvc.yaml, dvc.lock and .dvc files afterwards.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def dvc_command(ctx: click.Context, dry_run: bool, remove: bool, json_: bool) -> None:
    """Make rote.yaml, pointers and results of what DVC has here."""
    done = project(ctx).import_dvc(dry_run=dry_run, remove=remove)
    if json_:
        as_json(done)
        return
    would = "would be " if dry_run else ""
    click.echo(f"pipeline: {', '.join(done.files)} {would}written")
    click.echo(
        f"data: {count(len(done.data), 'path')} {would}saved and pinned: {', '.join(done.data) or 'none'}"
    )
    click.echo(f"results: {count(len(done.results), 'stage')} {would}taken over as DVC left them")
    if done.run:
        click.echo(f"not known to DVC as they are now, so `rote run` runs them: {', '.join(done.run)}")
    for note in done.notes:
        click.echo(f"note: {note}")
    if done.removed:
        click.echo(f"removed: {', '.join(done.removed)}")
    elif not dry_run:
        click.echo("DVC's own files are as they were; rote no longer reads them (`--remove` takes them away)")
