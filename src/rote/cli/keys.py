"""`rote key` and what is below it."""

from __future__ import annotations

import click

from rote.cli.tables import as_json, table
from rote.errors import Missing
from rote.wiring.keys import Keys
from rote.words.ids import shown


@click.group()
def key_command() -> None:
    """Keys that sign channels, so that applications follow nobody else."""


@key_command.command("create")
@click.argument("name")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
def create_command(name: str, json_: bool) -> None:
    """Make a key called NAME."""
    made = Keys().create(name)
    if json_:
        as_json(made)
        return
    click.echo(f"made the key {made.name}: {made.public}")
    click.echo(
        f"Its secret is in {made.where}; keep a copy where you keep passwords, for nobody can make it again."
    )
    click.echo("Next: put the public key into rote.yaml, and into the application:")
    click.echo(f"  models: {{MODEL: {{keys: [{made.public}]}}}}")
    click.echo(f'  Model(…, keys=["{made.public}"])')


@key_command.command("show")
@click.argument("name", required=False)
@click.option(
    "--secret", is_flag=True, help="Print the secret of NAME, for ROTE_SECRET_KEY of a job, and nothing else."
)
@click.option("--json", "json_", is_flag=True, help="As JSON.")
def show_command(name: str | None, secret: bool, json_: bool) -> None:
    """List the keys that are here, or show NAME."""
    keys = Keys()
    if secret:
        if not name:
            raise click.UsageError("--secret needs the name of a key: rote key show NAME --secret")
        click.echo(keys.secret(name))
        return
    found = [key for key in keys.all() if name is None or key.name == name]
    if json_:
        as_json(found)
    elif name and not found:
        raise Missing(f"there is no key {shown(name)}", where=keys.folder, next=f"rote key create {name}")
    elif not found:
        click.echo(f"no keys in {keys.folder}: `rote key create NAME`")
    else:
        rows = [[key.name, key.id, key.public, "retired" if key.retired else "", key.made] for key in found]
        click.echo(table(["name", "id", "public key", "", "made"], rows))


@key_command.command("rotate")
@click.argument("name")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
def rotate_command(name: str, json_: bool) -> None:
    """Make a key that takes the place of NAME."""
    made = Keys().rotate(name)
    if json_:
        as_json(made)
        return
    click.echo(f"made the key {made.name} anew: {made.public}")
    click.echo(
        "Next: put it into `keys` of the model in rote.yaml in place of the former, then `rote model renew MODEL`."
    )
    click.echo(
        "Every document is now signed by both, so that applications that know the former learn of the new one. "
        f"When all have, delete the former: it is called {made.name}.ID in `rote key show`."
    )
