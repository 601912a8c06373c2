"""What lies at a target: the manifest of a published version, and the names that its parts have there."""

from __future__ import annotations

from typing import Any

import msgspec

from rote.words.ids import Digest, RunId, SnapshotId

MANIFEST = "rote-manifest.json"
"""The name of the manifest at every target. Whoever finds it finds a whole version: it is written last."""
FILES = "rote-files.json"
"""The same at a release that is of no model's version: any files under any tag."""
NOTES = "rote-notes.md"
"""The name of the notes for people in a bucket or folder; a forge has a place of its own for them."""

SIGNATURE = "model.sig"
"""The name of the signature by an identity at every target."""


class PublishedAsset(msgspec.Struct, frozen=True):
    """One part of a file, as it lies at a target under `name`; `size` in bytes, `sha256` in hexadecimal."""

    name: str
    size: int
    sha256: str


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a published version: its `assets` joined, in order, are its bytes; more than one only where the
    target takes no file that large."""

    path: str
    size: int
    digest: Digest
    executable: bool = False
    assets: list[PublishedAsset]
    chunks: list[tuple[str, int]] = []
    """(digest, length) of each chunk of a file that has more than one, in order: an update reads what is new."""


class PublishedGate(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate decided when the version was released."""

    gate: str
    value: float | None = None
    threshold: float | None = None
    passed: bool


class PublishedOrigin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a version comes from, as the store that published it says: what it was made of, what it reached. `data` is
    path -> snapshot; `left_out` names what was too much to be told."""

    data: dict[str, SnapshotId] = {}
    params: dict[str, dict[str, Any]] = {}
    metrics: dict[str, Any] = {}
    gates: list[PublishedGate] = []
    python: str = ""
    system: str = ""
    left_out: list[str] = []


class PublishedManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The object `rote-manifest.json`: plain JSON, so that a web page or a shell script can read it."""

    format: int = 1
    model: str
    version: str
    snapshot: SnapshotId
    """Follows from paths, sizes, executable bits and digests of the files alone (docs/format.md, 4.1)."""
    files: list[PublishedFile]
    run: RunId | None = None
    commit: str | None = None
    released: str = ""
    origin: PublishedOrigin | msgspec.UnsetType = msgspec.UNSET
    """Not there if nothing is known, and in what an older rote published."""


class PublishedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The object `rote-files.json`: what lies at a release that is of no model's version."""

    format: int = 1
    tag: str
    files: list[PublishedFile]
    released: str = ""
    """When, as whoever published it says; empty in what an older rote wrote."""


class ManifestRef(msgspec.Struct, frozen=True):
    """Which manifest a channel document means: `size` in bytes, `digest` BLAKE3."""

    size: int
    digest: Digest
