"""An application's cache: whole versions beside each other, and a pointer to the one in use (docs/format.md, 10)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from rote.adapters.landing import disk, locks
from rote.adapters.landing.incoming import IncomingVersion, Source, read_manifest
from rote.errors import StoreError
from rote.words.encoding import with_check, without_check
from rote.words.ids import SnapshotId
from rote.words.landed import CurrentVersion, Manifest, Seen, Signed, SignedBy

_T = TypeVar("_T")


class Cache:
    """The versions of one model that an application has. Any number of processes may share it: reading needs no lock,
    and whoever changes it holds `locked()`. Killed anywhere, it leaves the version that was in use, or the new one."""

    def __init__(self, folder: str) -> None:
        self.folder = os.path.abspath(folder)
        self._versions = os.path.join(self.folder, "versions")
        self._current = os.path.join(self.folder, "current")
        self._seen = os.path.join(self.folder, "seen")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else changes the cache, and keep others from it. Not reentrant."""
        with ExitStack() as stack:
            with disk.translated(self.folder):
                os.makedirs(self._versions, exist_ok=True)
                stack.enter_context(locks.held(os.path.join(self.folder, "lock")))
            yield

    def current(self) -> CurrentVersion | None:
        """The version in use, or None if there is none yet (or the pointer to it is damaged: then it is fetched
        again). Raises CannotLand."""
        return _record(self._current, CurrentVersion)

    def seen(self) -> Seen | None:
        """The last channel document that was accepted; None if none was, or what says so is damaged. Raises
        CannotLand."""
        return _record(self._seen, Seen)

    def remember(self, seen: Seen) -> None:
        """Keep what was accepted, in one step. The lock must be held. Raises CannotLand, StoreFull."""
        with disk.translated(self._seen):
            disk.write_whole(self._seen, with_check(seen))

    def manifest(self, name: str) -> Manifest | None:
        """What lies in a version, or None if that is damaged."""
        return read_manifest(self._manifest(name))

    def files(self, name: str) -> str:
        """The folder with the files of a version."""
        return os.path.join(self._versions, name, "files")

    def damage(self, name: str) -> list[str]:
        """Read the whole version and tell which of its files are not what they should be; `manifest` if that itself
        is missing or damaged. Empty: it is sound."""
        manifest = read_manifest(self._manifest(name))
        if manifest is None:
            return ["manifest"]
        files = self.files(name)
        return [
            f.path for f in manifest.files if disk.digest_of_file(os.path.join(files, f.path)) != f.digest
        ]

    def signed(self, name: str) -> list[SignedBy]:
        """By whom the files of a version were found signed. Raises CannotLand."""
        found = _record(self._signed(name), Signed)
        return found.by if found else []

    def sign(self, name: str, by: SignedBy) -> None:
        """Keep that the files of a version are signed so. The lock must be held. Raises CannotLand, StoreFull."""
        known = self.signed(name)
        if by not in known:
            with disk.translated(self._signed(name)):
                disk.write_whole(self._signed(name), with_check(Signed(by=[*known, by])))

    def sound(self, id: SnapshotId) -> str | None:
        """The name of a sound copy of this snapshot that is here, or None."""
        return next(
            (name for name in self._names() if name.partition(".")[0] == id and not self.damage(name)), None
        )

    @contextmanager
    def begin(self, id: SnapshotId) -> Iterator[IncomingVersion]:
        """See ports.Landing; the lock must be held. The version is then here, but not yet in use: `activate` it."""
        new = os.path.join(self._versions, f".new-{disk.token()}")
        files = os.path.join(new, "files")
        with disk.translated(new):
            os.makedirs(files)
        try:
            incoming = IncomingVersion(files, self._sources(), read_only=True)
            yield incoming
            with disk.translated(new):
                incoming.seal(id, os.path.join(new, "manifest"))
                disk.flush_folder(new)
                os.rename(new, os.path.join(self._versions, self._free_name(id)))
                disk.flush_folder(self._versions)
        except BaseException:
            disk.remove_tree(new)
            raise

    def activate(self, current: CurrentVersion) -> None:
        """Put a version in use, in one step, then delete those that are neither in use nor the previous one. The lock
        must be held."""
        with disk.translated(self._current):
            disk.write_whole(self._current, with_check(current))
            kept = {current.folder, current.previous}
            for name in os.listdir(self._versions):
                if name not in kept:
                    self._delete(name)

    def _delete(self, name: str) -> None:
        where = os.path.join(self._versions, name)
        if not name.startswith("."):
            # Half a version must never stand under a version's name.
            old = os.path.join(self._versions, f".old-{disk.token()}")
            os.rename(where, old)
            where = old
        disk.remove_tree(where)

    def _names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self._versions) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def _free_name(self, id: SnapshotId) -> str:
        taken = set(self._names())
        return next(name for n in range(len(taken) + 1) if (name := f"{id}.{n}" if n else id) not in taken)

    def _manifest(self, name: str) -> str:
        return os.path.join(self._versions, name, "manifest")

    def _signed(self, name: str) -> str:
        return os.path.join(self._versions, name, "signed")

    def _sources(self) -> list[Source]:
        found = [(name, read_manifest(self._manifest(name))) for name in self._names()]
        return [Source(self.files(name), manifest) for name, manifest in found if manifest]


def _record(path: str, kind: type[_T]) -> _T | None:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise disk.CannotLand(f"cannot be read: {e.strerror}", where=path) from e
    try:
        return without_check(data, kind, path)
    except StoreError:
        return None
