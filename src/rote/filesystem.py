"""`rote://` for everything that reads through fsspec: pandas, Polars, PyArrow, Hugging Face datasets.

rote://SNAPSHOT/train/0.png            a snapshot by its id
rote://data/images@v1.2/train/0.png    a data path at a revision (a `/` in its name is written %2F)
rote://data/images/train/0.png         a data path as its pointer in the working tree says
"""

from __future__ import annotations

import errno
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from rote.errors import BadName, BadPath, Missing, MissingExtra, RoteError
from rote.services.data.fetching import Blocks
from rote.services.data.spots import Index, nodes_below
from rote.wiring.reaching import Reaching
from rote.words.ids import shown
from rote.words.snapshot import FILE, SnapshotRecord, SnapshotRef

try:
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem
except ImportError as e:
    raise MissingExtra(
        "reading rote:// needs fsspec, which is not installed", next="pip install 'rote[fsspec]'"
    ) from e

AHEAD = 16 << 20
"""Bytes that are fetched ahead of somebody who reads a file from front to back."""
_INDEXES = 64


class RoteFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """Data in a store, read-only. `project` is a folder in a project, `store` an address that goes before the
    project's; about `memory` bytes of blocks are kept, `threads` requests are under way at once.

    Raises FileNotFoundError, IsADirectoryError, NotADirectoryError as every file system; Corrupt and StoreUnavailable
    from `rote.errors`.
    """

    protocol = "rote"
    root_marker = ""

    def __init__(
        self,
        project: str = ".",
        store: str | None = None,
        memory: int = 256 << 20,
        threads: int = 8,
        **options: Any,
    ) -> None:
        super().__init__(project=project, store=store, memory=memory, threads=threads, **options)
        self._project = project
        self._store = store
        self._memory = memory
        self._threads = threads
        self._place: tuple[int, str] | None = None

    # ---- what fsspec asks --------------------------------------------------------------------------------------

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size, type, digest (BLAKE3, of a file) and the snapshot's id."""
        path = self._strip_protocol(path)
        if not path:
            return _folder("")
        head, ref, inner = self._address(path)
        found = self._file(ref, inner)
        if found is not None:
            return _file(path, ref, *found)
        index = self._below(ref, inner)
        if inner and not len(index):
            raise FileNotFoundError(errno.ENOENT, f"there is nothing at {shown(inner)} in {head}", path)
        return _folder(path)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """What is in a folder; at the root the data paths of the working tree."""
        path = self._strip_protocol(path)
        found = list(self._listed(path)) if path else [self.info(data) for data in self._reach().data()]
        return found if detail else [entry["name"] for entry in found]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **_: Any
    ) -> Any:
        """Every file below a folder, in path order."""
        path = self._strip_protocol(path)
        if maxdepth is not None or withdirs or not path:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail)
        head, ref, inner = self._address(path)
        index = self._below(ref, "" if ref.single else inner)
        found = {
            name: _file(name, ref, index, row)
            for row in range(len(index))
            for name in [head if ref.single else f"{head}/{index.path(row)}"]
        }
        return found if detail else list(found)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **_: Any) -> bytes:
        """The bytes of a file, or those from start to end (negative: from its end)."""
        return self._ranges([path], [start], [end])[0]

    def cat_ranges(
        self,
        paths: Sequence[str],
        starts: Any,
        ends: Any,
        on_error: str = "return",
        **_: Any,
    ) -> list[Any]:
        """Many ranges of many files, fetched together in parallel; those close to each other as one."""
        many = [v if isinstance(v, list | tuple) else [v] * len(paths) for v in (starts, ends)]
        try:
            return list(self._ranges(paths, many[0], many[1]))
        except (OSError, RoteError):
            if on_error == "raise":
                raise
            return [self._or_error(*one) for one in zip(paths, *many, strict=True)]

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **_: Any) -> Any:
        """The bytes of a file; of several (a list, a pattern, a folder with `recursive`) by their names, together."""
        paths = self.expand_path(path, recursive=recursive)
        if len(paths) == 1 and not isinstance(path, list) and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0])
        files = [each for each in paths if not self.isdir(each)] if recursive else paths
        found = self.cat_ranges(files, None, None, on_error="raise" if on_error == "raise" else "return")
        named = zip(files, found, strict=True)
        return {n: data for n, data in named if on_error != "omit" or not isinstance(data, Exception)}

    def ukey(self, path: str) -> str:
        """The digest of a file: it is the same if and only if the bytes are."""
        return str(self.info(path).get("digest", path))

    def checksum(self, path: str) -> int:
        """The digest of a file as a number."""
        return int(self.ukey(path), 16)

    def invalidate_cache(self, path: str | None = None) -> None:
        """Look again what revisions say."""
        if self._place is not None:
            self._reaching.forget()
        super().invalidate_cache(path)

    def _open(self, path: str, mode: str = "rb", **options: Any) -> RoteFile:
        if mode != "rb":
            raise _read_only(path)
        _, ref, inner = self._address(path)
        index, row = self._need(path, ref, inner)
        # Blocks are kept and fetched ahead below: a buffer of the file's own would only copy.
        kind = options.get("cache_type") or "none"
        return RoteFile(self, path, index, row, cache_type=kind, cache_options=options.get("cache_options"))

    def mkdir(self, path: str, *_: Any, **__: Any) -> None:
        """Raises OSError: snapshots never change."""
        raise _read_only(path)

    def makedirs(self, path: str, *_: Any, **__: Any) -> None:
        """Raises OSError: snapshots never change."""
        raise _read_only(path)

    def rm_file(self, path: str) -> None:
        """Raises OSError: snapshots never change."""
        raise _read_only(path)

    _rm = rm_file

    def cp_file(self, _: str, path: str, **__: Any) -> None:
        """Raises OSError: snapshots never change."""
        raise _read_only(path)

    # ---- where things are --------------------------------------------------------------------------------------

    def _reach(self) -> Reaching:
        """The project; found anew in another process, or when a relative folder means another one."""
        place = (os.getpid(), os.path.abspath(self._project))
        if self._place != place:
            self._reaching = Reaching.open(self._project, self._store)
            store, self._snapshots = self._reaching.source()
            self._blocks = Blocks(store, limit=self._memory, threads=self._threads)
            self._records: dict[str, SnapshotRecord] = {}
            self._indexes: OrderedDict[tuple[str, tuple[int, ...]], Index] = OrderedDict()
            self._place = place
        return self._reaching

    def _address(self, path: str) -> tuple[str, SnapshotRef, str]:
        reach = self._reach()
        try:
            head, ref, inner = reach.address(self._strip_protocol(path))
        except (Missing, BadPath, BadName) as e:
            raise FileNotFoundError(errno.ENOENT, "; ".join(e.lines()), path) from e
        if ref.single and inner and inner != FILE:
            raise NotADirectoryError(errno.ENOTDIR, f"{head} is a file", path)
        return head, ref, FILE if ref.single else inner

    def _record(self, ref: SnapshotRef) -> SnapshotRecord:
        if ref.key not in self._records:
            self._records[ref.key] = self._snapshots.record(ref)
        return self._records[ref.key]

    def _index(self, ref: SnapshotRef, numbers: Sequence[int]) -> Index:
        """The rows of some neighbouring nodes."""
        key = (ref.key, tuple(numbers))
        index = self._indexes.get(key)
        if index is None:
            index = Index.of(self._snapshots.nodes(self._record(ref), numbers))
            self._indexes[key] = index
            while len(self._indexes) > _INDEXES:
                self._indexes.popitem(last=False)
        else:
            self._indexes.move_to_end(key)
        return index

    def _file(self, ref: SnapshotRef, inner: str) -> tuple[Index, int] | None:
        """One file, out of the one node that can hold it."""
        numbers = nodes_below(self._record(ref), inner)[:1] if inner else ()
        index = self._index(ref, numbers)
        row = index.find(inner)
        return None if row is None else (index, row)

    def _need(self, path: str, ref: SnapshotRef, inner: str) -> tuple[Index, int]:
        found = self._file(ref, inner)
        if found is None:
            self.info(path)  # raises if there is nothing
            raise IsADirectoryError(errno.EISDIR, "this is a folder", path)
        return found

    def _below(self, ref: SnapshotRef, inner: str) -> Index:
        record = self._record(ref)
        numbers = nodes_below(record, inner)
        return Index.of(self._snapshots.nodes(record, numbers), inner)

    def _listed(self, path: str) -> Iterator[dict[str, Any]]:
        head, ref, inner = self._address(path)
        found = self._file(ref, inner)
        if found is not None:
            yield _file(path, ref, *found)
            return
        prefix = f"{inner}/" if inner else ""
        record = self._record(ref)
        seen: set[str] = set()
        for number in nodes_below(record, inner):
            child = _only_child(record, number, prefix)
            if child is not None:  # all of the node lies in one folder: there is no need to read it
                if child not in seen:
                    seen.add(child)
                    yield _folder(f"{head}/{prefix}{child}")
                continue
            index = self._index(ref, [number])
            for row in range(len(index)):
                name, is_file = _child(index.path(row), prefix)
                if name and name not in seen:
                    seen.add(name)
                    whole = f"{head}/{prefix}{name}"
                    yield _file(whole, ref, index, row) if is_file else _folder(whole)
        if inner and not seen:
            raise FileNotFoundError(errno.ENOENT, f"there is nothing at {shown(inner)} in {head}", path)

    # ---- bytes -------------------------------------------------------------------------------------------------

    def _ranges(
        self, paths: Sequence[str], starts: Sequence[int | None], ends: Sequence[int | None]
    ) -> list[bytes]:
        wanted = []
        for path, start, end in zip(paths, starts, ends, strict=True):
            _, ref, inner = self._address(path)
            index, row = self._need(path, ref, inner)
            begin, stop, _ = slice(start, end).indices(index.sizes[row])
            wanted.append((index, row, begin, max(begin, stop)))
        have = self._blocks.get(spot for index, *place in wanted for spot in index.spots(*place))
        return [self._blocks.assembled(index, row, have, begin, stop) for index, row, begin, stop in wanted]

    def _or_error(self, path: str, start: int | None, end: int | None) -> bytes | Exception:
        try:
            return self.cat_file(path, start, end)
        except (OSError, RoteError) as e:
            return e

    def piece(self, index: Index, row: int, start: int, end: int, ahead: int) -> bytes:
        """Bytes of a file that is open; `ahead` bytes after them are fetched while they are used."""
        have = self._blocks.get(index.spots(row, start, end))
        if ahead:
            self._blocks.ahead(index.spots(row, end, end + ahead))
        return self._blocks.assembled(index, row, have, start, end)


class RoteFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """One file, open for reading. What is read from front to back is fetched ahead."""

    def __init__(self, fs: RoteFileSystem, path: str, index: Index, row: int, **options: Any) -> None:
        self._index = index
        self._row = row
        self._next = 0
        super().__init__(fs, path, mode="rb", size=index.sizes[row], **options)

    def _fetch_range(self, start: int, end: int) -> bytes:
        ahead = min(AHEAD, self.fs._memory // 4) if start == self._next and end < self.size else 0
        self._next = end
        return bytes(self.fs.piece(self._index, self._row, start, end, ahead))


def _child(path: str, prefix: str) -> tuple[str, bool]:
    """The name right below the prefix, and whether it is a file; an empty one if the path lies elsewhere."""
    if not path.startswith(prefix):
        return "", False
    name, slash, _ = path[len(prefix) :].partition("/")
    return name, not slash


def _only_child(record: SnapshotRecord, number: int, prefix: str) -> str | None:
    """The folder below the prefix that holds a whole node, if its first path and the next node's first tell it."""
    if number + 1 >= len(record.nodes):
        return None
    first, following = record.nodes[number].first, record.nodes[number + 1].first
    if not first.startswith(prefix):
        return None
    name, slash, _ = first[len(prefix) :].partition("/")
    return name if slash and following.startswith(f"{prefix}{name}/") else None


def _folder(name: str) -> dict[str, Any]:
    return {"name": name, "size": 0, "type": "directory"}


def _file(name: str, ref: SnapshotRef, index: Index, row: int) -> dict[str, Any]:
    return {
        "name": name,
        "size": index.sizes[row],
        "type": "file",
        "digest": index.digest(row).hex(),
        "executable": bool(index.executables[row]),
        "snapshot": ref.id,
    }


def _read_only(path: str) -> OSError:
    return OSError(
        errno.EROFS, "rote:// is for reading; data is changed in the working tree and saved by rote add", path
    )
