"""The port to the folder that a stage writes checkpoints into."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from rote.laws.pipeline.completeness import Stat
from rote.ports.tree import Tree


class HeldTree(Tree, Protocol):
    """Files of a folder that others go on working in, held as they were: what is replaced or deleted meanwhile can be
    read to its end."""

    def is_still(self) -> bool:
        """Whether no byte of them was changed since they were looked at."""


class CheckpointFolder(Protocol):
    """The folder that a stage writes checkpoints into."""

    @property
    def full(self) -> str:
        """Its absolute path."""

    def begin(self, note: bytes) -> str | None:
        """Make the folder empty, for a stage that starts. What rote did not put there, and no stage that it started
        (no note lies beside it), is put aside; returns where. `note` is kept until the next `begin`."""

    def note(self) -> bytes | None:
        """The note of the last stage that had this folder, or None."""

    def keep(self, note: bytes) -> None:
        """Replace the note."""

    def look(self) -> dict[str, Stat]:
        """Every regular file in it now, by its path in the folder; links are not followed. What comes and goes while
        this looks may be in it or not. Empty if the folder is not there."""

    def mark(self) -> bytes | None:
        """The content of the mark, or None."""

    def writing(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths` that some process has open for writing; none where the system cannot tell."""

    def watch(self) -> None:
        """A stage is about to work in it: from now on, until `close`, see what is renamed."""

    def renamed(self) -> Collection[str]:
        """The paths that were given to a file by a rename since `watch`, and into which nobody has written since; none
        where the system cannot tell."""

    def close(self) -> None:
        """The stage is over."""

    def hold(self, files: Mapping[str, Stat]) -> AbstractContextManager[HeldTree | None]:
        """Hold these files; None if one of them is no longer what its stat says. Raises BadPath for names that no
        snapshot may hold."""
