"""The port to a store: objects under keys, with conditional writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec


class Meta(msgspec.Struct, frozen=True):
    """What a store says of an object: `size` in bytes; `etag` changes whenever the object's body does."""

    key: str
    size: int
    etag: str


class Found(msgspec.Struct, frozen=True):
    """An object that was read whole."""

    data: bytes
    etag: str


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a store was seen to honour (`rote store probe`), when several clients use it at once."""

    create: bool = True
    """Of several who create one object, exactly one does."""
    replace: bool = True
    """Nobody replaces what another has replaced meanwhile."""
    delete: bool = False
    """Nobody deletes what another has replaced meanwhile. Without it `delete` with an etag is Unsupported."""
    reads: bool = True
    """What was written is what everybody reads from then on."""
    lists: bool = True
    """What was written is in every listing from then on; listings are whole and sorted."""

    @property
    def shared(self) -> bool:
        """Whether several may write at once, and objects may be collected. Otherwise: one writer, and no gc."""
        return self.create and self.replace and self.reads and self.lists


class ObjectStore(Protocol):
    """A flat space of objects under keys such as `txns/2026…`.

    Keys are `/`-joined names of `[A-Za-z0-9._@+=,-]`, each 1 to 255 bytes, none beginning with a dot, at most 900
    bytes in all; anything else is BadName before a byte moves. No key lies below another. After a write has returned,
    every reader sees it and it survives a power cut. A reader never sees half of an object. An etag may come back with
    an equal body, so bodies that are replaced under a condition never repeat. Every method may raise
    StoreUnavailable; writes may raise StoreFull, and Unknown where the reply was lost.
    """

    @property
    def url(self) -> str:
        """The store's address, fit to be shown (no secrets)."""

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound; Corrupt for one of more than 256 MiB, which only packs may have."""

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound; Corrupt if the object ends before that."""

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked. Raises as `get_range`."""

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound."""

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict if it does (with nothing
        changed)."""

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict if it has another or
        is gone."""

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object; with `etag` only if it has exactly that one (Conflict otherwise). Deleting what is not
        there is no error without `etag`, Conflict with one. Raises Unsupported with `etag`, and deletes nothing, where
        the store cannot look and delete in one step."""

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted by key's bytes."""
