"""How often a run under way writes to its store and looks into it: soon enough for people, seldom enough for a bill.

A folder costs nothing but time, so the gaps are short and stay so. A bucket bills each request: there the gaps grow
with the age of the run, so that a day costs a few times what the first hour costs, and shrink while somebody watches.
All times are in seconds.
"""

from __future__ import annotations

import msgspec


class Gap(msgspec.Struct, frozen=True):
    """A time that grows with the age of a run: `share` of the age, but at least `least` and at most `most`."""

    least: float
    most: float
    share: float = 0.0

    def at(self, age: float) -> float:
        """The gap of a run that is so old."""
        return min(max(self.least, age * self.share), self.most)


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """The gaps of one kind of store."""

    log: Gap
    """From the first line that is not sent to the request that sends it."""
    quiet: Gap
    """From one sign of life to the next, if nothing is said."""
    look: Gap
    """From one look at what others ask to the next."""
    watched_log: float
    """As `log`, while somebody follows."""
    watched_look: float
    follow: float
    """From one look of somebody who follows to the next."""
    renew: float
    """After how long who follows says so again."""

    @property
    def watched(self) -> float:
        """How long a run counts as followed after somebody said so."""
        return self.renew * 2.5

    def log_gap(self, age: float, watched: bool) -> float:
        """From the first line that is not sent to the request that sends it."""
        return min(self.watched_log, self.log.at(age)) if watched else self.log.at(age)

    def look_gap(self, age: float, watched: bool) -> float:
        """From one look at what others ask to the next."""
        return min(self.watched_look, self.look.at(age)) if watched else self.look.at(age)


FOLDER = Pace(
    log=Gap(0.7, 0.7),
    quiet=Gap(5, 5),
    look=Gap(1, 1),
    watched_log=0.7,
    watched_look=1,
    follow=0.4,
    renew=60,
)
BUCKET = Pace(
    log=Gap(5, 120, 1 / 60),
    quiet=Gap(20, 120, 1 / 15),
    look=Gap(10, 60, 1 / 360),
    watched_log=4,
    watched_look=10,
    follow=4,
    renew=60,
)

UNSEEN = 120.0
"""The `every` of a run that has given no sign of life at all."""


def patience(every: float) -> float:
    """For how long a run has to be watched without any change before it counts as dead."""
    return 2 * every + 10
