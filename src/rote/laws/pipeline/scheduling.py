"""Which of the stages that wait may start now."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

import msgspec

from rote.laws.pipeline.bounding import Room, Share, kinds
from rote.words.pipeline import Resources


class Turn(msgspec.Struct, frozen=True):
    """A stage whose turn it is: it may start, or it cannot any more because of the makers in `bad`."""

    stage: str
    bad: tuple[str, ...] = ()


class Schedule:
    """The stages of one run that are not settled yet.

    `order` names them so that each comes after all it needs; `wanted` says what each needs. At most `jobs` are under
    way at a time, and no more than what there is `room` for. Each step costs what the stages at hand cost, not what all
    that wait do.
    """

    def __init__(
        self,
        order: Sequence[str],
        wanted: Mapping[str, tuple[str, ...]],
        *,
        jobs: int,
        room: Room | None = None,
    ) -> None:
        self._order = order
        self._wanted = wanted
        self._jobs = jobs
        self._room = room
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
        self._shares: dict[str, Share] = {}
        self._parked: dict[Resources, list[int]] = {}  # places, by what they wait for

    @property
    def busy(self) -> bool:
        """Whether a stage is under way."""
        return bool(self._busy)

    @property
    def waiting(self) -> list[str]:
        """The stages that have not started, in their order."""
        parked = {self._order[place] for places in self._parked.values() for place in places}
        return [name for name in self._order if name in self._waiting or name in parked]

    def next(self) -> Turn | None:
        """The stage whose turn it is; from now on it is under way. None if there is none now."""
        if len(self._busy) >= self._jobs:
            return None
        if (name := self._unparked()) is not None:
            self._busy.add(name)
            return Turn(name)
        while self._ready:
            name = self._order[heapq.heappop(self._ready)]
            if name in self._waiting:
                self._waiting.discard(name)
                self._busy.add(name)
                return Turn(name, tuple(maker for maker in self._wanted[name] if maker in self._bad))
        return None

    def admit(self, name: str, wanted: Resources) -> bool:
        """Whether there is room for a stage that is under way and turns out to want this much. If not, it is no longer
        under way, and its turn comes again when there is."""
        if self._room is None or name in self._shares or not kinds(wanted):
            return True
        if not self._scarce(self._place[name]) & kinds(wanted) and not self._room.lacking(wanted):
            self._shares[name] = self._room.take(wanted)
            return True
        self._busy.discard(name)
        heapq.heappush(self._parked.setdefault(wanted, []), self._place[name])
        return False

    def share(self, name: str) -> Share:
        """What a stage was given."""
        return self._shares.get(name, Share())

    def settle(self, name: str, *, bad: bool) -> None:
        """A stage is settled; if it is `bad`, those that need it cannot start any more."""
        self._busy.discard(name)
        if self._room is not None and name in self._shares:
            self._room.give(self._shares.pop(name))
        if bad:
            self._bad.add(name)
        for user in self._users.get(name, ()):
            self._unsettled[user] -= 1
            if bad or not self._unsettled[user]:
                heapq.heappush(self._ready, self._place[user])

    def _scarce(self, place: int) -> frozenset[str]:
        """What stages that come before this place wait for: nobody overtakes them in that."""
        found: frozenset[str] = frozenset()
        if self._room is not None:
            for wanted, places in self._parked.items():
                if places[0] < place:
                    found |= self._room.lacking(wanted)
        return found

    def _unparked(self) -> str | None:
        """The first stage in the order that waits for room, and has it now."""
        if self._room is None:
            return None
        for wanted, places in sorted(self._parked.items(), key=lambda item: item[1][0]):
            if not self._room.lacking(wanted) and not self._scarce(places[0]) & kinds(wanted):
                name = self._order[heapq.heappop(places)]
                if not places:
                    del self._parked[wanted]
                self._shares[name] = self._room.take(wanted)
                return name
        return None
