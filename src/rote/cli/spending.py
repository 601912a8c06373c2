"""What a command asked of the store, and `rote store budget`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, size, table
from rote.laws.store.usage import KINDS, Share, Usage

_NAMES = {
    "writes": "requests that write",
    "reads": "requests that read",
    "out": "bytes out of the store",
    "stored": "bytes in the store",
}


def show_usage(used: Mapping[str, Usage]) -> None:
    """What was asked of each store, on standard error."""
    if not any(usage.total for usage in used.values()):
        click.echo("no request was made to a store", err=True)
    for url, usage in used.items():
        if not usage.total:
            continue
        kinds = ", ".join(f"{usage.requests[k]:,} {k}" for k in KINDS if usage.requests.get(k))
        click.echo(f"{count(usage.total, 'request')} to {url}: {kinds}", err=True)
        again = f"; {count(usage.retries, 'try', 'tries')} again" if usage.retries else ""
        click.echo(
            f"  billed as {count(usage.writes, 'write')} and {count(usage.reads, 'read')}; "
            f"{size(usage.sent)} sent, {size(usage.received)} received{again}",
            err=True,
        )


@click.command("budget")
@click.option(
    "--plan", metavar="PLAN", help="Against this plan: s3-free, r2-free, or custom (what rote.yaml says)."
)
@click.option("--stored", is_flag=True, help="Ask the store how much it holds: a request a thousand objects.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def budget_command(ctx: click.Context, plan: str | None, stored: bool, json_: bool) -> None:
    """Show the month so far against a plan, and what the next run will use."""
    found = project(ctx).store.budget(plan=plan, stored=stored)
    if json_:
        as_json(found)
        return
    click.echo(
        f"store {found.url}, {found.month} (UTC), {count(found.commands, 'command')} from this machine"
    )
    if not found.counted:
        click.echo(
            "a folder costs nothing by the request: nothing is counted; `rote --stats COMMAND` counts one command"
        )
        if not stored:
            return
    click.echo(
        f"plan {found.plan} ({found.source})"
        if found.plan
        else "no plan: `--plan s3-free`, or `budget:` in rote.yaml"
    )
    click.echo(
        table(
            ["of", "used", "limit", "left", "next run", "enough for"],
            [_row(share) for share in found.shares if share.used is not None or share.limit is not None],
            right=(1, 2, 3, 4, 5),
        )
    )
    if found.shares[-1].used is None and found.shares[-1].limit is not None:
        click.echo("how much the store holds is not known: `rote store budget --stored` asks it")
    if found.next is not None:
        click.echo(f"the next run is expected to be like the last {found.last}")
    elif found.counted:
        click.echo("what the next run will use is known after the first one")


def _row(share: Share) -> list[str]:
    """One limit as a row; an unlimited one has a dash where a figure would be."""

    def shown(value: int | None) -> str:
        if value is None:
            return "–"
        return size(value) if share.name in ("out", "stored") else f"{value:,}"

    enough = "–" if share.runs is None else count(share.runs, "run")
    return [_NAMES[share.name], *map(shown, (share.used, share.limit, share.left, share.next)), enough]
