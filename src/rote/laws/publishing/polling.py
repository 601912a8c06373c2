"""When an application looks again: at its pace, never all at once, less often where a place is in trouble."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from rote.errors import StoreUnavailable, UsageError
from rote.words.ids import shown

SPREAD: Final = 0.2
"""A wait is by chance up to so much of itself shorter or longer: what was started together drifts apart."""
LONGEST: Final = 3600.0
"""A place that is in trouble is asked at least once in so many seconds (or at the application's own, slower pace)."""

LONGEST_ASKED: Final = 86_400.0
"""A place that asks to be left alone is, for so many seconds at most."""
_FORGOTTEN: Final = 3600.0

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)\Z")


def seconds(every: float | str) -> float:
    """Seconds of `300`, `"5m"`, `"1h"`. Raises UsageError."""
    match = _TEXT.match(every.strip().lower()) if isinstance(every, str) else None
    found = float(match[1]) * _UNITS[match[2] or "s"] if match else every
    if isinstance(found, str | bool) or not 0 < found < float("inf"):
        raise UsageError(f"not a time between two looks: {shown(str(every))}", next="say 5m, 90s or 1h")
    return float(found)


def pause(every: float, failures: int, chance: float, asked: float = 0.0) -> float:
    """Seconds to wait after a look, the last `failures` of which failed in a row; `chance` is from 0 to 1, `asked` for
    how long the place itself asked to be left alone."""
    longest = max(LONGEST, every)
    wanted = min(every * 2.0 ** min(failures, 32), longest)
    return max(wanted * (1 - SPREAD + 2 * SPREAD * chance), asked)


def left(began: float, wait: float, now: float) -> float:
    """Seconds that are left of a wait which somebody began, by the clock on the wall. One that begins in the future
    tells of a clock that was set: nothing is left of it."""
    gone = now - began
    return wait - gone if 0 <= gone < wait else 0.0


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A host that does not serve (docs/format.md, 10.6): since `at` (seconds since 1970) it is left alone for `wait`
    seconds, after so many `failures` in a row."""

    format: int = 1
    host: str
    at: float
    wait: float
    failures: int
    nonce: str

    def left(self, now: float) -> float:
        """For how many more seconds the host is to be left alone."""
        return left(self.at, min(self.wait, LONGEST_ASKED), now)


def worse(
    known: Trouble | None,
    before: Trouble | None,
    error: StoreUnavailable,
    *,
    host: str,
    every: float,
    chance: float,
    now: float,
    nonce: str,
) -> Trouble:
    """What is to be known of a host that failed at `now`. `before` is what was known when the look began, `known` what
    is known now: another one is a failure of somebody else meanwhile, and two at once count as one."""
    asked = min(error.retry_after or 0.0, LONGEST_ASKED)
    if known is not None and known != before:
        if asked <= known.left(now):
            return known
        failures = known.failures
    else:
        old = known is None or not 0 <= now - known.at < known.wait + _FORGOTTEN
        failures = 1 if known is None or old else known.failures + 1
    wait = pause(every, failures, chance, asked)
    return Trouble(host=host, at=now, wait=wait, failures=failures, nonce=nonce)
