"""Data paths of the working tree: identify, save, add, bring, status, changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from rote.errors import BadPath, Corrupt, Missing, NotFound, StoreError
from rote.laws.data import diff
from rote.laws.data.diff import TreeDiff
from rote.ports import Clock, Columns, Progress, Silence, WorkingTree, Workspace
from rote.services.data.bringing import Bringing, Brought, identified, pointer_to
from rote.services.data.identity import Identity, unlike
from rote.words.ids import nearest, shown
from rote.words.pointer import SUFFIX, Pointer
from rote.words.record import DataRoot
from rote.words.snapshot import SnapshotRecord, SnapshotRef

if TYPE_CHECKING:  # `rote status` in an unchanged tree opens no store, and loads nothing that speaks to one
    from rote.laws.data.sourcelist import Followed
    from rote.services.data.adding import Added, Adding, Tracked
    from rote.services.data.ingest import SnapshotWriter
    from rote.services.data.snapshots import Snapshots
    from rote.services.store.roots import Roots
    from rote.services.store.transactions import Transactions, Write

__all__ = ["HERE", "Brought", "Data", "DataStatus"]


class _Here:
    """The type of HERE."""


HERE = _Here()
"""For `Data.changes`: what lies in the working tree now."""


class DataStatus(msgspec.Struct, frozen=True):
    """How a data path stands to its pointer.

    `state` is `unchanged`; `changed` (`diff` says what, from the pointer to the working tree); `behind`: untouched
    since rote put it, but the pointer has moved on, so `rote checkout` brings it; `absent`: not checked out here yet;
    `missing`: it was here and is gone; `refused`: `problem` says what lies there that no snapshot can hold.
    """

    path: str
    pointer: Pointer
    state: str
    diff: TreeDiff | None = None
    problem: str = ""


class Data:
    """The data of one working tree and one store. Thread-safe for paths that do not lie in each other.

    Paths are relative to the project's root (`Workspace.name` makes them so).
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        snapshots: Callable[[], Snapshots],
        transactions: Callable[[], Transactions],
        roots: Callable[[], Roots],
        writer: Callable[[Write], SnapshotWriter],
        clock: Clock,
        by: str,
        progress: Progress | None = None,
    ) -> None:
        """The callables are asked when the store is needed first. `by` is who adds data (user@host)."""
        self._workspace = workspace
        self._open_snapshots = snapshots
        self._open_transactions = transactions
        self._open_roots = roots
        self._writer = writer
        self._clock = clock
        self._by = by
        self._progress = progress or Silence()
        self._bringing = Bringing(workspace, snapshots, self._progress)

    @property
    def _snapshots(self) -> Snapshots:
        return self._open_snapshots()

    def identify(self, path: str, *, fresh: bool = False) -> Identity:
        """Which snapshot lies at the path; no store is asked. `fresh` reads every file.

        Raises Missing, BadPath, Changed.
        """
        found = self._identified(self._workspace.tree(path, fresh=fresh))
        return Identity(id=found.snapshot, files=found.files, size=found.size, single=found.single)

    def save(self, write: Write, path: str, *, fresh: bool = False) -> SnapshotRecord:
        """Save the path as a snapshot within a write; call `saved` when that is committed.

        Raises Missing, BadPath, Changed and what the store raises.
        """
        return self._save(write, path, self._workspace.tree(path, fresh=fresh), fresh)

    def saved(self, path: str, ref: SnapshotRef) -> None:
        """The write that saved the path is committed: its files may be overwritten from now on."""
        self._workspace.set_bases(path, [ref])

    def bring(self, path: str, ref: SnapshotRef, *, force: bool = False) -> Brought:
        """Make the path equal to the snapshot, touching only files that differ.

        Raises Unsaved (with nothing touched) if content that is saved nowhere would be lost, and not `force`; BadPath
        if the path leads out of the project, or holds what no snapshot can; Missing and Corrupt from the store.
        A process that is killed on the way leaves each file old or new.
        """
        return self._bringing.bring(path, ref, force)

    def add(
        self,
        paths: Sequence[str],
        *,
        force: bool = False,
        repository: str = "",
        tracked: Tracked | None = None,
        taken: Mapping[str, str] | None = None,
        followed: Mapping[str, Followed] | None = None,
    ) -> list[Added]:
        """Save paths in one transaction, then write their pointers and `.gitignore` lines. A path that is saved and
        unchanged writes nothing. `force` reads every file again.

        `tracked` tells which files below a path git tracks; `taken` names paths with another owner (a stage's outs)
        and what they are; `followed` says of paths where they came from. Raises BadPath, Missing, Changed, and what the
        store raises; nothing is in force then.
        """
        return self._adding().add(
            paths,
            force=force,
            repository=repository,
            tracked=tracked,
            taken=taken or {},
            followed=followed or {},
        )

    def refuse(
        self, path: str, *, tracked: Tracked | None = None, taken: Mapping[str, str] | None = None
    ) -> None:
        """Raise BadPath if `add` would refuse the path, whatever lies there."""
        self._adding().refuse([path], tracked, taken or {})

    def _adding(self) -> Adding:
        from rote.services.data.adding import Adding  # it loads the transactions; most commands add nothing

        return Adding(
            workspace=self._workspace,
            transactions=self._open_transactions(),
            roots=self._open_roots(),
            save=self._save,
            identify=self._identified,
            about=self._about,
            attach=lambda write, tree: self._writer(write).save(tree, progress=self._progress).ref(),
        )

    def pointers(self) -> list[tuple[str, Pointer]]:
        """Every pointer of the project, by data path. Raises ConfigError, TooNew."""
        return self._workspace.pointers()

    def locate(self, path: str, pointer: Pointer) -> SnapshotRef:
        """Where a pointer's snapshot is: where rote put or saved it from here, if that is (still) in this store.

        Raises Missing.
        """
        base = self._noted(path, pointer)
        if base is not None:
            try:
                return self._snapshots.record(base).ref()
            except (Missing, Corrupt):
                pass  # the store is another one now, or was repaired
        return self._snapshots.find(pointer.snapshot)

    def _noted(self, path: str, pointer: Pointer) -> SnapshotRef | None:
        """Where rote put or saved the snapshot from here; the store is not asked whether it is there still."""
        return next((base for base in self._workspace.bases(path) if base.id == pointer.snapshot), None)

    def checkout(
        self,
        paths: Sequence[str] | None = None,
        *,
        pointers: Mapping[str, Pointer] | None = None,
        force: bool = False,
    ) -> list[tuple[str, Brought]]:
        """Bring what pointers pin: all, or those of `paths` (a folder stands for all in it). `pointers` may come from
        another revision; by default they are those of the working tree. Raises Missing, Unsaved, BadPath."""
        said = dict(self.pointers() if pointers is None else pointers)
        chosen = said if paths is None else {p: said[p] for p in _chosen(paths, list(said))}
        return [(p, self._brought(p, pointer, force)) for p, pointer in chosen.items()]

    def _brought(self, path: str, pointer: Pointer, force: bool) -> Brought:
        ref = self._noted(path, pointer) or self._snapshots.find(pointer.snapshot)
        try:
            return self.bring(path, ref, force=force)
        except (NotFound, Corrupt):
            again = self._snapshots.find(pointer.snapshot)
            if again == ref:
                raise
            return self.bring(path, again, force=force)  # it was repaired since

    def status(self, *, details: bool = True) -> list[DataStatus]:
        """How each data path stands to its pointer. With `details`, what changed is read from the store."""
        return [self._status(path, pointer, details) for path, pointer in self.pointers()]

    def changes(
        self, path: str, before: SnapshotRef | _Here | None, after: SnapshotRef | _Here | None
    ) -> TreeDiff:
        """What changed between two snapshots of a path, or HERE; None is nothing at all. Nodes that both have are not
        read."""
        sides = [self._snapshots.record(s) if isinstance(s, SnapshotRef) else s for s in (before, after)]
        ids = [{node.id for node in s.nodes} if isinstance(s, SnapshotRecord) else set() for s in sides]
        columns: list[Iterable[Columns]] = [(), ()]
        for i, side in enumerate(sides):
            if isinstance(side, _Here):
                columns[i], ids[i] = unlike(self._here(path), ids[1 - i])
        common = ids[0] & ids[1]
        same = 0
        for i, side in enumerate(sides):
            if isinstance(side, SnapshotRecord):
                same = sum(node.files for node in side.nodes if node.id in common)
                left = [node for node in side.nodes if node.id not in common]
                columns[i] = self._snapshots.columns(msgspec.structs.replace(side, nodes=left))
        found = diff.trees(*columns)
        return msgspec.structs.replace(found, same=found.same + same)

    def differing(self, path: str, pointer: Pointer) -> set[str]:
        """The files, relative to the path, that are not as the pointer says. Raises Missing, BadPath."""
        pinned = self._snapshots.record(self.locate(path, pointer))
        found = diff.merge(self._columns(path, pinned), self._columns(path, HERE))
        return {(old or new or ("",))[0] for old, new in found if old != new}

    def _columns(self, path: str, side: SnapshotRecord | _Here | None) -> list[Columns]:
        if side is None:
            return []
        if isinstance(side, SnapshotRecord):
            return list(self._snapshots.columns(side))
        return list(self._here(path))

    def _here(self, path: str) -> Iterable[Columns]:
        """The tree at a path, every digest known."""
        if self._workspace.kind(path) is None:
            return ()
        tree = self._workspace.tree(path)
        if any(None in batch.digests for batch in tree.batches()):
            self._identified(tree)
        return tree.batches()

    def _status(self, path: str, pointer: Pointer, details: bool) -> DataStatus:
        bases = {base.id for base in self._workspace.bases(path)}
        try:
            if self._workspace.kind(path) is None:
                return DataStatus(path, pointer, "missing" if bases else "absent")
            here = self._identified(self._workspace.tree(path))
        except BadPath as e:
            return DataStatus(path, pointer, "refused", problem=e.what)
        if here.snapshot == pointer.snapshot or here.snapshot in bases or not details:
            same = "unchanged" if here.snapshot == pointer.snapshot else None
            return DataStatus(path, pointer, same or ("behind" if here.snapshot in bases else "changed"))
        try:
            found = self.changes(path, self.locate(path, pointer), HERE)
        except (Missing, StoreError) as e:
            return DataStatus(path, pointer, "changed", problem=f"what changed cannot be told: {e.what}")
        return DataStatus(path, pointer, "changed", found)

    def _identified(self, tree: WorkingTree) -> Pointer:
        return identified(tree, self._progress)

    def _save(self, write: Write, path: str, tree: WorkingTree, fresh: bool) -> SnapshotRecord:
        record = self._writer(write).save(
            tree, parent=self._parent(path), fresh=fresh, progress=self._progress
        )
        tree.remember(pointer_to(record))
        return record

    def _parent(self, path: str) -> SnapshotRecord | None:
        """The snapshot that the path was last, to compare with."""
        for base in reversed(self._workspace.bases(path)):
            try:
                return self._snapshots.record(base)
            except Missing:
                continue
        pointer = self._workspace.pointer(path)
        if pointer is None:
            return None
        try:
            return self._snapshots.record(self._snapshots.find(pointer.snapshot))
        except Missing:
            return None

    def _about(self, path: str, repository: str) -> DataRoot:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        return DataRoot(path=path, repository=repository, added=now, by=self._by)


def _chosen(paths: Sequence[str], known: list[str]) -> list[str]:
    """The data paths that `paths` name, in order. Raises Missing."""
    found: dict[str, None] = {}
    for typed in paths:
        # A shell completes to the pointer's own name.
        path = typed.removesuffix(SUFFIX) if typed.removesuffix(SUFFIX) in known else typed
        below = [p for p in known if p == path or p.startswith(path + "/")]
        around = next((p for p in known if path.startswith(p + "/")), None)
        if around is not None:
            raise Missing(
                f"{shown(path, 200)} lies in {shown(around, 200)}, which is checked out as a whole",
                next=f"rote checkout {around}; or for this file alone: rote cat {path} > {path}",
            )
        if not below:
            guess = nearest(path, known)
            raise Missing(
                f"no pointer pins {shown(path, 200)}",
                next=f"did you mean {guess}?" if guess else "see `rote status` for what is pinned",
            )
        found |= dict.fromkeys(below)
    return list(found)
