"""Publishing: the files of a version, plain and verified, to a place where others get them (docs/format.md, 10.10).

The order of writes makes a version appear whole: every file, then the manifest, then the end of the draft. Whoever is
killed goes on where it stopped, for what is there already is compared and not sent again.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Protocol

import msgspec
from blake3 import blake3

from rote import manifests, releasetags
from rote.errors import Changed, Conflict, Corrupt, Missing, NotFound, Refused, RoteError, StoreFull
from rote.hosting import HostedAsset, HostedRelease, ReleaseHost, Sending
from rote.ids import Digest, RunId, SnapshotId, shown
from rote.ports import Progress, Silence, Sink
from rote.publication import MANIFEST, NOTES, ManifestRef, PublishedAsset, PublishedFile, PublishedManifest
from rote.record import Version, VersionFile
from rote.snapshot import SnapshotRef
from rote.snapshots import Snapshots

THREADS = 4
"""Files that are sent at once."""
IN_MEMORY = 8 << 20
"""Bytes up to which a file waits in memory to be sent; a larger one on disk."""
_PIECE = 1 << 20


class Source(Protocol):
    """Where the files of a version come from."""

    def give(self, sink: Sink, only: Collection[str]) -> None:
        """Write the files with these paths to a sink, verified."""


class Stored:
    """A `Source`: the snapshot of a version in a store."""

    def __init__(self, snapshots: Snapshots, ref: SnapshotRef) -> None:
        self._snapshots = snapshots
        self._ref = ref

    def give(self, sink: Sink, only: Collection[str]) -> None:
        """See Source. Raises Missing, Corrupt, StoreUnavailable."""
        self._snapshots.restore(self._snapshots.record(self._ref), sink, only=frozenset(only))


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be published: `files` sorted by the path's UTF-8 bytes."""

    model: str
    version: str
    files: Sequence[VersionFile]
    run: RunId | None = None
    commit: str | None = None
    released: str = ""

    @property
    def tag(self) -> str:
        """The tag of its release."""
        return releasetags.of_version(self.model, self.version)

    @property
    def name(self) -> str:
        """How people call it."""
        return f"{self.model}@{self.version}"

    @property
    def snapshot(self) -> SnapshotId:
        """What follows from its files."""
        return manifests.snapshot_of(self.files)


