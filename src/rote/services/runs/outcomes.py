"""What became of a stage, as a run records it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rote.errors import RoteError
from rote.laws.pipeline.plan import FROZEN
from rote.laws.pipeline.stagekey import Inputs
from rote.services.runs.stagework import Done, Failure
from rote.words.ids import Digest, StageKey
from rote.words.pipeline import Stage
from rote.words.run import StageOutcome, Tried

BAD = ("failed", "stopped", "blocked")


def keys_of(stages: Collection[StageOutcome]) -> dict[str, StageKey]:
    """Where the stages' results lie, and of frozen stages without one that they were frozen."""
    return {o.stage: o.slot or o.key or StageKey(Digest(FROZEN)) for o in stages}


def done(stage: Stage, key: StageKey, left: Done, why: str) -> StageOutcome:
    """The outcome of a stage that ended well; its outs are added when they are saved."""
    return StageOutcome(
        stage=stage.name, outcome="done", key=key, seconds=round(left.seconds, 3), why=why, exit_code=0,
        metrics=left.metrics,
    )  # fmt: skip


def starts_of(inputs: Inputs) -> dict[str, str]:
    """What a stage went on from, as a run tells it."""
    return {text: inputs.starts_shown.get(text, "") for text in inputs.starts}


def failed(
    stage: Stage,
    key: StageKey,
    error: RoteError,
    aside: list[str],
    attempts: Sequence[Tried] = (),
    *,
    stopped: bool = False,
) -> StageOutcome:
    """The outcome of a stage that failed or was stopped, perhaps after other `attempts`, or between two of them
    (`stopped`); `aside` is where its partial outs are."""
    exit = error.exit if isinstance(error, Failure) else None
    why = text_of(error)
    if attempts and not stopped:
        why = f"after {len(attempts) + 1} attempts: {why}"
    if stopped:
        why = f"stopped before it was tried again: {why}"
    if aside:
        # After the last lines of its output this needs a line of its own.
        why += ("\n  " if "\n" in why else "; ") + f"what it had written is in {', '.join(aside)}"
    return StageOutcome(
        stage=stage.name, outcome="stopped" if stopped or (exit and exit.stopped) else "failed", key=key,
        seconds=round(exit.seconds, 3) if exit else 0.0, why=why, exit_code=exit.code if exit else None,
        attempts=list(attempts),
    )  # fmt: skip


def text_of(error: RoteError) -> str:
    """What happened and what to do next, in one line; below it what the stage wrote last, if that is told."""
    what, newline, rest = str(error).partition("\n")
    return f"{what} ({error.next}){newline}{rest}" if error.next else str(error)
