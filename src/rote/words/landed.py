"""What an application keeps of a version beside its files (docs/format.md, 10): the words of its cache."""

from __future__ import annotations

import msgspec

from rote.words.ids import Digest, RunId, SnapshotId
from rote.words.publication import PublishedOrigin
from rote.words.version import VersionFile


class Provenance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which version lies here, and where it comes from, as the store or the target said it was read from."""

    model: str = ""
    version: str = ""
    run: RunId | None = None
    commit: str | None = None
    origin: PublishedOrigin | msgspec.UnsetType = msgspec.UNSET


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The file `manifest` of an application's cache, or `.rote-fetch` in a fetched folder: what must lie there."""

    format: int = 1
    snapshot: SnapshotId
    files: list[VersionFile]
    chunks: dict[str, list[tuple[Digest, int]]] = {}
    """Path -> (digest, length) of its chunks in order, for files with more than one."""
    of: Provenance | msgspec.UnsetType = msgspec.UNSET
    """Not there if nobody said."""


class SignedBy(msgspec.Struct, frozen=True):
    """By whom a version's files were found signed: an identity, who vouches for it, and the BLAKE3 digest of the trust
    root's file (empty: that of the public Sigstore)."""

    name: str
    issuer: str
    trust: str = ""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """The file `signed` beside the manifest in an application's cache: all by whom the files were found signed."""

    format: int = 1
    by: list[SignedBy]


class CurrentVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The file `current` of an application's cache. `folder` and `previous` are names below `versions/`."""

    format: int = 1
    model: str
    alias: str
    seq: int
    version: str
    snapshot: SnapshotId
    folder: str
    previous: str | None = None
    issued: str
    before: str | msgspec.UnsetType = msgspec.UNSET
    """The number of the version in `previous`."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A version that failed at an application: how often, why last, and at which `seq` the channel stood."""

    snapshot: SnapshotId
    seq: int
    failures: int
    why: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The file `seen` of an application's cache: the last channel document that was accepted, as it was read."""

    format: int = 1
    url: str
    etag: str
    document: str
    shipped: list[str] = []
    trusted: list[str] = []
    trials: list[Trial] = []
