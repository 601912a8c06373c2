"""What a probe of a store found."""

from __future__ import annotations

import click

from rote.services.store.probe import Probed


def show_findings(probed: Probed) -> None:
    """One line for each ability, and what follows from them."""
    for finding in probed.findings:
        click.echo(
            f"  {'yes' if finding.honoured else 'no '}  {finding.meaning}"
            + (f": {finding.seen}" if finding.seen else "")
        )
    warning = probed.warning()
    click.echo(warning or "Several machines may write to this store at once.")
