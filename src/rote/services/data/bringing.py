"""Bringing a snapshot to its place in the working tree, without losing what is saved nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from rote.errors import BadPath, Missing, Unsaved
from rote.laws.data import diff
from rote.ports import Progress, WorkingTree, Workspace
from rote.services.data.identity import identify
from rote.words.ids import shown
from rote.words.paths import holder
from rote.words.pointer import Pointer
from rote.words.snapshot import SnapshotRecord, SnapshotRef

if TYPE_CHECKING:  # what brings nothing loads nothing that speaks to a store
    from rote.services.data.snapshots import Snapshots

_NAMED = 5


class Brought(msgspec.Struct, frozen=True):
    """What `bring` did: files written, removed and kept as they were, and the bytes of those written."""

    written: int = 0
    removed: int = 0
    kept: int = 0
    bytes: int = 0


class _Plan(msgspec.Struct):
    """What has to be done in a folder: paths of files to write and to remove; `lost`: digest -> path of the files
    whose present content goes away."""

    write: dict[str, int]
    remove: list[str]
    lost: dict[bytes, str]
    kept: int = 0


def pointer_to(snapshot: SnapshotRef | SnapshotRecord) -> Pointer:
    """The pointer that pins a snapshot."""
    return Pointer(snapshot.id, snapshot.files, snapshot.size, snapshot.single)


def identified(tree: WorkingTree, progress: Progress) -> Pointer:
    """Which snapshot a tree is; files are read only where the stat cache cannot vouch for them."""
    known = tree.identity()
    if known is None:
        found = identify(tree, progress)
        known = Pointer(found.id, found.files, found.size, found.single)
        tree.remember(known)
    return known


class Bringing:
    """Makes paths of the working tree equal to snapshots. Thread-safe for paths that do not lie in each other."""

    def __init__(self, workspace: Workspace, snapshots: Callable[[], Snapshots], progress: Progress) -> None:
        """`snapshots` is asked when the store is needed first."""
        self._workspace = workspace
        self._open_snapshots = snapshots
        self._progress = progress

    @property
    def _snapshots(self) -> Snapshots:
        return self._open_snapshots()

    def bring(self, path: str, ref: SnapshotRef, force: bool) -> Brought:
        """See `Data.bring`."""
        try:
            kind = self._workspace.kind(path)
            tree = self._workspace.tree(path) if kind else None
        except BadPath:
            if not force:
                raise
            # What lies there can be no snapshot (a socket, a dangling link): with force it goes.
            return self._whole(path, self._record(ref), replace=True)
        if tree is None:
            return self._whole(path, self._record(ref), replace=False)
        here = identified(tree, self._progress)
        if here == pointer_to(ref):
            self._workspace.set_bases(path, [ref])
            return Brought(kept=ref.files)
        record = self._record(ref)
        if self._workspace.is_link(path) and not force:
            raise BadPath(
                f"{shown(path, 200)} is a link, and rote does not write through links",
                safe="nothing was written",
                next=f"rote checkout --force {path}  (replaces the link, not what it leads to)",
            )
        if here.single or ref.single or self._workspace.is_link(path):
            if not force:
                self._refuse_loss(path, here, {d: p for p, _, _, d in diff.rows(tree.batches())}, here.single)
            return self._whole(path, record, replace=True)
        return self._edit(path, here, tree, record, force)

    def _record(self, ref: SnapshotRef) -> SnapshotRecord:
        """The snapshot's record; if that one is gone, another of the same snapshot."""
        try:
            return self._snapshots.record(ref)
        except Missing:
            return self._snapshots.record(self._snapshots.find(ref.id))

    def _whole(self, path: str, record: SnapshotRecord, *, replace: bool) -> Brought:
        """Write everything aside, then put it in place."""
        ref = record.ref()
        with self._workspace.whole(path, single=record.single) as sink:
            self._snapshots.restore(record, sink, progress=self._progress)
            self._workspace.set_bases(path, [*self._workspace.bases(path), ref])
            if replace and not (record.single and self._workspace.kind(path) == "file"):
                self._workspace.delete(path)
            sink.place(pointer_to(record), replace=replace)
        self._workspace.set_bases(path, [ref])
        return Brought(written=record.files, bytes=record.size)

    def _edit(
        self, path: str, here: Pointer, tree: WorkingTree, record: SnapshotRecord, force: bool
    ) -> Brought:
        """Write and remove only what differs."""
        plan = self._plan(tree, record)
        if not force:
            self._refuse_loss(path, here, plan.lost, here.single)
        # Until it is done, what lies there is of the old snapshots or of the new one: neither is a local change.
        self._workspace.set_bases(path, [*self._workspace.bases(path), record.ref()])
        with self._workspace.edit(path) as sink:
            sink.remove(tree.linked)
            sink.remove(plan.remove)
            if plan.write:
                self._snapshots.restore(record, sink, only=plan.write, progress=self._progress)
            sink.finish()
        self._workspace.set_bases(path, [record.ref()])
        return Brought(len(plan.write), len(plan.remove), plan.kept, sum(plan.write.values()))

    def _plan(self, tree: WorkingTree, record: SnapshotRecord) -> _Plan:
        """A link in the tree is always written anew as a file of its own: what it leads to may be about to change."""
        plan = _Plan({}, [], {})
        links = frozenset(tree.linked)
        for old, new in diff.merge(tree.batches(), self._snapshots.columns(record)):
            if new is None and old is not None:
                plan.remove.append(old[0])
                plan.lost[old[3]] = old[0]
            elif new is not None and (old != new or (links and holder(new[0], links))):
                plan.write[new[0]] = new[1]
                if old is not None and old[3] != new[3]:
                    plan.lost[old[3]] = old[0]
            else:
                plan.kept += 1
        return plan

    def _refuse_loss(self, path: str, here: Pointer, lost: dict[bytes, str], single: bool) -> None:
        """Raise Unsaved if some content that goes away is in no snapshot that rote put or saved here."""
        if not lost:
            return
        bases = self._workspace.bases(path)
        if any(base.id == here.snapshot for base in bases) or self._is_stored(here):
            return
        unsaved = dict(lost)
        for base in reversed(bases):
            for digest in self._digests(base):
                unsaved.pop(digest, None)
            if not unsaved:
                return
        names = sorted(unsaved.values())
        told = shown(path, 200) if single else ", ".join(shown(f"{path}/{n}", 200) for n in names[:_NAMED])
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise Unsaved(
            f"changed and saved nowhere: {told}{more}",
            safe="nothing was touched",
            next=f"`rote add {path}` saves it; `rote checkout --force {path}` gives it up",
        )

    def _is_stored(self, here: Pointer) -> bool:
        try:
            self._snapshots.find(here.snapshot)
        except Missing:
            return False
        return True

    def _digests(self, base: SnapshotRef) -> Iterable[bytes]:
        try:
            record = self._snapshots.record(base)
        except Missing:
            return
        for columns in self._snapshots.columns(record):
            yield from (digest for digest in columns.digests if digest is not None)
