"""`rote get`, `rote import`."""

from __future__ import annotations

import click

import rote
from rote.cli.importing import dvc_command
from rote.cli.opening import progress, project
from rote.cli.tables import as_json, count, size
from rote.words.ids import shown

_REV = "A branch, a tag, a commit, or MODEL@VERSION (default: what the repository shows first)."
_STORE = "The store of REPO, if its rote.yaml does not say one that is reached from here."


@click.command()
@click.argument("repo")
@click.argument("paths", nargs=-1, required=True)
@click.option("--rev", metavar="REV", help=_REV)
@click.option("--to", default=".", metavar="DIR", help="Where to (default: here).")
@click.option("--repo-store", "store", metavar="URL", help=_STORE)
@click.option("--force", is_flag=True, help="Replace what is in the way.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def get_command(
    ctx: click.Context,
    repo: str,
    paths: tuple[str, ...],
    rev: str | None,
    to: str,
    store: str | None,
    force: bool,
    json_: bool,
) -> None:
    """Bring PATHS of another project (a git URL or a folder): data, files in git, outs."""
    done = rote.get(
        repo, *paths, rev=rev, to=to, store=store or ctx.obj["store"], force=force, progress=progress(ctx)
    )
    if json_:
        as_json(done)
        return
    for one in done:
        what = f"{count(one.files, 'file')}, {size(one.size)}"
        at = f" of {one.at if '@' in one.at else one.at[:12]}" if one.at else ""
        there = "is in" if one.written else "was already in"
        click.echo(f"{one.path}{at} {there} {shown(one.to)}: {what}")


class _Import(click.Group):
    """`rote import dvc`, or else `rote import REPO PATH`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "", path_command, args
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Import,
    subcommand_metavar="dvc | REPO PATH",
    context_settings={"ignore_unknown_options": True},  # what is not known here is of REPO PATH
)
def import_command() -> None:
    """Take over a project of another tool (`rote import dvc`); or bring PATH of another project, REPO (a git URL
    or a folder), save and pin it, and follow it: `rote update` brings what is new there."""


import_command.add_command(dvc_command)


@click.command("import")
@click.argument("repo")
@click.argument("path")
@click.option("--rev", metavar="REV", help=_REV)
@click.option("--to", metavar="PATH", help="Where to (default: the last name of PATH, here).")
@click.option("--repo-store", "store", metavar="URL", help=_STORE)
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def path_command(
    ctx: click.Context,
    repo: str,
    path: str,
    rev: str | None,
    to: str | None,
    store: str | None,
    json_: bool,
) -> None:
    """Bring PATH of the project REPO, save and pin it, and follow it."""
    added = project(ctx).import_path(repo, path, rev=rev, to=to, repo_store=store)
    if json_:
        as_json(added)
        return
    what = f"{count(added.ref.files, 'file')}, {size(added.ref.size)}"
    click.echo(f"{added.path}: imported, {what}; pinned by {added.path}.rote, and `rote update` follows it")
