"""What the releases of every forge have in common: an address, a token, names, channels, the commit of a release."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar

from rote.adapters.forges import naming
from rote.adapters.forges.address import ForgeAddress
from rote.adapters.forges.channel import ChannelPages
from rote.adapters.forges.reading import Reader
from rote.adapters.forges.talk import Patience, Talk
from rote.adapters.forges.tokens import Token, hint
from rote.adapters.forges.vendor import Answer, Vendor
from rote.adapters.forges.wire import Wire
from rote.errors import Conflict, Refused
from rote.laws.publishing.releasetags import of_channel
from rote.ports import Clock
from rote.ports.hosting import HostedAsset, HostedRelease, Sending, Told

_log = logging.getLogger("rote.forges")
LARGEST = (2 << 30) - 1
"""Bytes of an asset at most: GitHub takes no more. gitlab.com takes 5 GiB, other servers what their administrators say;
smaller parts lose less when a line breaks."""


class ForgeHost(ABC):
    """The releases of one repository: a hosting.ReleaseHost without what differs from forge to forge. Safe to share
    between threads."""

    maker: ClassVar[str]
    """Who makes the forge, as it calls itself."""
    scope: ClassVar[str]
    """What a token must be allowed to."""

    def __init__(
        self,
        at: ForgeAddress,
        *,
        clock: Clock,
        environ: Mapping[str, str],
        token: Token | None = None,
        wire: Wire | None = None,
        patience: Patience | None = None,
        largest: int = LARGEST,
        any_commit: bool = False,
    ) -> None:
        """`environ` says only what to type for a token; `token` is what is used. With `any_commit` a release of a
        commit that is not there is tagged at the default branch, with a warning; else it is refused."""
        self._any_commit = any_commit
        self._at = at
        self._largest = largest
        vendor = Vendor(
            name=self.maker if at.at_home else at.host,
            where=at.text,
            missing=hint(at, environ),
            scope=self.scope,
            token=token,
        )
        self._talk = Talk(wire or Wire(), clock, vendor, patience or Patience())
        self._reader = Reader(self._talk)
        self._channels = ChannelPages(self, at.text)

    @property
    def url(self) -> str:
        """The repository's address."""
        return self._at.text

    @property
    def largest(self) -> int:
        """Bytes that one asset may have."""
        return self._largest

    def asset_name(self, path: str) -> str:
        """The name of the asset that holds the file of this path."""
        return naming.asset(path)

    @abstractmethod
    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of an asset. Raises NotFound, Corrupt, StoreUnavailable."""

    def digest_of(self, release: HostedRelease, asset: HostedAsset) -> str:
        """SHA-256 of an asset: what the forge says, or, where it says nothing (GitHub before 2025), of its
        bytes."""
        if asset.sha256 is not None:
            return asset.sha256
        sha = hashlib.sha256()
        for part in self.read(release, asset):
            sha.update(part)
        return sha.hexdigest()

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document: one request, which GitHub does not count if nothing is new and a token is there."""
        return self._channels.read(model, alias, etag)

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document. Raises Conflict, Refused, StoreUnavailable."""
        of_channel(model, alias)
        self._talk.vendor.need_token()
        return self._channels.move(model, alias, document, after)

    # what channels ask of a forge (`channel.Pages`)

    @abstractmethod
    def page(self, tag: str, headers: Mapping[str, str]) -> Answer:
        """The release of this tag as it is answered: 200, 304 or 404."""

    @abstractmethod
    def description(self, answer: Answer) -> str:
        """What a release says of itself."""

    @abstractmethod
    def make(self, tag: str, title: str, text: str) -> bool:
        """Make a channel's release, which is never the latest; False if somebody made it a moment before."""

    @abstractmethod
    def edit(self, answer: Answer, text: str) -> None:
        """Give a channel's release another description."""

    # what a release needs before it is made

    def _fits(self, file: Sending) -> None:
        """Raise Refused for a file that is larger than an asset may be."""
        if file.size > self._largest:
            raise Refused(
                f"{file.name} has {file.size} bytes; {self._largest} are taken at most", where=self.url
            )

    def _published(self, tag: str) -> Conflict:
        return Conflict(
            tag, where=self.url, next="a version that is published does not change: make a new one"
        )

    def _at_commit(self, tag: str, commit: str | None) -> str | None:
        """Where the tag is made; None: at the default branch. Raises Refused if it is there at another commit, or the
        commit is not."""
        if not commit:
            return None
        known = self._commit(commit)
        if known is None and self._any_commit:
            _log.warning("%s has no commit %s: the tag is made at its default branch", self.url, commit[:12])
            return None
        if known is None:
            raise naming.unknown_commit(commit, self.url)
        there = self._tagged(tag)
        if there not in (None, known):
            raise naming.other_commit(tag, there, known, self.url)
        return known

    @abstractmethod
    def _commit(self, ref: str) -> str | None:
        """The whole id of a commit; None if the repository does not have it."""

    @abstractmethod
    def _tagged(self, tag: str) -> str | None:
        """The commit that a tag names; None if there is no such tag."""
