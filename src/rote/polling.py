"""When an application looks again: at its pace, never all at once, less often where a place is in trouble."""

from __future__ import annotations

import re
from typing import Final

from rote.errors import UsageError
from rote.ids import shown

SPREAD: Final = 0.2
"""A wait is by chance up to so much of itself shorter or longer: what was started together drifts apart."""
LONGEST: Final = 3600.0
"""A place that is in trouble is asked at least once in so many seconds (or at the application's own, slower pace)."""

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
