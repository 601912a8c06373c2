"""Known results and what stages are made of -> what would be done with each stage, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from rote.laws.pipeline.found import Difference
from rote.laws.pipeline.stagekey import Inputs, shown
from rote.words.encoding import canonical
from rote.words.ids import RunId, StageKey
from rote.words.result import Found, Result

HIT, RUN, BLOCKED, FROZEN = "hit", "run", "blocked", "frozen"

ABSENT = "(absent)"
"""What stands for a value that is not there, before or now."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that differs from the last result. `kind` is `command`, `dep`, `param`, `env`, `out`, `wdir`, `lock`,
    `image`, `python`, `trace` or `check`; or, of what the stage was found to read, `file`, `folder` or `module`. `name`
    is the path, `file:key` or variable (empty for command, wdir, image, python, trace and check); `old` and `new` are
    the values before and now, `ABSENT` where there is none. A dep's value is its snapshot id, a file's and a lock
    file's the digest of its content; of a folder and of modules it is the names that only one of both has."""

    kind: str
    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        if self.kind == "command":
            return "the command changed"
        if self.kind == "wdir":
            return f"wdir changed: {self.old} -> {self.new}"
        if self.kind == "check":
            return (
                "expectations are understood in another way"
                if ABSENT not in (self.old, self.new)
                else _CHECK[self.new == ABSENT]
            )
        if self.kind in ("image", "python", "trace"):
            return f"{self.kind} changed: {self.old} -> {self.new}"
        if self.kind in ("file", "folder", "module"):
            return self._found()
        what = f"{_SAID.get(self.kind, self.kind)} {self.name}"
        if self.old == ABSENT:
            return f"{what} is new"
        if self.new == ABSENT:
            return f"{what} is no longer listed"
        if self.kind in ("dep", "lock"):
            return f"{what} changed"
        exact = type(self.old) is not type(self.new)
        return f"{what} changed: {_said(self.old, exact)} -> {_said(self.new, exact)}"

    def _found(self) -> str:
        if self.kind == "file":
            how = "is there now" if self.old == ABSENT else "is gone" if self.new == ABSENT else "changed"
            return f"{self.name}, which it {'looks for' if self.old == ABSENT else 'reads'}, {how}"
        verb = "lists" if self.kind == "folder" else "imports from"
        if ABSENT in (self.old, self.new):
            return f"the folder {self.name}, which it {verb}, {'is there now' if self.old == ABSENT else 'is gone'}"
        parts = [f"has {self.new} now"] if self.new else []
        parts += [f"has {self.old} no longer"] if self.old else []
        return f"the folder {self.name}, which it {verb}, {' and '.join(parts)}"


_CHECK = ("it consists of expectations now", "it consists of expectations no longer")
_SAID = {"lock": "lock file"}


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
    inputs: Inputs | None = None
    """What the stage is made of now, if that is known."""
    found: Found | None = None
    """For a hit: what its command was found to read besides."""


def _said(value: Any, exact: bool) -> str:
    """The value, short and in one line; a text stands in quotes where it could be taken for something else."""
    plain = isinstance(value, str) and not exact and value.isprintable()
    text = value if plain else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"


def changes(old: Inputs, new: Inputs) -> list[Change]:
    """Everything that differs and may be shown, in the order command, wdir, deps, params, variables, lock files, image,
    Python, trace, check, starts, outs. Without secrets in commands and params: empty if and only if the stage keys are
    equal."""
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
    found += _pairs("lock", old.locks, new.locks)
    for kind in ("image", "python", "trace", "check"):
        was, now = getattr(old, kind) or ABSENT, getattr(new, kind) or ABSENT
        if was != now:
            found.append(Change(kind=kind, name="", old=was, new=now))
    found += _pairs("start", _begun(old), _begun(new))
    found += _pairs("out", old.outs, new.outs)
    return found


def found_changes(differences: Sequence[Difference]) -> list[Change]:
    """What changed in the files that a stage was found to read."""
    return [
        Change(
            kind=d.kind, name=d.path, old=ABSENT if d.old is None else d.old,
            new=ABSENT if d.new is None else d.new,
        )
        for d in differences
    ]  # fmt: skip


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


def _begun(inputs: Inputs) -> dict[str, str]:
    """What the stage goes on from, for people and still one to one."""
    return {
        text: f"{inputs.starts_shown.get(text, '')} ({id[:10]})".strip() if id else "nothing"
        for text, id in inputs.starts.items()
    }


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


def reasons(new: Inputs, last: Inputs | None, differences: Sequence[Difference] = ()) -> list[str]:
    """Why there is no result under the key of `new`, in words. `differences`: from a result under that key."""
    if differences:
        return [str(change) for change in found_changes(differences)]
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
    differences: Sequence[Difference] = (),
) -> Decision:
    """The verdict on a stage whose inputs are all known. `differences`: how a result under its key differs in the files
    that the stage was found to read."""
    key = new.key()
    if force:
        return Decision(stage=stage, verdict=RUN, why=["forced"], key=key)
    if always_changed:
        return Decision(stage=stage, verdict=RUN, why=["always_changed"], key=key)
    if result is not None:
        return Decision(stage=stage, verdict=HIT, why=[f"made by run {result.run}"], key=key, run=result.run)
    return Decision(stage=stage, verdict=RUN, why=reasons(new, last, differences), key=key)


def waits(stage: str, makers: Sequence[str]) -> Decision:
    """The verdict on a stage that needs outs which are to be made first."""
    return Decision(stage=stage, verdict=RUN, why=[f"after {', '.join(makers)}"], certain=False)


def blocked(stage: str, why: str) -> Decision:
    """The verdict on a stage that cannot run."""
    return Decision(stage=stage, verdict=BLOCKED, why=[why])
