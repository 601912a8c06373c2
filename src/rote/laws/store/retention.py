"""What is live and what may go: which roots the rules of a collection keep, and why (docs/format.md, 11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from rote.words.ids import SnapshotId, TxnId

GRACE = 72 * 3600.0
"""Seconds for which whatever is new is left alone, whatever the rules say."""
RUNNING = 30 * 86_400.0
"""Seconds after which a run that never said how it ended is taken for one that was killed."""
UNDER_WAY = "it is under way"
"""Why a run stays that is running, or paused."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection may remove. Without a rule no root goes: only garbage does.

    As soon as one of `keep_last` (runs), `keep_days` or `keep_tagged` is given, runs that none of them keeps go, and
    with them the results that no remaining run used. `unpinned_data`: data of `repository` that no pointer pins.
    `forget_repositories`: data of these. `forget_versions`: keys of versions. `grace` in seconds.
    """

    keep_last: int | None = None
    keep_days: float | None = None
    keep_tagged: bool = False
    unpinned_data: bool = False
    forget_repositories: frozenset[str] = frozenset()
    forget_versions: frozenset[str] = frozenset()
    repository: str = ""
    grace: float = GRACE

    @property
    def judges_runs(self) -> bool:
        """Whether runs and results may go at all."""
        return self.keep_last is not None or self.keep_days is not None or self.keep_tagged


class Standing(msgspec.Struct, frozen=True):
    """A root in force: its key, the transaction that made it, and its body."""

    key: str
    txn: TxnId
    body: dict[str, Any]


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of a root, and why."""

    key: str
    keep: bool
    why: str


def moment(txn_or_run: str) -> float | None:
    """The time in the id of a transaction or a run, in seconds since 1970; None if there is none in it."""
    digits = txn_or_run.replace("T", "-", 1).split("-")
    try:
        day, second = digits[0], digits[1]
        if len(day) != 8 or len(second) != 6:
            return None
        made = datetime(
            int(day[:4]), int(day[4:6]), int(day[6:]), int(second[:2]), int(second[2:4]), int(second[4:]),
            tzinfo=UTC,
        )  # fmt: skip
    except (ValueError, IndexError):
        return None
    return made.timestamp()


def is_old(txn_or_run: str, now: float, grace: float) -> bool:
    """Whether the grace period is over for what carries this id. What says no time, or one to come, is new unless
    there is no grace at all."""
    made = moment(txn_or_run)
    return grace <= 0 or (made is not None and now - made >= grace)


def decide(
    standing: Sequence[Standing], rules: Rules, pinned: frozenset[SnapshotId], now: float
) -> list[Verdict]:
    """What becomes of each root, in the order given. `pinned` are the snapshots that pointers of this repository name,
    in its working tree or in a commit."""
    runs = [root for root in standing if root.key.startswith("runs/")]
    released = {r.body.get("run"): _version(r.key) for r in standing if r.key.startswith("models/")}
    kept_runs = _runs(runs, rules, released, now)
    used = _used(root for root in runs if kept_runs[root.key].keep)
    done = {root.key.rpartition("/")[2] for root in standing if root.key.startswith("results/")}
    found = []
    for root in standing:
        match root.key.partition("/")[0]:
            case "runs":
                found.append(kept_runs[root.key])
            case "results":
                found.append(_result(root, rules, kept_runs, used, now))
            case "checkpoints":
                found.append(_checkpoints(root, rules, kept_runs, done, now))
            case "data":
                found.append(_data(root, rules, pinned, now))
            case _:
                gone = root.key in rules.forget_versions
                found.append(
                    Verdict(
                        root.key, not gone, "asked for" if gone else "a version stays until it is forgotten"
                    )
                )
    return found


def _runs(
    runs: Sequence[Standing], rules: Rules, released: Mapping[Any, str], now: float
) -> dict[str, Verdict]:
    newest_first = sorted(runs, key=lambda root: root.key, reverse=True)
    return {
        root.key: Verdict(root.key, *_run(root, number, rules, released, now))
        for number, root in enumerate(newest_first)
    }


def _run(
    root: Standing, number: int, rules: Rules, released: Mapping[Any, str], now: float
) -> tuple[bool, str]:
    id = root.key.split("/")[1]
    if root.body.get("state") in ("running", "paused") and not is_old(id, now, RUNNING):
        return True, UNDER_WAY
    if not rules.judges_runs:
        return True, "no rule for runs was given"
    if not is_old(id, now, rules.grace):
        return True, "within the grace period"
    if root.body.get("tags"):
        return True, "it is tagged"
    if id in released:
        return True, f"{released[id]} was made by it"
    if rules.keep_last is not None and number < rules.keep_last:
        return True, f"one of the last {rules.keep_last}"
    made = moment(id)
    if rules.keep_days is not None and (made is None or now - made < rules.keep_days * 86_400):
        return True, f"younger than {rules.keep_days:g} days"
    return False, "no rule keeps it"


def _used(runs: Iterable[Standing]) -> set[str]:
    """Stage keys that these runs made or hit."""
    return {str(stage.get("key")) for run in runs for stage in run.body.get("stages", ()) if stage.get("key")}


def _result(root: Standing, rules: Rules, runs: Mapping[str, Verdict], used: set[str], now: float) -> Verdict:
    if not rules.judges_runs:
        return Verdict(root.key, True, "no rule for runs was given")
    if not is_old(root.txn, now, rules.grace):
        return Verdict(root.key, True, "within the grace period")
    maker = runs.get(f"runs/{root.body.get('run')}/record")
    if root.key.rpartition("/")[2] in used or (maker is not None and maker.keep):
        return Verdict(root.key, True, "a run that stays used it")
    return Verdict(root.key, False, "no run that stays used it")


def _checkpoints(
    root: Standing, rules: Rules, runs: Mapping[str, Verdict], done: set[str], now: float
) -> Verdict:
    """They wait for a result. Once that is there nobody needs them, whatever the rules are, unless the stage is just
    being done again."""
    run = str(root.body.get("run"))
    taker = runs.get(f"runs/{run}/record")
    if taker is not None and taker.why == UNDER_WAY:
        return Verdict(root.key, True, taker.why)
    if root.key.rpartition("/")[2] in done:
        return Verdict(root.key, False, "its stage has a result")
    if not rules.judges_runs:
        return Verdict(root.key, True, "no rule for runs was given")
    if not is_old(root.txn, now, rules.grace):
        return Verdict(root.key, True, "within the grace period")
    if taker is not None and taker.keep:
        return Verdict(root.key, True, "a run that stays took it")
    return Verdict(root.key, False, "no run that stays took it")


def _data(root: Standing, rules: Rules, pinned: frozenset[SnapshotId], now: float) -> Verdict:
    if root.key.rpartition("/")[2] in pinned:
        return Verdict(root.key, True, "a pointer pins it")
    if not is_old(root.txn, now, rules.grace):
        return Verdict(root.key, True, "within the grace period")
    repository = root.body.get("repository", "")
    if repository in rules.forget_repositories:
        return Verdict(root.key, False, f"the repository {repository} is forgotten")
    if repository != rules.repository:
        return Verdict(root.key, True, f"it is of the repository {repository}")
    if rules.unpinned_data:
        return Verdict(root.key, False, "no pointer in the working tree, a branch or a tag pins it")
    return Verdict(root.key, True, "data stays unless --unpinned-data is given")


def _version(key: str) -> str:
    names = key.split("/")
    return f"{names[1]}@{names[-1]}"
