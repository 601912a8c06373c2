"""Taking turns: of all who follow one alias through one cache, one looks, and the others take what it found."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rote.adapters.landing.looked import Looked
from rote.client.hosts import Moment
from rote.errors import RoteError
from rote.laws.publishing import looks
from rote.laws.publishing.looks import Look

PATIENCE = 60.0
"""Seconds after which somebody who looks, and does not come to an end, is no reason any more not to look oneself."""
_SOONEST, _LATEST = 1.0, 30.0
"""Seconds between two tries to get a turn while somebody has it."""


class Told:
    """What is told of looks through one cache, for one question (`looks.asked`)."""

    def __init__(self, folder: str, asked: Callable[[], str], now: Callable[[], float]) -> None:
        self._looked = Looked(folder)
        self._asked = asked
        self._now = now

    def last(self) -> Look | None:
        """The last look for what is asked here."""
        look = self._looked.last()
        return look if look is not None and look.asked == self._asked() else None

    def tell(self, error: RoteError | None) -> None:
        """Let the others know of a look that ended with this error, or well."""
        look = looks.after(
            self._looked.last(),
            error,
            asked=self._asked(),
            now=self._now(),
            chance=random.random(),
            nonce=secrets.token_hex(8),
        )
        if look is not None:
            self._looked.tell(look)

    def left(self, look: Look, every: float) -> float:
        """Seconds for which nobody need look again who looks so often."""
        return look.left(every, self._now())

    def turn(self) -> AbstractContextManager[bool]:
        """Be the one who looks, if nobody else does at this moment; without waiting."""
        return self._looked.turn()


class Turns:
    """The turns of one watch that looks every so many seconds. `hear` takes what somebody else's look led to, and
    returns False where a look is needed all the same. Not thread-safe."""

    def __init__(self, told: Told, every: float, hear: Callable[[Look], bool]) -> None:
        self._told = told
        self._every = every
        self._hear = hear
        self._moment = Moment()
        self._put_off: float | None = None

    def left(self) -> float:
        """Seconds until somebody should look; 0 if that is now."""
        look = self._told.last()
        return self._moment.left(look.nonce, self._told.left(look, self._every)) if look else 0.0

    def heard(self) -> float:
        """As `left`; and if somebody has looked for all, what that led to is taken."""
        look = self._told.last()
        if look is None:
            return 0.0
        left = self._moment.left(look.nonce, self._told.left(look, self._every))
        return left if left and self._hear(look) else 0.0

    @contextmanager
    def taken(self) -> Iterator[float]:
        """0 if it is this watch's turn, which others then leave alone; else how long to wait before another try."""
        with self._told.turn() as mine:
            yield 0.0 if mine else self._later()
            if mine:
                self._put_off = None

    def _later(self) -> float:
        now = time.monotonic()
        if self._put_off is None:
            self._put_off = now
        waited = now - self._put_off
        if waited > max(PATIENCE, self._every):
            self._put_off = None
            return 0.0
        return min(max(_SOONEST, waited), _LATEST, self._every)
