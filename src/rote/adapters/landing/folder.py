"""A folder of the user's in which a version is fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rote.adapters.landing import disk
from rote.adapters.landing.incoming import IncomingVersion, Source, read_manifest
from rote.errors import Unsaved
from rote.words.ids import SnapshotId
from rote.words.landed import Manifest
from rote.words.version import VersionFile

MANIFEST = ".rote-fetch"
"""The file in the folder that tells which of its files were fetched."""

_SHOWN = 5


class Folder:
    """A port `Landing`. Nothing in the folder is touched before the whole version has arrived beside it.

    A folder that is new, empty, or holds nothing but an earlier fetch is then swapped in one step. In a folder with
    other files, each file is replaced in one step of its own. Files that are not from a fetch, or were changed since,
    are never overwritten.
    """

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)

    def fetched(self) -> list[VersionFile]:
        """The files that a fetch left here, by what it noted."""
        found = read_manifest(os.path.join(self.folder, MANIFEST))
        return found.files if found else []

    @contextmanager
    def begin(self, id: SnapshotId) -> Iterator[IncomingVersion]:
        """See ports.Landing."""
        parent, name = os.path.split(self.folder)
        new = os.path.join(parent, f".{name}.rote-new-{disk.token()}")
        with disk.translated(new):
            os.makedirs(new)
        try:
            old = read_manifest(os.path.join(self.folder, MANIFEST))
            incoming = IncomingVersion(new, [Source(self.folder, old)] if old else [], read_only=False)
            yield incoming
            with disk.translated(self.folder):
                manifest = incoming.seal(id, os.path.join(new, MANIFEST))
                self._place(new, manifest, old)
                disk.flush_folder(parent)
        finally:
            disk.remove_tree(new)

    def _place(self, new: str, manifest: Manifest, old: Manifest | None) -> None:
        in_use = self._in_use()
        try:
            if not in_use:
                os.rename(new, self.folder)  # works where nothing is, or an empty folder
                return
        except OSError:
            if not os.path.isdir(self.folder):
                raise
        former = {f.path: f for f in old.files} if old else {}
        self._refuse_losses(manifest, former)
        if not in_use and self._only_fetched(former):
            os.chmod(new, os.stat(self.folder).st_mode & 0o7777)
            if disk.exchange(new, self.folder):
                return
        self._merge(new, manifest, former)

    def _refuse_losses(self, manifest: Manifest, former: dict[str, VersionFile]) -> None:
        """Raise Unsaved if a file that is not from a fetch, or was changed since, would be overwritten or removed."""
        wanted = {f.path: f for f in manifest.files}
        lost = []
        for path in sorted({*wanted, *former}):
            where = os.path.join(self.folder, path)
            if not os.path.lexists(where) and not disk.is_blocked(self.folder, path):
                continue
            here = None if disk.is_blocked(self.folder, path) else disk.digest_of_file(where)
            known = {files[path].digest for files in (wanted, former) if path in files}
            if here not in known:
                lost.append(path)
        if lost:
            names = ", ".join(lost[:_SHOWN]) + (
                f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            )
            raise Unsaved(
                f"files that are not from a fetch, or were changed since, are in the way: {names}",
                where=self.folder,
                safe="nothing in the folder was changed",
                next="move them away, or fetch into another folder",
            )

    def _only_fetched(self, former: dict[str, VersionFile]) -> bool:
        """Whether nothing lies in the folder but what a fetch brought."""
        for folder, folders, files in os.walk(self.folder):
            below = os.path.relpath(folder, self.folder).replace(os.sep, "/")
            prefix = "" if below == "." else below + "/"
            if any(prefix + name not in former and prefix + name != MANIFEST for name in files):
                return False
            if any(os.path.islink(os.path.join(folder, name)) for name in folders) or not (folders or files):
                return False
        return True

    def _in_use(self) -> bool:
        """Whether this process works inside the folder: a swap would leave it in the deleted one."""
        here = os.path.realpath(os.getcwd())
        return here == self.folder or here.startswith(self.folder + os.sep)

    def _merge(self, new: str, manifest: Manifest, former: dict[str, VersionFile]) -> None:
        for file in manifest.files:
            target = os.path.join(self.folder, file.path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.replace(os.path.join(new, file.path), target)
        for path in former.keys() - {f.path for f in manifest.files}:
            if not disk.is_blocked(self.folder, path):
                disk.remove_file(os.path.join(self.folder, path))
                self._remove_empty(os.path.dirname(path))
        os.replace(os.path.join(new, MANIFEST), os.path.join(self.folder, MANIFEST))
        disk.flush_tree(self.folder)

    def _remove_empty(self, path: str) -> None:
        while path:
            try:
                os.rmdir(os.path.join(self.folder, path))
            except OSError:
                return  # other files are in it
            path = os.path.dirname(path)
