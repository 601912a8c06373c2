"""Objects of DVC's cache and of its remotes, by their sums: found, brought here, verified."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import msgspec
from blake3 import blake3

from rote.errors import Corrupt, Missing, NotFound, StoreUnavailable
from rote.laws.data.dvcsums import Summing, folder_sum, manifest, object_names
from rote.ports import Columns, ObjectStore
from rote.words.foreign import Mark
from rote.words.paths import clash
from rote.words.snapshot import FILE

_PIECE: Final = 1 << 20
_BATCH: Final = 4096
_FETCHED: Final = 32 << 20


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A remote: a folder, or a store that is opened when it is needed first."""

    name: str
    shown: str
    folder: str | None = None
    store: Callable[[], ObjectStore] | None = None


class _Row(msgspec.Struct, frozen=True):
    path: str
    file: str
    size: int
    digest: bytes
    executable: bool


class Objects:
    """Reads objects of the cache in `cache`, and what it does not have from `remotes`, through the folder `landing`."""

    def __init__(self, cache: str, remotes: Sequence[Remote], landing: str) -> None:
        self.cache = cache
        self._remotes = remotes
        self._landing = landing
        self._opened: dict[str, ObjectStore] = {}
        self._count = itertools.count()

    def tree(self, mark: Mark, remote: str | None = None) -> FoundTree:
        """The file or folder of this mark, every byte verified. `remote` is asked before others.

        Raises Missing (no cache and no remote has it whole), Corrupt, StoreUnavailable.
        """
        if not mark.folder:
            return self._tree([self._row(FILE, mark, remote)], single=True)
        about = self._tree([self._row(FILE, mark, remote, plain=True)], single=True)
        listed = manifest(b"".join(about.parts(FILE)), mark)
        about.close()
        two = clash([path for path, _ in listed])
        if two:
            raise Corrupt(
                f"the folder {mark.md5} has {two[0]} and {two[1]}, which differ only in case or in kind"
            )
        rows = [self._row(path, Mark(digest, legacy=mark.legacy), remote) for path, digest in listed]
        return self._tree(sorted(rows, key=lambda row: row.path.encode()), single=False)

    def _tree(self, rows: list[_Row], *, single: bool) -> FoundTree:
        fetched = [row.file for row in rows if os.path.dirname(row.file) == self._landing]
        return FoundTree(rows, fetched, single=single)

    def inside(self, mark: Mark, path: str) -> Mark | None:
        """The mark of what lies at a path in the folder of this mark, if the cache has its manifest."""
        for name in object_names(mark) if mark.folder else ():
            try:
                with open(os.path.join(self.cache, name), "rb") as file:
                    rows = manifest(file.read(), mark)
            except (OSError, Corrupt):
                continue
            for row, digest in rows:
                if row == path:
                    return Mark(digest, legacy=mark.legacy)
            below = [(row[len(path) + 1 :], digest) for row, digest in rows if row.startswith(f"{path}/")]
            return Mark(folder_sum(below), legacy=mark.legacy) if below else None
        return None

    def has(self, mark: Mark) -> bool:
        """Whether the cache has the object itself; nothing is read."""
        return any(os.path.isfile(os.path.join(self.cache, name)) for name in object_names(mark))

    def _row(self, path: str, mark: Mark, remote: str | None, *, plain: bool = False) -> _Row:
        """An object as a file here. With `plain` its content is verified by whoever reads it."""
        damaged: list[str] = []
        for name in object_names(mark):
            file = os.path.join(self.cache, name)
            if os.path.isfile(file):
                found = _verified(file, mark, plain)
                if found is not None:
                    return _Row(path, file, found[0], found[1], mark.executable)
                damaged.append(file)
        for name, one in ((n, r) for r in self._ordered(remote) for n in object_names(mark)):
            with self._fetched(one, name) as there:
                found = _verified(there, mark, plain) if there else None
                if there and found is not None:
                    os.replace(there, f"{there}.whole")
                    return _Row(path, f"{there}.whole", found[0], found[1], mark.executable)
                if there:
                    damaged.append(f"{one.shown}/{name}")
        if damaged:
            raise Corrupt(
                f"an object of DVC's has another content than its name says: {', '.join(damaged)}",
                safe="nothing was written",
                next=f"delete it ({damaged[0]}), then dvc fetch, or let rote run make it",
            )
        asked = ", ".join([self.cache, *(one.shown for one in self._remotes)])
        raise Missing(
            f"DVC's cache has no {mark.md5}, and no remote that rote reaches",
            where=asked,
            next="dvc fetch, or name a remote in .dvc/config that is a folder or s3://",
        )

    def _ordered(self, remote: str | None) -> list[Remote]:
        return sorted(self._remotes, key=lambda one: one.name != remote)

    @contextmanager
    def _fetched(self, remote: Remote, name: str) -> Iterator[str | None]:
        """An object of a remote as a file here, which is gone afterwards unless it was moved."""
        os.makedirs(self._landing, exist_ok=True)
        file = os.path.join(self._landing, f"{name.replace('/', '')[-40:]}.{os.getpid()}.{next(self._count)}")
        try:
            yield file if self._copy(remote, name, file) else None
        finally:
            if os.path.lexists(file):
                os.unlink(file)

    def _copy(self, remote: Remote, name: str, to: str) -> bool:
        if remote.folder is not None:
            try:
                with open(os.path.join(remote.folder, name), "rb") as source, open(to, "wb") as out:
                    while piece := source.read(_PIECE):
                        out.write(piece)
            except (FileNotFoundError, NotADirectoryError):
                return False
            except OSError as e:
                raise StoreUnavailable(
                    f"cannot read DVC's remote: {e.strerror}", where=str(e.filename)
                ) from e
            return True
        store = self._store(remote)
        try:
            size = store.head(name).size
        except NotFound:
            return False
        with open(to, "wb") as out:
            starts = range(0, size, _FETCHED)
            out.writelines(store.get_range(name, at, min(_FETCHED, size - at)) for at in starts)
        return True

    def _store(self, remote: Remote) -> ObjectStore:
        if remote.name not in self._opened:
            assert remote.store is not None  # a remote is a folder or a store
            self._opened[remote.name] = remote.store()
        return self._opened[remote.name]

    def runs(self, key: str) -> list[tuple[str, bytes]]:
        """The entries of a key in DVC's cache of runs: where each lies, and its bytes, newest first."""
        folder = os.path.join(self.cache, "runs", key[:2], key)
        try:
            files = [os.path.join(folder, name) for name in os.listdir(folder)]
            found = []
            for file in sorted(files, key=os.path.getmtime, reverse=True):
                with open(file, "rb") as opened:
                    found.append((file, opened.read(_PIECE)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return found


def _verified(file: str, mark: Mark, plain: bool) -> tuple[int, bytes] | None:
    """Size and digest of a file that has the content of the mark, or None."""
    if plain:
        return 0, b""
    summing, digest, size = Summing(mark.legacy), blake3(), 0
    with open(file, "rb") as opened:
        while piece := opened.read(_PIECE):
            summing.add(piece)
            digest.update(piece)
            size += len(piece)
    return (size, digest.digest()) if summing.sum() == mark.md5 else None


class FoundTree:
    """A Tree of verified files outside of the working tree."""

    def __init__(self, rows: Sequence[_Row], fetched: Sequence[str], *, single: bool) -> None:
        self._rows = rows
        self._fetched = fetched
        self._by_path = {row.path: row for row in rows}
        self._single = single

    @property
    def single(self) -> bool:
        """True for a single file."""
        return self._single

    def batches(self) -> Iterator[Columns]:
        """Every file, in path order, its digest known."""
        for start in range(0, len(self._rows), _BATCH):
            rows = self._rows[start : start + _BATCH]
            yield Columns(
                [row.path for row in rows],
                [row.size for row in rows],
                bytearray(row.executable for row in rows),
                [row.digest for row in rows],
            )

    def parts(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""
        with open(self._by_path[path].file, "rb") as file:
            while piece := file.read(_PIECE):
                yield piece

    def read(self, path: str, size: int) -> bytes:
        """A whole file."""
        with open(self._by_path[path].file, "rb") as file:
            return file.read(size)

    @contextmanager
    def _opened(self, path: str) -> Iterator[Callable[[memoryview], int]]:
        with open(self._by_path[path].file, "rb", buffering=0) as file:
            yield lambda into: file.readinto(into) or 0

    def stream(self, path: str, size: int) -> AbstractContextManager[Callable[[memoryview], int]]:
        """A large file, piece by piece."""
        return self._opened(path)

    def seen(self, batch: Columns) -> None:
        """Nothing has to be remembered: every digest was known."""

    def close(self) -> None:
        """Remove what was fetched."""
        for file in self._fetched:
            if os.path.lexists(file):
                os.unlink(file)
