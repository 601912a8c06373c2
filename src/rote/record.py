"""What the store remembers (docs/format.md, 6 to 8). Bodies of roots; the envelope is `Root`."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.ids import Digest, RunId, SnapshotId, StageKey, TxnId
from rote.publication import ManifestRef
from rote.snapshot import SnapshotRef

PENDING, LIVE, TOMBSTONE = "pending", "live", "tombstone"
OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"
RUNNING, FINISHED, FAILED, STOPPED, PAUSED = "running", "finished", "failed", "stopped", "paused"


class StoreInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The object `rote.json`, created once and never changed. Chunk sizes in bytes."""

    format: int = 1
    id: str
    chunk_min: int
    chunk_avg: int
    chunk_max: int


class Txn(msgspec.Struct, frozen=True, kw_only=True):
    """The object `txns/<id>`: one write. `packs` and `snapshots` are its pins (keys below their prefix)."""

    format: int = 1
    id: TxnId
    state: str
    by: str
    """Who writes: user@host:pid."""
    began: str
    packs: list[str] = []
    snapshots: list[str] = []
    nonce: str = ""
    """Random for each write of the object, so that no two bodies are equal (S3 ETags repeat for equal bytes)."""


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of every root. A pending root is in force only once its txn is committed; until then `before`
    (the body that was in force) is."""

    format: int = 1
    state: str
    txn: TxnId
    needs: list[SnapshotRef] = []
    body: dict[str, Any] = {}
    before: dict[str, Any] | None = None
    """The whole former root, while this one is pending over a live one."""


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """The object `gc/fence`."""

    format: int = 1
    generation: int = 0
    phase: str = "idle"
    objects: list[str] = []
    nonce: str = ""


class DataRoot(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `data/<aa>/<snapshot>`: what `rote add` saved."""

    path: str
    repository: str
    added: str
    by: str


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A folder whose names were read: `names` without those in `besides`; None if there is no folder."""

    besides: list[str] = []
    names: list[str] | None = None


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """A folder in which Python looked for the modules `sought`: entries of it that could be one of them."""

    sought: list[str] = []
    there: list[str] = []


class Found(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage was seen to read besides its deps: questions about the project's files, and the answers. See
    docs/format.md, 7.4. Lists are sorted."""

    files: dict[str, Digest | None] = {}
    folders: dict[str, Listed] = {}
    modules: dict[str, Sought] = {}

    def __bool__(self) -> bool:
        return bool(self.files or self.folders or self.modules)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `results/<aa>/<stage-key>`: what a finished stage left."""

    stage: str
    key: StageKey
    outs: dict[str, SnapshotRef]
    """Path relative to the project's root -> snapshot."""
    beside: dict[str, SnapshotId] = {}
    """Outs that the store does not keep -> what they were."""
    metrics: dict[str, Any] = {}
    """Out path -> decoded content of each metrics file."""
    run: RunId
    seconds: float
    made: str
    """When, UTC, ISO 8601."""
    found: Found | None = None
    """What the command was seen to read besides what the key is made of."""
    inputs: dict[str, Any] = {}
    """What the key was made of, for `rote why`: see stagekey.Inputs."""


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


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """A sign of life of a run under way: the first item of `runs/<id>/now`. `every` is in seconds."""

    n: int
    nonce: str
    after: int
    """The number of the last segment that there was; the log in the same object comes right after it."""
    every: float
    at: str
    host: str = ""
    running: list[str] = []
    done: int = 0
    of: int = 0


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked a run to end, and when; `now`: its stages are killed at once."""

    by: str
    at: str
    now: bool = False


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """The object `runs/<id>/ask`: what others ask of a run under way."""

    format: int = 1
    stop: Stop | None = None
    watch: int = 0
    """One more each time that somebody says they are following the log."""
    nonce: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a verdict rests on: the version it was held `against` (`evaluated`: `again`, as the run was, or `recorded`);
    of a statistical test the method, how many examples, on how many of them the run is better or worse, and the
    p-value, or the lower bound of the gain."""

    against: str = ""
    evaluated: str = ""
    method: str = ""
    confidence: float | None = None
    examples: int | None = None
    better: int | None = None
    worse: int | None = None
    p: float | None = None
    low: float | None = None


class GateVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate decided: the text as written, the value found, the threshold it was held against. Of a statistical
    test these are the scores of both."""

    gate: str
    value: float | None
    threshold: float | None
    passed: bool
    why: str = ""
    evidence: Evidence | msgspec.UnsetType = msgspec.UNSET


class VersionFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a version: `path` in the version, its size in bytes and its digest."""

    path: str
    size: int
    digest: Digest
    executable: bool = False


