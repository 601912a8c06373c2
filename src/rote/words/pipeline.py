"""What rote.yaml means, once it is read and found sound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rote.words.signatory import Signatory


class At(msgspec.Struct, frozen=True):
    """Where something was written: a file relative to the project's root, a line counted from 1, and the key."""

    file: str
    line: int
    key: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}" if self.key else place


class Param(msgspec.Struct, frozen=True):
    """A param that a stage depends on: a file relative to the project's root, and a dotted key in it (empty: all)."""

    file: str
    key: str


class Out(msgspec.Struct, frozen=True):
    """A path that a stage makes, relative to the project's root. `kind` is `out`, `metrics` or `plots`."""

    path: str
    kind: str = "out"
    persist: bool = False
    """It stays in place when the stage begins, which goes on from what is there."""
    cache: bool = True
    """It is kept in the store. Otherwise it lies in the working tree alone, and git may track it."""


class Warm(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage goes on from: a model (`model` with `ref`, an alias or a version), or an earlier result of its own
    out `path`."""

    model: str = ""
    ref: str = ""
    path: str = ""

    @property
    def text(self) -> str:
        """As it is written in records."""
        return f"model:{self.model}@{self.ref}" if self.model else f"previous:{self.path}"


class CheckpointRule(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stage writes its checkpoints (relative to the project's root), how many of the last are kept, and how
    many seconds lie at least between two that are taken."""

    path: str
    keep: int = 2
    every: float = 300.0


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How often a stage is tried again, after which failures (exit codes, or `signal`, `timeout`, `memory`), and after
    how many seconds: at most `backoff` the first time, twice that the next time, and never more than `longest`."""

    times: int = 0
    backoff: float = 10.0
    longest: float = 600.0
    on: tuple[int | str, ...] = (75,)


class Smoke(msgspec.Struct, frozen=True, kw_only=True):
    """With what less a stage is content in a smoke run. `params`: KEY or FILE:KEY -> value. `sample`: a dep that no
    stage makes -> how many of its files (of a single file: its records) are taken, or the path that stands in."""

    params: Mapping[str, Any] = {}
    sample: Mapping[str, int | str] = {}
    at: At = At("rote.yaml", 0)


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage takes of a machine: processors, bytes of memory, GPUs. No number of GPUs: it is not told which it
    sees."""

    cpus: float = 0
    memory: int = 0
    gpus: int | None = None

    @property
    def wanted(self) -> bool:
        """Whether it wants anything."""
        return bool(self.cpus or self.memory or self.gpus is not None)


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Data that a check looks at under a `name`: a file or folder (relative to the project's root), and how it is read.
    `format` is `csv`, `parquet`, `jsonl` or `files`; empty: told by the names of the files."""

    name: str
    path: str
    format: str = ""
    delimiter: str = ""
    header: bool = True


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of a `table`: a condition (`text`), or a query (`sql`) that finds what must not be there, and
    in words what that is (`says`)."""

    table: str
    text: str = ""
    sql: str = ""
    says: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a stage a check: the data that it vouches for, and what is expected of it (none: its commands say
    so). Stages that read any of this data wait until the check has passed."""

    tables: tuple[Table, ...]
    expect: tuple[Expect, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """The data, relative to the project's root."""
        return tuple(table.path for table in self.tables)


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One command with what it needs and makes. All paths are relative to the project's root, with `/`."""

    name: str
    cmd: tuple[str, ...]
    """One or more command lines, run one after the other by `/bin/sh -c`."""
    deps: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    outs: tuple[Out, ...] = ()
    """Outs, metrics and plots together, in the order of the file."""
    frozen: bool = False
    always_changed: bool = False
    wdir: str = "."
    env: tuple[str, ...] = ()
    """Names of environment variables whose values belong to the stage key."""
    locks: tuple[str, ...] = ()
    """Lock files whose content belongs to the stage key."""
    image: str = ""
    """The digest of the image that the stage runs in, if that belongs to the stage key."""
    python: bool = False
    """Whether the version of the Python that its commands name belongs to the stage key."""
    trace: str = "python"
    """How it is watched: `python`, `strace` or `off`."""
    strict: bool = False
    """Whether it fails if it reads data that it does not name."""
    checkpoints: CheckpointRule | None = None
    warm: tuple[Warm, ...] = ()
    """What the stage goes on from, where there is something."""
    timeout: float | None = None
    """Seconds that one attempt may take."""
    retries: Retries = Retries()
    resources: Resources = Resources()
    smoke: Smoke | None = None
    check: Check | None = None
    """What it checks, if it is a check."""
    desc: str = ""
    at: At = At("rote.yaml", 0)

    @property
    def expects(self) -> bool:
        """Whether it consists of expectations, which rote itself looks at; `cmd` is what the stage key says of them."""
        return self.check is not None and bool(self.check.expect)

    @property
    def of_dvc(self) -> bool:
        """Whether it stands in a dvc.yaml."""
        return self.at.file.rpartition("/")[2] == "dvc.yaml"


class Gate(msgspec.Struct, frozen=True):
    """A condition that a model must meet before it may be released: the text as written, and where."""

    text: str
    at: At


class PredictionsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of predictions (CSV or JSON lines): its path, and the names of its columns."""

    path: str
    id: str = "id"
    label: str = "label"
    prediction: str = "prediction"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What a version of a model holds: project paths of files or folders (outs, or files that git tracks)."""

    name: str
    files: tuple[str, ...]
    gates: tuple[Gate, ...] = ()
    """What a version must meet: the gates of the whole project, then the model's own."""
    predictions: PredictionsFile | None = None
    """What statistical gates compare."""
    desc: str = ""
    signature: str = ""
    """Path of the file (an out, or one that git tracks) that says what goes in and comes out; empty: the files do."""
    keys: tuple[str, ...] | None = None
    """The public keys that sign its channels, for applications to trust; empty: not signed any more. None: not said."""
    identity: Signatory | None = None
    """By whom the files of its published versions are signed."""
    expires: float | None = None
    """Seconds after which applications count what a channel says as stale."""
    stamp: bool = False
    """Whether safetensors and ONNX files of a version say which version they are."""
    licence: str = ""
    limits: str = ""
    """What the model is not good for, for people."""
    card: Mapping[str, str | tuple[str, ...]] = {}
    """What its card says besides: keys of the Hugging Face Hub's front matter, and `text`, a file of prose."""
    publish: tuple[str, ...] = ()
    """The targets that every version which an alias names is published at, and the alias's channel with it."""
    at: At = At("rote.yaml", 0)


class ReadCache(msgspec.Struct, frozen=True, kw_only=True):
    """Where what was read from a store is kept on this machine, and how many bytes of it; None: not said."""

    folder: str | None = None
    size: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan allows in a month: requests that write and that read, bytes that the store holds and that leave it.
    None: as much as one likes."""

    plan: str = "custom"
    writes: int | None = None
    reads: int | None = None
    stored: int | None = None
    out: int | None = None


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of rote.yaml."""

    stages: Mapping[str, Stage] = {}
    models: Mapping[str, Model] = {}
    gates: tuple[Gate, ...] = ()
    store: str | None = None
    cache: ReadCache | None = None
    budget: Limits | None = None
    named: tuple[str, ...] = ()
    """Params files whose values stand in the pipeline itself, because templates name them."""
    files: tuple[str, ...] = ("rote.yaml",)
    """The pipeline files, the one at the root first."""
    dvc: bool = False
    """The stages are those of dvc.yaml files, and DVC's pins and records are read."""

    @property
    def taken(self) -> dict[str, str]:
        """Every out -> what it is, so that no data is added over it."""
        return {out.path: f"an out of the stage {s.name}" for s in self.stages.values() for out in s.outs}


Values = Mapping[str, Mapping[str, Any]]
"""Params by file: what each params file holds, decoded."""
