"""The options that name an identity: `--identity`, `--issuer`, `--trust-config`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def identity_options(command: _F) -> _F:
    """Adds the options; what was typed comes as `identity`, `issuer` and `trust`."""
    for option in (
        click.option(
            "--trust-config",
            "trust",
            default="",
            metavar="FILE",
            help="Trust root of a private Sigstore.",
        ),
        click.option("--issuer", default="", metavar="URL", help="Who vouches for the identity."),
        click.option(
            "--identity",
            default="",
            metavar="NAME",
            help="Who must have signed the files, as Sigstore says.",
        ),
    ):
        command = option(command)
    return command
