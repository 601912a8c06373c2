"""Saving data paths: snapshots and their roots in one transaction, then pointers and `.gitignore`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from rote.bringing import pointer_to
from rote.errors import BadPath, Missing
from rote.ids import SnapshotId, shown
from rote.pointer import SUFFIX, Pointer
from rote.ports import WorkingTree, Workspace
from rote.record import DataRoot
from rote.roots import Roots
from rote.snapshot import SnapshotRecord, SnapshotRef
from rote.transactions import Beaten, LostTxn, Transactions, Write

_TRIES = 8
_WORTH_READING_TWICE = 256 * 1024 * 1024
"""Bytes up to which a tree with a pointer is identified before it is saved, so that saving it unchanged is free."""

Tracked = Callable[[str], Sequence[str]]
"""Path -> the files at or below it that git tracks."""


class Added(msgspec.Struct, frozen=True):
    """What became of one path of `rote add`: `changed` if its pointer was written, `saved` if the store did not have
    the snapshot as data yet."""

    path: str
    ref: SnapshotRef
    changed: bool
    saved: bool
    before: Pointer | None = None


class _Job(msgspec.Struct):
    path: str
    before: Pointer | None
    tree: WorkingTree
    ref: SnapshotRef | None = None
    saved: bool = False


def data_key(snapshot: SnapshotId) -> str:
    """The key of the root that keeps a data snapshot."""
    return f"data/{snapshot[:2]}/{snapshot}"


def refuse_overlap(path: str, others: Mapping[str, str]) -> None:
    """Raise BadPath if the path lies in, above or at one of `others` (path -> what it is, for the error)."""
    for other, what in others.items():
        if path == other:
            raise BadPath(f"{shown(path, 200)} is {what}", next="one path has one owner: leave it to that")
        if path.startswith(other + "/"):
            raise BadPath(
                f"{shown(path, 200)} lies in {shown(other, 200)}, which is {what}",
                safe="nothing was written",
                next=f"rote add {other}",
            )
        if other.startswith(path + "/"):
            raise BadPath(
                f"{shown(other, 200)}, which is {what}, lies in {shown(path, 200)}",
                safe="nothing was written",
                next=f"add the parts beside it one by one, or remove {other}{SUFFIX} first",
            )


class Adding:
    """Adds data paths. `save(write, path, tree, fresh)` saves one within a write, `identify` tells which snapshot a
    tree is, `about(path, repository)` gives the body of a path's root."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        transactions: Transactions,
        roots: Roots,
        save: Callable[[Write, str, WorkingTree, bool], SnapshotRecord],
        identify: Callable[[WorkingTree], Pointer],
        about: Callable[[str, str], DataRoot],
    ) -> None:
        self._workspace = workspace
        self._transactions = transactions
        self._roots = roots
        self._save = save
        self._identify = identify
        self._about = about

    def add(
        self,
        paths: Sequence[str],
        force: bool,
        repository: str,
        tracked: Tracked | None,
        taken: Mapping[str, str],
    ) -> list[Added]:
        """See `Data.add`."""
        jobs = self._jobs(list(dict.fromkeys(paths)), force, tracked, taken)
        for job in jobs:
            self._look(job, force)
        todo = [job for job in jobs if job.ref is None]
        if todo:
            self._write(todo, force, repository)
        return [self._point(job) for job in jobs]

    def _jobs(
        self, paths: list[str], force: bool, tracked: Tracked | None, taken: Mapping[str, str]
    ) -> list[_Job]:
        """Every refusal comes before a byte is written."""
        pointers = {path: f"pinned by {path}{SUFFIX}" for path, _ in self._workspace.pointers()}
        for path in paths:
            if path.endswith(SUFFIX):
                raise BadPath(
                    f"{shown(path, 200)} is a pointer", next=f"rote add {path.removesuffix(SUFFIX)}"
                )
            others = {p: what for p, what in pointers.items() if p != path}
            others |= {p: "named in the same command" for p in paths if p != path}
            refuse_overlap(path, {**others, **taken})
            if self._workspace.kind(path) is None:
                raise Missing(
                    f"there is nothing at {shown(path, 200)}",
                    where=self._workspace.root,
                    safe="nothing was written",
                    next=f"rote checkout {path}" if path in pointers else "see how it is spelled",
                )
            _refuse_tracked(path, tracked(path) if tracked else ())
        return [_Job(p, self._workspace.pointer(p), self._workspace.tree(p, fresh=force)) for p in paths]

    def _look(self, job: _Job, force: bool) -> None:
        """Find out whether a path is saved already, where that is cheap to tell."""
        known = job.tree.identity()
        if (
            known is None
            and job.before is not None
            and not force
            and job.tree.unread() <= _WORTH_READING_TWICE
        ):
            known = self._identify(job.tree)
        if known is not None:
            job.ref = self._kept(known.snapshot)

    def _kept(self, snapshot: SnapshotId) -> SnapshotRef | None:
        """The snapshot as a data root in force keeps it."""
        root = self._roots.envelope(data_key(snapshot))
        return root.needs[0] if root and root.needs else None

    def _write(self, jobs: list[_Job], force: bool, repository: str) -> None:
        """All of them in one transaction; started over if it is lost, or if somebody saved the same meanwhile."""
        for left in range(_TRIES - 1, -1, -1):
            try:
                with self._transactions.begin() as write:
                    if self._fill(write, jobs, force, repository):
                        write.commit()
                return
            except (LostTxn, Beaten):
                if not left:
                    raise

    def _fill(self, write: Write, jobs: list[_Job], force: bool, repository: str) -> bool:
        """Save every path; True if there is something to commit."""
        some = False
        for job in jobs:
            record = self._save(write, job.path, job.tree, force)
            kept = self._kept(record.id)
            if kept is None or force:
                # With force, what was stored anew comes in force over a snapshot that may be damaged.
                job.ref, job.saved, some = record.ref(), True, True
                about = self._about(job.path, repository)
                write.root(data_key(record.id), about, [job.ref], replace=force)
            else:
                job.ref, job.saved = kept, False
        return some

    def _point(self, job: _Job) -> Added:
        assert job.ref is not None  # every job was looked up or written
        self._workspace.ignore(job.path)
        changed = self._workspace.write_pointer(job.path, pointer_to(job.ref))
        # Last: if the pointer cannot be written, the data still counts as changed, and not as older than its pointer.
        self._workspace.set_bases(job.path, [job.ref])
        return Added(job.path, job.ref, changed, job.saved, job.before)


def _refuse_tracked(path: str, files: Sequence[str]) -> None:
    if not files:
        return
    what = shown(path, 200) if list(files) == [path] else f"{len(files)} files in {shown(path, 200)}"
    recursive = "" if list(files) == [path] else "-r "
    raise BadPath(
        f"git tracks {what}: data that both keep would be there twice",
        safe="nothing was written",
        next=f"git rm {recursive}--cached {path}  (the files stay), then `rote add {path}`; or leave it to git",
    )
