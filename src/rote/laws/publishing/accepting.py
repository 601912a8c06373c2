"""Which channel document an application follows, and which version it leaves alone (docs/format.md, 10.6 and 10.9)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum

from rote.errors import Corrupt
from rote.words.channel import Channel
from rote.words.landed import Trial


class Verdict(Enum):
    """What a channel document is, held against the last one that was accepted."""

    NEW = "a later state"
    SAME = "what is known"
    OLD = "an earlier state, which somebody serves again"
    OTHER = "another state with the number of one that is known"


def judge(known: Channel | None, reached: int, found: Channel) -> Verdict:
    """`known` is the last document that was accepted, if it is still there; `reached` the highest `seq` that was
    installed."""
    reached = max(reached, known.seq if known else 0)
    if found.seq != reached:
        return Verdict.NEW if found.seq > reached else Verdict.OLD
    if known is None or known.seq < reached:
        return Verdict.SAME  # nothing is left of it but its number
    same = (known.version, known.snapshot.id, known.expires) == (
        found.version, found.snapshot.id, found.expires,
    )  # fmt: skip
    return Verdict.SAME if same else Verdict.OTHER


def moment(text: str, where: str) -> float:
    """Seconds since 1970 of a UTC time as records have it. Raises Corrupt."""
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as e:
        raise Corrupt(f"not a time: {text[:40]!r}", where=where) from e


def is_stale(channel: Channel, now: float, where: str) -> bool:
    """Whether the document has expired. Raises Corrupt."""
    return bool(channel.expires) and now >= moment(str(channel.expires), where)


def origin(channel: Channel) -> int:
    """The `seq` of the promotion that a document goes back to; the oldest one known on the way there, if the document
    does not reach back as far."""
    moves = {move.seq: move for move in channel.history}
    seq = channel.seq
    while (move := moves.get(seq)) is not None and move.to is not None and move.to < seq:
        seq = move.to
    return seq


def blocking(trials: Iterable[Trial], channel: Channel, allowed: int) -> Trial | None:
    """The trials that keep what the document names from being put in use, or None: it failed `allowed` times, and was
    not promoted again since."""
    came = origin(channel)
    for trial in trials:
        if trial.snapshot == channel.snapshot.id and came <= trial.seq and trial.failures >= allowed:
            return trial
    return None


def failed(trials: Sequence[Trial], channel: Channel, why: str) -> list[Trial]:
    """The trials with one failure more of what the document names. Failures before its last promotion are forgotten,
    and so are all trials but the newest few."""
    before = 0
    rest = []
    for trial in trials:
        if trial.snapshot != channel.snapshot.id:
            rest.append(trial)
        elif origin(channel) <= trial.seq:
            before = trial.failures
    now = Trial(snapshot=channel.snapshot.id, seq=channel.seq, failures=before + 1, why=why[:300])
    return [now, *rest][:_REMEMBERED]


_REMEMBERED = 8
