"""`rote run`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, seconds, size
from rote.cli.tagging import tags_of
from rote.services.runs.runrecord import RunOutcome
from rote.wiring.detaching import Started
from rote.words.run import StageOutcome

EXITS = {"stopped": 130, "paused": 75}
"""Exit codes of runs that neither finished nor failed."""
MOST = 20
"""In a pipeline of more stages than this, hits are only counted."""


@click.command()
@click.argument("stages", nargs=-1)
@click.option(
    "--set", "-S", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a param for this run."
)
@click.option("--jobs", "-j", type=click.IntRange(1, 1000), default=1, metavar="N", help="Stages at a time.")
@click.option("--force", is_flag=True, help="Run every stage although it has a result.")
@click.option(
    "--keep-going", is_flag=True, help="After a failure go on with stages that do not need the failed one."
)
@click.option(
    "--cold",
    is_flag=True,
    help="Begin from nothing where a stage would go on from a model or an earlier result.",
)
@click.option("--strict", is_flag=True, help="A stage that reads data which it does not name fails.")
@click.option(
    "--smoke", is_flag=True, help="A trial with less, in a working tree of its own; never released."
)
@click.option("--rev", metavar="REV", help="Run a commit, in a clean working tree of its own.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Put a tag on the run.")
@click.option("--deadline", metavar="TIME", help="Pause in time to be over by then: 5h30m, 18:30.")
@click.option("--detach", is_flag=True, help="In the background; print the run's id.")
@click.option(
    "--no-wait",
    is_flag=True,
    help="Fail if another run is at work in this tree, or computes a stage elsewhere.",
)
@click.option("--attach", is_flag=True, help="Show what a stage writes that another run computes.")
@click.option("--json", "json_", is_flag=True, help="The outcome as JSON.")
@click.pass_context
def run_command(
    ctx: click.Context,
    stages: tuple[str, ...],
    overrides: tuple[str, ...],
    jobs: int,
    force: bool,
    keep_going: bool,
    cold: bool,
    strict: bool,
    smoke: bool,
    rev: str | None,
    tags: tuple[str, ...],
    deadline: str | None,
    detach: bool,
    no_wait: bool,
    attach: bool,
    json_: bool,
) -> None:
    """Run the pipeline, or what STAGES need: only what must run."""
    here = project(ctx)
    command = " ".join(["rote", "run", *_typed(ctx)])
    if detach:
        background = here.start(
            *stages, set=overrides, jobs=jobs, force=force, keep_going=keep_going, strict=strict, cold=cold,
            smoke=smoke, rev=rev, tags=tags_of(tags), deadline=deadline, command=command,
        )  # fmt: skip
        started(background, json_)
        return
    outcome = here.run(
        *stages, set=overrides, jobs=jobs, force=force, keep_going=keep_going, strict=strict, cold=cold,
        smoke=smoke, rev=rev, tags=tags_of(tags), wait=not no_wait, attach=_shown if attach else None,
        deadline=deadline, command=command,
    )  # fmt: skip
    ended(ctx, outcome, json_)


def _shown(data: bytes) -> None:
    """What a stage elsewhere writes goes where progress is told."""
    import sys  # only for who attaches

    sys.stderr.buffer.write(data)
    sys.stderr.flush()


def started(run: Started, json_: bool) -> None:
    """Tell of a run in the background."""
    if json_:
        as_json(run)
    elif run.recorded:
        click.echo(run.run)
        click.echo(f"  next: rote logs -f {run.run}, rote stop {run.run}", err=True)
    else:
        click.echo(f"nothing to do: as in run {run.run}", err=True)


def ended(ctx: click.Context, outcome: RunOutcome, json_: bool) -> None:
    """Tell of a run that is over, and end with its exit code."""
    if json_:
        as_json(outcome)
    else:
        many = len(outcome.stages) > MOST
        for stage in outcome.stages:
            if stage.outcome not in ("hit", "done") or not (
                ctx.obj["quiet"] or (many and stage.outcome == "hit")
            ):
                click.echo(_line(stage))
        done = sum(s.outcome == "done" for s in outcome.stages)
        hits = sum(s.outcome == "hit" for s in outcome.stages)
        told = f"{done} done, {count(hits, 'hit')}"
        if outcome.recorded:
            click.echo(f"run {outcome.run.id}: {outcome.run.state}, {told}, {seconds(outcome.run.seconds)}")
        else:
            click.echo(f"nothing to do, {told}: as in run {outcome.run.id}")
        if outcome.run.state == "failed" and any(s.exit_code for s in outcome.stages):
            click.echo(
                f"  next: `rote logs {outcome.run.id}` has what the stages wrote; every result made is kept",
                err=True,
            )
        elif outcome.run.state in ("stopped", "paused") and outcome.recorded:
            why = outcome.run.error.partition("\n")[0]
            click.echo(f"  {why}; next: `rote resume {outcome.run.id}` goes on with it", err=True)
    if not outcome.ok:
        ctx.exit(EXITS.get(outcome.run.state, 1))


def _typed(ctx: click.Context) -> list[str]:
    import shlex  # only for the record of the command line
    import sys  # the same

    words = sys.argv[1:]
    return [shlex.quote(w) for w in words[words.index("run") + 1 :]] if "run" in words else []


def _line(stage: StageOutcome) -> str:
    if stage.outcome == "done":
        made = sum(ref.size for ref in stage.outs.values())
        why = "; ".join(part for part in (stage.why, _compared(stage)) if part)
        return f"{stage.stage}: done in {seconds(stage.seconds)}, {size(made)}" + (f" ({why})" if why else "")
    return f"{stage.stage}: {stage.outcome}" + (f" – {stage.why}" if stage.why else "")


def _compared(stage: StageOutcome) -> str:
    """How it compares with the result that there was."""
    if not (found := stage.compared):
        return ""
    differ = count(found.differing, "difference")
    return f"{differ} from run {found.run}" if found.differing else f"the same as in run {found.run}"
