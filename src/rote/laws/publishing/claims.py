"""What the manifest beside the files of a version says of where the version comes from, link by link, for people.

It is a claim: whoever can write where the manifest lies can say what they like, unless a signed channel names the
manifest's digest. A store that knows the version tells whether it is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rote.laws.models import links
from rote.laws.publishing.releasenotes import figure, numbers
from rote.words.ids import shown
from rote.words.landed import Provenance
from rote.words.publication import PublishedOrigin

_ROWS = 8
_WIDTH = 120


def of(link: str, said: Provenance) -> list[str]:
    """What is said of a link of the chain (`links.CHAIN`); empty if nothing is."""
    rows = list(_rows(link, said))
    more = [f"and {len(rows) - _ROWS} more"] if len(rows) > _ROWS else []
    return [f"the manifest says: {row}" for row in [*rows[:_ROWS], *more]]


def _rows(link: str, said: Provenance) -> Iterator[str]:
    origin = said.origin or PublishedOrigin()
    match link:
        case links.DATA:
            for path, snapshot in sorted(origin.data.items()):
                yield f"{_plain(path)}, snapshot {_plain(str(snapshot)[:12])}"
        case links.CODE:
            if said.commit:
                yield f"commit {_plain(said.commit)}"
            for file, values in sorted(origin.params.items()):
                for key, value in _leaves(values):
                    yield f"{_plain(file)}: {_plain(key)} = {_plain(str(value))}"
        case links.ENVIRONMENT:
            if origin.python:
                yield f"Python {_plain(origin.python)} on {_plain(origin.system or 'an unknown system')}"
        case links.STAGES:
            if said.run:
                yield f"made by the run {_plain(said.run)}"
        case links.METRICS:
            for name, value in numbers(origin.metrics):
                yield f"{_plain(name)} {figure(value)}"
            if origin.gates:
                passed = sum(1 for one in origin.gates if one.passed)
                yield f"{passed} of {len(origin.gates)} gates passed"


def differs(said: Provenance, truth: Provenance) -> str:
    """What is said otherwise than by the store that has the version; empty if nothing is. What is left out is no
    difference."""
    mine, true = said.origin or PublishedOrigin(), truth.origin or PublishedOrigin()
    pairs = [("run", said.run, truth.run), ("commit", said.commit, truth.commit)]
    pairs += [(f.name, getattr(mine, f.name), getattr(true, f.name)) for f in msgspec.structs.fields(mine)]
    return ", ".join(name for name, one, other in pairs if one and one != other and name != "left_out")


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _plain(text: str) -> str:
    """A stranger's text, on one line and short."""
    quoted = shown(text, _WIDTH)
    return text if quoted == f"'{text}'" else quoted
