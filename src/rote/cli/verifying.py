"""`rote verify`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import click

import rote
from rote.cli.opening import project
from rote.cli.signatories import identity_options
from rote.cli.tables import as_json
from rote.errors import NotAProject, RoteError
from rote.laws.models.links import BROKEN, Verified


@click.command()
@click.argument("what", metavar="PATH|MODEL@VERSION")
@click.option("--read-data", is_flag=True, help="Read every byte of the data, too.")
@click.option("--strict", is_flag=True, help="Fail as well if a part of the chain cannot be looked at here.")
@identity_options
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def verify_command(
    ctx: click.Context,
    what: str,
    read_data: bool,
    strict: bool,
    identity: str,
    issuer: str,
    trust: str,
    json_: bool,
) -> None:
    """Walk from a version back to its data, and stop at the first broken link."""
    try:
        here = project(ctx)
    except NotAProject:
        verified = rote.verify(what, read_data=read_data, identity=identity, issuer=issuer, trust=trust)
    else:
        verified = here.models.verify(
            what, read_data=read_data, identity=identity, issuer=issuer, trust=trust
        )
    if json_:
        as_json(verified)
    else:
        _show(verified)
    if verified.broken:
        raise RoteError(
            f"{verified.what}: the link {verified.broken} is broken: {verified.why}",
            next=verified.next or None,
        )
    left = [link.name for link in verified.links if link.left]
    if left and strict:
        raise RoteError(f"{verified.what}: not verified completely: {', '.join(left)}")
    if not json_:
        click.echo(_last(verified, left))


def _rows(verified: Verified) -> Iterator[tuple[str, str, list[str]]]:
    """Name, state and lines of each link; neighbours of which the same is to be said are one row, and why something was
    not looked at is said once."""
    before: list[str] = []
    for (state, told, left), same in groupby(verified.links, lambda link: (link.state, link.told, link.left)):
        names = [link.name for link in same]
        name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        yield (
            name,
            state,
            [*told, *(f"not looked at: {why}" for why in left if why not in before or not told)],
        )
        before = left


def _show(verified: Verified) -> None:
    rows = list(_rows(verified))
    width = max(len(name) for name, _, _ in rows) + 2
    for name, state, lines in rows:
        said = [*lines, verified.why] if state == BROKEN else lines
        first = state.upper() if state == BROKEN else state
        click.echo(f"{name:<{width}}{first:<8}{(said or [''])[0]}".rstrip())
        for line in said[1:]:
            click.echo(f"{'':<{width}}{'':<8}{line}")


def _last(verified: Verified, left: list[str]) -> str:
    if not left:
        return f"{verified.what}: verified"
    return f"{verified.what}: nothing is broken; not looked at completely: {', '.join(left)}"
