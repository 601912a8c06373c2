"""What applications that follow a model cost in a month: requests, and bytes that leave the place where it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from rote.pipeline import Limits

MONTH: Final = 30 * 86_400.0
_DOCUMENT: Final = 4096
_BATCH: Final = 8 << 20


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is followed: by so many applications, with a look every so many seconds, and so many new versions a
    month. `size` is a version's in bytes, `changed` what of it is new in each, `files` how many files that touches."""

    apps: int
    every: float
    updates: float
    size: int
    changed: int
    files: int = 1


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
    # The document, the list of files, and the changed chunks in batches.
    requests = 2 + max(f.files, -(-f.changed // _BATCH))
    fetches = round(f.apps * f.updates * requests)
    out = round(f.apps * f.updates * (f.changed + _DOCUMENT))
    cost = AppCost(looks=looks, fetches=fetches, out=out, first=f.size + _DOCUMENT, fits=[])
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


def news(former: Sequence[tuple[bytes, int]], latter: Sequence[tuple[bytes, int]]) -> int:
    """The bytes of the chunks (digest, length) of one version that another does not have."""
    there = {digest for digest, _ in former}
    return sum(length for digest, length in dict(latter).items() if digest not in there)
