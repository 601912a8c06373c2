"""What applications that follow a model cost in a month: requests, and bytes that leave the place where it lies."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from rote.laws.publishing.stretches import Piece, requests
from rote.words.pipeline import Limits

MONTH: Final = 30 * 86_400.0
_DOCUMENT: Final = 4096
_MANIFEST_FILE: Final = 400
_MANIFEST_CHUNK: Final = 76
"""What a file, and a chunk of one, take in the manifest."""


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is followed: by so many applications, with a look every so many seconds, and so many new versions a
    month. `size` is a version's in bytes, `changed` what of it is new in each, `files` how many files that touches,
    `parts` in how many requests it is read, `manifest` the size of the list of what a version consists of."""

    apps: int
    every: float
    updates: float
    size: int
    changed: int
    files: int = 1
    parts: int = 1
    manifest: int = 0


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A plan: what of it is used, from 0 on (1 is all of it; None: not limited), and at which `every` (seconds) it
    would do; None if it never does."""

    plan: str
    reads: float | None
    out: float | None
    every: float | None

    @property
    def fits(self) -> bool:
        """Whether the plan is enough."""
        return (self.reads or 0.0) <= 1.0 and (self.out or 0.0) <= 1.0


class AppCost(msgspec.Struct, frozen=True, kw_only=True):
    """A month: looks and requests for updates (both are reads), bytes out, and how that fits plans."""

    looks: int
    fetches: int
    out: int
    first: int
    """Bytes that one application takes that has nothing yet."""
    fits: list[Fit]

    @property
    def reads(self) -> int:
        """Requests that are billed as reading."""
        return self.looks + self.fetches


def month(following: Following, plans: Mapping[str, Limits]) -> AppCost:
    """What a month costs."""
    f = following
    looks = round(f.apps * MONTH / f.every)
    # The document, the manifest, and what is new.
    fetches = round(f.apps * f.updates * (2 + f.parts))
    out = round(f.apps * f.updates * (f.changed + f.manifest + _DOCUMENT))
    first = f.size + f.manifest + _DOCUMENT
    cost = AppCost(looks=looks, fetches=fetches, out=out, first=first, fits=[])
    cost.fits.extend(_fit(name, limits, f, cost) for name, limits in plans.items())
    return cost


def _fit(name: str, limits: Limits, f: Following, cost: AppCost) -> Fit:
    left = None if limits.reads is None else limits.reads - cost.fetches
    every: float | None = 0.0
    if left is not None:
        every = f.apps * MONTH / left if left > 0 else None
    if limits.out is not None and cost.out > limits.out:
        every = None
    return Fit(
        plan=name, reads=_share(cost.reads, limits.reads), out=_share(cost.out, limits.out), every=every
    )


def _share(used: int, limit: int | None) -> float | None:
    return None if limit is None else used / limit if limit else float("inf")


Chunks = Sequence[tuple[bytes, int]]
"""Of a file, in order: (digest, length); a small file is one."""


class News(msgspec.Struct, frozen=True):
    """What of a version another one does not have: bytes, in how many files, read by how many requests."""

    changed: int
    files: int
    parts: int


def news(former: Iterable[Chunks], latter: Iterable[Chunks]) -> News:
    """What is new in the files of the latter version."""
    there = {digest for chunks in former for digest, _ in chunks}
    changed: dict[bytes, int] = {}
    files = parts = 0
    for chunks in latter:
        wanted = [(digest, length) for digest, length in chunks if digest not in there]
        changed.update(wanted)
        files += bool(wanted)
        parts += requests(_pieces(chunks, there)) if wanted else 0
    return News(sum(changed.values()), files, parts)


def _pieces(chunks: Chunks, there: Container[bytes]) -> Iterator[Piece]:
    start = 0
    for digest, length in chunks:
        yield Piece(start, length, digest, digest in there)
        start += length


def manifest(files: Iterable[Chunks]) -> int:
    """About how many bytes the list of these files takes."""
    counts = [len(chunks) for chunks in files]
    return sum(_MANIFEST_FILE + _MANIFEST_CHUNK * (count if count > 1 else 0) for count in counts)
