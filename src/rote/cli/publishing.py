"""`rote publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rote.cli.opening import project
from rote.cli.tables import as_json
from rote.targeting import NotEverywhere

if TYPE_CHECKING:
    from rote.targeting import At


@click.command()
@click.argument("model_version", metavar="MODEL@VERSION")
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--alias", metavar="ALIAS", help="Bring the channel of ALIAS as well.")
@click.option("--fresh", is_flag=True, help="Remove first what an unfinished attempt left there.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def publish_command(
    ctx: click.Context,
    model_version: str,
    targets: tuple[str, ...],
    alias: str | None,
    fresh: bool,
    json_: bool,
) -> None:
    """Publish the files of MODEL@VERSION (or an alias, with its channel) where others get them."""
    models = project(ctx).models
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


def tell(outcomes: list[At]) -> None:
    """What became of it at each target."""
    for at in outcomes:
        for line in at.lines():
            click.echo(line)
