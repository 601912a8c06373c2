"""The ports to where the files of a version come to lie for an application."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from rote.ports.tree import Sink
from rote.words.ids import SnapshotId
from rote.words.landed import Provenance
from rote.words.snapshot import Entry


class Committed(Protocol):
    """The files of git commits."""

    def read(self, rev: str, wanted: Callable[[str], bool], *, below: str = "") -> Mapping[str, bytes]:
        """The regular files at or below the path `below` (relative to the project's root) in that commit whose path is
        `wanted`, as committed. Empty if there are none. Raises Missing if the commit is not here."""

    def modes(self, rev: str) -> Mapping[str, str]:
        """Every file of that commit -> `file`, `executable` or `link`. Raises as `read`."""


class Incoming(Sink, Protocol):
    """A version of a model that is being put together aside, while what is in use stays as it is."""

    def keep(self, entry: Entry) -> bool:
        """Take over a file that is here already with exactly this content (its digest is computed). False if there is
        none: then it must be written."""

    def has(self, digest: bytes) -> bool:
        """Whether a chunk of this BLAKE3 digest should be in the files that are here; nothing is read."""

    def chunk(self, digest: bytes) -> bytes | None:
        """A chunk from the files that are here, by its BLAKE3 digest; verified, or None."""

    def room(self, size: int) -> None:
        """So many bytes will be written. Raises StoreFull if there is no space for them."""

    def tell(self, of: Provenance) -> None:
        """Which version it is, and where it comes from: kept beside the files."""


class Landing(Protocol):
    """A folder on an application's machine in which versions of a model land, each of them whole or not at all."""

    def begin(self, id: SnapshotId) -> AbstractContextManager[Incoming]:
        """Begin a version. Leaving the context without an exception puts it in place in one step; with one, or by a
        crash, nothing has happened. Raises StoreFull; Unsaved if files that are not rote's own would be lost."""
