"""Following the log of a run under way, on the machine that makes it or on any other."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rote.errors import Missing, RoteError, StoreError
from rote.ports import Clock, ObjectStore
from rote.ports.logger import Logger
from rote.services.runs.control import Control
from rote.services.runs.livelog import LOG, Item, segment_key, unpack_segment
from rote.services.runs.runs import Runs, rest
from rote.services.runs.vigil import Vigil
from rote.services.store import conditional
from rote.words.ids import RunId, nearest, shown, stage_name
from rote.words.run import RUNNING, Run

_log = Logger(__name__)

NEAR = 0.2
"""Seconds between two looks at the local files of a run that this machine makes."""


class Silent(RoteError):
    """A run that counts as running gives no sign of life any more."""

    def __init__(self, id: RunId, still: float | None) -> None:
        how = "its process is gone" if still is None else f"it has given no sign of life for {still:.0f} s"
        super().__init__(
            f"the run {id} counts as running, but {how}",
            safe="what its stages made before is kept",
            next=f"rote resume {id}",
        )


class Following:
    """Follows runs. `here` says whether a run is made in this working tree: True while it is under way, False if it was
    made here and its process is gone, None if it is made elsewhere."""

    def __init__(
        self,
        store: ObjectStore,
        runs: Runs,
        control: Control,
        clock: Clock,
        *,
        here: Callable[[RunId], bool | None],
    ) -> None:
        self._store = store
        self._runs = runs
        self._control = control
        self._clock = clock
        self._here = here

    def follow(self, id: RunId, stage: str | None = None) -> Iterator[bytes]:
        """What the stages of a run wrote so far, and then what they write, until the run is over; or one stage alone.

        Raises Missing (no such run; no such stage in it, once it is over), Silent, StoreError.
        """
        if stage is not None:
            stage_name(stage)
        if self._runs.get(id).state != RUNNING:
            yield from self._runs.logs(id, stage)
            return
        told = _Told(stage)
        yield from self._far(id, told) if self._here(id) is None else self._near(id, told)
        run = self._runs.get(id)
        known = sorted({outcome.stage for outcome in run.stages} | set(told.ends))
        if stage is not None and stage not in known:
            close = nearest(stage, known)
            raise Missing(
                f"the run {id} has no stage {shown(stage)}",
                next=f"did you mean {close}?" if close else f"its stages: {', '.join(known) or 'none'}",
            )

    def _near(self, id: RunId, told: _Told) -> Iterator[bytes]:
        """From the local files, without a request."""
        alive: bool | None = True
        while alive:
            alive = self._here(id)
            for stage, path in self._runs.local(id):
                for data in rest(path, told.ends.setdefault(stage, 0)):
                    told.ends[stage] += len(data)
                    if told.wants(stage):
                        yield data
            if alive:
                self._clock.sleep(NEAR)
        if self._runs.get(id).state == RUNNING:
            raise Silent(id, None)

    def _far(self, id: RunId, told: _Told) -> Iterator[bytes]:
        """From the store."""
        vigil = Vigil(self._store, self._clock, id)
        pace = self._runs.pace
        read, say_again = 0, float("-inf")
        while True:
            vigil.look()
            while read < (vigil.segments or 0):
                read += 1
                yield from told.whole(self._segment(id, read) or [])
            if vigil.now is not None and vigil.now.sign.after == read:
                yield from told.tail(vigil.now.items)
            if (vigil.now is None or vigil.still > vigil.every) and self._over(id):
                while (items := self._segment(id, read + 1)) is not None:
                    read += 1
                    yield from told.whole(items)
                return
            if vigil.left <= 0:
                raise Silent(id, vigil.still)
            if self._clock.monotonic() >= say_again:
                self._say(id)
                say_again = self._clock.monotonic() + pace.renew
            self._clock.sleep(pace.follow)

    def _over(self, id: RunId) -> Run | None:
        run = self._runs.get(id)
        return run if run.state != RUNNING else None

    def _say(self, id: RunId) -> None:
        """Where a folder is shared the log comes often in any case; and who may only read follows all the same."""
        if self._runs.pace.follow < 1:
            return
        try:
            self._control.watch(id)
        except StoreError as e:
            _log.debug("cannot tell %s that somebody follows: %s", id, e)

    def _segment(self, id: RunId, number: int) -> list[Item] | None:
        key = segment_key(id, number)
        found = conditional.look(self._store, key)
        return None if found is None else [i for i in unpack_segment(found.data, key) if i.kind == LOG]


class _Told:
    """How much of each stage's log was told, and how far the segments that were read go."""

    def __init__(self, stage: str | None) -> None:
        self.ends: dict[str, int] = {}
        self._read: dict[str, int] = {}
        self._stage = stage

    def wants(self, stage: str) -> bool:
        return self._stage in (None, stage)

    def whole(self, items: list[Item]) -> Iterator[bytes]:
        """What is new in the next segment."""
        yield from self._new(items, self._read)

    def tail(self, items: list[Item]) -> Iterator[bytes]:
        """What is new after the last segment; it will come again in the next one."""
        yield from self._new(items, dict(self._read))

    def _new(self, items: list[Item], read: dict[str, int]) -> Iterator[bytes]:
        for item in items:
            start = read.get(item.stage, 0)
            read[item.stage] = end = start + len(item.data)
            told = self.ends.setdefault(item.stage, 0)
            if end > told:
                self.ends[item.stage] = end
                if self.wants(item.stage):
                    yield item.data[told - start :]
