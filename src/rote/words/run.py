"""What a run was (docs/format.md, 8): the body of its record."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import RunId, StageKey
from rote.words.snapshot import SnapshotRef

RUNNING, FINISHED, FAILED, STOPPED, PAUSED = "running", "finished", "failed", "stopped", "paused"


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a stage that failed, after which it was tried again; `paused` is how many seconds later."""

    exit_code: int
    seconds: float
    why: str
    paused: float = 0.0


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """What was made otherwise than before: a file of an out (`path`), or a metric (`path:key`) with both values."""

    name: str
    was: Any = None
    now: Any = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How what a forced stage left compares with the result that was there: the run that made that one, how many files
    and metrics differ, and the first of them."""

    run: RunId
    differing: int = 0
    first: list[Differing] = []


class StageOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a stage in a run: `outcome` is done | hit | failed | stopped | blocked | frozen."""

    stage: str
    outcome: str
    key: StageKey | None = None
    slot: StageKey | None = None
    """Where its result lies, if that is not its stage key (docs/format.md, 7.5)."""
    seconds: float = 0.0
    why: str = ""
    """Why it ran, or what went wrong."""
    exit_code: int | None = None
    outs: dict[str, SnapshotRef] = {}
    metrics: dict[str, Any] = {}
    undeclared: list[str] = []
    """Data that the stage read although it names it nowhere."""
    attempts: list[Tried] = []
    """The attempts before the last one."""
    starts: dict[str, str] = {}
    """Warm start -> the version, or the run, that the stage went on from; empty where there was none."""
    compared: Compared | msgspec.UnsetType = msgspec.UNSET
    """Of a stage that was done although it had a result."""


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The state of git when the run began."""

    id: str | None = None
    branch: str | None = None
    dirty: bool = False
    diff: str = ""
    """The uncommitted diff, at most 256 KiB; `diff_cut` tells that there was more."""
    diff_cut: bool = False
    shallow: bool = False


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """The machine a run was on."""

    name: str
    system: str
    machine: str
    cpus: int
    python: str
    packages: dict[str, str] = {}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a run, so that another can go on with it. Without `targets`: the whole pipeline."""

    targets: list[str] = []
    jobs: int = 1
    force: bool = False
    keep_going: bool = False
    rev: str | msgspec.UnsetType = msgspec.UNSET
    """The commit that was run in a working tree of its own."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `runs/<id>/record`. `state` is running | finished | failed | stopped | paused. Times: UTC."""

    id: RunId
    state: str
    began: str
    ended: str | None = None
    seconds: float = 0.0
    by: str
    command: str
    project: str = ""
    commit: Commit = Commit()
    host: Host | None = None
    params: dict[str, dict[str, Any]] = {}
    """Params file -> decoded content, after overrides."""
    overrides: list[str] = []
    metrics: dict[str, Any] = {}
    """Out path -> decoded content, of every metrics file of the pipeline, hits included."""
    stages: list[StageOutcome] = []
    tags: dict[str, str] = {}
    error: str = ""
    asked: Request | None = None
    resumes: RunId | None = None
    """The run that this one goes on with."""
    smoke: bool | msgspec.UnsetType = msgspec.UNSET
    """True for a trial with less: nothing of it can be released."""
