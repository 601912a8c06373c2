"""The working tree of a project, behind the port `Workspace`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import msgspec

from rote.adapters.worktree import lock, owning, pointers
from rote.adapters.worktree.intake import Intake
from rote.adapters.worktree.places import Places, delete, delete_quietly, trouble
from rote.adapters.worktree.scan import kind_of, refusal
from rote.adapters.worktree.sinks import Edit, Whole
from rote.adapters.worktree.tree import WorkTree
from rote.errors import BadPath, Missing
from rote.words.ids import shown
from rote.words.pointer import Pointer
from rote.words.snapshot import SnapshotRef


class _Bases(msgspec.Struct):
    path: str
    refs: list[SnapshotRef]


class Workspace:
    """A ports.Workspace on the local file system. `root` is the project's folder, `cache` the folder for rebuildable
    things (relative to the root, or absolute)."""

    def __init__(self, root: str, cache: str = ".rote/cache") -> None:
        self._places = Places(root, cache)

    @property
    def root(self) -> str:
        return self._places.root

    def full(self, path: str) -> str:
        """The absolute path. Raises BadPath if it leads out of the project."""
        return self._places.full(path)

    def name(self, path: str, cwd: str | None = None) -> str:
        """A path as a person types it -> relative to the root. Raises BadPath."""
        return self._places.name(path, cwd)

    def kind(self, path: str) -> str | None:
        """`file`, `folder` or None; links are followed, and one that leads nowhere is BadPath."""
        return self._kind(path, self._places.full(path))

    def _kind(self, path: str, full: str) -> str | None:
        try:
            mode = os.stat(full).st_mode
        except (FileNotFoundError, NotADirectoryError):
            if os.path.islink(full):
                raise refusal([(path, "it is a link to nothing")]) from None
            return None
        except OSError as e:
            why = "it is a link that leads to itself" if os.path.islink(full) else e.strerror or str(e)
            raise refusal([(path, why)]) from e
        if stat.S_ISDIR(mode):
            return "folder"
        if stat.S_ISREG(mode):
            return "file"
        raise refusal([(path, f"it is {kind_of(mode)}, not a file")])

    def tree(self, path: str, *, fresh: bool = False) -> WorkTree:
        """What is at the path now. Raises Missing, BadPath."""
        full = self._places.full(path)
        if self._kind(path, full) is None:
            raise Missing(f"there is no {shown(path, 200)}", where=self.root, next="see `rote status`")
        try:
            return WorkTree(
                full, path, file=self._places.memory(path), probe=self._places.probe(), fresh=fresh
            )
        except OSError as e:
            raise BadPath(f"cannot read {shown(path, 200)}: {e.strerror}", safe="nothing was written") from e

    @contextmanager
    def whole(self, path: str, *, single: bool) -> Iterator[Whole]:
        """Write a whole file or folder aside."""
        sink = Whole(self._places, path, single)
        try:
            yield sink
        finally:
            delete_quietly(sink.staging)

    @contextmanager
    def edit(self, path: str) -> Iterator[Edit]:
        """Change some files of a folder."""
        self._refuse_link(path)
        sink = Edit(self._places, path)
        try:
            yield sink
        finally:
            delete_quietly(sink.staging)

    def _refuse_link(self, path: str) -> None:
        """Writing below a link would write where it leads to."""
        full = self._places.full(path)
        if os.path.islink(full):
            raise BadPath(
                f"{shown(path, 200)} is a link to {shown(os.readlink(full), 200)}: rote does not write through links",
                safe="nothing was written",
                next=f"rm {path}, then `rote checkout {path}`",
            )

    def is_link(self, path: str) -> bool:
        """True if the path itself is a link."""
        return os.path.islink(self._places.full(path))

    def delete(self, path: str) -> None:
        """Delete a file, a link or a folder with all in it."""
        delete(self._places.full(path))

    def put_aside(self, path: str, label: str) -> str | None:
        """Move what is at the path to `.rote/aside/<label>/<path>` (with a number, if that is taken)."""
        full = self._places.full(path)
        if not os.path.lexists(full):
            return None
        wanted = f".rote/aside/{label}/{path}"
        place, number = wanted, 1
        while os.path.lexists(os.path.join(self.root, place)):
            number += 1
            place = f"{wanted}.{number}"
        to = os.path.join(self.root, place)
        try:
            os.makedirs(os.path.dirname(to), exist_ok=True)
            _move(full, to)
        except OSError as e:
            raise trouble(e, path) from e
        return place

    def own(self, path: str) -> None:
        """See `ports.Workspace`."""
        owning.own(self._places.full(path))

    def bases(self, path: str) -> list[SnapshotRef]:
        """The snapshots that rote put or saved at the path, newest last; none if the cache was deleted."""
        try:
            with open(self._places.bases(path), "rb") as f:
                said = msgspec.json.decode(f.read(), type=_Bases)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return []
        return said.refs if said.path == path else []

    def set_bases(self, path: str, refs: Sequence[SnapshotRef]) -> None:
        """Remember them."""
        if self.bases(path) == list(refs):
            return
        file = self._places.bases(path)
        try:
            os.makedirs(os.path.dirname(file), exist_ok=True)
        except OSError as e:
            raise trouble(e, file) from e
        pointers.replace_text(file, msgspec.json.encode(_Bases(path, list(refs))), file, durable=False)

    def pointers(self) -> list[tuple[str, Pointer]]:
        """Every pointer of the project, by data path. Raises ConfigError, TooNew."""
        return pointers.found(self._places)

    def pointer(self, path: str) -> Pointer | None:
        """The pointer beside a data path, or None. Raises ConfigError, TooNew."""
        return pointers.read(self._places, path)

    def write_pointer(self, path: str, pointer: Pointer) -> bool:
        """Write `PATH.rote`, whole or not at all; False if it said that already."""
        return pointers.write(self._places, path, pointer)

    def ignore(self, path: str) -> bool:
        """Make sure that git ignores the path; False if the line stood there."""
        return pointers.ignore(self._places, path)

    def intake(self, path: str, url: str) -> Intake:
        """Where a source comes in for a data path."""
        return Intake(self._places, path, url)

    def lock(
        self, command: str, *, wait: bool = True, say: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Be the only process at work in this tree; `say` who is, and wait, or raise Locked."""
        return lock.held(os.path.join(self._places.own, "lock"), command, wait=wait, say=say)

    def worker(self) -> int | None:
        """The number of the process at work in this tree, 0 if it does not say; None if there is none."""
        return lock.worker(os.path.join(self._places.own, "lock"))


def _move(full: str, to: str) -> None:
    try:
        os.rename(full, to)
    except OSError as e:
        if e.errno != errno.EXDEV:
            raise
        from shutil import move  # brings every archive format with it; needed between two file systems only

        move(full, to)
