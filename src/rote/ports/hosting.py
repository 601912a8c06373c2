"""The port to a place where versions are published: a forge's releases, a bucket, a hub of models.

One contract for all, and one suite that every adapter passes. A *release* is a tag with assets; it is a draft, which
nobody but its writers sees, until it is finished. A host without drafts of its own makes do with the order of writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

CHANNEL_BYTES = 4096
"""A channel document is never larger than this; more is not read."""


class HostedAsset(msgspec.Struct, frozen=True):
    """A file at a release, as the host tells: `sha256` in hexadecimal where it knows it. `key` is the host's own."""

    name: str
    size: int
    sha256: str | None = None
    key: str = ""


class HostedRelease(msgspec.Struct, frozen=True, kw_only=True):
    """A release as the host tells. `page` is its address for people; `key` the host's own."""

    tag: str
    draft: bool
    assets: Sequence[HostedAsset] = ()
    title: str = ""
    notes: str = ""
    page: str = ""
    key: str = ""

    def asset(self, name: str) -> HostedAsset | None:
        """The asset of this name, or None."""
        return next((a for a in self.assets if a.name == name), None)


class Sending(msgspec.Struct, frozen=True):
    """A file to be sent: `read` gives its bytes from an offset, piece by piece, as often as it is asked."""

    name: str
    size: int
    sha256: str
    read: Callable[[int], Iterator[bytes]]


class Told(msgspec.Struct, frozen=True):
    """A channel document as a host has it; `etag` is handed back with the next look."""

    data: bytes
    etag: str


class ReleaseHost(Protocol):
    """Where releases lie. Every method may raise StoreUnavailable, Refused (token, scope, limit), Corrupt."""

    @property
    def url(self) -> str:
        """The address, fit to be shown (no secrets)."""

    @property
    def largest(self) -> int:
        """Bytes that one asset may have at most."""

    def asset_name(self, path: str) -> str:
        """The name under which a host keeps a file of this path: the path itself where it may have folders. Two paths
        may get one name; whoever publishes refuses that, or numbers them."""

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag, with all its assets; a draft only for who may write."""

    def latest(self) -> HostedRelease | None:
        """The newest release that is neither a draft nor a channel."""

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """A draft with this tag: the one that is there already, or a new one. Raises Conflict if the release is
        finished."""

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Send one file, in pieces. What arrived in part only is not there, or is replaced by the next attempt. Several
        threads may send at once. To send the same again is no error. Raises Conflict if an asset of this name is there
        with other bytes; Changed if what `read` gives is not what the Sending says (nothing is there then, or what the
        next attempt replaces)."""

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Remove an asset of a draft; gone already is no error."""

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """Make a draft public, whole and in one step as far as the host can. Finished already is no error. Without an
        asset `rote-manifest.json` a host whose drafts are told by its absence says Refused."""

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of an asset from `start`, `length` of them or all to the end, piece by piece. Raises NotFound."""

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document (docs/format.md, 10.4) of an alias: one request; None if it has not changed since
        `etag`. At most 4 KiB are read. Raises NotFound if there is none."""

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document where `after` is, or the first one. Readers see the old one or the new one. Raises
        Conflict if another is there than `after`, as far as the host can tell."""
