"""`rote publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rote.cli.opening import project
from rote.cli.tables import as_json
from rote.wiring.targeting import NotEverywhere

if TYPE_CHECKING:
    from rote.laws.publishing.publicread import PublicRead
    from rote.wiring.targeting import At


@click.command()
@click.argument("model_version", metavar="MODEL@VERSION")
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--alias", metavar="ALIAS", help="Bring the channel of ALIAS as well.")
@click.option("--fresh", is_flag=True, help="Remove first what an unfinished attempt left there.")
@click.option(
    "--public-policy",
    "policy",
    type=click.Choice(["show", "apply"]),
    help="Show what makes the targets readable by everybody (and publish nothing), or do it as well.",
)
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def publish_command(
    ctx: click.Context,
    model_version: str,
    targets: tuple[str, ...],
    alias: str | None,
    fresh: bool,
    policy: str | None,
    json_: bool,
) -> None:
    """Publish the files of MODEL@VERSION (or an alias, with its channel) where others get them."""
    models = project(ctx).models
    model = model_version.partition("@")[0]
    if policy == "show":
        show(models.public_read(model, *targets), json_)
        return
    try:
        outcomes = models.publish(model_version, *targets, alias=alias, fresh=fresh)
    except NotEverywhere as e:
        if json_:
            as_json(e.outcomes)
        else:
            tell(e.outcomes)
        raise
    if json_:
        as_json(outcomes)
    else:
        tell(outcomes)
    if policy == "apply":
        show(models.public_read(model, *targets, apply=True), False, err=json_)


def show(found: list[PublicRead], json_: bool, *, err: bool = False) -> None:
    """What makes targets readable by everybody, or what was done about it."""
    if json_:
        as_json(found)
        return
    for each in found:
        click.echo(f"{each.target}:", err=err)
        for step in each.steps:
            click.echo(step, err=err)


def tell(outcomes: list[At]) -> None:
    """What became of it at each target."""
    for at in outcomes:
        for line in at.lines():
            click.echo(line)
