"""A host of releases in this process's memory: for tests, and to show what the port asks for."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import msgspec

from rote.errors import BadName, Changed, Conflict, Corrupt, NotFound, Refused
from rote.laws.publishing import releasetags
from rote.ports.hosting import CHANNEL_BYTES, HostedAsset, HostedRelease, Sending, Told

_PIECE = 1 << 20


class MemoryHost:
    """A hosting.ReleaseHost that keeps everything in dictionaries, drafts too. Safe to share between threads."""

    def __init__(self) -> None:
        self.releases: dict[str, HostedRelease] = {}
        """Tag -> release, in the order in which they were finished, or begun."""
        self.bytes: dict[tuple[str, str], bytes] = {}
        """(tag, asset) -> its bytes."""
        self.channels: dict[tuple[str, str], Told] = {}
        """(model, alias) -> its document."""
        self._lock = threading.RLock()
        self._moves = 0

    @property
    def url(self) -> str:
        """Always `memory:`."""
        return "memory:"

    @property
    def largest(self) -> int:
        """As much as fits."""
        return 1 << 40

    def asset_name(self, path: str) -> str:
        """The path itself."""
        return path

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag. Raises BadName."""
        releasetags.parse(tag)
        return self.releases.get(tag)

    def latest(self) -> HostedRelease | None:
        """The one that was finished last."""
        with self._lock:
            return next((r for r in reversed(self.releases.values()) if not r.draft), None)

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """A draft. Raises Conflict, BadName."""
        releasetags.parse(tag)
        with self._lock:
            there = self.releases.get(tag)
            if there is None:
                there = HostedRelease(tag=tag, draft=True, title=title, notes=notes, key=tag)
                self.releases[tag] = there
            elif not there.draft:
                raise Conflict(tag, where=self.url)
            return there

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Keep one file. Raises Conflict, Changed."""
        if not file.name:
            raise BadName("an asset has a name")
        data = b"".join(bytes(piece) for piece in file.read(0))
        sha256 = hashlib.sha256(data).hexdigest()
        if (len(data), sha256) != (file.size, file.sha256):
            raise Changed(f"{file.name} changed while it was read")
        asset = HostedAsset(file.name, len(data), sha256, file.name)
        with self._lock:
            there = self.releases[release.tag]
            former = self.bytes.get((release.tag, file.name))
            if former is not None and former != data:
                raise Conflict(file.name, where=self.url)
            if former is None:
                self.bytes[release.tag, file.name] = data
                self.releases[release.tag] = msgspec.structs.replace(there, assets=[*there.assets, asset])
        return asset

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Forget an asset."""
        with self._lock:
            self.bytes.pop((release.tag, asset.name), None)
            there = self.releases[release.tag]
            left = [a for a in there.assets if a.name != asset.name]
            self.releases[release.tag] = msgspec.structs.replace(there, assets=left)

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """Make it public. Raises NotFound."""
        with self._lock:
            there = self.releases.get(release.tag)
            if there is None:
                raise NotFound(release.tag, where=self.url)
            if there.draft:
                del self.releases[release.tag]  # so that the last one is the newest
                there = msgspec.structs.replace(there, draft=False, notes=notes)
                self.releases[release.tag] = there
            return there

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of an asset. Raises NotFound; Corrupt if it ends earlier."""
        data = self.bytes.get((release.tag, asset.name))
        if data is None:
            raise NotFound(asset.name, where=self.url)
        end = asset.size if length is None else start + length
        if start < 0 or end > len(data) or end < start:
            raise Corrupt(f"{asset.name} ends earlier than it should", where=self.url)
        for begin in range(start, end, _PIECE):
            yield data[begin : min(end, begin + _PIECE)]

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document. Raises NotFound, Corrupt, BadName."""
        tag = releasetags.of_channel(model, alias)
        told = self.channels.get((model, alias))
        if told is None:
            raise NotFound(tag, where=self.url)
        if len(told.data) > CHANNEL_BYTES:
            raise Corrupt(f"the channel document {tag} is larger than {CHANNEL_BYTES} bytes", where=self.url)
        return None if told.etag == etag else told

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document. Raises Conflict, Refused, BadName."""
        tag = releasetags.of_channel(model, alias)
        if len(document) > CHANNEL_BYTES:
            raise Refused(f"a channel document has at most {CHANNEL_BYTES} bytes", where=tag)
        with self._lock:
            there = self.channels.get((model, alias))
            if (there.etag if there else None) != (after.etag if after else None):
                raise Conflict(tag, where=self.url)
            self._moves += 1
            told = self.channels[model, alias] = Told(document, f"{self._moves:x}")
            return told
