"""What a store's requests cost: classes of requests, plans, and what of a plan is used, left and expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from rote.words.pipeline import Limits

WRITES: Final = frozenset(["create", "replace", "list"])
"""Kinds of requests that vendors bill as writing (class A on R2 and Google; PUT, COPY, POST and LIST on S3)."""
READS: Final = frozenset(["get", "head"])
"""Kinds that they bill as reading (class B; GET and all others). What is in neither (`delete`) is free."""
KINDS: Final = ("create", "replace", "list", "get", "head", "delete")

PLANS: Final[Mapping[str, Limits]] = {
    "s3-free": Limits(plan="s3-free", writes=2_000, reads=20_000, stored=5 * 1000**3, out=100 * 1000**3),
    "r2-free": Limits(plan="r2-free", writes=1_000_000, reads=10_000_000, stored=10 * 1000**3),
}
"""Plans by name, for a month; where the figures are from is in docs/cost.md."""


class Usage(msgspec.Struct, kw_only=True):
    """Requests by kind, and bytes of bodies: `sent` to the store, `received` from it. `retries` of the requests were
    tries again."""

    requests: dict[str, int] = {}
    sent: int = 0
    received: int = 0
    retries: int = 0

    @property
    def writes(self) -> int:
        """Requests that are billed as writing."""
        return sum(n for kind, n in self.requests.items() if kind in WRITES)

    @property
    def reads(self) -> int:
        """Requests that are billed as reading."""
        return sum(n for kind, n in self.requests.items() if kind in READS)

    @property
    def total(self) -> int:
        """Requests of all kinds."""
        return sum(self.requests.values())

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        kinds = self.requests.keys() | other.requests.keys()
        return Usage(
            requests={k: self.requests.get(k, 0) + other.requests.get(k, 0) for k in KINDS if k in kinds},
            sent=self.sent + other.sent,
            received=self.received + other.received,
            retries=self.retries + other.retries,
        )

    def minus(self, other: Usage) -> Usage:
        """What came since `other`."""
        return Usage(
            requests={k: n for k in KINDS if (n := self.requests.get(k, 0) - other.requests.get(k, 0))},
            sent=self.sent - other.sent,
            received=self.received - other.received,
            retries=self.retries - other.retries,
        )


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """One limit of a plan: what is used of it, what the next run is expected to use. None: not limited, not known."""

    name: str
    used: int | None
    limit: int | None
    next: int | None

    @property
    def left(self) -> int | None:
        """What is left of it, never below 0."""
        return None if self.limit is None or self.used is None else max(0, self.limit - self.used)

    @property
    def runs(self) -> int | None:
        """For how many more runs that is enough; None if it is not known or does not matter."""
        return None if self.left is None or not self.next else self.left // self.next


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """The month so far against a plan. `counted`: whether this kind of store is counted at all; `last`: how many runs
    `next`, what a run is expected to use, goes by."""

    url: str
    counted: bool
    month: str
    commands: int
    used: Usage
    plan: str | None
    source: str
    shares: list[Share]
    next: Usage | None
    last: int


def together(parts: Iterable[Usage]) -> Usage:
    """The sum."""
    whole = Usage()
    for part in parts:
        whole = whole.plus(part)
    return whole


def expected(last: Sequence[Usage]) -> Usage | None:
    """What a run like these will use: of each figure the middle one, of two the larger; None without any to go by."""
    if not last:
        return None
    return Usage(
        requests={k: n for k in KINDS if (n := _middle([u.requests.get(k, 0) for u in last]))},
        sent=_middle([u.sent for u in last]),
        received=_middle([u.received for u in last]),
    )


def _middle(figures: list[int]) -> int:
    return sorted(figures)[len(figures) // 2]


def shares(limits: Limits, month: Usage, next: Usage | None, stored: int | None) -> list[Share]:
    """What stands against each limit. What a run sends is what the store will hold more at most."""
    return [
        Share(name="writes", used=month.writes, limit=limits.writes, next=next.writes if next else None),
        Share(name="reads", used=month.reads, limit=limits.reads, next=next.reads if next else None),
        Share(name="out", used=month.received, limit=limits.out, next=next.received if next else None),
        Share(name="stored", used=stored, limit=limits.stored, next=next.sent if next else None),
    ]
