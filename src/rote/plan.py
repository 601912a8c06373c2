"""Known results and what stages are made of -> what would be done with each stage, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.encoding import canonical
from rote.ids import RunId, StageKey
from rote.record import Result
from rote.stagekey import Inputs, shown

HIT, RUN, BLOCKED, FROZEN = "hit", "run", "blocked", "frozen"

ABSENT = "(absent)"
"""What stands for a value that is not there, before or now."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs from the last result. `kind` is `command`, `dep`, `param`, `env`, `out` or `wdir`; `name`
    is the path, `file:key` or variable (empty for command and wdir); `old` and `new` are the values before and now,
    `ABSENT` where there is none. A dep's value is its snapshot id."""

    kind: str
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.kind == "command":
            return "the command changed"
        if self.kind == "wdir":
            return f"wdir changed: {self.old} -> {self.new}"
        what = f"{self.kind} {self.name}"
        if self.old == ABSENT:
            return f"{what} is new"
        if self.new == ABSENT:
            return f"{what} is no longer listed"
        if self.kind == "dep":
            return f"{what} changed"
        exact = type(self.old) is not type(self.new)
        return f"{what} changed: {_said(self.old, exact)} -> {_said(self.new, exact)}"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What would be done with a stage: `verdict` is hit | run | blocked | frozen. `certain` is false where it
    depends on what an earlier stage is going to make: the stage may turn out to be a hit."""

    stage: str
    verdict: str
    why: list[str] = []
    key: StageKey | None = None
    certain: bool = True
    run: RunId | None = None
    """For a hit: the run that made the result."""


class Plan(msgspec.Struct, frozen=True):
    """What a run would do, in the order it would."""

    decisions: list[Decision]

    def of(self, verdict: str) -> list[str]:
        """The stages with this verdict."""
        return [d.stage for d in self.decisions if d.verdict == verdict]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a stage would run, or is a hit: the decision, and each difference from the last known result of the stage.
    `compared_with` is the run that made that one, `made` when; None if no result of this stage is known."""

    decision: Decision
    changes: list[Change] = []
    compared_with: RunId | None = None
    made: str | None = None


def _said(value: Any, exact: bool) -> str:
    """The value, short and in one line; a text stands in quotes where it could be taken for something else."""
    plain = isinstance(value, str) and not exact and value.isprintable()
    text = value if plain else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"


def changes(old: Inputs, new: Inputs) -> list[Change]:
    """Everything that differs and may be shown, in the order command, wdir, deps, params, variables, outs. Without
    secrets in commands and params: empty if and only if the stage keys are equal."""
    found: list[Change] = []
    old, new = shown(old), shown(new)
    if old.cmd != new.cmd:
        found.append(Change(kind="command", name="", old=list(old.cmd), new=list(new.cmd)))
    if old.wdir != new.wdir:
        found.append(Change(kind="wdir", name="", old=old.wdir, new=new.wdir))
    found += _pairs("dep", old.deps, new.deps)
    for file in dict.fromkeys([*old.params, *new.params]):
        for whole in _pairs("param", old.params.get(file, {}), new.params.get(file, {})):
            for change in _within(whole):
                name = f"{file}:{change.name}" if change.name else file
                found.append(msgspec.structs.replace(change, name=name))
    found += _variables(old, new)
    found += _pairs("out", old.outs, new.outs)
    return found


def _pairs(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            yield Change(kind=kind, name=name, old=ABSENT, new=new[name])
        elif name not in new:
            yield Change(kind=kind, name=name, old=old[name], new=ABSENT)
        elif canonical(old[name]) != canonical(
            new[name]
        ):  # to Python 1 and 1.0 are equal, to a stage key not
            yield Change(kind=kind, name=name, old=old[name], new=new[name])


def _within(change: Change) -> Iterator[Change]:
    """A section of params that changed, as the keys in it that did."""
    if not (isinstance(change.old, Mapping) and isinstance(change.new, Mapping)):
        yield change
        return
    for inner in _pairs(change.kind, change.old, change.new):
        name = f"{change.name}.{inner.name}" if change.name else inner.name
        yield from _within(msgspec.structs.replace(inner, name=name))


def _variables(old: Inputs, new: Inputs) -> Iterator[Change]:
    for change in _pairs("env", old.env, new.env):
        yield Change(
            kind="env",
            name=change.name,
            old=ABSENT if change.old == ABSENT else old.env_shown.get(change.name, "not set"),
            new=ABSENT if change.new == ABSENT else new.env_shown.get(change.name, "not set"),
        )


def reasons(new: Inputs, last: Inputs | None) -> list[str]:
    """Why there is no result under the key of `new`, in words."""
    if last is None:
        return ["it has no result yet"]
    found = [str(change) for change in changes(last, new)]
    if not found and shown(new) is not new:
        return ["a secret in its command or params changed, or its last result is no longer in the store"]
    return found or ["its last result is no longer in the store"]


def decide(
    stage: str,
    new: Inputs,
    result: Result | None,
    *,
    last: Inputs | None,
    force: bool = False,
    always_changed: bool = False,
) -> Decision:
    """The verdict on a stage whose inputs are all known."""
    key = new.key()
    if force:
        return Decision(stage=stage, verdict=RUN, why=["forced"], key=key)
    if always_changed:
        return Decision(stage=stage, verdict=RUN, why=["always_changed"], key=key)
    if result is not None:
        return Decision(stage=stage, verdict=HIT, why=[f"made by run {result.run}"], key=key, run=result.run)
    return Decision(stage=stage, verdict=RUN, why=reasons(new, last), key=key)


def waits(stage: str, makers: Sequence[str]) -> Decision:
    """The verdict on a stage that needs outs which are to be made first."""
    return Decision(stage=stage, verdict=RUN, why=[f"after {', '.join(makers)}"], certain=False)


def blocked(stage: str, why: str) -> Decision:
    """The verdict on a stage that cannot run."""
    return Decision(stage=stage, verdict=BLOCKED, why=[why])
