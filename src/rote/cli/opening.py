"""How a command gets its project."""

from __future__ import annotations

import click

import rote
from rote.cli.showing import TerminalProgress


def project(ctx: click.Context) -> rote.Project:
    """The project at or above the current folder, with the store and the progress that the command line asked for."""
    return rote.open(".", store=ctx.obj["store"], progress=progress(ctx))


def progress(ctx: click.Context) -> TerminalProgress:
    """Progress as the command line asked for it."""
    return TerminalProgress(quiet=ctx.obj["quiet"])
