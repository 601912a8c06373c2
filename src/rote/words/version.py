"""What a version of a model is (docs/format.md, 10): the body of its root."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import Digest, RunId, SnapshotId
from rote.words.snapshot import SnapshotRef
from rote.words.verdict import GateVerdict


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
