"""`rote plan` and `rote why`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, table
from rote.laws.pipeline.plan import ABSENT, Decision, Why


@click.command()
@click.argument("stages", nargs=-1)
@click.option("--set", "-S", "overrides", multiple=True, metavar="KEY=VALUE", help="With a param overridden.")
@click.option("--force", is_flag=True, help="As if forced.")
@click.option("--smoke", is_flag=True, help="What `rote run --smoke` would do.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def plan_command(
    ctx: click.Context,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    force: bool,
    smoke: bool,
    json_: bool,
) -> None:
    """Say what `rote run` would do with STAGES, and why. Changes nothing."""
    plan = project(ctx).plan(*stages, set=overrides, force=force, smoke=smoke)
    if json_:
        as_json(plan)
    elif not plan.decisions:
        click.echo("this project describes no stages yet")
    else:
        click.echo(table(["stage", "would", "why"], [_row(d) for d in plan.decisions]))
        runs, blocked = len(plan.of("run")), len(plan.of("blocked"))
        told = [f"{runs} of {count(len(plan.decisions), 'stage')} would run"] if runs or blocked else []
        told += [f"{blocked} cannot run"] if blocked else []
        click.echo(", ".join(told) or "nothing to do")


def _row(decision: Decision) -> list[str]:
    would = decision.verdict if decision.certain else f"{decision.verdict}?"
    return [decision.stage, would, "; ".join(decision.why)]


def _held_against(why: Why) -> Iterator[str]:
    """Everything that a hit was held against, by name and value."""
    if why.inputs is not None:
        inputs = why.inputs
        yield f"command: {_commands(inputs.cmd)}" + (f" (in {inputs.wdir})" if inputs.wdir != "." else "")
        yield from (f"dep {path}: {id[:12]}" for path, id in inputs.deps.items())
        for file, values in inputs.params.items():
            yield from (f"param {file}:{key}: {_short(value)}" for key, value in values.items())
        yield from (f"env {name}: {inputs.env_shown.get(name, 'not set')}" for name in inputs.env)
        for text, id in inputs.starts.items():
            yield (
                f"start {text}: {inputs.starts_shown.get(text, '')} ({id[:10]})"
                if id
                else f"start {text}: nothing"
            )
        yield from (f"lock file {path}: {digest[:12]}" for path, digest in inputs.locks.items())
        parts = {"image": inputs.image, "python": inputs.python, "trace": inputs.trace}
        yield from (f"{name}: {value}" for name, value in parts.items() if value)
    if why.found is not None:
        for path, digest in why.found.files.items():
            yield f"reads {path}: {digest[:12]}" if digest else f"looks for {path}: not there"
        yield from (
            f"lists {path}: {len(folder.names or ())} names" for path, folder in why.found.folders.items()
        )
        for path, modules in why.found.modules.items():
            yield f"imports from {path}: {', '.join(modules.there) or 'nothing'}"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"


def _commands(commands: object) -> str:
    """The command lines of a stage as they stand in rote.yaml."""
    return "\n            ".join(map(str, commands)) if isinstance(commands, list | tuple) else str(commands)


@click.command()
@click.argument("stage")
@click.option("--smoke", is_flag=True, help="In a smoke run.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def why_command(ctx: click.Context, stage: str, smoke: bool, json_: bool) -> None:
    """Say why STAGE would run, or whose result it would use."""
    found = project(ctx).why(stage, smoke=smoke)
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
        elif change.kind in ("dep", "lock", "file") and ABSENT not in (change.old, change.new):
            click.echo(f"    before: {change.old[:12]}\n    now:    {change.new[:12]}")
    if decision.verdict == "hit":
        for line in _held_against(found):
            click.echo(f"  {line}")
    elif found.compared_with:
        click.echo(f"  compared with the result of run {found.compared_with}, made {found.made}")
