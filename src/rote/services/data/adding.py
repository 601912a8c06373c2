"""Saving data paths: snapshots and their roots in one transaction, then pointers and `.gitignore`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from rote.errors import BadPath, Missing
from rote.laws.data.sourcelist import Followed
from rote.ports import Silence, WorkingTree, Workspace
from rote.services.data import identity
from rote.services.data.bringing import pointer_to
from rote.services.data.texttree import TextTree
from rote.services.store.roots import Roots
from rote.services.store.transactions import Beaten, LostTxn, Transactions, Write
from rote.words.ids import SnapshotId, counted, shown
from rote.words.pointer import SUFFIX, Pointer
from rote.words.record import DataRoot
from rote.words.snapshot import SnapshotRecord, SnapshotRef

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
    left: str = ""
    """The source that the path followed until now: its content is another one, so it follows nothing any more."""


class _Job(msgspec.Struct):
    path: str
    before: Pointer | None
    tree: WorkingTree
    ref: SnapshotRef | None = None
    saved: bool = False
    followed: Followed | None = None
    listed: SnapshotId | None = None


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
    tree is, `about(path, repository)` gives the body of a path's root, `attach` saves a source's list."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        transactions: Transactions,
        roots: Roots,
        save: Callable[[Write, str, WorkingTree, bool], SnapshotRecord],
        identify: Callable[[WorkingTree], Pointer],
        about: Callable[[str, str], DataRoot],
        attach: Callable[[Write, TextTree], SnapshotRef],
    ) -> None:
        self._workspace = workspace
        self._transactions = transactions
        self._roots = roots
        self._save = save
        self._identify = identify
        self._about = about
        self._attach = attach

    def add(
        self,
        paths: Sequence[str],
        *,
        force: bool,
        repository: str,
        tracked: Tracked | None,
        taken: Mapping[str, str],
        followed: Mapping[str, Followed],
    ) -> list[Added]:
        """See `Data.add`."""
        jobs = self._jobs(list(dict.fromkeys(paths)), force, tracked, taken)
        for job in jobs:
            job.followed = followed.get(job.path)
            if job.followed is not None and job.followed.listed is not None:
                job.listed = identity.identify(TextTree(job.followed.listed), Silence()).id
            self._look(job, force)
        todo = [job for job in jobs if job.ref is None]
        if todo:
            self._write(todo, force, repository)
        return [self._point(job) for job in jobs]

    def _jobs(
        self, paths: list[str], force: bool, tracked: Tracked | None, taken: Mapping[str, str]
    ) -> list[_Job]:
        """Every refusal comes before a byte is written."""
        self.refuse(paths, tracked, taken)
        for path in paths:
            if self._workspace.kind(path) is None:
                raise Missing(
                    f"there is nothing at {shown(path, 200)}",
                    where=self._workspace.root,
                    safe="nothing was written",
                    next=f"rote checkout {path}"
                    if self._workspace.pointer(path)
                    else "see how it is spelled",
                )
        return [_Job(p, self._workspace.pointer(p), self._workspace.tree(p, fresh=force)) for p in paths]

    def refuse(self, paths: Sequence[str], tracked: Tracked | None, taken: Mapping[str, str]) -> None:
        """Raise BadPath if one of the paths can be no data path here."""
        pointers = {path: f"pinned by {path}{SUFFIX}" for path, _ in self._workspace.pointers()}
        for path in paths:
            if path.endswith(SUFFIX):
                raise BadPath(
                    f"{shown(path, 200)} is a pointer", next=f"rote add {path.removesuffix(SUFFIX)}"
                )
            others = {p: what for p, what in pointers.items() if p != path}
            others |= {p: "named in the same command" for p in paths if p != path}
            refuse_overlap(path, {**others, **taken})
            _refuse_tracked(path, tracked(path) if tracked else ())

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
            job.ref = self._kept(known.snapshot, job.listed)

    def _kept(self, snapshot: SnapshotId, listed: SnapshotId | None = None) -> SnapshotRef | None:
        """The snapshot as a data root in force keeps it; if there is a list, together with that."""
        root = self._roots.envelope(data_key(snapshot))
        if listed is not None and root and listed not in [need.id for need in root.needs]:
            return None
        return next((need for need in root.needs if need.id == snapshot), None) if root else None

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
            kept = self._kept(record.id, job.listed)
            if kept is None or force:
                # With force, what was stored anew comes in force over a snapshot that may be damaged.
                job.ref, job.saved, some = record.ref(), True, True
                about = self._about(job.path, repository)
                needs = [job.ref]
                if job.followed is not None and job.followed.listed is not None:
                    needs.append(self._attach(write, TextTree(job.followed.listed)))
                again = force or (job.listed is not None and self._kept(record.id) is not None)
                write.root(data_key(record.id), about, needs, replace=again)
            else:
                job.ref, job.saved = kept, False
        return some

    def _point(self, job: _Job) -> Added:
        assert job.ref is not None  # every job was looked up or written
        self._workspace.ignore(job.path)
        had = job.before.source if job.before is not None else None
        stays = job.before is not None and job.before.snapshot == job.ref.id
        source = job.followed.source if job.followed else (had if stays else None)
        if source is not None and job.listed is not None:
            source = msgspec.structs.replace(source, list=job.listed)
        says = msgspec.structs.replace(pointer_to(job.ref), source=source)
        changed = self._workspace.write_pointer(job.path, says)
        # Last: if the pointer cannot be written, the data still counts as changed, and not as older than its pointer.
        self._workspace.set_bases(job.path, [job.ref])
        left = had.url if had is not None and source is None else ""
        return Added(job.path, job.ref, changed, job.saved, job.before, left)


def _refuse_tracked(path: str, files: Sequence[str]) -> None:
    if not files:
        return
    what = (
        shown(path, 200) if list(files) == [path] else f"{counted(len(files), 'file')} in {shown(path, 200)}"
    )
    recursive = "" if list(files) == [path] else "-r "
    raise BadPath(
        f"git tracks {what}: data that both keep would be there twice",
        safe="nothing was written",
        next=f"git rm {recursive}--cached {path}  (the files stay), then `rote add {path}`; or leave it to git",
    )
