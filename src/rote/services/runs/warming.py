"""Warm starts: what a stage that goes on from a model, or from an earlier result of its own, begins with.

What it begins with belongs to its key. But a model that was released meanwhile must not by itself make a stage run
again, and a result must not be its own reason for another: so what was taken is remembered under the key that the stage
has without it, and taken again whenever everything else is as it was. New data continues; the same data is a hit.
"""

from __future__ import annotations

import os
import posixpath
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import msgspec

from rote.errors import BadName, Missing, StageFailed, Unknown
from rote.laws.pipeline.stagekey import Inputs
from rote.ports import Landing, ObjectStore, Process
from rote.services.data.snapshots import Snapshots
from rote.services.models import delivery
from rote.services.runs.attempt import Aid, Task
from rote.services.store import conditional
from rote.words.encoding import canonical, tagged, with_check, without_check
from rote.words.ids import RunId, StageKey, run_id, shown
from rote.words.pipeline import Stage, Warm
from rote.words.result import Found, Result
from rote.words.run import Run, StageOutcome
from rote.words.snapshot import FILE, SnapshotRef
from rote.words.starts import Begun, Start, Starts
from rote.words.version import Version

MODELS, PREVIOUS = "ROTE_MODELS", "ROTE_PREVIOUS"
"""Variables that a stage with warm starts finds: folders, or nothing where there is nothing to begin from."""
_KEPT = 64
"""How many of the last times that a stage began are remembered."""
_ATTEMPTS = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9._@-]")


class Models(Protocol):
    """Where models are found."""

    def get(self, model: str, ref: str) -> Version:
        """The version that a number or an alias names. Raises Missing."""


def same_project(origin: str) -> str:
    """One name for a repository, whichever of its URLs a clone uses (`git@host:a/b.git`, `https://user@host/a/b`)."""
    text = origin.strip().rstrip("/").removesuffix(".git")
    scheme, found, rest = text.partition("://")
    if found:
        host, _, path = rest.partition("/")
    else:
        host, colon, path = text.partition(":")
        if not colon or "/" in host:
            return text  # a folder on this machine
    if scheme == "file":
        return f"/{path}"
    return f"{host.rpartition('@')[2].partition(':')[0].lower()}/{path.strip('/')}"


def starts_key(project: str, stage: str) -> str:
    """The key of the object that remembers how a stage began."""
    id = tagged("starts", canonical([project, stage]))
    return f"starts/{id[:2]}/{id}"


