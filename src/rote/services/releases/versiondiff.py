"""What differs between two versions of models: files, metrics, params, data, code, environment, interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from rote.errors import Corrupt, Missing, NotFound
from rote.laws.data import diff
from rote.laws.data.diff import FileChange, ValueChange
from rote.laws.models import deriving
from rote.laws.models.deriving import Change
from rote.services.data.snapshots import Snapshots
from rote.services.releases.provenance import Provenance
from rote.words.ids import SnapshotId
from rote.words.version import Version, VersionFile


class DataDiffers(msgspec.Struct, frozen=True, kw_only=True):
    """Data behind the versions that differs: its snapshots (None: one has no such data), and how many files were added,
    removed and changed; None if that cannot be read any more."""

    path: str
    before: SnapshotId | None = None
    after: SnapshotId | None = None
    added: int | None = None
    removed: int | None = None
    changed: int | None = None


class Package(msgspec.Struct, frozen=True):
    """A package of the environment that differs; None: it was not there."""

    name: str
    before: str | None
    after: str | None


class VersionsDiffer(msgspec.Struct, frozen=True, kw_only=True):
    """How one version became another. `changes` are what `--bump auto` looks at, and `part` what it would raise;
    `surroundings` are those of the machine (system, Python), (what, before, after)."""

    before: Version
    after: Version
    part: str
    changes: list[Change]
    files: list[FileChange]
    metrics: list[ValueChange]
    params: list[ValueChange]
    data: list[DataDiffers]
    packages: list[Package]
    surroundings: list[tuple[str, str, str]]


def compare(
    before: Version, after: Version, provenance: Provenance, snapshots: Snapshots, files: Iterable[str]
) -> VersionsDiffer:
    """Hold two versions against each other; `files` are the project paths that the model's description names. Reads the
    results of the stages behind them."""
    named = list(files)
    changes = deriving.changes(provenance.of_version(before, named), provenance.of_version(after, named))
    old = {used.path: used.snapshot for used in before.data}
    new = {used.path: used.snapshot for used in after.data}
    return VersionsDiffer(
        before=before,
        after=after,
        part=deriving.part(changes),
        changes=changes,
        files=_files(before.files, after.files),
        metrics=diff.values(before.metrics, after.metrics),
        params=diff.values(before.params, after.params),
        data=[
            _data(path, old.get(path), new.get(path), snapshots)
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ],
        packages=[Package(name, was, now) for name, was, now in _pairs(_packages(before), _packages(after))],
        surroundings=[
            (name, was or "", now or "") for name, was, now in _pairs(_machine(before), _machine(after))
        ],
    )


def _files(before: Iterable[VersionFile], after: Iterable[VersionFile]) -> list[FileChange]:
    old, new = {file.path: file for file in before}, {file.path: file for file in after}
    found = []
    for path in sorted({*old, *new}):
        if path not in old:
            found.append(FileChange("added", path, 0, new[path].size))
        elif path not in new:
            found.append(FileChange("removed", path, old[path].size, 0))
        elif old[path] != new[path]:
            same = old[path].digest == new[path].digest
            found.append(FileChange("modified", path, old[path].size, new[path].size, mode_only=same))
    return found


def _data(
    path: str, before: SnapshotId | None, after: SnapshotId | None, snapshots: Snapshots
) -> DataDiffers:
    try:
        records = [snapshots.record(snapshots.find(id)) if id else None for id in (before, after)]
        found = diff.trees(*(snapshots.columns(record) if record else () for record in records))
    except (
        Missing,
        NotFound,
        Corrupt,
    ):  # not in this store (any more): which snapshots they were is still known
        return DataDiffers(path=path, before=before, after=after)
    return DataDiffers(
        path=path, before=before, after=after, added=len(found.added), removed=len(found.removed),
        changed=len(found.modified) + len(found.renamed),
    )  # fmt: skip


def _pairs(old: Mapping[str, str], new: Mapping[str, str]) -> list[tuple[str, str | None, str | None]]:
    return [
        (name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def _packages(version: Version) -> Mapping[str, str]:
    return version.environment.packages if version.environment else {}


def _machine(version: Version) -> Mapping[str, str]:
    at = version.environment
    return (
        {"system": at.system, "machine": at.machine, "processors": str(at.cpus), "Python": at.python}
        if at
        else {}
    )
