"""A folder or a single file of the working tree, with the digests that the stat cache vouches for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from rote.adapters.worktree import memory, stamps
from rote.adapters.worktree.memory import Folder
from rote.adapters.worktree.scan import Listing, Scan, Stretch, refusal, unreadable
from rote.errors import BadPath, Changed
from rote.ports import Columns
from rote.words.ids import shown
from rote.words.pointer import Pointer
from rote.words.snapshot import FILE

_BATCH = 8192
"""Files after which a batch is full. Batches grow folder by folder, so one may hold more."""
# O_NONBLOCK: should a pipe have taken a file's place, opening it must not wait for a writer.
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Hints = Mapping[str, tuple[tuple[int, ...], bytes]]
"""Path -> (stat row, digest): files that rote has just written itself."""


class _Rows:
    """A folder as it is now, with the digests that are known. Kept as bytes; taken apart where it is looked at."""

    __slots__ = ("_digests", "_known", "listing", "numbers", "recalled")

    def __init__(self, listing: Listing, old: Folder | None) -> None:
        self.listing = listing
        holds = old and old.names == listing.joined and old.stats == listing.stats
        self.recalled = old if holds else None
        """What was remembered, if all of it still holds."""
        self._digests: bytes | bytearray
        self._known: bytearray | None = None  # a flag for each row, if some digest is not known
        if old and holds:
            listing.joined, listing.stats = old.names, old.stats  # one copy is enough
            self._digests = old.digests
        else:
            count = len(listing.stats) // stamps.ROW
            self._digests, self._known = bytearray(32 * count), bytearray(count)
            if old:
                self._match(old)
        self.numbers = memoryview(listing.stats).cast("q")
        """The stats, unpacked."""

    def _match(self, old: Folder) -> None:
        """Take over the digests of those files of a changed folder whose stat is as it was."""
        width = stamps.ROW
        stats = self.listing.stats
        where = {name: index for index, name in enumerate(old.names.decode().split("\0"))}
        for index, name in enumerate(self.listing.names):
            was = where.get(name)
            if was is not None and (
                old.stats[was * width : (was + 1) * width] == stats[index * width : (index + 1) * width]
            ):
                self.learn(index, [old.digests[was * 32 : (was + 1) * 32]])

    @property
    def names(self) -> list[str]:
        return self.listing.names

    def row(self, index: int) -> tuple[int, ...]:
        return stamps.numbers(self.listing.stats, index)

    def learn(self, start: int, digests: Sequence[bytes | None]) -> None:
        """The digests of the rows from `start` on."""
        assert self._known is not None
        assert isinstance(self._digests, bytearray)
        for index, digest in enumerate(digests, start):
            if digest is not None:
                self._digests[32 * index : 32 * index + 32] = digest
                self._known[index] = 1

    def digests(self, start: int, stop: int) -> list[bytes | None]:
        """Those of some rows, None for each that is not known."""
        blob, known = bytes(self._digests[32 * start : 32 * stop]), self._known
        found: list[bytes | None] = [blob[i : i + 32] for i in range(0, len(blob), 32)]
        if known is not None and 0 in known[start:stop]:
            return [digest if known[i] else None for i, digest in enumerate(found, start)]
        return found

    def knows(self, index: int) -> bool:
        """Whether a row's digest is known."""
        return self._known is None or bool(self._known[index])

    @property
    def unknown(self) -> list[int]:
        """The rows whose digest is not known."""
        return [] if self._known is None else [i for i, known in enumerate(self._known) if not known]

    def folder(self, now: int) -> Folder:
        """As the stat cache is to keep it."""
        if self.recalled:
            return self.recalled
        stats = stamps.sure(self.listing.stats, now)
        unknown = self.unknown
        if unknown:
            kept = bytearray(stats)
            for index in unknown:
                kept[index * stamps.ROW : (index + 1) * stamps.ROW] = stamps.UNSURE
            stats = bytes(kept)
        return Folder(self.listing.prefix, self.listing.joined, stats, bytes(self._digests))


class _Batch(Columns):
    """A batch that knows which rows it was made of."""

    stretches: list[tuple[_Rows, int, int]] = msgspec.field(default_factory=list)


