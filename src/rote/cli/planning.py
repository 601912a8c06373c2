"""`rote plan` and `rote why`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, table
from rote.plan import Decision


@click.command()
@click.argument("stages", nargs=-1)
@click.option("--set", "-S", "overrides", multiple=True, metavar="KEY=VALUE", help="With a param overridden.")
@click.option("--force", is_flag=True, help="As if forced.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def plan_command(
    ctx: click.Context, stages: tuple[str, ...], overrides: tuple[str, ...], force: bool, json_: bool
) -> None:
    """Say what `rote run` would do with STAGES, and why. Changes nothing."""
    plan = project(ctx).plan(*stages, set=overrides, force=force)
    if json_:
        as_json(plan)
    elif not plan.decisions:
        click.echo("rote.yaml describes no stages yet")
    else:
        click.echo(table(["stage", "would", "why"], [_row(d) for d in plan.decisions]))
        runs, blocked = len(plan.of("run")), len(plan.of("blocked"))
        told = [f"{runs} of {count(len(plan.decisions), 'stage')} would run"] if runs or blocked else []
        told += [f"{blocked} cannot run"] if blocked else []
        click.echo(", ".join(told) or "nothing to do")


def _row(decision: Decision) -> list[str]:
    would = decision.verdict if decision.certain else f"{decision.verdict}?"
    return [decision.stage, would, "; ".join(decision.why)]


def _commands(commands: object) -> str:
    """The command lines of a stage as they stand in rote.yaml."""
    return "\n            ".join(map(str, commands)) if isinstance(commands, list | tuple) else str(commands)


@click.command()
@click.argument("stage")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def why_command(ctx: click.Context, stage: str, json_: bool) -> None:
    """Say why STAGE would run, or whose result it would use."""
    found = project(ctx).why(stage)
    if json_:
        as_json(found)
        return
    decision = found.decision
    click.echo(
        f"{decision.stage}: {decision.verdict}" + (f" – {'; '.join(decision.why)}" if decision.why else "")
    )
    for change in found.changes:
        click.echo(f"  {change}")
        if change.kind == "command":
            click.echo(f"    before: {_commands(change.old)}\n    now:    {_commands(change.new)}")
    if found.compared_with:
        click.echo(f"  compared with the result of run {found.compared_with}, made {found.made}")
