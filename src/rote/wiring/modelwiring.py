"""Builds what models need out of a project's parts."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import TYPE_CHECKING

from rote.wiring.parts import Wiring

if TYPE_CHECKING:
    from rote.services.models.delivery import Delivery
    from rote.services.releases.judging import Evaluated, Judging, Timed
    from rote.services.releases.provenance import Provenance
    from rote.services.releases.releasing import Releasing
    from rote.services.upkeep.deleting import Deleting
    from rote.words.pipeline import Model
    from rote.words.pointer import Pointer
    from rote.words.run import Run
    from rote.words.version import Version


class ModelWiring:
    """The parts that only calls about models need, made on demand."""

    # In-function imports below have one reason: a command pays for what it uses.

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    @cached_property
    def releasing(self) -> Releasing:
        from rote.services.models.interfaces import Interfaces  # on demand
        from rote.services.models.modelfiles import ModelFiles  # on demand
        from rote.services.releases.releasing import Releasing  # on demand

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
        from rote.services.releases.judging import Judging  # on demand

        w = self._w
        return Judging(
            registry=w.registry, snapshots=w.snapshots, run=w.runs.get, evaluate=self._evaluated,
            measure=self._timed,
        )  # fmt: skip

    def _timed(self, model: Model, run: Run, version: Version) -> Timed:
        from rote.wiring.timing import Timing  # few gates compare latencies

        return Timing(self._w).timed(model, run, version)

    def _evaluated(self, model: Model, run: Run, version: Version, wanted: Collection[str]) -> Evaluated:
        from rote.wiring.evaluating import Evaluating  # few gates compare with other versions

        return Evaluating(self._w).evaluated(model, run, version, wanted)

    @cached_property
    def provenance(self) -> Provenance:
        from rote.services.releases.provenance import Provenance  # on demand

        w, dvc = self._w, self._w.dvc
        otherwise = dvc.pinning.takes if dvc else lambda _: False
        return Provenance(w.results, w.runs, w.snapshots, self._pointers, otherwise)

    def _pointers(self, rev: str | None) -> dict[str, Pointer]:
        from rote.wiring.revisions import pointers  # on demand

        return pointers(self._w, rev)

    @cached_property
    def deleting(self) -> Deleting:
        from rote.services.upkeep.deleting import Deleting  # on demand

        return Deleting(self._w.store, self._w.registry, self._w.clock)

    @cached_property
    def delivery(self) -> Delivery:
        from rote.adapters.landing.folder import Folder  # on demand
        from rote.services.models.delivery import Delivery  # on demand

        return Delivery(self._w.registry, self._w.snapshots, Folder)
