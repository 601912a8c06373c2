"""The ports to data from outside, and to where it comes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from rote.laws.data.sourcelist import SourceItem


class Outside(Protocol):
    """A source of data outside: one object, or all below a prefix. Every method may raise SourceUnavailable."""

    @property
    def url(self) -> str:
        """The address, fit to be shown and to stand in git (no secrets)."""

    @property
    def name(self) -> str:
        """The last name in the address, or an empty text: where the data would go if nobody says."""

    @property
    def at(self) -> str:
        """What the source calls the state that it shows: a commit, say. Empty where it has no name for it."""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """Whether it is a single object (whose path is `snapshot.FILE`), and what is there, in any order; one request,
        or one a thousand objects. `single` says what it was before, None that nobody knows. None is returned where a
        single object still has the etag `known`."""

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """From which byte on the source gives an item (`start`, or 0 where it can only give all), how many bytes the
        whole item has (None if it does not say), and its pieces. Raises Changed, also on the way, if it is not what
        `look` saw."""


class Intake(Protocol):
    """Where the files of a source come in: a folder aside that outlives the process, so that what was fetched once is
    there when the same is asked again."""

    def have(self, item: SourceItem) -> int:
        """How many bytes of the item are there, from its beginning."""

    def whole(self, item: SourceItem) -> bool:
        """Whether all of it is there."""

    def take(self, item: SourceItem, start: int, parts: Iterable[bytes], total: int | None) -> None:
        """Append what comes, after the first `start` bytes of what is there. Raises SourceUnavailable (try again: what
        came stays) if it is not `total` bytes in the end."""

    def size(self, item: SourceItem) -> int:
        """The bytes of an item that is whole."""

    def equal(self, item: SourceItem, path: str) -> bool:
        """Whether the file at a path of the working tree has exactly these bytes."""

    def place(self, item: SourceItem, path: str) -> None:
        """Move an item to its place in the working tree, over a file that is there. Raises BadPath, RoteError."""

    def place_tree(self, items: Iterable[SourceItem]) -> None:
        """Put a folder of all these items at the data path, where nothing is, in one rename. Raises BadPath,
        RoteError."""

    def remove(self, path: str) -> None:
        """Delete a file of the working tree, and the folders that this empties."""

    def clear(self) -> None:
        """Everything has its place: forget the rest."""
