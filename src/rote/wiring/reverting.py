"""A data commit that was reverted: which version of a model was made from the data that a commit pins."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rote.errors import Missing, Refused
from rote.services.releases.provenance import Provenance
from rote.wiring.parts import Wiring
from rote.wiring.revisions import pointers
from rote.wiring.runsofcommits import RunsOfCommits
from rote.words.ids import shown
from rote.words.pointer import Pointer
from rote.words.version import Version


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
        held = history[0].version
        named = list(dict.fromkeys(move.version for move in history))
        found = sorted(registry.versions(model), key=lambda version: version.released, reverse=True)
        # What the alias names now goes first, then what it named: of others it is only said that they are there.
        found.sort(key=lambda version: (version.version != held, version.version not in named))
        usable: list[Version] = []
        unusable: Version | None = None
        for version in found:
            if version.version not in named and (usable or unusable):
                break
            if not self._fits(version, commit, there):
                continue
            if version.version == held:
                return Reverted(held, commit, self._same_code(version, commit), there=True)
            if version.version not in named or self._deprecated(version):
                unusable = unusable or version
            else:
                usable.append(version)
        if not usable and unusable is not None:
            why = "is deprecated" if unusable.version in named else f"{alias} never named it"
            raise _unusable(
                unusable, f"made from the data of {shown(rev)} ({commit[:12]}), but {why}", alias, held
            )
        if not usable:
            raise Missing(
                f"no version of {model} was made from the data of {shown(rev)} ({commit[:12]})",
                where=self._w.store.url,
                next=f"git checkout {commit[:12]}, rote run, rote release {model}",
            )
        best = next((v for v in usable if self._same_code(v, commit)), None)
        return Reverted((best or usable[0]).version, commit, best is not None, there=False)

    def _fits(self, version: Version, commit: str, there: Mapping[str, Pointer]) -> bool:
        """Whether it was made from the data of the commit; of a version that has no data that pointers pin, whether it
        was made from what is there."""
        return self._same_data(version, there) if version.data else self._same_code(version, commit)

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
        """Whether the pointers pin what the version was made from."""
        return all(self._provenance.pins(there, used.path, used.snapshot) for used in version.data)


def _unusable(version: Version, why: str, alias: str, held: str) -> Refused:
    name = f"{version.model}@{version.version}"
    return Refused(
        f"{name} was {why}",
        safe=f"{version.model}@{alias} stays at {held}",
        next=f"rote promote {name} {alias}, if it is the one",
    )
