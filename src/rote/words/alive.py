"""A run under way (docs/format.md, 8): its signs of life, and what others ask of it."""

from __future__ import annotations

import msgspec


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life of a run under way: the first item of `runs/<id>/now`. `every` is in seconds."""

    n: int
    nonce: str
    after: int
    """The number of the last segment that there was; the log in the same object comes right after it."""
    every: float
    at: str
    host: str = ""
    running: list[str] = []
    done: int = 0
    of: int = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked a run to end, and when; `now`: its stages are killed at once."""

    by: str
    at: str
    now: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The object `runs/<id>/ask`: what others ask of a run under way."""

    format: int = 1
    stop: Stop | None = None
    watch: int = 0
    """One more each time that somebody says they are following the log."""
    nonce: str = ""