class _Warmed:
    """The Aid of a stage with warm starts."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    def started(self, process: Process, found: Callable[[], Found]) -> None:
        """There is nothing to watch."""


_NOTHING = _Warmed({})


class Warming:
    """The warm starts of one working tree. `cold` begins every stage from nothing; `folder` is where files are put for
    the stages. Thread-safe."""

    def __init__(
        self,
        store: ObjectStore,
        snapshots: Snapshots,
        models: Models,
        result: Callable[[StageKey], Result | None],
        *,
        landing: Callable[[str], Landing],
        remove: Callable[[str], None],
        project: str,
        folder: str,
        commit: Callable[[], str],
        cold: bool = False,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._models = models
        self._result = result
        self._landing = landing
        self._remove = remove
        self._project = project
        self._folder = folder
        self._commit = commit
        self._cold = cold

    # ---- what it begins with -----------------------------------------------------------------------------------

    def warmed(self, stage: Stage, inputs: Inputs) -> Inputs:
        """The inputs with what the stage begins from. One GET for a stage with warm starts, and one more for each
        earlier result that is looked at. Raises StageFailed where a version named by its number is not there."""
        if not stage.warm:
            return inputs
        starts = self._starts(stage, inputs.key())
        return msgspec.structs.replace(
            inputs,
            starts={text: start.snapshot.id if start.snapshot else None for text, start in starts.items()},
            starts_shown={text: start.of for text, start in starts.items() if start.of},
        )

    def _starts(self, stage: Stage, base: StageKey) -> dict[str, Start]:
        if self._cold:
            return {warm.text: Start() for warm in stage.warm}
        begun = self._read(stage)[0].begun
        wanted = {warm.text for warm in stage.warm}
        known = next((b for b in begun if b.base == base and b.starts.keys() == wanted), None)
        return known.starts if known else {warm.text: self._newest(stage, warm, begun) for warm in stage.warm}

    def _newest(self, stage: Stage, warm: Warm, begun: list[Begun]) -> Start:
        if warm.model:
            try:
                version = self._models.get(warm.model, warm.ref)
            except Missing as e:
                if warm.ref[:1].isdigit():
                    raise StageFailed(
                        f"{warm.model}@{warm.ref} is not there", where=str(stage.at), next=e.next
                    ) from e
                return Start()  # nobody has released one yet
            return Start(snapshot=version.snapshot, of=version.version)
        for before in begun:
            result = self._result(before.result)
            if result is not None and warm.path in result.outs:
                return Start(snapshot=result.outs[warm.path], of=result.run)
        return Start()

    def _read(self, stage: Stage) -> tuple[Starts, str | None]:
        key = starts_key(self._project, stage.name)
        found = conditional.look(self._store, key)
        if found is None:
            return Starts(stage=stage.name), None
        return without_check(found.data, Starts, key), found.etag

    # ---- beginning ---------------------------------------------------------------------------------------------

    @contextmanager
    def along(self, task: Task) -> Iterator[Aid]:
        """Go along with an attempt at a stage (see attempt.Companion): what it begins from is remembered, and lies in
        place when its command starts. Raises Missing if it is no longer in the store."""
        if not task.stage.warm:
            yield _NOTHING
            return
        base = msgspec.structs.replace(task.inputs, starts={}, starts_shown={}).key()
        starts = self._starts_of(task, base)
        self._remember(task, base, starts)
        yield _Warmed(self._placed(task.stage, starts))

    def placed(self, stage: Stage, inputs: Inputs) -> Mapping[str, str]:
        """Bring what a stage with these inputs begins from, and the variables that lead to it; nothing is remembered.
        Raises Missing if it is no longer in the store."""
        return self._placed(stage, self._meant(inputs))

    def _starts_of(self, task: Task, base: StageKey) -> dict[str, Start]:
        """The starts that the task's inputs speak of."""
        found = self._starts(task.stage, base)
        meant = task.inputs.starts
        if {t: s.snapshot.id if s.snapshot else None for t, s in found.items()} == meant:
            return found
        # Somebody released a model, or finished the stage, since the inputs were looked at.
        return self._meant(task.inputs)

    def _meant(self, inputs: Inputs) -> dict[str, Start]:
        return {
            text: Start(
                snapshot=self._snapshots.find(id) if id else None, of=inputs.starts_shown.get(text, "")
            )
            for text, id in inputs.starts.items()
        }

    def _remember(self, task: Task, base: StageKey, starts: dict[str, Start]) -> None:
        mine = Begun(
            base=base,
            result=task.slot or task.inputs.key(),
            run=task.run,
            commit=self._commit(),
            starts=starts,
        )
        for _ in range(_ATTEMPTS):
            known, etag = self._read(task.stage)
            others = [b for b in known.begun if b.base != base]
            first = known.begun[0] if known.begun else None
            if first is not None and (first.base, first.result, first.starts) == (base, mine.result, starts):
                return
            body = Starts(stage=task.stage.name, begun=[mine, *others][:_KEPT], nonce=secrets.token_hex(8))
            key = starts_key(self._project, task.stage.name)
            if conditional.put(self._store, key, with_check(body), etag).etag is not None:
                return
        raise Unknown(starts_key(self._project, task.stage.name), next="try again")

    def _placed(self, stage: Stage, starts: Mapping[str, Start]) -> dict[str, str]:
        top = os.path.join(self._folder, _UNSAFE.sub("_", stage.name))
        found = {MODELS: "", PREVIOUS: ""}
        for warm in stage.warm:
            ref = starts[warm.text].snapshot
            kind, name = (
                (MODELS, warm.model) if warm.model else (PREVIOUS, posixpath.relpath(warm.path, stage.wdir))
            )
            folder = os.path.join(top, "models" if warm.model else "previous")
            place = os.path.join(folder, name)
            if ref is None:
                self._remove(place)
                continue
            self._put(ref, place)
            found[kind] = folder
        return found

    def _put(self, ref: SnapshotRef, place: str) -> None:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not ref.single:
            delivery.bring(self._snapshots, ref, self._landing(place))
            return
        self._remove(place)
        aside = f"{place}.{os.getpid()}"
        with open(aside, "wb") as file:
            file.writelines(self._snapshots.read(self._snapshots.record(ref), FILE))
        os.replace(aside, place)


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain of warm starts: a stage of a run, at a commit, and what it went on from, in words."""

    run: RunId
    stage: str
    commit: str = ""
    began: str


def chain(get: Callable[[RunId], Run], run: Run) -> Iterator[Link]:
    """The warm starts of a run, each followed back to where it began. A run that is no longer there ends its chain."""
    waiting = [(run, outcome) for outcome in run.stages if outcome.starts]
    seen: set[tuple[RunId, str]] = set()
    while waiting:
        at, outcome = waiting.pop(0)
        if outcome.outcome == "hit":
            made = _made_by(get, outcome)
            if made is not None:
                at, outcome = made
        if (at.id, outcome.stage) in seen:
            continue
        seen.add((at.id, outcome.stage))
        began = ", ".join(described(text, of) for text, of in outcome.starts.items())
        yield Link(run=at.id, stage=outcome.stage, commit=at.commit.id or "", began=began)
        for text, of in outcome.starts.items():
            if of and text.startswith("previous:"):
                waiting += _of_stage(get, of, outcome.stage)


def _made_by(get: Callable[[RunId], Run], outcome: StageOutcome) -> tuple[Run, StageOutcome] | None:
    found = _of_stage(get, outcome.why.rpartition(" ")[2], outcome.stage)
    return found[0] if found else None


def _of_stage(get: Callable[[RunId], Run], id: str, stage: str) -> list[tuple[Run, StageOutcome]]:
    try:
        run = get(run_id(id))
    except (Missing, BadName):
        return []
    return [(run, outcome) for outcome in run.stages if outcome.stage == stage and outcome.starts]


def described(text: str, of: str) -> str:
    """A start for people."""
    kind, _, name = text.partition(":")
    if not of:
        return f"nothing instead of {shown(name)}"
    return f"{name.partition('@')[0]}@{of}" if kind == "model" else f"{name} of run {of}"
