"""The last look for a newer version that anybody took through a cache, for all who share it (docs/format.md, 10.6)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from rote.errors import Corrupt, Missing, RoteError, Stale, StoreFull, StoreUnavailable, Unfit, Untrusted
from rote.laws.publishing import polling
from rote.words.encoding import canonical, digest_of

_FOR_ALL: Final = (StoreUnavailable, Missing, Corrupt, Untrusted, Stale, Unfit, StoreFull)
"""What would have happened to everybody who asks the same. Other errors are the looker's own: a wrong token, say."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error of a look, as it is written down."""

    kind: str
    what: str
    where: str | None = None
    safe: str | None = None
    next: str | None = None

    def error(self) -> RoteError:
        """The error again."""
        kind = next((kind for kind in _FOR_ALL if kind.__name__ == self.kind), RoteError)
        return kind(self.what, where=self.where, safe=self.safe, next=self.next)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """A look: for what (`asked`), when it ended (seconds since 1970), and what kept it from what the channel names.
    `chance` (0 to 1) draws the wait that follows; `failures` looks in a row found the place in trouble."""

    format: int = 1
    asked: str
    at: float
    chance: float
    failures: int = 0
    nonce: str
    problem: Problem | None = None

    def left(self, every: float, now: float) -> float:
        """For how many more seconds nobody need look who looks so often."""
        return polling.left(self.at, polling.pause(every, self.failures, self.chance), now)


def asked(address: str, trusts: Sequence[str]) -> str:
    """What is looked for: two who ask the same place, and trust the same keys and identity, can share an answer."""
    return digest_of(canonical([address, list(trusts)]))[:16]


def after(
    before: Look | None, error: RoteError | None, *, asked: str, now: float, chance: float, nonce: str
) -> Look | None:
    """The look that ended now with this error, or well; None if it failed for a reason of the looker's own."""
    if error is not None and not is_for_all(error):
        return None
    in_trouble = isinstance(error, StoreUnavailable)
    counted = before.failures if before is not None and before.asked == asked else 0
    return Look(
        asked=asked,
        at=now,
        chance=chance,
        failures=counted + 1 if in_trouble else 0,
        nonce=nonce,
        problem=_problem(error) if error is not None else None,
    )


def is_for_all(error: RoteError) -> bool:
    """Whether everybody who asks the same would be told the same. Where waiting cannot help, as with wrong credentials,
    a place is in no trouble."""
    return isinstance(error, _FOR_ALL) and (error.retry or not isinstance(error, StoreUnavailable))


def _problem(error: RoteError) -> Problem:
    kind = next(kind.__name__ for kind in _FOR_ALL if isinstance(error, kind))
    return Problem(kind=kind, what=error.what, where=error.where, safe=error.safe, next=error.next)
