"""A data commit that was reverted: which version of a model was made from the data that a commit pins."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rote.errors import Missing, Refused
from rote.ids import shown
from rote.pointer import Pointer
from rote.provenance import Provenance
from rote.record import Version
from rote.revisions import pointers
from rote.runsofcommits import RunsOfCommits
from rote.wiring import Wiring


class Reverted(msgspec.Struct, frozen=True):
    """The version that an alias goes back to for a commit. `same_code`: nothing else that it was made of is another
    there, either; `there`: the alias names it already."""

    version: str
    commit: str
    same_code: bool
    there: bool


class Reverting:
    """Finds versions by the data of a commit."""

    def __init__(self, wiring: Wiring, provenance: Provenance, runs: RunsOfCommits) -> None:
        self._w = wiring
        self._provenance = provenance
        self._runs = runs

    def choose(self, model: str, alias: str, rev: str) -> Reverted:
        """The version that fits the commit best, of those that the alias ever named: made from all that is there, or
        else from the same data; the newest of them. The one that it names stays if it was made from the same data.

        Raises Missing (no such revision; no version of that data), Refused (the alias never named one, or they are
        deprecated).
        """
        registry = self._w.registry
        commit = self._w.git.resolve(rev)
        history = registry.history(model, alias)
        there = pointers(self._w, commit)
        found = sorted(registry.versions(model), key=lambda version: version.released, reverse=True)
        same = {version.version: self._same_code(version, commit) for version in found}
        fitting = [v for v in found if same[v.version] or self._same_data(v, there)]
        if not fitting:
            raise Missing(
                f"no version of {model} was made from the data of {shown(rev)} ({commit[:12]})",
                where=self._w.store.url,
                next=f"git checkout {commit[:12]}, rote run, rote release {model}",
            )
        held = history[0].version
        if any(version.version == held for version in fitting):
            return Reverted(held, commit, same[held], there=True)
        named = {move.version for move in history}
        usable = [v for v in fitting if v.version in named and not self._deprecated(v)]
        if not usable:
            best = fitting[0].version
            why = "is deprecated" if fitting[0].version in named else f"{alias} never named it"
            raise Refused(
                f"{model}@{best} was made from the data of {shown(rev)} ({commit[:12]}), but {why}",
                safe=f"{model}@{alias} stays at {held}",
                next=f"rote promote {model}@{best} {alias}, if it is the one",
            )
        best_version = next((v for v in usable if same[v.version]), usable[0])
        return Reverted(best_version.version, commit, same[best_version.version], there=False)

    def _deprecated(self, version: Version) -> bool:
        return self._w.registry.remarks.of(version.model, version.version).deprecated is not None

    def _same_code(self, version: Version, commit: str) -> bool:
        if version.run is None:
            return False
        try:
            return self._runs.counts(self._w.runs.get(version.run), commit)
        except Missing:
            return version.commit == commit

    def _same_data(self, version: Version, there: Mapping[str, Pointer]) -> bool:
        """Whether the pointers pin what the version was made from. A version that does not say what that was is none of
        them."""
        return bool(version.data) and all(
            self._provenance.pins(there, used.path, used.snapshot) for used in version.data
        )
