"""A path in another project as a source of data that can be followed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rote.laws.data.sourcelist import ONLY, SourceItem
from rote.ports import Progress
from rote.wiring.repoaddress import SourceAddress
from rote.wiring.repositories import Repository, Row
from rote.words.snapshot import FILE

_AHEAD = 8 << 20
_SMALL = 1 << 20
"""Small files are read together, about so many bytes at once."""


class RepositorySource:
    """A ports.Outside at a path in a project elsewhere."""

    def __init__(self, address: SourceAddress, progress: Progress) -> None:
        self._address = address
        self._progress = progress
        self._repository: Repository | None = None
        self._rows: dict[str, Row] = {}
        self._ahead: dict[str, bytes] = {}
        self._whole = False

    @property
    def url(self) -> str:
        """The address; there are no secrets in it."""
        return self._address.text()

    @property
    def name(self) -> str:
        """The last name of the path."""
        return "" if self._address.path == "." else self._address.path.rpartition("/")[2]

    @property
    def at(self) -> str:
        """The commit, or MODEL@VERSION, that `look` saw."""
        return self._repository.at if self._repository is not None else ""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """What is there now. Raises Missing, SourceUnavailable, UsageError."""
        address = self._address
        self._repository = Repository(
            address.repo, address.rev or None, store=address.store or None, progress=self._progress
        )
        holding = self._repository.find(address.path)
        self._rows = {row.path or ONLY: row for row in holding.rows}
        self._ahead.clear()
        self._whole = not known
        items = [SourceItem(path, row.size, row.digest) for path, row in self._rows.items()]
        if holding.single and known and items[0].etag == known:
            return None
        return holding.single, items

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """The whole item, verified, whatever `start` is. Raises NotFound, Corrupt, StoreUnavailable."""
        assert self._repository is not None
        row = self._rows[item.path]
        if row.ref is not None and self._whole and row.size <= _SMALL:
            if item.path not in self._ahead:
                self._read_ahead(item.path)
            return 0, row.size, iter([self._ahead.pop(item.path)] if row.size else [])
        return 0, row.size, self._repository.read(row)

    def _read_ahead(self, first: str) -> None:
        """This file and the small ones after it, in few requests."""
        assert self._repository is not None
        paths = list(self._rows)
        chosen, size = [], 0
        for path in paths[paths.index(first) :]:
            row = self._rows[path]
            if row.ref is not None and row.size <= _SMALL:
                chosen.append(row)
                size += row.size
            if size >= _AHEAD:
                break
        self._repository.write(chosen, _Kept(self._ahead))


class _Kept:
    """A ports.Sink that keeps files in memory."""

    def __init__(self, kept: dict[str, bytes]) -> None:
        self._kept = kept

    def file(
        self, path: str, size: int, executable: bool, digest: bytes, parts: Iterable[bytes | memoryview]
    ) -> None:
        self._kept[path if path != FILE else ONLY] = b"".join(bytes(part) for part in parts)
