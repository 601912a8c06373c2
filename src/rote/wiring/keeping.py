"""The data in a project's working tree, whoever pins it: saved, brought back, held against its pointers."""

from __future__ import annotations

import msgspec

from rote.laws.pipeline.plan import Plan
from rote.services.data.adding import Added
from rote.services.data.bringing import Brought
from rote.services.data.data import DataStatus
from rote.wiring.parts import Wiring
from rote.wiring.revisions import pointers


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the data was added, and which stages would run."""

    data: list[DataStatus]
    plan: Plan | None

    @property
    def clean(self) -> bool:
        """True if nothing changed and every stage is a hit."""
        stages = self.plan is None or not [d for d in self.plan.decisions if d.verdict in ("run", "blocked")]
        return stages and all(d.state == "unchanged" for d in self.data)


class Keeping:
    """Keeps the data of one project: what rote's pointers pin, and what DVC's do. What changes the working tree expects
    its lock to be held. `names` are paths as pointers name them."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def add(self, names: list[str], *, force: bool = False) -> list[Added]:
        """See `Project.add`."""
        return self._w.data.add(
            names,
            force=force,
            repository=self._w.project,
            tracked=lambda path: self._w.git.ls_files([path]),
            taken=self._w.pipeline.taken,
        )

    def status(self) -> list[DataStatus]:
        """Each data path, and what changed since it was added."""
        theirs = self._w.dvc.pinning.status() if self._w.dvc else []
        return self._w.data.status() + theirs

    def checkout(self, names: list[str], *, rev: str | None, force: bool) -> list[tuple[str, Brought]]:
        """See `Project.checkout`."""
        at = pointers(self._w, rev) if rev else None
        dvc = self._w.dvc if not rev else None
        theirs = [name for name in names if dvc and dvc.pinning.takes(name)]
        ours = [name for name in names if name not in theirs]
        brought: list[tuple[str, Brought]] = []
        if ours or not names:
            brought += self._w.data.checkout(ours or None, pointers=at, force=force)
        if dvc and (theirs or not names):
            brought += dvc.pinning.checkout(theirs or None, force=force)
        return brought
