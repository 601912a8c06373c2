"""`rote model budget` and `rote model renew`: what is done for the applications of a model."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table
from rote.laws.publishing.appcost import Fit


@click.command("renew")
@click.argument("model")
@click.argument("alias", default="prod")
@click.option("--why", default="", metavar="TEXT", help="Kept in the alias's history.")
@click.pass_context
def renew_command(ctx: click.Context, model: str, alias: str, why: str) -> None:
    """Say anew that ALIAS (default: prod) of MODEL names what it names: signed, and good for another while."""
    channel = project(ctx).models.renew(model, alias, why=why)
    until = f"until {channel.expires}" if channel.expires else "it does not expire"
    signed = f", signed by {', '.join(s.key for s in channel.signatures)}" if channel.signatures else ""
    click.echo(f"{alias} points at {channel.model}@{channel.version} (move {channel.seq}), {until}{signed}")


@click.command("budget")
@click.argument("model")
@click.argument("alias", default="prod")
@click.option(
    "--apps",
    default=1000,
    show_default=True,
    metavar="N",
    help="Applications that follow it; processes that share a cache are one.",
)
@click.option(
    "--every", default="5m", show_default=True, metavar="TIME", help="How often each of them looks."
)
@click.option("--updates", default=4.0, show_default=True, metavar="N", help="New versions a month.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def budget_command(
    ctx: click.Context, model: str, alias: str, apps: int, every: str, updates: float, json_: bool
) -> None:
    """What the applications that follow MODEL cost in a month: requests and bytes, held against free plans."""
    found = project(ctx).models.budget(model, alias, apps=apps, every=every, updates=updates)
    if json_:
        as_json(found)
        return
    f, cost = found.following, found.cost
    than = (
        f"against {found.compared}" if found.compared else "all of it, for there is nothing to compare with"
    )
    click.echo(
        f"{found.model}@{found.version}: {size(f.size)}; of an update {size(f.changed)} are new ({than})"
    )
    click.echo(
        f"{count(f.apps, 'application')}, a look every {_time(f.every)}, {f.updates:g} updates a month (30 days):"
    )
    click.echo(f"  {cost.looks:,} looks, {cost.fetches:,} requests for updates; {size(cost.out)} out")
    click.echo(f"  each application that has nothing yet: {size(cost.first)}")
    rows = [
        [fit.plan, _percent(fit.reads), _percent(fit.out), "yes" if fit.fits else "no", _needed(fit)]
        for fit in cost.fits
    ]
    click.echo(table(["plan", "requests", "bytes out", "enough", "look every"], rows, right=(1, 2)))
    click.echo("github: nothing is billed; without a token, one address may ask 60 times an hour")


def _percent(share: float | None) -> str:
    return "free" if share is None else f"{share:.0%}" if share < 10 else f"{share:,.0f} ×"


def _needed(fit: Fit) -> str:
    if fit.every is None:
        return "not with this plan"
    return "as you like" if fit.every < 1 else f"{_time(fit.every)} or more"


def _time(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds / length:.3g}{unit}"
    return f"{seconds:.3g}s"
