"""Builds what models need out of a project's parts."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from rote.wiring import Wiring

if TYPE_CHECKING:
    from rote.deleting import Deleting
    from rote.delivery import Delivery
    from rote.judging import Evaluated, Judging, Timed
    from rote.pipeline import Model
    from rote.pointer import Pointer
    from rote.provenance import Provenance
    from rote.releasing import Releasing
    from rote.run import Run
    from rote.version import Version


class ModelWiring:
    """The parts that only calls about models need, made on demand."""

    # In-function imports below have one reason: a command pays for what it uses.

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @cached_property
    def releasing(self) -> Releasing:
        from rote.interfaces import Interfaces  # on demand
        from rote.modelfiles import ModelFiles  # on demand
        from rote.releasing import Releasing  # on demand

        w = self._w
        committed = w.git if w.git.present else None
        return Releasing(
            transactions=w.transactions,
            registry=w.registry,
            snapshots=w.snapshots,
            writer=w.writer,
            files=ModelFiles(w.snapshots, committed),
            clock=w.clock,
            by=w.by,
            provenance=self.provenance,
            interfaces=Interfaces(w.reading, w.snapshots, committed),
            judging=self.judging,
        )

    @cached_property
    def judging(self) -> Judging:
        from rote.judging import Judging  # on demand

        w = self._w
        return Judging(
            registry=w.registry, snapshots=w.snapshots, run=w.runs.get, evaluate=self._evaluated,
            measure=self._timed,
        )  # fmt: skip

    def _timed(self, model: Model, run: Run, version: Version) -> Timed:
        from rote.timing import Timing  # few gates compare latencies

        return Timing(self._w).timed(model, run, version)

    def _evaluated(self, model: Model, run: Run, version: Version, wanted: Collection[str]) -> Evaluated:
        from rote.evaluating import Evaluating  # few gates compare with other versions

        return Evaluating(self._w).evaluated(model, run, version, wanted)

    @cached_property
    def provenance(self) -> Provenance:
        from rote.provenance import Provenance  # on demand

        w, dvc = self._w, self._w.dvc
        otherwise = dvc.pinning.takes if dvc else lambda _: False
        return Provenance(w.results, w.runs, w.snapshots, self._pointers, otherwise)

    def _pointers(self, rev: str | None) -> dict[str, Pointer]:
        from rote.revisions import pointers  # on demand

        return pointers(self._w, rev)

    @cached_property
    def deleting(self) -> Deleting:
        from rote.deleting import Deleting  # on demand

        return Deleting(self._w.store, self._w.registry, self._w.clock)

    @cached_property
    def delivery(self) -> Delivery:
        from rote.delivery import Delivery  # on demand
        from rote.landing.folder import Folder  # on demand

        return Delivery(self._w.registry, self._w.snapshots, Folder)
