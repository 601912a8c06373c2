"""`rote release`, `models`, `promote`, `rollback` and `fetch`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rote.cli.opening import progress, project
from rote.cli.signatories import identity_options
from rote.cli.tables import as_json, count, size, table, value
from rote.errors import UsageError
from rote.laws.publishing.releasenotes import verdict_figures
from rote.services.releases.releasing import GateRefused
from rote.words.channel import Channel
from rote.words.ids import shown
from rote.words.signatory import named
from rote.words.verdict import GateVerdict

if TYPE_CHECKING:
    from rote.wiring.models import Models


@click.command()
@click.argument("model", required=False)
@click.option("--from-tags", is_flag=True, help="Do what git tags such as m@v1.2.3 and m#prod ask for.")
@click.option("--run", metavar="RUN", help="Which run (default: the one that `rote run` reported last).")
@click.option("--version", metavar="X.Y.Z", help="Which version.")
@click.option(
    "--bump",
    type=click.Choice(["major", "minor", "patch", "auto"]),
    help="The next such version; auto: derived from what changed.",
)
@click.option("--note", default="", metavar="TEXT", help="What people should know about it.")
@click.option("--promote", "alias", metavar="ALIAS", help="Point the alias at it as well.")
@click.option("--recorded", is_flag=True, help="Compare with the figures that versions were released with.")
@click.option(
    "--dry-run", is_flag=True, help="Only say what the gates say, or with --from-tags what would be done."
)
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def release_command(
    ctx: click.Context,
    model: str | None,
    from_tags: bool,
    run: str | None,
    version: str | None,
    bump: str | None,
    note: str,
    alias: str | None,
    recorded: bool,
    dry_run: bool,
    json_: bool,
) -> None:
    """Make a version of MODEL, if the run passes its gates; or do what git tags ask for."""
    if from_tags:
        if run or version or bump or note or alias or recorded:
            raise UsageError("with --from-tags the tags say which run, version and alias")
        follow_tags(ctx, model, dry_run, json_)
        return
    if model is None:
        raise UsageError("say which model", next="rote release MODEL, or rote release --from-tags")
    if version and bump:
        raise UsageError("--version and --bump exclude each other")
    here = project(ctx)
    if dry_run:
        _judged(ctx, here.models.judge(model, run=run, recorded=recorded), json_)
        return
    try:
        released = here.models.release(
            model, run=run, version=version, bump=bump, note=note, recorded=recorded
        )
    except GateRefused as e:
        if json_:
            as_json({"verdicts": e.verdicts})
        else:
            click.echo(verdicts(e.verdicts))
        raise
    channel = None
    if alias:
        channel = here.models.promote(f"{model}@{released.version.version}", alias, why="released")
    if json_:
        as_json(released)
        return
    if released.verdicts:
        if not released.created:
            click.echo("what the gates said when it was released:")
        click.echo(verdicts(released.verdicts))
    made = released.version
    total = sum(f.size for f in made.files)
    word = "released" if released.created else "was released already:"
    click.echo(
        f"{word} {made.model}@{made.version}: {count(len(made.files), 'file')}, {size(total)}, from run {made.run}"
    )
    if released.created and made.bump:
        click.echo(f"{made.bump.part}, held against {made.bump.over}: {'; '.join(made.bump.why)}")
    for warning in released.warnings:
        click.echo(f"warning: {warning}")
    if channel:
        click.echo(f"{alias} points at {made.model}@{made.version}{_before(channel)}")


def follow_tags(ctx: click.Context, model: str | None, dry_run: bool, json_: bool) -> None:
    """What became of each tag; ends with 1 if one failed."""
    found = project(ctx).models.release_tags(model, dry_run=dry_run)
    if json_:
        as_json(found)
    elif not found:
        click.echo("no tag speaks of a model: git tag MODEL@v1.0.0")
    else:
        click.echo(
            table(["tag", "commit", "", ""], [[value(f.tag), f.commit[:12], f.state, f.told] for f in found])
        )
    if any(f.state == "failed" for f in found):
        ctx.exit(1)


def _judged(ctx: click.Context, found: list[GateVerdict], json_: bool) -> None:
    if json_:
        as_json({"verdicts": found})
    else:
        click.echo(verdicts(found) if found else "there are no gates: every run passes")
    if not all(verdict.passed for verdict in found):
        ctx.exit(1)


def _lines(text: str) -> str:
    """What a stage wrote may stand in it: lines stay, anything else that is no text does not reach the terminal."""
    return "\n".join(value(line) for line in text.splitlines())


def verdicts(found: list[GateVerdict]) -> str:
    """The table of gate, value, threshold, verdict."""
    rows = [[g.gate, *verdict_figures(g), "pass" if g.passed else "FAIL", _lines(g.why)] for g in found]
    return table(["gate", "value", "threshold", "verdict", ""], rows, right=(1, 2))


@click.command()
@click.argument("model", required=False)
@click.option("--history", "alias", metavar="ALIAS", help="Who moved this alias, when and why.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def models_command(ctx: click.Context, model: str | None, alias: str | None, json_: bool) -> None:
    """List models, or the versions of MODEL."""
    here = project(ctx).models
    if alias and not model:
        raise UsageError("--history needs a model", next=f"rote models MODEL --history {alias}")
    if alias and model:
        history_of(here, model, alias, json_)
    elif model:
        list_of(here, model, json_)
    else:
        models_of(here, json_)


def history_of(here: Models, model: str, alias: str, json_: bool) -> None:
    """Every move of an alias."""
    moves = here.history(model, alias)
    if json_:
        as_json(moves)
        return
    rows = [
        [str(m.seq), m.version, m.at, m.by, m.why or (f"back to move {m.to}" if m.to else "")] for m in moves
    ]
    click.echo(table(["seq", "version", "when", "by", "why"], rows))


def list_of(here: Models, model: str, json_: bool) -> None:
    """Every version of a model."""
    versions = here.versions(model)
    if json_:
        as_json(versions)
        return
    aliases = here.aliases(model)
    said = here.said(model)
    rows = []
    for v in versions:
        note = v.note
        if v.version in said:
            told = said[v.version]
            note = f"DEPRECATED: {told.deprecated.text}" if told.deprecated else note
        names = ", ".join(sorted(a for a, n in aliases.items() if n == v.version))
        rows.append([v.version, names, v.released, size(sum(f.size for f in v.files)), v.run or "", note])
    click.echo(table(["version", "aliases", "released", "size", "run", "note"], rows))


def models_of(here: Models, json_: bool) -> None:
    """Every model."""
    models = here.all()
    if json_:
        as_json(models)
        return
    if not models:
        click.echo("no models yet: `rote release MODEL`")
        return
    rows = []
    for m in models:
        aliases = ", ".join(f"{a} -> {v}" for a, v in sorted(m.aliases.items()))
        rows.append([m.name, m.newest, str(m.versions), aliases])
    click.echo(table(["model", "newest", "versions", "aliases"], rows))


@click.command()
@click.argument("model_version", metavar="MODEL@VERSION")
@click.argument("alias")
@click.option("--why", default="", metavar="TEXT", help="Kept in the alias's history.")
@click.pass_context
def promote_command(ctx: click.Context, model_version: str, alias: str, why: str) -> None:
    """Point ALIAS at MODEL@VERSION."""
    channel = project(ctx).models.promote(model_version, alias, why=why)
    click.echo(f"{alias} points at {channel.model}@{channel.version}{_before(channel)}")


def _before(channel: Channel) -> str:
    before = f", before at {channel.history[1].version}" if len(channel.history) > 1 else ""
    return f"{before} (move {channel.seq})"


@click.command()
@click.argument("model")
@click.argument("alias", default="prod")
@click.option("--to", metavar="VERSION", help="Back to this version.")
@click.option(
    "--to-commit", metavar="REV", help="Back to the newest version that was made from the data of REV."
)
@click.option("--why", default="", metavar="TEXT", help="Kept in the alias's history.")
@click.pass_context
def rollback_command(
    ctx: click.Context, model: str, alias: str, to: str | None, to_commit: str | None, why: str
) -> None:
    """Point ALIAS (default: prod) of MODEL back at the version before."""
    if to_commit is not None:
        if to:
            raise UsageError("--to and --to-commit exclude each other")
        found = project(ctx).models.rollback_to_commit(model, to_commit, alias, why=why)
        at = "is at" if found.there else "points again at"
        code = "" if found.same_code else "; its code or params were others"
        click.echo(f"{alias} {at} {model}@{found.version}, made from the data of {found.commit[:12]}{code}")
        return
    channel = project(ctx).models.rollback(model, alias, to=to, why=why)
    click.echo(f"{alias} points at {channel.model}@{channel.version} again{_before(channel)}")


@click.command()
@click.argument("model_version", metavar="MODEL@VERSION")
@click.option("--to", required=True, metavar="DIR", type=click.Path(file_okay=False), help="The folder.")
@click.option(
    "--from",
    "address",
    metavar="ADDRESS",
    help="A store, or a place where it is published; no project is needed.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY",
    help="With --from: a public key that must have signed the alias's channel.",
)
@identity_options
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def fetch_command(
    ctx: click.Context,
    model_version: str,
    to: str,
    address: str | None,
    keys: tuple[str, ...],
    identity: str,
    issuer: str,
    trust: str,
    json_: bool,
) -> None:
    """Bring the files of MODEL@VERSION (or an alias) into a folder, verified."""
    asked = named(identity, issuer, trust)
    if (keys or asked) and not address:
        raise UsageError(
            f"{'--key' if keys else '--identity'} needs --from: in a project, the store is trusted",
            next=f"rote fetch {model_version} --from ADDRESS --to DIR …",
        )
    if address:
        from rote.wiring.receiving import receive  # what speaks to other places is loaded only then

        fetched = receive(address, model_version, to, keys=keys, signatory=asked, progress=progress(ctx))
    else:
        fetched = project(ctx).models.fetch(model_version, to)
    if json_:
        as_json(fetched)
    else:
        what = f"{count(len(fetched.files), 'file')}, {size(fetched.size)}"
        click.echo(
            f"{fetched.model}@{fetched.version} is in {shown(to)}: {what}, {count(fetched.written, 'file')} written"
        )
