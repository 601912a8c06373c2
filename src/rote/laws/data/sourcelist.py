"""The list of what a source of data had: written, read, compared (docs/format.md, 9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from rote.errors import BadPath, Corrupt
from rote.words import paths
from rote.words.encoding import digest_of
from rote.words.ids import shown
from rote.words.pointer import Source
from rote.words.snapshot import FILE

HEAD: Final = "rote source 1"
ONLY: Final = FILE
"""The path of the item of a source that is a single object."""
_SHOWN = 5


class SourceItem(msgspec.Struct, frozen=True):
    """One file of a source: its path below the source's address, its size in bytes (None if the source does not say),
    and what changes when its content does."""

    path: str
    size: int | None
    etag: str


class SourceChange(msgspec.Struct, frozen=True):
    """What a source has now that it had not: items to fetch (`new` and `changed` by path), and paths that are gone."""

    new: list[SourceItem]
    changed: list[SourceItem]
    gone: list[str]

    @property
    def fetch(self) -> list[SourceItem]:
        """Every item whose bytes are needed."""
        return [*self.new, *self.changed]

    @property
    def paths(self) -> set[str]:
        """Every path that is concerned."""
        return {item.path for item in self.fetch} | set(self.gone)


class Followed(msgspec.Struct, frozen=True):
    """What is saved along with data from outside: its source, and the text of the source's list (a folder's)."""

    source: Source
    listed: bytes | None


def checked(items: Iterable[SourceItem], url: str) -> list[SourceItem]:
    """The items in order. Raises BadPath for names that no snapshot can hold, before a byte is fetched."""
    found = sorted(items, key=lambda item: item.path.encode("utf-8", "surrogateescape"))
    bad = [(item.path, why) for item in found if (why := paths.why_bad(item.path))]
    if bad:
        told = "; ".join(f"{shown(path, 200)}: {why}" for path, why in bad[:_SHOWN])
        more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise BadPath(
            f"no snapshot can hold these names: {told}{more}",
            where=url,
            safe="nothing was fetched",
            next="rename them at the source, or take a part of it",
        )
    clash = paths.clash(item.path for item in found)
    if clash:
        raise BadPath(
            f"{shown(clash[0], 200)} and {shown(clash[1], 200)} cannot both be files here: not every file system "
            "tells them apart",
            where=url,
            safe="nothing was fetched",
            next="rename one of them at the source, or take a part of it",
        )
    return found


def text(items: Sequence[SourceItem]) -> bytes:
    """The list of items that are in order."""
    lines = (f"{item.etag}\t{'' if item.size is None else item.size}\t{item.path}\n" for item in items)
    return f"{HEAD}\n{''.join(lines)}".encode()


def mark(listed: bytes) -> str:
    """What a pointer says of a list, as its source's etag."""
    return f"list {digest_of(listed)}"


def parse(listed: bytes, where: str) -> list[SourceItem]:
    """The items of a list. Raises Corrupt."""
    try:
        head, *lines = listed.decode("utf-8").removesuffix("\n").split("\n")
        if head != HEAD:
            raise ValueError(head)
        found = []
        for line in lines:
            etag, size, path = line.split("\t", 2)
            found.append(SourceItem(path, int(size) if size else None, etag))
    except ValueError:
        raise Corrupt("this is no list of a source", where=where, next="rote store check") from None
    return found


def compare(before: Iterable[SourceItem], now: Iterable[SourceItem]) -> SourceChange:
    """What changed from one list to another."""
    old = {item.path: item for item in before}
    new, changed = [], []
    for item in now:
        known = old.pop(item.path, None)
        if known is None:
            new.append(item)
        elif known != item or not item.etag:
            changed.append(item)
    return SourceChange(new, changed, sorted(old))
