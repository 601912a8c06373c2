"""Delivery: the files of a version, verified, to where they are used. Only what is not there already is read."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rote.laws.publishing import manifests
from rote.ports import Landing, Progress, Silence
from rote.services.data.snapshots import Snapshots
from rote.services.models.plainly import Brought
from rote.services.models.registry import Registry
from rote.words.landed import Provenance
from rote.words.snapshot import SnapshotRef
from rote.words.version import VersionFile


class Fetched(msgspec.Struct, frozen=True):
    """A version that was fetched into the folder `to`; `size` in bytes, of all its files."""

    model: str
    version: str
    to: str
    files: list[VersionFile]
    size: int
    written: int
    kept: int


def bring(
    snapshots: Snapshots,
    ref: SnapshotRef,
    landing: Landing,
    progress: Progress | None = None,
    of: Provenance | None = None,
) -> Brought:
    """Put the files of a snapshot in place: those that are here are kept, of the others only the chunks that are not
    here are read; `of` says which version it is. Every byte is verified; on an error what was there stays. Raises
    Missing, Corrupt, StoreUnavailable, and what the landing raises."""
    record = snapshots.record(ref)
    missing: set[str] = set()
    kept = lacking = 0
    with landing.begin(record.id) as incoming:
        if of is not None:
            incoming.tell(of)
        for entry in snapshots.entries(record):
            if incoming.keep(entry):
                kept += 1
            else:
                missing.add(entry.path)
                lacking += entry.size
        if missing:
            incoming.room(lacking)
            snapshots.restore(
                record, incoming, only=missing, have=incoming.chunk, progress=progress or Silence()
            )
    return Brought(len(missing), kept)


class Delivery:
    """Fetches versions of models."""

    def __init__(self, registry: Registry, snapshots: Snapshots, landing: Callable[[str], Landing]) -> None:
        """`landing` makes the port for a folder."""
        self._registry = registry
        self._snapshots = snapshots
        self._landing = landing

    def fetch(self, model: str, ref: str, to: str, progress: Progress | None = None) -> Fetched:
        """Fetch the version that `ref` (a number or an alias) names into the folder `to`. Raises Missing, BadName,
        Unsaved (files in the way that are not from a fetch), Corrupt, StoreFull."""
        version = self._registry.get(model, ref)
        of = manifests.provenance_of(version)
        brought = bring(self._snapshots, version.snapshot, self._landing(to), progress, of)
        size = sum(file.size for file in version.files)
        return Fetched(
            model, version.version, to, version.files, size, written=brought.written, kept=brought.kept
        )
