"""The attempts at one stage in one run: whether there is another, and one log for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from rote.errors import RoteError
from rote.laws.pipeline.bounding import pause, span, transient
from rote.laws.pipeline.logcut import LogCut
from rote.ports import Progress
from rote.services.runs.stagework import Failure
from rote.services.runs.underway import Underway
from rote.words.pipeline import Stage
from rote.words.run import Tried


class Trying:
    """Tries one stage, until it is done, its failure is none that may go away by itself, or it was tried often enough.

    `chance` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        stage: Stage,
        log: Callable[[bytes], None],
        *,
        underway: Underway,
        progress: Progress,
        chance: Callable[[], float],
    ) -> None:
        self.attempts: list[Tried] = []
        """Those that failed, and were not the last."""
        self.stopped = False
        """Whether it was told to end between two attempts."""
        self._stage = stage
        self._log = log
        self._underway = underway
        self._progress = progress
        self._chance = chance
        self._cut = LogCut()

    def log(self, data: bytes) -> None:
        """Take what the command wrote."""
        if kept := self._cut.feed(data):
            self._log(kept)

    def close(self) -> None:
        """No more attempts: the end of a log that was cut is written."""
        if end := self._cut.rest():
            self._log(end)

    def again(self, error: RoteError, aside: Sequence[str]) -> bool:
        """Whether there is another attempt after this failure; returns when it is time for it. What the failed one had
        written is in `aside`."""
        rule = self._stage.retries
        exit = error.exit if isinstance(error, Failure) else None
        if exit is None or exit.stopped or len(self.attempts) >= rule.times:
            return False
        if not transient(rule, exit.code, exit.exceeded):
            return False
        number = len(self.attempts) + 1
        wait = round(pause(rule, number, self._chance()), 3)
        what = error.what.partition("\n")[0]
        said = f"{what}; attempt {number + 1} of {rule.times + 1} in {span(round(wait, 1))}"
        self._progress.say(
            f"{self._stage.name}: {said}" + "".join(f"; {place} has what it had written" for place in aside)
        )
        self.log(f"[rote: {said}]\n".encode())
        self.attempts.append(
            Tried(exit_code=exit.code, seconds=round(exit.seconds, 3), why=error.what, paused=wait)
        )
        self.stopped = not self._underway.pause(wait)
        if self.stopped:
            self.attempts[-1] = msgspec.structs.replace(self.attempts[-1], paused=0.0)
        return not self.stopped
