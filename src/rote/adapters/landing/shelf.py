"""A folder of the user's into which files of releases are downloaded: whole ones, and nothing of the user's lost."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import msgspec

from rote.adapters.landing import disk
from rote.errors import Unsaved
from rote.laws.publishing.manifests import MAX_BYTES
from rote.ports.loose import Slot, Wanted
from rote.words.ids import Digest, shown
from rote.words.publication import FILES, MANIFEST

if sys.platform != "win32":
    import fcntl

OWN = ".rote-download"
"""The folder in which rote keeps what it downloads until it is whole, and what it downloaded before."""
_PIECE = 1 << 20
_SHOWN = 5


class _Before(msgspec.Struct):
    """What earlier downloads brought: path -> digest."""

    format: int = 1
    files: dict[str, str] = {}


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder knows of the release that was downloaded into it last: the name and bytes of the release's own
    manifest, which lies at `where`, and the paths of all files that downloads brought."""

    manifest: str
    data: bytes
    where: str
    files: frozenset[str]


def last_brought(folder: str) -> Brought | None:
    """The release that was downloaded last into a folder; None if there was none, or it had no manifest."""
    own = os.path.join(folder, OWN)
    for name in (MANIFEST, FILES):
        where = os.path.join(own, name)
        try:
            with open(where, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError:
            continue
        return Brought(manifest=name, data=data, where=where, files=frozenset(_before(own).files))
    return None


class FolderShelf:
    """A loose.Shelf. Files that no download brought, or that were changed since, are never overwritten unless
    `overwrite` is said."""

    def __init__(self, folder: str, *, overwrite: bool = False) -> None:
        self.folder = os.path.realpath(folder)
        self._overwrite = overwrite
        self._own = os.path.join(self.folder, OWN)

    def missing(self, files: Sequence[Wanted]) -> list[Wanted]:
        """See Shelf. Raises Unsaved."""
        before = _before(self._own).files
        missing, lost = [], []
        for file in files:
            where = os.path.join(self.folder, file.path)
            if file.path.split("/", maxsplit=1)[0] == OWN or disk.is_blocked(self.folder, file.path):
                lost.append(file.path)
            elif not os.path.lexists(where):
                missing.append(file)
            elif _is(where, file):
                self._mark(where, file)
            else:
                here = disk.digest_of_file(where)
                if here is None or not (self._overwrite or here == before.get(file.path)):
                    lost.append(file.path)
                missing.append(file)
        if lost:
            few = ", ".join(shown(path) for path in lost[:_SHOWN])
            more = f" and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
            raise Unsaved(
                f"files that no download brought, or that were changed since, are in the way: {few}{more}",
                where=self.folder,
                safe="nothing in the folder was changed",
                next="move them away, download into another folder, or overwrite them: --overwrite",
            )
        return missing

    def slot(self, file: Wanted) -> Slot:
        """See Shelf. Raises StoreFull, CannotLand."""
        parts = os.path.join(self._own, "parts")
        with disk.translated(parts):
            os.makedirs(parts, exist_ok=True)
        return _Slot(os.path.join(parts, _key(file)))

    def place(self, files: Sequence[Wanted], digests: Mapping[str, Digest]) -> None:
        """See Shelf. Raises StoreFull, CannotLand."""
        before = _before(self._own)
        with disk.translated(self.folder):
            for file in files:
                target = os.path.join(self.folder, file.path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                part = os.path.join(self._own, "parts", _key(file))
                disk.link_or_copy(
                    part, aside := f"{part}.{disk.token()}"
                )  # two paths may have the same bytes
                self._mark(aside, file)
                os.replace(aside, target)
                before.files[file.path] = digests[file.path]
            for folder in {os.path.dirname(os.path.join(self.folder, file.path)) for file in files}:
                disk.flush_folder(folder)
            for file in files:
                disk.remove_file(os.path.join(self._own, "parts", _key(file)))
            if files:
                disk.write_whole(os.path.join(self._own, "files.json"), msgspec.json.encode(before))

    def note(self, name: str, data: bytes) -> None:
        """See Shelf. Raises StoreFull, CannotLand."""
        if not os.path.isdir(self._own):
            return  # everything was here before the first download: the folder stays as it is
        with disk.translated(self._own):
            for other in (MANIFEST, FILES):
                if other != name:
                    disk.remove_file(os.path.join(self._own, other))
            if name:
                disk.write_whole(os.path.join(self._own, name), data)

    def _mark(self, where: str, file: Wanted) -> None:
        if file.executable:
            os.chmod(where, os.stat(where).st_mode | 0o111)


class _Slot:
    """See loose.Slot: a file beside, named by what it is to be, so that the next attempt finds it."""

    def __init__(self, path: str) -> None:
        self._path = path
        with disk.translated(path):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        self._file = os.fdopen(fd, "r+b", buffering=0)
        if sys.platform != "win32":
            try:
                fcntl.flock(
                    self._file, fcntl.LOCK_EX
                )  # another download of the same waits, and then finds it whole
            except OSError:
                pass  # a file system without locks: a clash is found when the file is verified

    def existing(self) -> Iterator[bytes]:
        with disk.translated(self._path):
            self._file.seek(0)
            while data := self._file.read(_PIECE):
                yield data

    def write(self, data: bytes) -> None:
        with disk.translated(self._path):
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def restart(self) -> None:
        with disk.translated(self._path):
            self._file.seek(0)
            self._file.truncate(0)

    def close(self) -> None:
        with disk.translated(self._path):
            try:
                os.fsync(self._file.fileno())
            finally:
                self._file.close()


def _key(file: Wanted) -> str:
    told = file.digest or "".join(f"{asset.name}\0{asset.size}\0{asset.sha256}\0" for asset in file.assets)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def _is(where: str, file: Wanted) -> bool:
    """Whether the file that is here is the one that is wanted, as far as anybody can tell."""
    try:
        if os.path.islink(where) or not os.path.isfile(where) or os.path.getsize(where) != file.size:
            return False
        if file.digest is not None:
            return disk.digest_of_file(where) == file.digest
        with open(where, "rb") as one:
            for asset in file.assets:
                if not asset.sha256 or _sha256(one, asset.size) != asset.sha256:
                    return False
    except OSError:
        return False
    return True


def _sha256(file: IO[bytes], size: int) -> str:
    sha = hashlib.sha256()
    left = size
    while left and (data := file.read(min(left, _PIECE))):
        sha.update(data)
        left -= len(data)
    return sha.hexdigest()


def _before(own: str) -> _Before:
    try:
        with open(os.path.join(own, "files.json"), "rb") as file:
            return msgspec.json.decode(file.read(), type=_Before)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return _Before()  # then nothing here is known to be a download, and nothing is overwritten
