"""`rote github`, `rote gitlab`, `rote bucket`: releases of any files, without a project."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from rote.cli.opening import progress
from rote.cli.tables import as_json, count, size
from rote.releases import Bucket, Releases
from rote.words.ids import shown


@click.group()
def github_command() -> None:
    """Releases at GitHub: publish files and download them, without a project."""


@click.group()
def gitlab_command() -> None:
    """Releases at GitLab: publish files and download them, without a project."""


@click.group()
def bucket_command() -> None:
    """Releases in a bucket or folder: publish files and download them, without a project."""


Opened = Callable[[str], Releases]
"""Opens what stands at the place of REPOSITORY."""


def _of_forges(command: Callable[..., None]) -> Callable[..., None]:
    """The options that have a meaning where a release has a page and a tag in git."""
    title = click.option(
        "--title", default="", metavar="TEXT", help="The release's title (default: the tag)."
    )
    commit = click.option(
        "--commit", metavar="SHA", help="Where the tag is made (default: the newest of the default branch)."
    )
    return title(commit(command))


def _as_it_is(command: Callable[..., None]) -> Callable[..., None]:
    return command


def _publish(opened: Opened, where: str, example: str, forge: bool) -> click.Command:
    @click.command("publish", help=f"Publish FILES (or folders) under TAG at {example}.")
    @click.argument("repository", metavar=where)
    @click.argument("tag")
    @click.argument("files", nargs=-1, required=True, metavar="FILE...")
    @(_of_forges if forge else _as_it_is)
    @click.option(
        "--notes", default="", metavar="TEXT", help="What people should know; `-` reads it from the input."
    )
    @click.option("--fresh", is_flag=True, help="Remove first what an unfinished attempt left there.")
    @click.option("--json", "json_", is_flag=True, help="As JSON.")
    @click.pass_context
    def command(
        ctx: click.Context, repository: str, tag: str, files: tuple[str, ...], notes: str, fresh: bool, json_: bool,
        title: str = "", commit: str | None = None,
    ) -> None:  # fmt: skip
        if notes == "-":
            notes = sys.stdin.read()
        done = opened(repository).publish(
            tag, files, title=title, notes=notes, commit=commit, fresh=fresh, progress=progress(ctx)
        )
        if json_:
            as_json(done)
        elif done.created:
            click.echo(f"published {shown(done.tag)}: {count(done.sent, 'file')}, {size(done.bytes)}")
            click.echo(done.page or done.target)
        elif done.sent:
            click.echo(
                f"{shown(done.tag)} had lost {count(done.sent, 'file')}: sent again, {size(done.bytes)}"
            )
        else:
            click.echo(f"{shown(done.tag)} was published already: {done.page or done.target}")

    return command


def _download(opened: Opened, where: str, example: str) -> click.Command:
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
        done = opened(repository).download(tag, to, files, overwrite=overwrite, progress=progress(ctx))
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


for _group, _opened, _where, _example, _forge in (
    (github_command, lambda name: Releases(f"github:{name}"), "OWNER/REPO", "GitHub", True),
    (gitlab_command, lambda name: Releases(f"gitlab:{name}"), "GROUP/PROJECT", "GitLab", True),
    (bucket_command, Bucket, "ADDRESS", "a bucket or folder", False),
):
    _group.add_command(_publish(_opened, _where, _example, _forge))
    _group.add_command(_download(_opened, _where, _example))
