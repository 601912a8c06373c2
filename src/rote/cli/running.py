"""`rote run`."""

from __future__ import annotations

import click

from rote.cli.opening import project
from rote.cli.tables import as_json, count, seconds, size
from rote.cli.tagging import tags_of
from rote.record import StageOutcome

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
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="Put a tag on the run.")
@click.option("--no-wait", is_flag=True, help="Fail if another run is at work in this tree.")
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
    tags: tuple[str, ...],
    no_wait: bool,
    json_: bool,
) -> None:
    """Run the pipeline, or what STAGES need: only what must run."""
    here = project(ctx)
    outcome = here.run(
        *stages, set=overrides, jobs=jobs, force=force, keep_going=keep_going, strict=strict, cold=cold,
        tags=tags_of(tags), wait=not no_wait,
        command=" ".join(["rote", "run", *_typed(ctx)]),
    )  # fmt: skip
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
    if not outcome.ok:
        ctx.exit(130 if outcome.run.state == "stopped" else 1)


def _typed(ctx: click.Context) -> list[str]:
    import shlex  # only for the record of the command line
    import sys  # the same

    words = sys.argv[1:]
    return [shlex.quote(w) for w in words[words.index("run") + 1 :]] if "run" in words else []


def _line(stage: StageOutcome) -> str:
    if stage.outcome == "done":
        made = sum(ref.size for ref in stage.outs.values())
        return f"{stage.stage}: done in {seconds(stage.seconds)}, {size(made)}" + (
            f" ({stage.why})" if stage.why else ""
        )
    return f"{stage.stage}: {stage.outcome}" + (f" – {stage.why}" if stage.why else "")
