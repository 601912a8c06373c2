"""A connection to a cloud does not survive a fork: its threads are gone, and a request would wait for them for ever."""

from __future__ import annotations

import os

from rote.errors import StoreUnavailable


class Life:
    """The vendor's runtime, which lives in the process that asked something first and in no child of it."""

    used = False
    left_behind = False


def alive(url: str) -> None:
    """To be asked before every request. Raises StoreUnavailable in a process that was forked from one with a
    connection; one that was started anew, or forked before the first request, may ask."""
    if Life.left_behind:
        error = StoreUnavailable(
            "this process was forked from one that has a connection to the store, and such a connection does not "
            "survive a fork",
            where=url,
            safe="nothing was asked",
            next="fork before the store is asked for the first time, or start processes anew (spawn, forkserver)",
        )
        error.retry = False
        raise error
    Life.used = True


def _forked() -> None:
    Life.left_behind = Life.used


os.register_at_fork(after_in_child=_forked)
