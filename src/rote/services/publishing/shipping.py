"""Files on their way to a target: read once, sent side by side in bounded memory, and looked at when they are there."""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Protocol

from blake3 import blake3

from rote.errors import Changed, Conflict, Corrupt, Missing, NotFound, Refused, RoteError, StoreFull
from rote.ports import Progress, Sink
from rote.ports.hosting import HostedAsset, HostedRelease, ReleaseHost, Sending
from rote.words.ids import Digest, shown
from rote.words.publication import PublishedAsset, PublishedFile
from rote.words.version import VersionFile

IN_MEMORY = 8 << 20
"""Bytes up to which a file waits in memory to be sent; a larger one on disk."""
_PIECE = 1 << 20


class Source(Protocol):
    """Where the files of a version come from."""

    def give(self, sink: Sink, only: Collection[str]) -> None:
        """Write the files with these paths to a sink, verified."""


class Sender:
    """Sends files side by side as a source gives them: at most `threads` at once, and as many more wait at most."""

    def __init__(
        self,
        host: ReleaseHost,
        release: HostedRelease,
        names: Mapping[str, list[str]],
        *,
        threads: int,
        progress: Progress,
        former: Mapping[str, PublishedFile] | None = None,
    ) -> None:
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
        except Failed:
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
            raise Failed
        waiting = Waiting(path, self._cuts(path, size))
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

    def _send(self, file: VersionFile, waiting: Waiting) -> None:
        try:
            made = waiting.described(file, self._names[file.path])
            former = self._former.get(file.path) if self._former else None
            if former is not None and former.assets != made.assets:
                raise Refused(f"{shown(file.path)} was published with other bytes", where=self._host.url)
            there = {asset.name for asset in self._release.assets} if former else set()
            for n, asset in enumerate(made.assets):
                if asset.name in there:
                    continue
                checked(self._host, self._release, waiting.sending(n, asset))
                self._count(asset.size)
            with self._lock:
                self._files.append(made)
                self.sent += 1
        except Conflict as e:
            self._failed.set()
            raise other_draft(self._host, self._release.tag, e.key) from e
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


class Failed(RoteError):
    """One of the files could not be sent: the others need not be read."""

    def __init__(self) -> None:
        super().__init__("another file failed")


class Waiting:
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
                while rest:
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
            path=file.path,
            size=file.size,
            digest=file.digest,
            executable=file.executable,
            assets=assets,
            chunks=chunks,
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


def whole(name: str, data: bytes) -> Sending:
    def read(start: int) -> Iterator[bytes]:
        yield data[start:]

    return Sending(name, len(data), hashlib.sha256(data).hexdigest(), read)


def checked(host: ReleaseHost, release: HostedRelease, file: Sending) -> HostedAsset:
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


def other_draft(host: ReleaseHost, what: str, name: str) -> Refused:
    return Refused(
        f"an unfinished attempt to publish {what} has left other bytes there: {shown(name)}",
        where=host.url,
        safe="nothing of it is public",
        next="if nobody else is publishing it now, do the same again with --fresh, which removes the draft first",
    )
