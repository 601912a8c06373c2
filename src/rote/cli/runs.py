"""`rote runs`, `show`, `compare`, `logs`, `tag` and `sql`."""

from __future__ import annotations

import sys

import click

from rote.cli.opening import project
from rote.cli.tables import as_csv, as_json, seconds, size, table, value
from rote.cli.tagging import tags_of
from rote.errors import UsageError
from rote.wiring.project import Project
from rote.words.run import Run


@click.command()
@click.option("--where", metavar="TEXT", help="Only runs for which this holds: metrics.accuracy > 0.9")
@click.option("--sort", metavar="KEY", help="Sort by a key; -KEY downwards (default: newest first).")
@click.option("--columns", metavar="KEYS", help="Which columns, separated by commas.")
@click.option("--limit", type=click.IntRange(0), default=50, metavar="N", help="At most N runs (0: all).")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.option("--csv", "csv_", is_flag=True, help="As CSV.")
@click.pass_context
def runs_command(
    ctx: click.Context,
    where: str | None,
    sort: str | None,
    columns: str | None,
    limit: int,
    json_: bool,
    csv_: bool,
) -> None:
    """List, filter and sort runs."""
    chosen = [c.strip() for c in columns.split(",") if c.strip()] if columns else None
    found = project(ctx).runs(where, sort=sort, columns=chosen, limit=limit or None)
    if json_:
        as_json([dict(zip(found.columns, row, strict=True)) for row in found.rows])
    elif csv_:
        as_csv(found.columns, found.rows)
    elif not found.rows:
        click.echo("no runs" + (" for which this holds" if where else " yet: `rote run`"))
    else:
        cells = [[_short(name, v) for name, v in zip(found.columns, row, strict=True)] for row in found.rows]
        click.echo(table(found.columns, cells))


def _short(column: str, thing: object) -> str:
    """A commit in ten digits, as `git log --oneline` shows it."""
    return value(thing)[:10] if column == "commit" else value(thing)


@click.command()
@click.argument("run")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def show_command(ctx: click.Context, run: str, json_: bool) -> None:
    """Show everything RUN recorded."""
    found = project(ctx).show(run)
    if json_:
        as_json(found)
        return
    click.echo("\n".join([*_told(found), *_chains(project(ctx), found)]))


def _told(run: Run) -> list[str]:
    commit = run.commit
    where = (commit.id or "no commit")[:12] + (f" on {commit.branch}" if commit.branch else "")
    where += ", with uncommitted changes" if commit.dirty else ""
    where += " (shallow clone)" if commit.shallow else ""
    lines = [
        f"run {run.id}: {run.state}" + (", a smoke run" if run.smoke else ""),
        f"  began     {run.began}, took {seconds(run.seconds)}",
        f"  by        {run.by}",
        f"  command   {run.command}",
        f"  commit    {where}",
    ]
    if run.asked and run.asked.rev:
        lines.append(f"  tree      a clean one of {run.asked.rev[:12]}")
    if run.resumes:
        lines.append(f"  resumes   {run.resumes}")
    if run.host:
        host = run.host
        lines.append(
            f"  machine   {host.name}: {host.system} {host.machine}, {host.cpus} CPUs, Python {host.python}"
        )
        lines.append(f"  packages  {len(host.packages)} (--json lists them)")
    if run.overrides:
        lines.append(f"  overrides {' '.join(run.overrides)}")
    if run.tags:
        lines.append("  tags      " + ", ".join(f"{k}={v}" for k, v in sorted(run.tags.items())))
    if run.error:
        lines.append("  error     " + run.error.replace("\n", "\n            "))
    for title, tree in (("params", run.params), ("metrics", run.metrics)):
        for file, values in sorted(tree.items()):
            lines += [f"{title} ({file})", *(f"  {k} = {value(v)}" for k, v in _flat(values))]
    lines.append("stages")
    rows = [
        [
            f"  {s.stage}",
            s.outcome,
            seconds(s.seconds) if s.seconds else "",
            ", ".join(f"{p} ({size(r.size)})" for p, r in s.outs.items()),
            s.why.partition("\n")[0],
        ]
        for s in run.stages
    ]
    if rows:
        lines.append(table(["  stage", "outcome", "time", "outs", "why"], rows))
    return lines


def _chains(project: Project, run: Run) -> list[str]:
    """Where warm starts come from, back to the first one."""
    lines = []
    for link in project.chain(run.id):
        commit = f" (commit {link.commit[:10]})" if link.commit else ""
        lines.append(f"  {link.stage} of run {link.run}{commit} went on from {link.began}")
    return ["warm starts", *lines] if lines else []


def _flat(tree: object, prefix: str = "") -> list[tuple[str, object]]:
    if isinstance(tree, dict) and tree:
        return [pair for k, v in tree.items() for pair in _flat(v, f"{prefix}.{k}" if prefix else str(k))]
    return [(prefix, tree)]


@click.command()
@click.argument("runs", nargs=-1, required=True)
@click.option("--all", "all_", is_flag=True, help="Also what is equal.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def compare_command(ctx: click.Context, runs: tuple[str, ...], all_: bool, json_: bool) -> None:
    """Put RUNS side by side."""
    if len(runs) < 2:
        raise UsageError(
            "there is nothing to compare it with: name two runs or more", next="rote compare last~1 last"
        )
    found = project(ctx).compare(*runs, equal=all_)
    if json_:
        as_json(found)
    elif not found.rows:
        click.echo("these runs do not differ")
    else:
        head = ["", *map(str, found.runs)]
        click.echo(table(head, [[row.key, *(value(v) for v in row.values)] for row in found.rows]))


@click.command()
@click.argument("run")
@click.option("--stage", metavar="NAME", help="Of one stage only.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run is over.")
@click.pass_context
def logs_command(ctx: click.Context, run: str, stage: str | None, follow: bool) -> None:
    """Print what the stages of RUN wrote."""
    out = sys.stdout.buffer
    for piece in project(ctx).logs(run, stage=stage, follow=follow):
        out.write(piece)
        if follow:
            out.flush()
    out.flush()


@click.command()
@click.argument("run")
@click.argument("tags", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.pass_context
def tag_command(ctx: click.Context, run: str, tags: tuple[str, ...]) -> None:
    """Put tags on RUN; KEY= takes one away."""
    changed = project(ctx).tag(run, **tags_of(tags))
    shown = ", ".join(f"{k}={v}" for k, v in sorted(changed.tags.items()))
    click.echo(f"run {changed.id}: {shown or 'no tags'}")


@click.command()
@click.argument("query")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.option("--csv", "csv_", is_flag=True, help="As CSV.")
@click.pass_context
def sql_command(ctx: click.Context, query: str, json_: bool, csv_: bool) -> None:
    """Ask the catalogue of runs in SQL, read-only: views runs, metrics, params, stages, outs, models."""
    found = project(ctx).sql(query)
    if json_:
        as_json([dict(zip(found.columns, row, strict=True)) for row in found.rows])
    elif csv_:
        as_csv(found.columns, found.rows)
    else:
        click.echo(table(found.columns, [[value(v) for v in row] for row in found.rows]))
