"""Bundles: any files at a release, put there and brought back with two calls, without a project around them.

Beside the files lies a manifest that says what they are: `rote-manifest.json` if the tag is that of a model's version
(applications can follow it then), else `rote-files.json`. A release that somebody made by hand has none; what its host
tells of its assets is then all there is to compare with.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from rote.errors import BadName, Conflict, Corrupt, Refused, UsageError
from rote.laws.data.chunking import SMALL, Cutter
from rote.laws.publishing import manifests, releasetags
from rote.ports import Clock, Progress, Silence
from rote.ports.hosting import HostedRelease, ReleaseHost, Sending
from rote.ports.loose import LooseFile, Wanted
from rote.services.publishing.downloads import LATEST, THREADS, Downloads, check_paths
from rote.services.publishing.shipping import checked, other_draft, whole
from rote.services.store.crews import Crew
from rote.services.store.founding import CHUNK_AVG, CHUNK_MAX, CHUNK_MIN
from rote.words.ids import Digest, shown
from rote.words.publication import (
    FILES,
    MANIFEST,
    NOTES,
    PublishedAsset,
    PublishedFile,
    PublishedFiles,
    PublishedManifest,
)

_T = TypeVar("_T")
_U = TypeVar("_U")


class PublishedBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A release with its files. `sent` files and `bytes` were sent by this call; `created` tells whether it made it."""

    tag: str
    target: str
    page: str
    created: bool
    files: list[str]
    sent: int
    bytes: int


