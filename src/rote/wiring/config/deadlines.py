"""When a run has to be over, as people write it: in `5h30m`, at `18:30`, at `2026-11-21T18:30`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from rote.errors import UsageError
from rote.wiring.config.durations import parsed
from rote.words.ids import shown

_TIME = r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z"


def seconds(text: str, now: float) -> float:
    """In how many seconds that is; `now` is seconds since 1970. A time of day is the next such time here; what
    the clock does after this moment no longer matters. Raises UsageError."""
    here = datetime.fromtimestamp(now).astimezone()
    if match := re.match(_TIME, text.strip()):
        hour, minute, second = (int(part or 0) for part in match.groups())
        then = here.replace(hour=hour, minute=minute, second=second, microsecond=0)
        left = ((then if then > here else then + timedelta(days=1)) - here).total_seconds()
    else:
        duration = parsed(text)
        left = _at(text, here) if duration is None else duration
    if not 0 < left < 10 * 365 * 86_400:
        raise UsageError(
            f"the deadline {shown(text)} is over already"
            if left <= 0
            else f"the deadline {shown(text)} is too far away",
            where="--deadline",
            safe="nothing was done",
        )
    return left


def _at(text: str, here: datetime) -> float:
    try:
        then = datetime.fromisoformat(text.strip())
    except ValueError:
        then = None
    if then is None or len(text.strip()) <= 10:
        raise UsageError(
            f"cannot read the deadline {shown(text)}",
            where="--deadline",
            next="say in how much time (5h30m, 90s), or when (18:30, 2026-11-21T18:30)",
        )
    return (then.astimezone() - here).total_seconds()
