"""How a configuration error is worded: file, line, key, what was expected, the nearest valid name."""

from __future__ import annotations

from collections.abc import Sequence

from rote.errors import ConfigError
from rote.words.ids import nearest, shown
from rote.words.pipeline import At


def refused(at: At, what: str, next: str | None = None) -> ConfigError:
    """A ConfigError that says `what` is wrong `at` this place."""
    if not at.key.isprintable():
        at = At(at.file, at.line, shown(at.key, 200)[1:-1])
    return ConfigError(what, where=str(at), next=next)


def unknown(at: At, name: str, known: Sequence[str], owner: str) -> ConfigError:
    """A ConfigError for a key that `owner` (`a stage`) does not have."""
    near = nearest(name, list(known))
    meant = f"did you mean {shown(near)}?" if near else None
    return refused(at, f"unknown key {shown(name)}; expected one of: {', '.join(known)}", meant)