class WorkTree:
    """The Tree of a working tree: scanned once, when it is made. Raises BadPath for what may not be taken.

    `full` is the absolute path, `shown_as` its name in errors, `file` where the stat cache keeps what it knows of it,
    `probe` a file that may be written to ask the file system for its time.
    """

    def __init__(
        self,
        full: str,
        shown_as: str,
        *,
        file: str,
        probe: str,
        fresh: bool = False,
        hints: Hints | None = None,
    ) -> None:
        self._full = full
        self._path = shown_as
        self._file = file
        self._single = os.path.isfile(full)
        self._old = None if fresh else memory.load(file, shown_as)
        self._waiting: dict[str, tuple[_Rows, int]] = {}
        self._by_prefix: dict[str, _Rows] = {}
        self.linked: list[str] = []
        self._now = stamps.moment(probe, os.stat(full).st_dev)
        stretches = self._scan_file() if self._single else self._scan_folder()
        self._rows: list[_Rows] = []
        self._stretches: list[tuple[_Rows, int, int]] = []
        self._recall(stretches, hints or {})
        self._refuse_unreadable()

    def _scan_file(self) -> list[Stretch]:
        if os.path.islink(self._full):
            self.linked.append(FILE)
        listing = Listing("", FILE.encode(), stamps.packed(list(stamps.row(os.stat(self._full)))))
        self._listings = [listing]
        return [(listing, 0, 1)]

    def _scan_folder(self) -> list[Stretch]:
        known = {f.prefix: f.names for f in self._old.folders} if self._old else {}
        scan = Scan(self._full, known, self._path)
        scan.run()
        self.linked += scan.linked
        self._listings = scan.listings
        return scan.stretches

    def _recall(self, stretches: list[Stretch], hints: Hints) -> None:
        """Meet what is there with what was remembered."""
        old = {f.prefix: f for f in self._old.folders} if self._old else {}
        made: dict[int, _Rows] = {}
        for listing in self._listings:
            rows = _Rows(listing, old.get(listing.prefix))
            if hints:
                _hint(rows, hints)
            made[id(listing)] = rows
            self._rows.append(rows)
        self._stretches = [(made[id(listing)], start, stop) for listing, start, stop in stretches]

    def _refuse_unreadable(self) -> None:
        """Before a byte is written: every file that has to be read may be read."""
        troubles = []
        for rows in self._rows:
            if rows.recalled:
                continue
            modes = rows.numbers[4 :: stamps.WIDTH].tolist()
            hidden = [i for i, mode in enumerate(modes) if mode & 0o444 != 0o444 and not rows.knows(i)]
            names = rows.names if hidden else []
            for index in hidden:
                path = rows.listing.prefix + names[index]
                full = self._full if self._single else os.path.join(self._full, path)
                if unreadable(full, modes[index]):
                    named = self._path if self._single else f"{self._path}/{path}"
                    troubles.append((named, "it may not be read"))
        if troubles:
            raise refusal(troubles)

    @property
    def single(self) -> bool:
        return self._single

    def identity(self) -> Pointer | None:
        """The remembered snapshot, if every file is as it was and none has come or gone."""
        old = self._old
        if old is None or old.identity is None or len(old.folders) != len(self._rows):
            return None
        return old.identity if all(rows.recalled for rows in self._rows) else None

    def unread(self) -> int:
        """Bytes of the files whose digest is not known."""
        total = 0
        for rows in self._rows:
            if not rows.recalled:
                sizes = rows.numbers[3 :: stamps.WIDTH].tolist()
                total += sum(sizes[index] for index in rows.unknown)
        return total

    def batches(self) -> Iterator[Columns]:
        """The tree in path order; a batch is about eight thousand files."""
        batch = _new_batch()
        for rows, start, stop in self._stretches:
            self._extend(batch, rows, start, stop)
            if len(batch.paths) >= _BATCH:
                yield batch
                batch = _new_batch()
        if batch.paths:
            yield batch

    def _extend(self, batch: _Batch, rows: _Rows, start: int, stop: int) -> None:
        prefix, width = rows.listing.prefix, stamps.WIDTH
        names = rows.names[start:stop]
        paths = [prefix + name for name in names] if prefix else names
        digests = rows.digests(start, stop)
        batch.paths += paths
        batch.sizes += rows.numbers[start * width + 3 : stop * width : width].tolist()
        modes = rows.numbers[start * width + 4 : stop * width : width].tolist()
        batch.executables += bytes([mode >> 6 & 1 for mode in modes])
        batch.digests += digests
        batch.stretches.append((rows, start, stop))
        if None in digests:
            for index, path in enumerate(paths, start):
                self._waiting[path] = (rows, index)

    def seen(self, batch: Columns) -> None:
        """Take over the digests of a batch that `batches` gave."""
        if not isinstance(batch, _Batch):
            raise TypeError("seen() takes the batch that batches() gave")
        at = 0
        for rows, start, stop in batch.stretches:
            count = stop - start
            if not rows.recalled:
                rows.learn(start, batch.digests[at : at + count])
                for path in batch.paths[at : at + count]:
                    self._waiting.pop(path, None)
            at += count

    def remember(self, identity: Pointer | None) -> None:
        """Keep what is known for next time; nothing is written if it was known already."""
        if self._old is not None and identity is not None and self.identity() == identity:
            return
        whole = not any(rows.unknown for rows in self._rows)
        folders = (rows.folder(self._now) for rows in self._rows)
        memory.save(self._file, self._path, (len(self._rows), folders), identity if whole else None)

    def read(self, path: str, size: int) -> bytes:
        """A whole file. Raises Changed, BadPath."""
        descriptor = self._open(path)
        try:
            data = os.read(descriptor, size + 1)
            while len(data) < size:
                more = os.read(descriptor, size + 1 - len(data))
                if not more:
                    break
                data += more
            self._still(descriptor, path, size, len(data))
        except OSError as e:
            raise BadPath(f"cannot read {shown(path, 200)}: {e.strerror}", where=self._path) from e
        finally:
            os.close(descriptor)
        return data

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        """A large file, piece by piece. Raises Changed when it is opened, and on leaving; BadPath."""
        descriptor = self._open(path)
        try:
            self._still(descriptor, path, size, os.fstat(descriptor).st_size)
            with open(descriptor, "rb", buffering=0, closefd=False) as file:

                def fill(memory: memoryview) -> int:
                    try:
                        return file.readinto(memory) or 0
                    except OSError as e:
                        raise BadPath(
                            f"cannot read {shown(path, 200)}: {e.strerror}", where=self._path
                        ) from e

                yield fill
            self._still(descriptor, path, size, os.fstat(descriptor).st_size)
        finally:
            os.close(descriptor)

    def _open(self, path: str) -> int:
        full = self._full if self._single else f"{self._full}/{path}"
        try:
            return os.open(full, _READING)
        except FileNotFoundError as e:
            raise self._changed(path) from e
        except OSError as e:
            raise BadPath(f"cannot read {shown(path, 200)}: {e.strerror}", where=self._path) from e

    def _still(self, descriptor: int, path: str, size: int, length: int) -> None:
        """Raise Changed unless the file is what the scan saw."""
        place = self._waiting.get(path) or self._place(path)
        if length != size or place is None or stamps.row(os.fstat(descriptor)) != place[0].row(place[1]):
            raise self._changed(path)

    def _place(self, path: str) -> tuple[_Rows, int] | None:
        """Where a path stands that needed no reading (it is read because the store does not have it)."""
        if not self._by_prefix:
            self._by_prefix = {rows.listing.prefix: rows for rows in self._rows}
        cut = path.rfind("/") + 1
        rows = self._by_prefix.get(path[:cut])
        if rows is None:
            return None
        for index, name in enumerate(rows.names):
            self._waiting[path[:cut] + name] = (rows, index)
        return self._waiting.get(path)

    def _changed(self, path: str) -> Changed:
        named = self._path if self._single else f"{self._path}/{path}"
        return Changed(
            f"{shown(named, 200)} changed while it was being read",
            safe="nothing was saved under a wrong name; what was saved before is untouched",
            next="try again when nothing writes to it any more",
        )


def _new_batch() -> _Batch:
    return _Batch(paths=[], sizes=[], executables=bytearray(), digests=[], stretches=[])


def _hint(rows: _Rows, hints: Hints) -> None:
    prefix = rows.listing.prefix
    for index, name in enumerate(rows.names):
        hint = hints.get(prefix + name)
        if hint is not None and not rows.knows(index) and rows.row(index) == hint[0]:
            rows.learn(index, [hint[1]])
