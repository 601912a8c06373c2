"""`rote github` and `rote gitlab`: releases of any repository, without a project."""

from __future__ import annotations

import sys

import click

from rote.cli.opening import progress
from rote.cli.tables import as_json, count, size
from rote.ids import shown
from rote.releases import Releases


@click.group()
def github_command() -> None:
    """Releases at GitHub: publish files and download them, without a project."""


@click.group()
def gitlab_command() -> None:
    """Releases at GitLab: publish files and download them, without a project."""


def _publish(kind: str, where: str, example: str) -> click.Command:
    @click.command("publish", help=f"Publish FILES (or folders) under TAG at {example}.")
    @click.argument("repository", metavar=where)
    @click.argument("tag")
    @click.argument("files", nargs=-1, required=True, metavar="FILE...")
    @click.option("--title", default="", metavar="TEXT", help="The release's title (default: the tag).")
    @click.option(
        "--notes", default="", metavar="TEXT", help="What people should know; `-` reads it from the input."
    )
    @click.option(
        "--commit", metavar="SHA", help="Where the tag is made (default: the newest of the default branch)."
    )
    @click.option("--fresh", is_flag=True, help="Remove first what an unfinished attempt left there.")
    @click.option("--json", "json_", is_flag=True, help="As JSON.")
    @click.pass_context
    def command(
        ctx: click.Context, repository: str, tag: str, files: tuple[str, ...], title: str, notes: str,
        commit: str | None, fresh: bool, json_: bool,
    ) -> None:  # fmt: skip
        if notes == "-":
            notes = sys.stdin.read()
        releases = Releases(f"{kind}:{repository}")
        done = releases.publish(
            tag, files, title=title, notes=notes, commit=commit, fresh=fresh, progress=progress(ctx)
        )
        if json_:
            as_json(done)
        elif done.created:
            click.echo(f"published {shown(done.tag)}: {count(done.sent, 'file')}, {size(done.bytes)}")
            click.echo(done.page)
        elif done.sent:
            click.echo(
                f"{shown(done.tag)} had lost {count(done.sent, 'file')}: sent again, {size(done.bytes)}"
            )
        else:
            click.echo(f"{shown(done.tag)} was published already: {done.page}")

    return command


def _download(kind: str, where: str, example: str) -> click.Command:
    @click.command(
        "download", help=f"Download the release TAG (default: the newest) of {example}, or FILES of it."
    )
    @click.argument("repository", metavar=where)
    @click.argument("tag", default="latest")
    @click.argument("files", nargs=-1, metavar="[FILE]...")
    @click.option(
        "--to",
        default=".",
        metavar="DIR",
        type=click.Path(file_okay=False),
        help="The folder (default: this one).",
    )
    @click.option(
        "--overwrite", is_flag=True, help="Also files that no download brought, or that were changed since."
    )
    @click.option("--json", "json_", is_flag=True, help="As JSON.")
    @click.pass_context
    def command(
        ctx: click.Context,
        repository: str,
        tag: str,
        files: tuple[str, ...],
        to: str,
        overwrite: bool,
        json_: bool,
    ) -> None:
        done = Releases(f"{kind}:{repository}").download(
            tag, to, files, overwrite=overwrite, progress=progress(ctx)
        )
        if json_:
            as_json(done)
            return
        brought = (
            f"{count(done.written, 'file')} written, {size(done.bytes)}"
            if done.written
            else "all here already"
        )
        click.echo(f"{shown(done.tag)} is in {shown(done.to)}: {count(len(done.files), 'file')}, {brought}")
        if done.unverified:
            few = ", ".join(map(shown, done.unverified[:5]))
            click.echo(f"warning: of {few} nobody knows a digest: only sizes were compared")

    return command


for _group, _kind, _where, _example in (
    (github_command, "github", "OWNER/REPO", "GitHub"),
    (gitlab_command, "gitlab", "GROUP/PROJECT", "GitLab"),
):
    _group.add_command(_publish(_kind, _where, _example))
    _group.add_command(_download(_kind, _where, _example))
