"""The ports to loose files: those to be published, and the place where downloaded ones are put."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from rote.words.ids import Digest
from rote.words.publication import PublishedAsset


class LooseFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be published under `path`; `read` gives its bytes from an offset, as often as it is asked."""

    path: str
    size: int
    executable: bool = False
    read: Callable[[int], Iterator[bytes]]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A file to be downloaded: its `assets` joined. `sha256` of an asset is empty where nobody knows it."""

    path: str
    size: int
    assets: Sequence[PublishedAsset]
    digest: Digest | None = None
    executable: bool = False


class Slot(Protocol):
    """Where one file is written until it is whole and verified."""

    def existing(self) -> Iterator[bytes]:
        """What an earlier attempt left, from the beginning."""

    def write(self, data: bytes) -> None:
        """Go on behind that."""

    def restart(self) -> None:
        """Throw away what is there."""

    def close(self) -> None:
        """No more comes, or no more now."""


class Shelf(Protocol):
    """Where downloaded files are put."""

    def missing(self, files: Sequence[Wanted]) -> list[Wanted]:
        """Those that are not here already. Raises Unsaved if one would overwrite what no download brought."""

    def slot(self, file: Wanted) -> Slot:
        """Where to write one of them."""

    def place(self, files: Sequence[Wanted], digests: Mapping[str, Digest]) -> None:
        """Put all of them in their places, each in one step; all are whole by now."""

    def note(self, name: str, data: bytes) -> None:
        """Remember the manifest of the release whose files are here now, so that they can be held against it later;
        without a name the release has none."""
