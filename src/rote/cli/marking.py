"""`rote model note`, `tag`, `deprecate` and `delete`: what is done to a version after it was made."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json
from rote.cli.tagging import tags_of
from rote.errors import UsageError
from rote.laws.models.remarks import Told


@click.command("note")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.argument("text")
@click.pass_context
def note_command(ctx: click.Context, model_version: str, text: str) -> None:
    """Add a note to MODEL@VERSION (or an alias), for people."""
    project(ctx).models.note(model_version, text)
    click.echo(f"noted; `rote model show {model_version}` tells it")


@click.command("tag")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.argument("tags", nargs=-1, metavar="KEY=VALUE…")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def tag_command(ctx: click.Context, model_version: str, tags: tuple[str, ...], json_: bool) -> None:
    """Put tags on MODEL@VERSION (or an alias); `KEY=` takes one away, none shows them."""
    told = project(ctx).models.tag(model_version, **tags_of(tags))
    if json_:
        as_json(told.tags)
    else:
        click.echo("\n".join(f"{key}={value}" for key, value in told.tags.items()) or "no tags")


@click.command("deprecate")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.option("--why", default="", metavar="TEXT", help="What is wrong with it, for those who use it.")
@click.option("--instead", metavar="VERSION", help="What to use instead.")
@click.option("--undo", is_flag=True, help="It is not deprecated any more.")
@click.pass_context
def deprecate_command(
    ctx: click.Context, model_version: str, why: str, instead: str | None, undo: bool
) -> None:
    """Say that nobody should begin to use MODEL@VERSION: no alias is moved to it any more."""
    here = project(ctx).models
    if undo:
        if why or instead:
            raise UsageError("--undo goes alone")
        version = here.show(model_version)
        before = here.remarks(model_version).deprecated
        here.restore(model_version)
        word = "is not deprecated any more" if before else "is not deprecated"
        click.echo(f"{version.model}@{version.version} {word}")
        return
    here.deprecate(model_version, why, instead=instead)
    version = here.show(model_version)
    click.echo(f"{version.model}@{version.version} is deprecated: {why}")
    for alias in sorted(a for a, at in here.aliases(version.model).items() if at == version.version):
        click.echo(f"{alias} names it still: rote promote {version.model}@{instead or 'OTHER'} {alias}")


@click.command("delete")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.option("--why", default="", metavar="TEXT", help="Kept, so that people know.")
@click.option("--undo", is_flag=True, help="Bring it back, until the next `rote gc --yes`.")
@click.pass_context
def delete_command(ctx: click.Context, model_version: str, why: str, undo: bool) -> None:
    """Remove MODEL@VERSION, which no alias may name; its number is not given again."""
    here = project(ctx).models
    if undo:
        if why:
            raise UsageError("--undo goes alone")
        back = here.undelete(model_version)
        click.echo(f"{back.model}@{back.version} is there")
        return
    gone = here.delete(model_version, why=why)
    click.echo(f"deleted {gone.model}@{gone.version}; what was published of it stays where it is")
    click.echo(
        f"until the next `rote gc --yes`, `rote model delete {gone.model}@{gone.version} --undo` brings it back"
    )


def told_lines(told: Told) -> list[str]:
    """What was said of a version, for people."""
    lines = []
    if told.deprecated:
        instead = f" (instead: {told.deprecated.key})" if told.deprecated.key else ""
        lines.append(
            f"DEPRECATED {told.deprecated.at} by {told.deprecated.by}: {told.deprecated.text}{instead}"
        )
    lines += [f"tag {key}={value}" for key, value in told.tags.items()]
    lines += [f"note {note.at} by {note.by}: {note.text}" for note in told.notes]
    return lines