class DataUsed(msgspec.Struct, frozen=True):
    """Data behind a version: the path of its pointer, and the snapshot that was read."""

    path: str
    snapshot: SnapshotId


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version was made: its run's host, and the lock files and images of the stages behind it."""

    system: str = ""
    machine: str = ""
    cpus: int = 0
    python: str = ""
    packages: dict[str, str] = {}
    locks: dict[str, Digest] = {}
    images: list[str] = []


class Bump(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the number `--bump auto` raised, over which version, and why."""

    part: str
    over: str
    why: list[str] = []


class Unstamped(msgspec.Struct, frozen=True, kw_only=True):
    """What files of a version were before they got their stamps: the id of the snapshot, and path -> digest."""

    snapshot: SnapshotId
    files: dict[str, Digest]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Body of `models/<name>/versions/<semver>`: immutable. What an older rote did not write has its default."""

    model: str
    version: str
    snapshot: SnapshotRef
    files: list[VersionFile]
    run: RunId | None
    commit: str | None
    metrics: dict[str, Any] = {}
    params: dict[str, dict[str, Any]] = {}
    gates: list[GateVerdict] = []
    released: str
    by: str
    note: str = ""
    data: list[DataUsed] = []
    environment: Environment | None = None
    signature: dict[str, Any] = {}
    """Path in the version -> what goes in and comes out of that file (docs/format.md, 10.3)."""
    bump: Bump | None = None
    stamped: Unstamped | msgspec.UnsetType = msgspec.UNSET
    """What its files were before their stamps; not there if none has one."""

    @property
    def made(self) -> SnapshotId:
        """The id of the snapshot of the files as the run made them."""
        return self.stamped.snapshot if self.stamped else self.snapshot.id


class AliasMove(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an alias's history."""

    seq: int
    version: str
    at: str
    by: str
    why: str = ""
    nonce: str = ""
    """Random: a writer whose reply was lost finds its own move by it."""
    to: int | None = None
    """For a rollback: the seq of the move whose version is taken again."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed a channel document (the id of a public key), and the 64 bytes of Ed25519 in base64."""

    key: str
    signature: str


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """The object `models/<name>/aliases/<alias>`: the small document an application polls, at most 4 KiB."""

    format: int = 1
    model: str
    alias: str
    seq: int
    version: str
    snapshot: SnapshotRef
    """The version's files; an application reads them without reading the version."""
    issued: str
    by: str
    why: str = ""
    history: list[AliasMove] = []
    """The latest moves, newest first, as many as fit; older ones lie under `aliases/<alias>.history/`."""
    expires: str | msgspec.UnsetType = msgspec.UNSET
    """UTC; from then on a reader says that what it has is stale."""
    keys: list[str] | msgspec.UnsetType = msgspec.UNSET
    """The public keys that applications trust from this document on."""
    manifest: ManifestRef | msgspec.UnsetType = msgspec.UNSET
    """At a place where the version's files lie plainly; a store has packs."""
    signatures: list[Signature] | msgspec.UnsetType = msgspec.UNSET


class AliasArchive(msgspec.Struct, frozen=True, kw_only=True):
    """The object `models/<name>/aliases/<alias>.history/<first>-<last>`: moves that the channel document dropped."""

    format: int = 1
    moves: list[AliasMove]
    """Newest first."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The file `manifest` of an application's cache, or `.rote-fetch` in a fetched folder: what must lie there."""

    format: int = 1
    snapshot: SnapshotId
    files: list[VersionFile]
    chunks: dict[str, list[tuple[Digest, int]]] = {}
    """Path -> (digest, length) of its chunks in order, for files with more than one."""


class CurrentVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The file `current` of an application's cache. `folder` and `previous` are names below `versions/`."""

    format: int = 1
    model: str
    alias: str
    seq: int
    version: str
    snapshot: SnapshotId
    folder: str
    previous: str | None = None
    issued: str
    before: str | msgspec.UnsetType = msgspec.UNSET
    """The number of the version in `previous`."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A version that failed at an application: how often, why last, and at which `seq` the channel stood."""

    snapshot: SnapshotId
    seq: int
    failures: int
    why: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The file `seen` of an application's cache: the last channel document that was accepted, as it was read."""

    format: int = 1
    url: str
    etag: str
    document: str
    shipped: list[str] = []
    trusted: list[str] = []
    trials: list[Trial] = []
