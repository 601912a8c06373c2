"""Which of the stages that wait may start now."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec


class Turn(msgspec.Struct, frozen=True):
    """A stage whose turn it is: it may start, or it cannot any more because of the makers in `bad`."""

    stage: str
    bad: tuple[str, ...] = ()


class Schedule:
    """The stages of one run that are not settled yet.

    `order` names them so that each comes after all it needs; `wanted` says what each needs. At most `jobs` are under
    way at a time. Each step costs what the stages at hand cost, not what all that wait do.
    """

    def __init__(self, order: Sequence[str], wanted: Mapping[str, tuple[str, ...]], *, jobs: int) -> None:
        self._order = order
        self._wanted = wanted
        self._jobs = jobs
        self._place = {name: place for place, name in enumerate(order)}
        self._unsettled = {name: len(wanted[name]) for name in order}
        self._users: dict[str, list[str]] = {}
        for name in order:
            for maker in wanted[name]:
                self._users.setdefault(maker, []).append(name)
        self._ready = [place for place, name in enumerate(order) if not wanted[name]]
        self._waiting = set(order)
        self._busy: set[str] = set()
        self._bad: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether a stage is under way."""
        return bool(self._busy)

    @property
    def waiting(self) -> list[str]:
        """The stages whose turn has not come, in their order."""
        return [name for name in self._order if name in self._waiting]

    def next(self) -> Turn | None:
        """The stage whose turn it is; from now on it is under way. None if there is none now."""
        while self._ready and len(self._busy) < self._jobs:
            name = self._order[heapq.heappop(self._ready)]
            if name in self._waiting:
                self._waiting.discard(name)
                self._busy.add(name)
                return Turn(name, tuple(maker for maker in self._wanted[name] if maker in self._bad))
        return None

    def settle(self, name: str, *, bad: bool) -> None:
        """A stage is settled; if it is `bad`, those that need it cannot start any more."""
        self._busy.discard(name)
        if bad:
            self._bad.add(name)
        for user in self._users.get(name, ()):
            self._unsettled[user] -= 1
            if bad or not self._unsettled[user]:
                heapq.heappush(self._ready, self._place[user])
