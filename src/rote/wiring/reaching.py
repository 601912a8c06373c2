"""What `rote://` addresses and data paths name, and how it is read without a checkout."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import unquote

from rote.errors import BadName, Missing, NotAProject, UsageError
from rote.ports import ObjectStore, Silence
from rote.services.data.snapshots import NodeCache, Snapshots
from rote.wiring.config.root import find
from rote.wiring.parts import Wiring
from rote.wiring.revisions import pointers
from rote.words import ids, paths
from rote.words.ids import nearest, shown
from rote.words.pointer import SUFFIX, Pointer
from rote.words.snapshot import SnapshotRef

SCHEME = "rote://"
_cloud_opened_in: list[int] = []
"""The process in which a store that is no folder was opened first."""


class Source:
    """Opens a project's store for reading, also in another process that it was sent to by pickling."""

    def __init__(self, root: str, store: str | None, cwd: str, wiring: Wiring | None = None) -> None:
        self._at = (root, store, cwd)
        self._wiring = wiring

    def __getstate__(self) -> tuple[str, str | None, str]:
        return self._at

    def __setstate__(self, at: tuple[str, str | None, str]) -> None:
        self._at, self._wiring = at, None

    @property
    def wiring(self) -> Wiring:
        """The parts of the project."""
        if self._wiring is None:
            root, store, cwd = self._at
            self._wiring = Wiring(root, store=store, progress=Silence(), cwd=cwd)
        return self._wiring

    def __call__(self) -> tuple[ObjectStore, Snapshots]:
        """The store to read from, and its snapshots. Raises UsageError in a forked process, where a connection would
        hang for ever."""
        if "://" in self.wiring.settings.store.value:
            if _cloud_opened_in and _cloud_opened_in[0] != os.getpid():
                raise UsageError(
                    "this process was forked from one that has a connection to the store, and such a connection "
                    "does not survive a fork",
                    next='start workers anew: DataLoader(…, multiprocessing_context="forkserver")',
                )
            _cloud_opened_in[:] = [os.getpid()]
        store = self.wiring.reading
        return store, Snapshots(store, cache=NodeCache())


class Reaching:
    """Finds what is named in one project, or in a store alone."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._w = source.wiring
        self._at_rev: dict[str, Mapping[str, Pointer]] = {}
        self._found: dict[tuple[str, str], SnapshotRef] = {}

    @staticmethod
    def open(project: str = ".", store: str | None = None) -> Reaching:
        """In the project at or above a folder; if there is none, in the store that is named. Raises NotAProject."""
        cwd = os.getcwd()
        try:
            root = find(project)
        except NotAProject:
            if store is None and not os.environ.get("ROTE_STORE"):
                raise
            root = os.path.abspath(project)
        return Reaching(Source(root, store, cwd))

    def forget(self) -> None:
        """Look again what revisions say."""
        self._at_rev.clear()

    def data(self) -> list[str]:
        """Every data path of the working tree."""
        return [path for path, _ in self._w.workspace.pointers()]

    def address(self, text: str) -> tuple[str, SnapshotRef, str]:
        """`SNAPSHOT/INNER`, `PATH@REV/INNER` or `PATH/INNER` (relative to the project's root, without `rote://`) -> the
        part that names the snapshot, the snapshot, INNER. Raises Missing, BadPath, UsageError."""
        head, _, inner = text.partition("/")
        try:
            id = ids.snapshot_id(head)
        except BadName:
            pass
        else:
            return head, self._by_id(id), inner
        here = self._here(text)
        if here is not None:
            return here
        before, at, after = text.partition("@")
        if not at:
            raise self._no_pointer(text, None)
        rev, _, inner = after.partition("/")
        path = unquote(before)
        ref, below = self.pinned(path, unquote(rev))
        head = f"{before}@{rev}"
        return head, ref, "/".join(part for part in (below, inner) if part)

    def path(self, path: str, rev: str | None, cwd: str) -> tuple[SnapshotRef, str]:
        """A data path as a person types it, or a `rote://` address -> the snapshot and the path in it."""
        if path.startswith(SCHEME):
            if rev is not None:
                raise UsageError(
                    "an address names its revision itself", next="write rote://PATH@REV, without rev"
                )
            _, ref, inner = self.address(path.removeprefix(SCHEME).rstrip("/"))
            return ref, inner
        name = self._w.workspace.name(path, cwd)
        if rev is not None:
            return self.pinned(name, rev)
        # A shell completes to the pointer's own name.
        here = self._here(name) or self._here(name.removesuffix(SUFFIX))
        if here is None:
            raise self._no_pointer(name, None)
        return here[1], here[2]

    def pinned(self, name: str, rev: str) -> tuple[SnapshotRef, str]:
        """The snapshot whose pointer pins `name` or a folder above it at a revision, and the path inside."""
        if rev not in self._at_rev:
            self._at_rev[rev] = pointers(self._w, rev)
        known = self._at_rev[rev]
        for whole in (name, name.removesuffix(SUFFIX)):
            at = paths.holder(whole, known)
            if at is not None:
                return self._locate(at, known[at]), whole[len(at) + 1 :]
        raise self._no_pointer(name, rev)

    def _here(self, text: str) -> tuple[str, SnapshotRef, str] | None:
        """By the nearest pointer of the working tree at or above a path: no walk, a look at each folder above."""
        at = text
        while at:
            pointer = self._w.workspace.pointer(at)
            if pointer is not None:
                return at, self._locate(at, pointer), text[len(at) + 1 :]
            at = at.rpartition("/")[0]
        return None

    def _locate(self, path: str, pointer: Pointer) -> SnapshotRef:
        key = (path, pointer.snapshot)
        if key not in self._found:
            self.source()
            self._found[key] = self._w.data.locate(path, pointer)
        return self._found[key]

    def _by_id(self, id: ids.SnapshotId) -> SnapshotRef:
        key = ("", str(id))
        if key not in self._found:
            self._found[key] = self.source()[1].find(id)
        return self._found[key]

    def _no_pointer(self, name: str, rev: str | None) -> Missing:
        name = name.removesuffix(SUFFIX)
        known = list(self._at_rev[rev]) if rev else self.data()
        when = f" at {shown(rev)}" if rev else ""
        meant = nearest(name, known)
        return Missing(
            f"there is no pointer {shown(name + '.rote')}{when}",
            next=f"did you mean {meant}?" if meant else f"rote add {name}",
        )
