"""The ports to what DVC keeps of a project: sums, objects and records, all of them only read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rote.ports import Tree
from rote.words.foreign import Made, Mark
from rote.words.pipeline import Stage


class ForeignTree(Tree, Protocol):
    """Files of DVC's that are here and verified."""

    def parts(self, path: str) -> Iterator[bytes]:
        """A file's content, piece by piece."""

    def close(self) -> None:
        """Nobody reads them any more: what was fetched for this goes."""


class ForeignSums(Protocol):
    """The sums, as DVC computes them, of what lies in the working tree."""

    def of(self, path: str, *, legacy: bool = False) -> str | None:
        """The md5 of a file, or of a folder's manifest with `.dir`; None if nothing is there. Raises BadPath."""

    def save(self) -> None:
        """Remember what was computed."""


class ForeignObjects(Protocol):
    """DVC's cache and its remotes."""

    def tree(self, mark: Mark, remote: str | None = None) -> ForeignTree:
        """The file or folder of this mark, every byte verified. Raises Missing, Corrupt, StoreUnavailable."""

    def inside(self, mark: Mark, path: str) -> Mark | None:
        """The mark of what lies at a path in the folder of this mark, if the cache has its manifest."""

    def has(self, mark: Mark) -> bool:
        """Whether the cache has the object itself; nothing is read."""

    def runs(self, key: str) -> list[tuple[str, bytes]]:
        """The entries of a key in the cache of runs: where each lies, and its bytes, newest first."""


class ForeignRecords(Protocol):
    """What DVC wrote down of stages."""

    def lock(self, stage: Stage) -> Made | None:
        """What dvc.lock says of a stage. Raises ConfigError if it is damaged."""

    def run(self, stage: Stage, where: str, data: bytes) -> Made | None:
        """What an entry of the cache of runs says; None if it cannot be read."""
