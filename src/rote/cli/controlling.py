"""`rote ps`, `stop` and `resume`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.running import ended, started
from rote.cli.tables import as_json, seconds, table


@click.command()
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def ps_command(ctx: click.Context, json_: bool) -> None:
    """List the runs under way on this store, on any machine."""
    found = project(ctx).ps()
    if json_:
        as_json(found)
        return
    if not found:
        click.echo("no run is under way")
        return
    rows = []
    for run in found:
        seen = "" if run.seen is None else f"{seconds(run.seen)} ago"
        stages = ", ".join(run.running) or "-"
        far = f"{run.done} of {run.of}" if run.of else ""
        rows.append([run.id, run.state, run.host, run.by, run.began, stages, far, seen])
    click.echo(table(["run", "state", "machine", "by", "since", "stages", "done", "last sign"], rows))
    for run in found:
        if run.state != "running":
            how = "its process is gone" if run.state == "gone" else "no sign of life for long"
            click.echo(f"{run.id}: {how}; rote resume {run.id} goes on with it", err=True)


@click.command()
@click.argument("run")
@click.option("--now", is_flag=True, help="Kill its stages at once.")
@click.option("--no-wait", is_flag=True, help="Ask, and do not wait until it is over.")
@click.option("--json", "json_", is_flag=True, help="Its record as JSON.")
@click.pass_context
def stop_command(ctx: click.Context, run: str, now: bool, no_wait: bool, json_: bool) -> None:
    """Ask RUN to end, wherever it is."""
    found = project(ctx).stop(run, now=now, wait=not no_wait)
    if json_:
        as_json(found)
        return
    id, state = found.run.id, found.run.state
    if found.over:
        click.echo(f"run {id} was over already: {state}")
        return
    if found.asked:
        click.echo(f"{found.asked} had asked for it before")
    if found.gone:
        click.echo(f"run {id}: nothing ran any more; it is recorded as {state}")
    elif state == "running":
        click.echo(f"run {id} is asked to end")
    else:
        click.echo(f"run {id}: {state}")


@click.command()
@click.argument("run")
@click.option("--set", "-S", "overrides", multiple=True, metavar="KEY=VALUE", help="One more override.")
@click.option(
    "--jobs", "-j", type=click.IntRange(1, 1000), metavar="N", help="Stages at a time (default: as RUN)."
)
@click.option("--deadline", metavar="TIME", help="Pause in time to be over by then: 5h30m, 18:30.")
@click.option("--detach", is_flag=True, help="In the background; print the new run's id.")
@click.option("--no-wait", is_flag=True, help="Fail if another run is at work in this tree.")
@click.option("--json", "json_", is_flag=True, help="The outcome as JSON.")
@click.pass_context
def resume_command(
    ctx: click.Context,
    run: str,
    overrides: tuple[str, ...],
    jobs: int | None,
    deadline: str | None,
    detach: bool,
    no_wait: bool,
    json_: bool,
) -> None:
    """Go on with RUN, which was stopped, paused, killed or failed."""
    here = project(ctx)
    if detach:
        started(here.start(resumes=run, set=overrides, jobs=jobs, deadline=deadline), json_)
        return
    ended(ctx, here.resume(run, set=overrides, jobs=jobs, deadline=deadline, wait=not no_wait), json_)
