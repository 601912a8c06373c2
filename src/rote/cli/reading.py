"""`rote ls` and `rote cat`."""

from __future__ import annotations

import sys

import click

from rote.cli.opening import project
from rote.cli.tables import as_json


@click.command()
@click.argument("path")
@click.option("--rev", metavar="REV", help="As of a revision.")
@click.option("--long", "-l", "long_", is_flag=True, help="With size and digest.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.pass_context
def ls_command(ctx: click.Context, path: str, rev: str | None, long_: bool, json_: bool) -> None:
    """List the files that a pointer holds, or that lie below PATH inside its data."""
    found = project(ctx).ls(path, rev=rev)
    if json_:
        as_json(
            [
                {"path": e.path, "size": e.size, "executable": e.executable, "digest": e.digest.hex()}
                for e in found
            ]
        )
        return
    out = sys.stdout
    for entry in found:
        if long_:
            mark = "x" if entry.executable else "-"
            out.write(f"{entry.digest.hex()[:16]}  {mark}  {entry.size:>12}  {entry.path}\n")
        else:
            out.write(entry.path + "\n")


@click.command()
@click.argument("path")
@click.option("--rev", metavar="REV", help="As of a revision.")
@click.pass_context
def cat_command(ctx: click.Context, path: str, rev: str | None) -> None:
    """Write one file of a snapshot to standard output, verified."""
    out = sys.stdout.buffer
    for piece in project(ctx).cat(path, rev=rev):
        out.write(piece)
    out.flush()
