"""`rote model`: everything about models, a command each. `rote release` and `rote fetch` stand alone."""

from __future__ import annotations

import click

from rote.cli.models import history_of, list_of, models_of, promote_command, rollback_command, verdicts
from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table, value
from rote.diff import flat
from rote.record import Version

_FILES = 20


@click.group()
def model_command() -> None:
    """Look at models, and move, mark and delete versions."""


model_command.add_command(promote_command)
model_command.add_command(rollback_command)


@model_command.command("list")
@click.argument("model", required=False)
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def list_command(ctx: click.Context, model: str | None, json_: bool) -> None:
    """List models, or the versions of MODEL."""
    here = project(ctx)
    if model:
        list_of(here.models, model, json_)
    else:
        models_of(here.models, json_)


@model_command.command("history")
@click.argument("model")
@click.argument("alias", default="prod")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def history_command(ctx: click.Context, model: str, alias: str, json_: bool) -> None:
    """Who moved ALIAS (default: prod) of MODEL, when and why."""
    history_of(project(ctx).models, model, alias, json_)


@model_command.command("show")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def show_command(ctx: click.Context, model_version: str, json_: bool) -> None:
    """Show what MODEL@VERSION (or an alias) is: where it comes from, what it holds, what it reached."""
    here = project(ctx)
    version = here.models.show(model_version)
    if json_:
        as_json(version)
    else:
        click.echo("\n".join(_shown(version)))


def _shown(version: Version) -> list[str]:
    total = size(sum(file.size for file in version.files))
    lines = [
        f"{version.model}@{version.version}: {count(len(version.files), 'file')}, {total}",
        f"released {version.released} by {version.by}, from run {version.run or '(none)'}",
    ]
    if version.commit:
        lines.append(f"commit {version.commit}")
    lines += [f"note: {version.note}"] if version.note else []
    for title, of in (("metrics", version.metrics), ("params", version.params)):
        rows = [
            [file, key, value(found)]
            for file, content in sorted(of.items())
            for key, found in flat(content).items()
        ]
        if rows:
            lines += ["", table([title, "", ""], rows)]
    if version.gates:
        lines += ["", verdicts(version.gates)]
    files = [[f.path, size(f.size), f.digest[:16]] for f in version.files[:_FILES]]
    lines += ["", table(["file", "size", "blake3"], files)]
    if len(version.files) > _FILES:
        lines.append(f"… and {len(version.files) - _FILES:,} more (--json lists all)")
    return lines
