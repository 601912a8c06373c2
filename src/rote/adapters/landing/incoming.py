"""A version that is being put together aside, out of what is here already and what comes from the store."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable

import msgspec
from blake3 import blake3

from rote.adapters.landing import disk
from rote.errors import Corrupt, StoreError, StoreFull
from rote.words import paths
from rote.words.encoding import with_check, without_check
from rote.words.ids import Digest, SnapshotId
from rote.words.landed import Manifest, Provenance
from rote.words.snapshot import Entry
from rote.words.version import VersionFile


class Source(msgspec.Struct, frozen=True):
    """Files that are here already: the folder they lie in, and what should lie there."""

    folder: str
    manifest: Manifest


def read_manifest(path: str) -> Manifest | None:
    """The manifest in this file, or None if there is none that is sound."""
    try:
        with open(path, "rb") as file:
            return without_check(file.read(), Manifest, path)
    except (OSError, StoreError):
        return None


class IncomingVersion:
    """A port `Incoming` that writes into an empty folder. Files may come from several threads."""

    def __init__(self, folder: str, sources: Iterable[Source], *, read_only: bool) -> None:
        """`read_only` files cannot be changed by mistake, and may share their content with other versions."""
        self._folder = folder
        self._read_only = read_only
        self._lock = threading.Lock()
        self._of: Provenance | msgspec.UnsetType = msgspec.UNSET
        self._files: dict[str, VersionFile] = {}
        self._chunks: dict[str, list[tuple[Digest, int]]] = {}
        self._here: dict[Digest, list[tuple[str, Manifest, str]]] = {}
        self._pieces: dict[Digest, tuple[str, int, int]] = {}
        for source in sources:
            self._index(source)

    def _index(self, source: Source) -> None:
        for file in source.manifest.files:
            if paths.why_bad(file.path) is None:
                where = os.path.join(source.folder, file.path)
                self._here.setdefault(file.digest, []).append((where, source.manifest, file.path))
        for path, chunks in source.manifest.chunks.items():
            if paths.why_bad(path) is not None:
                continue
            where, offset = os.path.join(source.folder, path), 0
            for digest, length in chunks:
                self._pieces.setdefault(digest, (where, offset, length))
                offset += length

    def keep(self, entry: Entry) -> bool:
        """See ports.Incoming."""
        digest = Digest(entry.digest.hex())
        for where, manifest, path in self._here.get(digest, ()):
            if disk.digest_of_file(where) != digest:
                continue
            with disk.translated(where):
                target = self._target(entry.path)
                disk.link_or_copy(where, target)
                # A second name shares the mode with the first: another mode needs a file of its own.
                if (os.stat(target).st_mode & 0o777) != self._mode(entry.executable):
                    os.unlink(target)
                    with open(where, "rb") as source, open(target, "xb") as copy:
                        while block := source.read(1 << 20):
                            copy.write(block)
                        self._finish(copy.fileno(), entry.executable)
            self._note(entry.path, entry.size, entry.executable, digest, manifest.chunks.get(path, []))
            return True
        return False

    def has(self, digest: bytes) -> bool:
        """See ports.Incoming."""
        return Digest(digest.hex()) in self._pieces

    def chunk(self, digest: bytes) -> bytes | None:
        """See ports.Incoming."""
        found = self._pieces.get(Digest(digest.hex()))
        if found is None:
            return None
        where, offset, length = found
        try:
            with open(where, "rb") as file:
                file.seek(offset)
                data = file.read(length)
        except OSError:
            return None
        return data if blake3(data).digest() == digest else None

    def room(self, size: int) -> None:
        """See ports.Incoming."""
        free = disk.free(self._folder)
        if free is not None and free < size:
            raise StoreFull(
                f"{size:,} bytes are to be written, and {free:,} are free",
                where=self._folder,
                safe="what was in use before is untouched",
                next="make room, or put the cache elsewhere",
            )

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        """See ports.Sink."""
        chunks: list[tuple[Digest, int]] = []
        with disk.translated(os.path.join(self._folder, path)):
            target = self._target(path)
            with open(target, "xb") as file:
                for part in parts:
                    file.write(part)
                    chunks.append((Digest(blake3(part).hexdigest()), len(part)))
                file.flush()
                self._finish(file.fileno(), executable)
        written = sum(length for _, length in chunks)
        if written != size:
            raise Corrupt(f"the file has {written} bytes, not {size}", where=path, next="rote store check")
        self._note(path, size, executable, Digest(digest.hex()), chunks)

    def tell(self, of: Provenance) -> None:
        """See ports.Incoming."""
        self._of = of

    def manifest(self, id: SnapshotId) -> Manifest:
        """What has arrived."""
        files = sorted(self._files.values(), key=lambda f: f.path.encode())
        return Manifest(snapshot=id, files=files, chunks=self._chunks, of=self._of)

    def seal(self, id: SnapshotId, path: str) -> Manifest:
        """Write the manifest to `path` and make everything last."""
        manifest = self.manifest(id)
        disk.write_whole(path, with_check(manifest))
        disk.flush_tree(self._folder)
        return manifest

    def _target(self, path: str) -> str:
        target = os.path.join(self._folder, paths.check(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        return target

    def _mode(self, executable: bool) -> int:
        if self._read_only:
            return 0o555 if executable else 0o444
        return 0o755 if executable else 0o644

    def _finish(self, fd: int, executable: bool) -> None:
        os.fchmod(fd, self._mode(executable))
        os.fsync(fd)

    def _note(
        self, path: str, size: int, executable: bool, digest: Digest, chunks: list[tuple[Digest, int]]
    ) -> None:
        with self._lock:
            self._files[path] = VersionFile(path=path, size=size, digest=digest, executable=executable)
            if len(chunks) > 1:
                self._chunks[path] = chunks
