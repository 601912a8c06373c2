"""What the clauses of the contract publish: files, manifests, whole releases; and names that are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from rote.ports.hosting import HostedRelease, ReleaseHost, Sending
from rote.words.encoding import digest_of
from rote.words.ids import SnapshotId
from rote.words.publication import MANIFEST, PublishedAsset, PublishedFile, PublishedManifest

MODEL = "keyboard"
TAG = "keyboard@v1.0.0"

PATHS = [
    "model.onnx", "labels.txt", "vocabulary/words.txt", "a/b/c/d.bin", "README.md", "weights.safetensors",
    "with space.bin", "ümläut/größe.txt", ".hidden", "a/.hidden/b", "step=5/model.pt", "a=20b", "a+b@c,d", "=_x",
    "%2e%2e.txt", "=2Ehidden", "quote'\"$(id)`.txt", "#1?x=y&z.txt", "日本語.txt", "x" * 255, "rote-notes.md",
    "/".join(["deep" * 20] * 12), "CON_.txt", "a..b", "trailing-", "~tilde",
]  # fmt: skip
"""Paths of files, as a snapshot may hold them."""

HOSTILE_TAGS = [
    "",
    "..",
    "../x@v1.0.0",
    "a\nb@v1.0.0",
    "a b@v1.0.0",
    "x@v1.0.0/../..",
    "x@v1.0.0\0",
    "@v1.0.0",
    "x@v\ud800",
]
"""Tags that every host refuses, before anything moves."""


def sending(name: str, data: bytes, piece: int = 65_536) -> Sending:
    """A Sending of these bytes."""

    def read(start: int) -> Iterator[bytes]:
        for begin in range(start, len(data), piece):
            yield data[begin : begin + piece]

    return Sending(name, len(data), hashlib.sha256(data).hexdigest(), read)


def manifest(tag: str, files: dict[str, bytes], released: str = "2026-11-21T11:00:00Z") -> bytes:
    """A manifest of assets: name -> bytes."""
    model, _, version = tag.partition("@v")
    return msgspec.json.encode(
        PublishedManifest(
            model=model,
            version=version,
            snapshot=SnapshotId(digest_of(b"snapshot")),
            files=[
                PublishedFile(
                    path=name,
                    size=len(data),
                    digest=digest_of(data),
                    assets=[PublishedAsset(name, len(data), hashlib.sha256(data).hexdigest())],
                )
                for name, data in files.items()
            ],
            released=released,
        )
    )


def publish(
    host: ReleaseHost,
    tag: str,
    files: dict[str, bytes],
    *,
    notes: str = "notes",
    released: str = "2026-11-21T11:00:00Z",
) -> HostedRelease:
    """Everything in the right order: begin, send, the manifest last, finish."""
    release = host.begin(tag, title=tag, notes=notes)
    for name, data in files.items():
        host.send(release, sending(name, data))
    host.send(release, sending(MANIFEST, manifest(tag, files, released)))
    return host.finish(release, notes=notes)


def whole(host: ReleaseHost, release: HostedRelease, name: str) -> bytes:
    """All bytes of an asset."""
    asset = release.asset(name)
    assert asset is not None, f"{name} is not there"
    return b"".join(host.read(release, asset))


def found(host: ReleaseHost, tag: str) -> HostedRelease:
    """The release, which is there."""
    release = host.find(tag)
    assert release is not None
    return release
