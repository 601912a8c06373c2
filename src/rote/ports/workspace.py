"""The port to the working tree of a project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from rote.ports.outside import Intake
from rote.ports.tree import Sink, Tree
from rote.words.ids import Digest
from rote.words.pointer import Pointer
from rote.words.snapshot import SnapshotRef


class WorkingTree(Tree, Protocol):
    """A Tree with the memory of the stat cache."""

    @property
    def linked(self) -> Sequence[str]:
        """Paths in the tree that are links, to files or (followed inside the tree only) to folders."""

    def identity(self) -> Pointer | None:
        """The snapshot this tree is known to be, if nothing has changed since `remember`; no file is read."""

    def unread(self) -> int:
        """Bytes of the files whose digest is not known."""

    def remember(self, identity: Pointer) -> None:
        """Every batch was seen, and together they are this snapshot: keep it for next time."""


class WholeSink(Sink, Protocol):
    """A Sink for a whole tree: nothing is at the path before `place`, all of it after."""

    def place(self, identity: Pointer, *, replace: bool = False) -> None:
        """Put the tree at its path in one rename, and remember its stat; `replace`: a single file over another.
        Raises Unsaved if something has come to lie there."""


class EditSink(Sink, Protocol):
    """A Sink into a folder that is there: every file is replaced by a rename, so that a reader (or a killed process)
    leaves it old or new."""

    def remove(self, paths: Iterable[str]) -> None:
        """Delete these files, and the folders that this empties. What is gone already is no error."""

    def finish(self) -> None:
        """Everything is written: remember the stat of what was."""


class Workspace(Protocol):
    """The working tree. Paths are relative to the project's root with `/`; anything that would lead out of it is
    BadPath before a byte moves. Safe from several threads as long as they work on different paths."""

    @property
    def root(self) -> str:
        """The project's root, an absolute path."""

    def name(self, path: str, cwd: str | None = None) -> str:
        """A path as a person types it (absolute, or relative to `cwd`, by default the root) -> relative to the root.
        Raises BadPath outside of the root, for the root itself, and in `.git` or `.rote`."""

    def kind(self, path: str) -> str | None:
        """`file` or `folder` (links followed), None if nothing is there. Raises BadPath for anything else."""

    def tree(self, path: str, *, fresh: bool = False) -> WorkingTree:
        """What is at the path now; `fresh` forgets every digest. Raises Missing, BadPath."""

    def whole(self, path: str, *, single: bool) -> AbstractContextManager[WholeSink]:
        """Write a whole file or folder aside; leaving the context without `place` leaves no trace."""

    def edit(self, path: str) -> AbstractContextManager[EditSink]:
        """Change some files of a folder."""

    def is_link(self, path: str) -> bool:
        """True if the path itself is a link."""

    def delete(self, path: str) -> None:
        """Delete a file, a link or a folder with all in it; nothing there is no error."""

    def put_aside(self, path: str, label: str) -> str | None:
        """Move what is at the path to `.rote/aside/<label>/<path>`; returns where, or None if nothing was there."""

    def own(self, path: str) -> None:
        """Make sure that writing to the path, or to files in it, changes nothing elsewhere: links become files of their
        own, which may be written."""

    def bases(self, path: str) -> list[SnapshotRef]:
        """The snapshots whose files may lie at the path because rote put or saved them: newest last."""

    def set_bases(self, path: str, refs: Sequence[SnapshotRef]) -> None:
        """Remember them."""

    def pointers(self) -> list[tuple[str, Pointer]]:
        """Every pointer of the project: the data path it pins, and what it says, in order. Raises ConfigError."""

    def pointer(self, path: str) -> Pointer | None:
        """The pointer beside a data path, or None. Raises ConfigError, TooNew."""

    def write_pointer(self, path: str, pointer: Pointer) -> bool:
        """Write `PATH.rote`, whole or not at all; False if it said that already."""

    def ignore(self, path: str) -> bool:
        """Make sure that git ignores the path, with a line in `.gitignore` beside it; False if it stood there."""

    def intake(self, path: str, url: str) -> Intake:
        """Where a source comes in for a data path: the same folder for the same two."""

    def lock(
        self, command: str, *, wait: bool = True, say: Callable[[str], None] | None = None
    ) -> AbstractContextManager[None]:
        """Be the only process at work in this tree. If another is: `say` who, and wait; or raise Locked."""

    def worker(self) -> int | None:
        """The number of the process that is at work in this tree, 0 if it does not say; None if there is none."""


class Files(Protocol):
    """Single files and folders of the working tree as a stage reads them: by content and by name. Paths are relative to
    the project's root; one that leads out of it is a path at which nothing is. Links are followed. Thread-safe."""

    def digest(self, path: str) -> Digest | None:
        """The digest of a file's bytes; None if no readable file is there. An unchanged file is not read again."""

    def stamp(self, path: str) -> tuple[int, ...] | None:
        """mtime and ctime in ns, inode and size of a file now; None if none is there."""

    def names(self, path: str, besides: list[str]) -> list[str] | None:
        """The names in a folder without `besides` and those that are never told, sorted; None if there is no
        folder."""

    def modules(self, path: str, sought: list[str]) -> list[str]:
        """The entries of a folder that Python could take for one of these modules, sorted."""

    def moment(self) -> int:
        """The file system's time, in ns: what changes from now on has a ctime that is not before it."""

    def save(self) -> None:
        """Remember for next time what was read."""