def content_of(version: Version) -> Content:
    """What a version in a store is, to be published."""
    return Content(
        model=version.model,
        version=version.version,
        files=sorted(version.files, key=lambda file: file.path.encode()),
        run=version.run,
        commit=version.commit,
        released=version.released,
    )


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A version at a target. `sent` files and `bytes` were sent by this call; `created` tells whether it made the version
    there; `repaired` are files that had gone from there."""

    model: str
    version: str
    target: str
    page: str
    created: bool
    sent: int
    bytes: int
    repaired: list[str]
    manifest: ManifestRef


class Publishing:
    """Publishes versions at one target."""

    def __init__(self, host: ReleaseHost, *, threads: int = THREADS, progress: Progress | None = None) -> None:
        self._host = host
        self._threads = threads
        self._progress = progress or Silence()

    def publish(self, content: Content, source: Source, *, notes: str = "", fresh: bool = False) -> Published:
        """Publish a version: nothing happens if it is there, whole and the same. `fresh` throws away what an attempt
        with other bytes left of a draft.

        Raises Refused for other bytes under this version, Corrupt if what arrived is not what was sent, and what host and
        source raise.
        """
        there = self._host.find(content.tag)
        if there is None or there.draft:
            if there is not None and fresh:
                for asset in there.assets:
                    self._host.drop(there, asset)
            try:
                release = self._host.begin(content.tag, title=f"{content.model} {content.version}", notes=notes,
                                           commit=content.commit)  # fmt: skip
            except Conflict:  # somebody else finished it this moment
                there = self._host.find(content.tag)
                if there is None:
                    raise
            else:
                return self._new(content, source, release, notes)
        return self._again(content, source, there)

    def manifest(self, release: HostedRelease, content: Content | None = None) -> tuple[PublishedManifest, bytes]:
        """The manifest of a finished release, found sound, and its bytes. Raises Missing, Corrupt."""
        where = f"{self._host.url}: {release.tag}"
        asset = release.asset(MANIFEST)
        if asset is None:
            raise Missing(f"{release.tag} has no {MANIFEST}: it was not published by rote, or somebody deleted it",
                          where=self._host.url)  # fmt: skip
        if asset.size > manifests.MAX_BYTES:
            raise Corrupt("this manifest is larger than any is", where=where)
        data = b"".join(self._host.read(release, asset))
        found = manifests.decoded(data, where)
        if releasetags.of_version(found.model, found.version) != release.tag:
            raise Corrupt(f"the manifest is that of {found.model}@{found.version}", where=where)
        return found, data

    # ---- a new one ---------------------------------------------------------------------------------------------

    def _new(self, content: Content, source: Source, release: HostedRelease, notes: str) -> Published:
        names = self._names(content.files)
        total = sum(file.size for file in content.files)
        self._progress.start(f"publishing {content.name}", total, "bytes")
        try:
            sender = _Sender(self._host, release, names, self._threads, self._progress)
            files = sender.run(source, {file.path for file in content.files})
        finally:
            self._progress.done()
        self._refuse_strangers(content, release, files)
        made = PublishedManifest(
            model=content.model, version=content.version, snapshot=content.snapshot, files=files, run=content.run,
            commit=content.commit, released=content.released,
        )  # fmt: skip
        data = manifests.encoded(made)
        if len(data) > manifests.MAX_BYTES:
            raise Refused(f"{content.name} has too many files to be published: {len(files):,}", safe="it stays a draft")
        try:
            _checked(self._host, release, _whole(MANIFEST, data))
        except Conflict:
            there = self._host.find(content.tag)
            if there is None or there.draft:
                raise self._other_draft(content, MANIFEST) from None
            return self._again(content, source, there)
        done = self._host.finish(release, notes=notes)
        return self._told(content, done, manifests.ref_of(data), created=True, sent=sender.sent, size=sender.bytes)

    def _refuse_strangers(self, content: Content, release: HostedRelease, files: list[PublishedFile]) -> None:
        """What else lies in the draft is another's: none of it may come out under this version."""
        mine = {asset.name for file in files for asset in file.assets} | {MANIFEST, NOTES}
        stranger = next((asset.name for asset in release.assets if asset.name not in mine), None)
        if stranger is not None:
            raise self._other_draft(content, stranger)

    def _other_draft(self, content: Content, name: str) -> Refused:
        return _other_draft(self._host, content.name, name)

    def _names(self, files: Sequence[VersionFile]) -> dict[str, list[str]]:
        """Path -> the names of its parts."""
        names = manifests.Names([MANIFEST, NOTES])
        found = {}
        for file in files:
            name = names.take(self._host.asset_name(file.path))
            count = max(1, -(-file.size // self._host.largest))
            parts = [name] if count == 1 else [names.take(f"{name}.{n:03d}") for n in range(1, count + 1)]
            found[file.path] = parts
        return found

    # ---- one that is there -------------------------------------------------------------------------------------

    def _again(self, content: Content, source: Source, there: HostedRelease) -> Published:
        found, data = self.manifest(there)
        if found.snapshot != content.snapshot:
            raise Refused(
                f"{content.name} is published there with other files; a version never changes",
                where=self._host.url,
                safe="nothing was changed there",
                next=f"release these files under another number: rote release {content.model} --bump patch",
            )
        missing = self._missing(content, there, found)
        sent = size = 0
        if missing:
            names = {file.path: [asset.name for asset in file.assets] for file in found.files}
            sender = _Sender(self._host, there, names, self._threads, self._progress, former=missing)
            sender.run(source, missing.keys())
            sent, size = sender.sent, sender.bytes
        return self._told(content, there, manifests.ref_of(data), sent=sent, size=size, repaired=sorted(missing))

    def _missing(self, content: Content, there: HostedRelease, found: PublishedManifest) -> dict[str, PublishedFile]:
        sizes = {asset.name: asset.size for asset in there.assets}
        missing = {}
        for file in found.files:
            for asset in file.assets:
                size = sizes.get(asset.name)
                if size is None:
                    missing[file.path] = file
                elif size != asset.size:
                    raise Corrupt(
                        f"{asset.name} of {content.name} has {size:,} bytes there, not {asset.size:,}: it was changed "
                        "after it was published",
                        where=self._host.url,
                        safe="applications refuse it and keep the version they have",
                        next="delete it there, then publish again: what is missing is sent again",
                    )
        return missing

    def _told(
        self, content: Content, release: HostedRelease, ref: ManifestRef, *, created: bool = False, sent: int = 0,
        size: int = 0, repaired: Sequence[str] = (),
    ) -> Published:  # fmt: skip
        return Published(
            model=content.model, version=content.version, target=self._host.url, page=release.page, created=created,
            sent=sent, bytes=size, repaired=list(repaired), manifest=ref,
        )  # fmt: skip


class _Sender:
    """Sends files side by side as a source gives them: at most `threads` at once, and as many more wait at most."""

    def __init__(
        self, host: ReleaseHost, release: HostedRelease, names: dict[str, list[str]], threads: int, progress: Progress,
        former: dict[str, PublishedFile] | None = None,
    ) -> None:  # fmt: skip
        """`former`: files that are in a manifest already, which what is sent must agree with."""
        self.sent = 0
        self.bytes = 0
        self._host = host
        self._release = release
        self._names = names
        self._former = former
        self._progress = progress
        self._files: list[PublishedFile] = []
        self._pool = ThreadPoolExecutor(threads, "rote-publish")
        self._room = threading.Semaphore(2 * threads)
        self._under_way: list[Future[None]] = []
        self._lock = threading.Lock()
        self._failed = threading.Event()

    def run(self, source: Source, paths: Collection[str]) -> list[PublishedFile]:
        """Send the files with these paths; what they are there, in path order. Raises what the first of them raised."""
        try:
            source.give(self, paths)
        except _Failed:
            pass  # which one is found out below
        except BaseException:
            self._failed.set()
            raise
        finally:
            self._pool.shutdown(wait=True, cancel_futures=self._failed.is_set())
        for each in self._under_way:
            if not each.cancelled():
                each.result()
        if len(self._files) != len(paths):
            raise Missing("the store did not give every file of the version")
        return sorted(self._files, key=lambda file: file.path.encode())

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """See ports.Sink."""
        if self._failed.is_set():
            raise _Failed
        waiting = _Waiting(path, self._cuts(path, size))
        try:
            waiting.fill(parts)
        except BaseException:
            waiting.close()
            raise
        self._room.acquire()
        file = VersionFile(path=path, size=size, digest=Digest(digest.hex()), executable=executable)
        self._under_way.append(self._pool.submit(self._send, file, waiting))

    def _cuts(self, path: str, size: int) -> list[int]:
        """The lengths of the parts."""
        names = self._names[path]
        largest = self._host.largest
        return [min(largest, size - n * largest) for n in range(len(names))]

    def _send(self, file: VersionFile, waiting: _Waiting) -> None:
        try:
            made = waiting.described(file, self._names[file.path])
            former = self._former.get(file.path) if self._former else None
            if former is not None and former.assets != made.assets:
                raise Refused(f"{shown(file.path)} was published with other bytes", where=self._host.url)
            there = {asset.name for asset in self._release.assets} if former else set()
            for n, asset in enumerate(made.assets):
                if asset.name in there:
                    continue
                _checked(self._host, self._release, waiting.sending(n, asset))
                self._count(asset.size)
            with self._lock:
                self._files.append(made)
                self.sent += 1
        except Conflict as e:
            self._failed.set()
            raise _other_draft(self._host, self._release.tag, e.key) from e
        except BaseException:
            self._failed.set()
            raise
        finally:
            waiting.close()
            self._room.release()

    def _count(self, size: int) -> None:
        with self._lock:
            self.bytes += size
            self._progress.step(size)


class _Failed(RoteError):
    """One of the files could not be sent: the others need not be read."""

    def __init__(self) -> None:
        super().__init__("another file failed")


class _Waiting:
    """A file that waits to be sent, as it came: verified, in memory or on disk, with what was found on the way."""

    def __init__(self, path: str, cuts: list[int]) -> None:
        self._path = path
        self._cuts = cuts
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, prefix="rote-publish-")  # noqa: SIM115 (closed by `close`: it outlives this call)
        self._chunks: list[tuple[str, int]] = []
        self._sums = [hashlib.sha256() for _ in cuts]
        self._lock = threading.Lock()

    def fill(self, parts: Iterable[bytes | memoryview]) -> None:
        """Take all the bytes. Raises StoreFull."""
        at = part = 0
        try:
            for data in parts:
                self._chunks.append((blake3(data).hexdigest(), len(data)))
                self._file.write(data)
                rest = memoryview(data)
                while len(rest):
                    while at == self._cuts[part]:
                        part, at = part + 1, 0
                        if part == len(self._cuts):
                            raise Changed(f"{shown(self._path)} is longer than it was when it was looked at")
                    taken = rest[: self._cuts[part] - at]
                    self._sums[part].update(taken)
                    at += len(taken)
                    rest = rest[len(taken) :]
        except OSError as e:
            raise StoreFull(
                f"no room for a copy of {shown(self._path)} while it is sent: {e.strerror or e}",
                where=tempfile.gettempdir(),
                safe="what was sent before is there, and is not sent again",
                next="set TMPDIR to a folder with more room, then do the same again",
            ) from e

    def described(self, file: VersionFile, names: Sequence[str]) -> PublishedFile:
        """What the manifest says of it."""
        assets = [
            PublishedAsset(name, size, sha256.hexdigest())
            for name, size, sha256 in zip(names, self._cuts, self._sums, strict=True)
        ]
        chunks = self._chunks if len(self._chunks) > 1 else []
        return PublishedFile(
            path=file.path, size=file.size, digest=file.digest, executable=file.executable, assets=assets, chunks=chunks
        )

    def sending(self, part: int, asset: PublishedAsset) -> Sending:
        """One part of it."""
        begin = sum(self._cuts[:part])

        def read(start: int) -> Iterator[bytes]:
            at, end = begin + start, begin + asset.size
            while at < end:
                with self._lock:  # a host may read two parts at once
                    self._file.seek(at)
                    data = self._file.read(min(_PIECE, end - at))
                if not data:
                    raise Changed(f"the copy of {shown(self._path)} was cut short")
                at += len(data)
                yield data

        return Sending(asset.name, asset.size, asset.sha256, read)

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


def _whole(name: str, data: bytes) -> Sending:
    def read(start: int) -> Iterator[bytes]:
        yield data[start:]

    return Sending(name, len(data), hashlib.sha256(data).hexdigest(), read)


def _checked(host: ReleaseHost, release: HostedRelease, file: Sending) -> HostedAsset:
    """Send a file, and make sure that what lies there is what was sent: by the host's word for its SHA-256, or by
    reading it. Raises Conflict, Corrupt."""
    asset = host.send(release, file)
    found = asset.sha256
    if found is None:
        sha256 = hashlib.sha256()
        try:
            for piece in host.read(release, asset):
                sha256.update(piece)
        except (NotFound, Corrupt) as e:
            raise _not_sent(host, file, e.what) from e
        found = sha256.hexdigest()
    if (asset.size, found) != (file.size, file.sha256):
        raise _not_sent(host, file, "it has other bytes")
    return asset


def _not_sent(host: ReleaseHost, file: Sending, why: str) -> Corrupt:
    return Corrupt(
        f"what lies there as {shown(file.name)} is not what was sent: {why}",
        where=host.url,
        safe="the version is not public: it stays a draft",
        next="do the same again with --fresh, which removes the draft first",
    )


def _other_draft(host: ReleaseHost, what: str, name: str) -> Refused:
    return Refused(
        f"an unfinished attempt to publish {what} has left other bytes there: {shown(name)}",
        where=host.url,
        safe="nothing of it is public",
        next="if nobody else is publishing it now, do the same again with --fresh, which removes the draft first",
    )
