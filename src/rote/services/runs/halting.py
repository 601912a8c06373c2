"""Why a run ends before it is done: a signal, somebody who asks for it, or its deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from rote.services.runs.underway import Underway
from rote.words.alive import Stop
from rote.words.ids import shown
from rote.words.run import PAUSED, STOPPED

LEAD, SHARE = 120.0, 0.1
"""So many seconds before its deadline a run tells its stages to end; of a short time, this share of it."""


class Halt(msgspec.Struct, frozen=True):
    """One reason to end: what the run is then, why, and whether the stages are killed at once."""

    state: str
    why: str
    told: str
    """The line for the person who watches."""
    now: bool = False


def lead(seconds: float) -> float:
    """How long before a deadline in so many seconds the stages are told."""
    return min(LEAD, seconds * SHARE)


class Halting:
    """Collects the reasons to end one run. `post` leaves one for the main thread, which passes it to `act`.

    Everything but `act` may be called from any thread, and `signal` in a signal handler.
    """

    def __init__(self, post: Callable[[Halt], None], underway: Underway, say: Callable[[str], None]) -> None:
        self.signals = 0
        """How many signals came."""
        self.first: Halt | None = None
        """The reason that came first."""
        self._post = post
        self._underway = underway
        self._say = say
        self._acted = 0

    def __bool__(self) -> bool:
        """Whether the run is to end: no more stage is started."""
        return self.first is not None

    def signal(self, name: str) -> None:
        """A signal came; the second one kills."""
        self.signals += 1
        again = self.signals > 1
        told = (
            f"{name} again: the stages are killed; once more ends rote before the run is recorded"
            if again
            else f"{name}: the stages are told to end; once more kills them"
        )
        self._come(Halt(STOPPED, f"stopped by {name}", told, again))

    def asked(self, stop: Stop) -> None:
        """Somebody asked the run to end."""
        who = shown(stop.by, 200).strip("'")
        what = "killed" if stop.now else "told to end"
        self._come(Halt(STOPPED, f"stopped by {who}", f"{who} asked for it: the stages are {what}", stop.now))

    @contextmanager
    def until(self, seconds: float | None) -> Iterator[None]:
        """While in this context, the run is paused so early that it is over in so many seconds."""
        if seconds is None:
            yield
            return
        timer = threading.Timer(seconds - lead(seconds), self._due, (seconds,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _due(self, seconds: float) -> None:
        self._underway.grace = min(self._underway.grace, lead(seconds) * 0.8)
        self._come(Halt(PAUSED, "its deadline is near", "the deadline is near: the stages are told to end"))

    def _come(self, halt: Halt) -> None:
        # A person outweighs the deadline: who stops a run does not want it to be taken for one that waits.
        if self.first is None or (self.first.state == PAUSED and halt.state == STOPPED):
            self.first = halt
        self._post(halt)

    def act(self, halt: Halt) -> None:
        """Tell the stages."""
        times = 2 if halt.now else 1
        if self._acted < times:
            self._say(halt.told)
        while self._acted < times:
            self._acted = self._underway.tell()
