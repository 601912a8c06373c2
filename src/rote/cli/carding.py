"""`rote model card`."""

from __future__ import annotations

import os

import click

from rote.cli.opening import project
from rote.errors import UsageError
from rote.words.ids import shown


@click.command("card")
@click.argument("model_version", metavar="MODEL@VERSION")
@click.option(
    "--to", metavar="FILE", type=click.Path(dir_okay=False), help="Write it there (README.md, for a hub)."
)
@click.pass_context
def card_command(ctx: click.Context, model_version: str, to: str | None) -> None:
    """Write the card of MODEL@VERSION (or an alias): Markdown with the front matter of the Hugging Face Hub."""
    text = project(ctx).models.card(model_version)
    if to is None:
        click.echo(text, nl=False)
        return
    try:
        with open(to, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileNotFoundError as e:
        folder = os.path.dirname(to)
        raise UsageError(f"there is no folder {shown(folder, 200)}", next=f"mkdir -p {folder}") from e
    click.echo(f"the card of {model_version} is in {shown(to)}")
