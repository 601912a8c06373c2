"""A folder in which a version lies: what should be there, and whether it is."""

from __future__ import annotations

import os

import msgspec
from blake3 import blake3

from rote.adapters.landing import disk
from rote.adapters.landing.cache import Cache
from rote.adapters.landing.folder import MANIFEST as FETCHED
from rote.adapters.landing.incoming import read_manifest
from rote.adapters.landing.shelf import OWN, Brought, last_brought
from rote.errors import Corrupt, TooNew
from rote.laws.publishing import manifests
from rote.words import paths
from rote.words.ids import Digest, SnapshotId
from rote.words.landed import Provenance
from rote.words.publication import MANIFEST as PUBLISHED
from rote.words.publication import NOTES, SIGNATURE, PublishedFile, PublishedManifest
from rote.words.version import VersionFile

_MOST = 64 << 20
"""Bytes that a manifest may have."""
_PIECE = 1 << 20


class FoundVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that lies in `folder`: what its manifest says. `model` and `version` are empty where it does not say,
    `tag` is the release that a download brought; `parts` are the files that lie there in several pieces, by path. Of a
    download that brought some files alone, `brought` are those; None: all of them should be there."""

    folder: str
    files: list[VersionFile]
    snapshot: SnapshotId
    model: str = ""
    version: str = ""
    parts: dict[str, list[str]] = {}
    tag: str = ""
    said: Provenance = Provenance()
    brought: frozenset[str] | None = None

    @property
    def name(self) -> str:
        """How people call what lies there."""
        return f"{self.model}@{self.version}" if self.model else self.tag or f"snapshot {self.snapshot[:12]}"

    @property
    def published(self) -> bool:
        """Whether this is where it was published, and not where somebody brought it."""
        return os.path.isfile(os.path.join(self.folder, PUBLISHED))

    def signature(self) -> bytes | None:
        """The signature by an identity that was published beside the files, if there is one. Raises Corrupt."""
        path = os.path.join(self.folder, SIGNATURE)
        if SIGNATURE in {file.path for file in self.files}:
            return None
        try:
            with open(path, "rb") as file:
                data = file.read(_MOST + 1)
        except FileNotFoundError:
            return None
        except OSError as e:
            raise Corrupt(f"the signature cannot be read: {e.strerror}", where=path) from e
        if len(data) > _MOST:
            raise Corrupt(f"the signature is larger than {_MOST >> 20} MiB", where=path)
        return data

    def digest(self, file: VersionFile) -> Digest | None:
        """The digest of a file as it lies there, or of its parts joined; None if it is not there."""
        whole = disk.digest_of_file(os.path.join(self.folder, paths.check(file.path)))
        parts = self.parts.get(file.path, [])
        if whole is not None or not parts:
            return whole
        hasher = blake3()
        try:
            for name in parts:
                with open(os.path.join(self.folder, name), "rb") as part:
                    while piece := part.read(_PIECE):
                        hasher.update(piece)
        except OSError:
            return None
        return Digest(hasher.hexdigest())

    def others(self) -> list[str]:
        """Files that lie there and are not of the version."""
        known = {file.path for file in self.files} | {name for names in self.parts.values() for name in names}
        found = []
        for folder, folders, names in os.walk(self.folder):
            folders[:] = [name for name in folders if name != OWN]
            below = os.path.relpath(folder, self.folder).replace(os.sep, "/")
            found += [name if below == "." else f"{below}/{name}" for name in names]
        return sorted(set(found) - known - {PUBLISHED, NOTES, FETCHED, SIGNATURE})


def found(folder: str) -> FoundVersion | None:
    """What the manifest in a folder says: of a published version, a fetched one, the release that was downloaded last,
    or the version in use in an application's cache. None if there is no manifest. Raises Corrupt, TooNew."""
    published = os.path.join(folder, PUBLISHED)
    if os.path.isfile(published):
        return _published(folder, published)
    fetched = os.path.join(folder, FETCHED)
    if os.path.isfile(fetched):
        return _manifest(folder, fetched)
    brought = last_brought(folder)
    if brought is not None:
        return _downloaded(folder, brought)
    if os.path.isfile(os.path.join(folder, "current")) and os.path.isdir(os.path.join(folder, "versions")):
        cache = Cache(folder)
        current = cache.current()
        if current is None:
            raise Corrupt("the file that says which version is in use is damaged", where=folder)
        files = cache.files(current.folder)
        told = _manifest(files, os.path.join(os.path.dirname(files), "manifest"))
        return msgspec.structs.replace(told, model=current.model, version=current.version)
    return None


def _manifest(folder: str, path: str) -> FoundVersion:
    manifest = read_manifest(path)
    if manifest is None:
        raise Corrupt("the manifest is damaged, so nothing says what should lie here", where=path)
    said = manifest.of or Provenance()
    return FoundVersion(
        folder=folder,
        files=manifest.files,
        snapshot=manifest.snapshot,
        model=said.model,
        version=said.version,
        said=said,
    )


def _published(folder: str, path: str) -> FoundVersion:
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST + 1)
        if len(data) > _MOST:
            raise Corrupt(f"the manifest is larger than {_MOST >> 20} MiB", where=path)
        manifest = msgspec.json.decode(data, type=PublishedManifest)
    except (OSError, msgspec.DecodeError, RecursionError) as e:
        raise Corrupt(f"the manifest cannot be read: {e}", where=path) from e
    if manifest.format > 1:
        raise TooNew(
            f"this manifest has format {manifest.format}; this rote reads up to 1",
            where=path,
            next="pip install --upgrade rote",
        )
    names = {f.path: [paths.check(asset.name) for asset in f.assets] for f in manifest.files}
    return msgspec.structs.replace(
        _of(folder, manifest),
        parts={path: there for path, there in names.items() if there and there != [path]},
    )


def _downloaded(folder: str, brought: Brought) -> FoundVersion:
    if brought.manifest == PUBLISHED:
        there = _of(folder, manifests.decoded(brought.data, brought.where))
        return msgspec.structs.replace(there, brought=brought.files)
    loose = manifests.decoded_files(brought.data, brought.where)
    return FoundVersion(
        folder=folder,
        tag=loose.tag,
        snapshot=manifests.snapshot_of(loose.files),
        files=_files(loose.files),
        brought=brought.files,
    )


def _of(folder: str, manifest: PublishedManifest) -> FoundVersion:
    return FoundVersion(
        folder=folder,
        model=manifest.model,
        version=manifest.version,
        snapshot=manifest.snapshot,
        files=_files(manifest.files),
        said=Provenance(
            model=manifest.model,
            version=manifest.version,
            run=manifest.run,
            commit=manifest.commit,
            origin=manifest.origin,
        ),
    )


def _files(published: list[PublishedFile]) -> list[VersionFile]:
    return [
        VersionFile(path=paths.check(f.path), size=f.size, digest=f.digest, executable=f.executable)
        for f in published
    ]
