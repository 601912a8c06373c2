"""Verifying: walks from a version back to its data, and stops at the first link that is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rote.errors import Corrupt, Missing, NotFound, RoteError
from rote.laws.models import links
from rote.laws.models.links import Broken, Link, Looking, Verified
from rote.ports import Committed, ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.releases.verifying import made, sources
from rote.services.releases.verifying.evidence import Evidence, run_of, stages_of
from rote.services.releases.verifying.retracing import Retraced
from rote.services.runs.results import Results
from rote.services.runs.runs import Runs
from rote.words.version import Version

__all__ = ["Verifying"]


class Verifying:
    """Verifies versions of one store. Nothing outside of the store and the repository is asked."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        snapshots: Snapshots,
        runs: Runs,
        results: Results,
        committed: Committed | None,
        decode: Callable[[bytes, str], Any],
    ) -> None:
        """`committed` reads git commits; None where there is no git. `decode` reads a file of params or metrics."""
        self._store = store
        self._snapshots = snapshots
        self._runs = runs
        self._results = results
        self._committed = committed
        self._decode = decode

    def version(self, version: Version, *, read_data: bool = False) -> Verified:
        """Walk from a version back to its data; with `read_data` every byte of the data is read. Raises
        StoreUnavailable, TooNew."""
        evidence = self._evidence(version)
        data = sources.DataLink(self._store, self._snapshots, read=read_data)
        looks: dict[str, Callable[[Looking], None]] = {
            links.DATA: lambda look: data.look(evidence, look),
            links.CODE: lambda look: sources.code(evidence, look, self._decode),
            links.ENVIRONMENT: lambda look: sources.environment(evidence, look),
            links.STAGES: lambda look: made.stages(evidence, look),
            links.METRICS: lambda look: made.figures(evidence, self._snapshots, look, self._decode),
            links.FILES: lambda look: made.files(evidence, self._snapshots, look),
        }
        return walked(f"{version.model}@{version.version}", version, looks)

    def _evidence(self, version: Version) -> Evidence:
        run, trouble = run_of(version, self._runs)
        found = stages_of(version, run, self._results) if run is not None else []
        was = Retraced(self._snapshots, self._committed, run.commit.id if run is not None else None)
        self._place_data(was)
        for stage in found:
            for path, ref in stage.outcome.outs.items():
                was.place(path, ref)
            for path, id in (stage.result.beside if stage.result is not None else {}).items():
                was.place(path, id)
        return Evidence(version=version, run=run, stages=found, was=was, trouble=trouble)

    def _place_data(self, was: Retraced) -> None:
        try:
            pins = was.pointers
        except RoteError:
            return  # told with the code
        for path, pointer in pins.items():
            try:
                was.place(path, self._snapshots.find(pointer.snapshot))
            except (Missing, NotFound, Corrupt):
                was.place(path, pointer.snapshot)


def walked(what: str, version: Version | None, looks: dict[str, Callable[[Looking], None]]) -> Verified:
    """Look at one link after the other, up to the first that is broken."""
    found: list[Link] = []
    broken: Broken | None = None
    for name, look_at in looks.items():
        if broken is not None:
            found.append(Link(name, links.AFTER))
            continue
        look = Looking()
        try:
            look_at(look)
        except Broken as e:
            broken = e
        except (Missing, NotFound, Corrupt) as e:
            broken = Broken(str(e), e.next or "rote store check")
        found.append(look.link(name, broken=broken is not None))
    return Verified(
        what=what,
        model=version.model if version else "",
        version=version.version if version else "",
        links=found,
        broken=next((link.name for link in found if link.state == links.BROKEN), None),
        why=broken.why if broken else "",
        next=broken.next if broken else "",
    )
