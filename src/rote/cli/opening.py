"""How a command gets its project, and how it leaves it."""

from __future__ import annotations

import click

import rote
from rote.cli.showing import TerminalProgress


def project(ctx: click.Context) -> rote.Project:
    """The project at or above the current folder, with the store and the progress that the command line asked for.
    When the command is over, however it ended, what it asked of the store is written down, and shown for `--stats`."""
    stats = ctx.obj["stats"]
    found = rote.open(".", store=ctx.obj["store"], progress=progress(ctx), count=stats)
    whole = ctx.find_root()

    def leave() -> None:
        found.close(whole.invoked_subcommand or "")
        if stats:
            from rote.cli.spending import show_usage  # only `--stats` needs it

            show_usage(found.usage())

    whole.call_on_close(leave)
    return found


def progress(ctx: click.Context) -> TerminalProgress:
    """Progress as the command line asked for it."""
    return TerminalProgress(quiet=ctx.obj["quiet"])