class Bundles:
    """Publishes at one host."""

    def __init__(
        self,
        host: ReleaseHost,
        *,
        threads: int = THREADS,
        progress: Progress | None = None,
        clock: Clock | None = None,
    ) -> None:
        """With a `clock` a release says when it was made: where its host does not, that tells which is the newest."""
        self._host = host
        self._clock = clock
        self._progress = progress or Silence()
        self._crew = Crew(threads)
        self._downloads = Downloads(host)

    def publish(
        self,
        tag: str,
        files: Sequence[LooseFile],
        *,
        title: str = "",
        notes: str = "",
        commit: str | None = None,
        fresh: bool = False,
    ) -> PublishedBundle:
        """Publish files under a tag: nothing happens if they are there, all and the same. `fresh` throws away what an
        attempt with other bytes left of a draft. Raises Refused for other files under this tag, and what host and
        files raise."""
        if not files:
            raise UsageError("there is nothing to publish: no file was named", next="name at least one")
        files = sorted(files, key=lambda file: file.path.encode())
        check_paths([file.path for file in files])
        model = _model_of(tag)
        there = self._host.find(tag)
        total = sum(file.size for file in files)
        self._progress.start(f"reading {len(files)} files", total, "bytes")
        try:
            known = self._crew.each(self._described, list(zip(files, self._named(files), strict=True)))
        finally:
            self._progress.done()
        if there is None or there.draft:
            if there is not None and fresh:
                for asset in there.assets:
                    self._host.drop(there, asset)
            try:
                draft = self._host.begin(tag, title=title or tag, notes=notes, commit=commit)
            except Conflict:  # somebody else finished it this moment
                there = self._host.find(tag)
                if there is None:
                    raise
            else:
                return self._new(
                    draft, files, known, _manifest(tag, model, known, commit, self._now()), notes
                )
        return self._again(there, files, known)

    def _now(self) -> str:
        now = self._clock.now() if self._clock else None
        return "" if now is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))

    def _begun(self, draft: HostedRelease, name: str, data: bytes) -> bytes:
        """The manifest to send; the one that an earlier attempt left, if it says the same but for the time."""
        asset = draft.asset(name)
        if asset is None or asset.size > manifests.MAX_BYTES:
            return data
        left = b"".join(self._host.read(draft, asset))
        return left if _timeless(left) == _timeless(data) else data

    def _named(self, files: Sequence[LooseFile]) -> list[list[str]]:
        names = manifests.Names([MANIFEST, NOTES, FILES])
        found = []
        for file in files:
            name = names.take(self._host.asset_name(file.path))
            count = max(1, -(-file.size // self._host.largest))
            found.append(
                [name] if count == 1 else [names.take(f"{name}.{n:03d}") for n in range(1, count + 1)]
            )
        return found

    def _described(self, named: tuple[LooseFile, list[str]]) -> PublishedFile:
        """What a file is: read once, for its digests."""
        file, names = named
        largest = self._host.largest
        sums = [hashlib.sha256() for _ in names]
        whole_sum = blake3()
        chunks = _Chunks()
        at = 0
        for data in self._crew.going(file.read(0)):
            whole_sum.update(data)
            chunks.feed(data)
            rest = memoryview(data)
            while rest:
                part = min(at // largest, len(sums) - 1)
                taken = rest[: max((part + 1) * largest - at, 0) or len(rest)]
                sums[part].update(taken)
                at += len(taken)
                rest = rest[len(taken) :]
            self._progress.step(len(data))
        assets = [
            PublishedAsset(name, min(largest, file.size - n * largest), sums[n].hexdigest())
            for n, name in enumerate(names)
        ]
        return PublishedFile(
            path=file.path,
            size=file.size,
            digest=Digest(whole_sum.hexdigest()),
            executable=file.executable,
            assets=assets,
            chunks=chunks.end(),
        )

    def _new(
        self,
        draft: HostedRelease,
        files: Sequence[LooseFile],
        known: Sequence[PublishedFile],
        manifest: tuple[str, bytes],
        notes: str,
    ) -> PublishedBundle:
        mine = {asset.name for file in known for asset in file.assets} | {manifest[0]}
        stranger = next((asset.name for asset in draft.assets if asset.name not in mine), None)
        if stranger is not None:
            raise other_draft(self._host, draft.tag, stranger)
        parts = [
            (file, asset, begin)
            for file, one in zip(files, known, strict=True)
            for asset, begin in parts_of(one)
        ]
        self._send(draft, parts, f"publishing {draft.tag}")
        try:
            checked(self._host, draft, whole(manifest[0], self._begun(draft, *manifest)))
        except Conflict as e:
            there = self._host.find(draft.tag)  # of two that publish the same at once one was first
            if there is None or there.draft:
                raise other_draft(self._host, draft.tag, e.key) from e
            return self._again(there, files, known)
        done = self._host.finish(draft, notes=notes)
        return self._published(done, known, True, len(files), sum(asset.size for _, asset, _ in parts))

    def _send(
        self, release: HostedRelease, parts: Sequence[tuple[LooseFile, PublishedAsset, int]], what: str
    ) -> None:
        self._progress.start(what, sum(asset.size for _, asset, _ in parts), "bytes")

        def send(part: tuple[LooseFile, PublishedAsset, int]) -> None:
            file, asset, begin = part
            self._deliver(
                release, Sending(asset.name, asset.size, asset.sha256, self._reader(file, asset, begin))
            )
            self._progress.step(asset.size)

        try:
            self._crew.each(send, parts)
        finally:
            self._progress.done()

    def _reader(self, file: LooseFile, asset: PublishedAsset, begin: int) -> Callable[[int], Iterator[bytes]]:
        def read(start: int) -> Iterator[bytes]:
            left = asset.size - start
            for data in self._crew.going(file.read(begin + start)):
                if len(data) >= left:
                    yield data[:left]
                    return
                left -= len(data)
                yield data

        return read

    def _deliver(self, release: HostedRelease, sending: Sending) -> None:
        try:
            checked(self._host, release, sending)
        except Conflict as e:
            raise other_draft(self._host, release.tag, e.key) from e

    def _again(
        self, there: HostedRelease, files: Sequence[LooseFile], known: Sequence[PublishedFile]
    ) -> PublishedBundle:
        """A release that is there already: what has gone from it is sent again, anything else is refused."""
        former = self._downloads.described(there).files
        mine = {one.path: (one.size, [a.sha256 for a in one.assets]) for one in known}
        theirs = {one.path: (one.size, [self._sha256(there, a) for a in one.assets]) for one in former}
        if mine != theirs:
            raise Refused(
                f"{shown(there.tag)} is published there with other files; what is published does not change",
                where=self._host.url,
                safe="nothing was changed there",
                next="publish under another tag",
            )
        self._refuse_changed(there, former)
        by_path = {file.path: file for file in files}
        here = {asset.name for asset in there.assets}
        lost = [
            (by_path[one.path], asset, begin)
            for one in former
            for asset, begin in parts_of(one)
            if asset.name not in here
        ]
        if lost:
            self._send(there, lost, f"sending again what {there.tag} lost")
        return self._published(
            there, known, False, len({f.path for f, _, _ in lost}), sum(a.size for _, a, _ in lost)
        )

    def _refuse_changed(self, there: HostedRelease, former: Sequence[Wanted]) -> None:
        """What lies there with another size than the list of files says was changed: downloads refuse it."""
        for one in former:
            for part in one.assets:
                asset = there.asset(part.name)
                if asset is not None and asset.size != part.size:
                    raise Corrupt(
                        f"{shown(part.name)} of {shown(there.tag)} has {asset.size:,} bytes there, not {part.size:,}: "
                        "it was changed after it was published",
                        where=self._host.url,
                        safe="downloads refuse it",
                        next="delete it there, then publish the same again: what is missing is sent again",
                    )

    def _sha256(self, release: HostedRelease, part: PublishedAsset) -> str:
        """The digest of a part: what is known, or, where nobody knows it, of its bytes."""
        asset = release.asset(part.name)
        if part.sha256 or asset is None:
            return part.sha256
        found = hashlib.sha256()
        for data in self._host.read(release, asset):
            found.update(data)
        return found.hexdigest()

    def _published(
        self, release: HostedRelease, known: Sequence[PublishedFile], created: bool, sent: int, size: int
    ) -> PublishedBundle:
        return PublishedBundle(
            tag=release.tag,
            target=self._host.url,
            page=release.page,
            created=created,
            files=[file.path for file in known],
            sent=sent,
            bytes=size,
        )


class _Chunks:
    """Cuts a file where its bytes say, so that an application that has an older version reads what is new."""

    def __init__(self) -> None:
        self._cutter: Cutter | None = None
        self._held = bytearray()
        self._found: list[tuple[str, int]] = []

    def feed(self, data: bytes) -> None:
        self._held += data
        if len(self._held) >= 2 * CHUNK_MAX:
            self._cut(last=False)

    def end(self) -> list[tuple[str, int]]:
        """(digest, length) of each; nothing of a file that is one chunk."""
        if self._cutter is not None or len(self._held) >= SMALL:
            self._cut(last=True)
        return self._found if len(self._found) > 1 else []

    def _cut(self, last: bool) -> None:
        if self._cutter is None:
            self._cutter = Cutter(CHUNK_MIN, CHUNK_AVG, CHUNK_MAX)
        data = bytes(self._held)
        view = memoryview(data)
        at = 0
        for length in self._cutter.cut(view, last) if data else []:
            self._found.append((blake3(view[at : at + length]).hexdigest(), length))
            at += length
        del self._held[:at]


def _manifest(
    tag: str,
    model: tuple[str, str] | None,
    files: Sequence[PublishedFile],
    commit: str | None,
    released: str,
) -> tuple[str, bytes]:
    if model is None:
        return FILES, manifests.encoded(PublishedFiles(tag=tag, files=list(files), released=released))
    made = PublishedManifest(
        model=model[0],
        version=model[1],
        snapshot=manifests.snapshot_of(files),
        files=list(files),
        commit=commit,
        released=released,
    )
    return MANIFEST, manifests.encoded(made)


def _timeless(manifest: bytes) -> Any:
    """What a manifest says but for its time; None if it is none."""
    try:
        found = msgspec.json.decode(manifest, type=dict)
    except (msgspec.DecodeError, RecursionError):
        return None
    return {**found, "released": ""}


def _model_of(tag: str) -> tuple[str, str] | None:
    """The model and version that a tag means, or None if it is another kind of tag. Raises BadName for a channel's."""
    try:
        return releasetags.parse(tag)
    except BadName:
        pass
    if tag == LATEST:
        raise BadName(
            "'latest' is the newest release, whichever it is, and no tag of its own", next="such as v1.0.0"
        )
    if releasetags.is_channel(tag):
        raise BadName(
            f"{shown(tag)} is the tag of a channel, which applications follow",
            next=f"a version is such as {tag.partition('@')[0]}@v1.0.0",
        )
    return None


def parts_of(file: PublishedFile | Wanted) -> list[tuple[PublishedAsset, int]]:
    """The parts of a file, and where each begins."""
    begins, at = [], 0
    for asset in file.assets:
        begins.append((asset, at))
        at += asset.size
    return begins
