"""`rote model`: everything about models, a command each. `rote release` and `rote fetch` stand alone."""

from __future__ import annotations

import click
import msgspec

from rote.cli.appbudget import budget_command, renew_command
from rote.cli.carding import card_command
from rote.cli.marking import delete_command, deprecate_command, note_command, tag_command, told_lines
from rote.cli.models import history_of, list_of, models_of, promote_command, rollback_command, verdicts
from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table, value
from rote.cli.versiondiff import diff_command
from rote.laws.data.diff import flat
from rote.laws.models.remarks import Told
from rote.laws.models.signatures import told_of
from rote.words.version import Version

_FILES = 20


@click.group()
def model_command() -> None:
    """Look at models, and move, mark and delete versions."""


model_command.add_command(diff_command)
model_command.add_command(promote_command)
model_command.add_command(rollback_command)
model_command.add_command(card_command)
model_command.add_command(renew_command)
model_command.add_command(budget_command)
model_command.add_command(deprecate_command)
model_command.add_command(note_command)
model_command.add_command(tag_command)
model_command.add_command(delete_command)


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
    here = project(ctx).models
    version, told = here.show(model_version), here.remarks(model_version)
    held = sorted(a for a, at in here.aliases(version.model).items() if at == version.version)
    if json_:
        as_json({**msgspec.to_builtins(version), "aliases": held, "remarks": told})
    else:
        click.echo("\n".join(_shown(version, told, held)))


def _shown(version: Version, told: Told, held: list[str]) -> list[str]:
    total = size(sum(file.size for file in version.files))
    lines = [
        f"{version.model}@{version.version}: {count(len(version.files), 'file')}, {total}",
        f"released {version.released} by {version.by}, from run {version.run or '(none)'}",
    ]
    if version.commit:
        lines.append(f"commit {version.commit}")
    lines += [f"named by {', '.join(held)}"] if held else []
    lines += [f"note: {version.note}"] if version.note else []
    lines += told_lines(told)
    if version.bump:
        lines.append(f"{version.bump.part} over {version.bump.over}: {'; '.join(version.bump.why)}")
    if version.data:
        lines += ["", table(["data", "snapshot"], [[used.path, used.snapshot[:16]] for used in version.data])]
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
    if version.signature:
        rows = [
            [path, one, text] for path, found in version.signature.items() for one, text in told_of(found)
        ]
        lines += ["", table(["signature", "", ""], rows)]
    if version.environment:
        at = version.environment
        packages = count(len(at.packages), "package")
        lines += [
            "",
            f"made with Python {at.python} on {at.system} {at.machine}, {packages} (--json lists them)",
        ]
    files = [[f.path, size(f.size), f.digest[:16]] for f in version.files[:_FILES]]
    lines += ["", table(["file", "size", "blake3"], files)]
    if len(version.files) > _FILES:
        lines.append(f"… and {len(version.files) - _FILES:,} more (--json lists all)")
    return lines
