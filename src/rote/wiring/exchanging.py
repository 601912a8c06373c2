"""Between the project's store and another one: copying, and repairing one from the other."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing

import msgspec

from rote.errors import BadPath, Missing, UsageError
from rote.laws.store.mirroring import Selection, is_kind, select
from rote.ports import ObjectStore, Tree
from rote.services.runs.catalogue import Catalogue
from rote.services.store import founding
from rote.services.store.agreed import AgreedRoots
from rote.services.store.known import Known
from rote.services.upkeep.check import CheckReport, Sample, StoreCheck
from rote.services.upkeep.copying import Copied, Copying
from rote.services.upkeep.repairing import Repairing
from rote.wiring.config.settings import DEFAULT_STORE
from rote.wiring.parts import Wiring
from rote.words.ids import RunId
from rote.words.record import StoreInfo


class Exchanging:
    """What a project does with two stores. `cwd` is where relative folders and paths begin."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd

    def copy(self, what: Sequence[str], source: str | None, target: str | None, where: str | None) -> Copied:
        """See `Store.copy`."""
        here, there = self._ends(source, target)
        if here == there:
            raise UsageError(
                "this would copy the store to itself", where=here, next="rote copy --to ANOTHER_STORE"
            )
        paths = [self._w.workspace.name(word, self._cwd) for word in what if not is_kind(word)]
        kinds = [word for word in what if is_kind(word)]
        select(kinds, () if where else None, paths)  # what is wrong with it is told before a store is opened
        source_store = self.open(here)
        selection = self._selected(kinds, paths, source_store, where)
        os.makedirs(self._w.cache, exist_ok=True)
        copying = Copying(
            source_store,
            self.open(there, create=True),
            clock=self._w.clock,
            by=self._w.by,
            hints=self._known,
            agreed=self._agreed,
            progress=self._w.progress,
        )
        return copying.copy(selection)

    def check(self, read_data: bool, share: float | None, repair: bool, source: str | None) -> CheckReport:
        """See `Store.check`."""
        if source is not None and not repair:
            raise UsageError(
                "another store is of use for a repair only", next="rote store check --repair --from STORE"
            )
        if share is not None and (read_data or not 0 < share <= 1):
            raise UsageError(
                "a sample is a share of the packs, above 0 and at most all",
                next="rote store check --sample 1%",
            )
        day = time.strftime("%Y-%m-%d", time.gmtime(self._w.clock.now()))
        sample = None if share is None else Sample(share, day)
        check = StoreCheck(self._w.store)
        report = check.check(read_data, self._w.progress, sample=sample)
        if not repair or report.ok:
            return report
        repaired = self._repairing(source).repair(report)
        after = check.check(read_data, self._w.progress, sample=sample)
        return msgspec.structs.replace(after, repaired=repaired)

    def _repairing(self, source: str | None) -> Repairing:
        other = None
        if source is not None:
            other = self.open(self.resolved(source))
            founding.read(other)
            if other.url == self._w.store.url:
                raise UsageError("this would repair the store from itself", where=other.url)
        return Repairing(
            self._w.store,
            self._w.info,
            self._w.transactions,
            other=other,
            tree_at=self._tree_at,
            forget=self._w.known.forget,
            progress=self._w.progress,
        )

    def _tree_at(self, path: str) -> Tree | None:
        try:
            return self._w.workspace.tree(path, fresh=True)
        except (Missing, BadPath):
            return None

    def open(self, url: str, *, create: bool = False) -> ObjectStore:
        """The store at an address, the project's own or another."""
        if url == self._w.settings.store.value:
            return self._w.store
        return self._w.at(url, create=create)

    def resolved(self, url: str) -> str:
        """An address as it was typed, a folder as an absolute path."""
        if not url.strip():
            raise UsageError("the store's address is empty", next="rote copy --to STORE")
        return url if "://" in url else os.path.normpath(os.path.join(self._cwd, os.path.expanduser(url)))

    def _ends(self, source: str | None, target: str | None) -> tuple[str, str]:
        """Where from and where to: what is not said is the project's store; if neither is, then from the store in
        rote's own folder, where there is one."""
        own = self._w.settings.store.value
        if source is None and target is None:
            local = os.path.join(self._w.root, DEFAULT_STORE)
            if own == local or not os.path.exists(os.path.join(local, "rote.json")):
                raise UsageError("say which store to copy to", where=own, next="rote copy --to STORE")
            return local, own
        return (
            own if source is None else self.resolved(source),
            own if target is None else self.resolved(target),
        )

    def _selected(
        self, kinds: Sequence[str], paths: Sequence[str], source: ObjectStore, where: str | None
    ) -> Selection:
        if where is None:
            return select(kinds, None, paths)
        with closing(
            Catalogue(source, self._w.clock, path=os.path.join(self._w.cache, "catalogue-copy.db"))
        ) as catalogue:
            catalogue.sync()
            rows = catalogue.runs(where, columns=["id"]).rows
        return select(kinds, [RunId(str(row[0])) for row in rows], paths)

    def _known(self, info: StoreInfo) -> Known:
        return Known(os.path.join(self._w.cache, "known.db"), info.id)

    def _agreed(self, here: StoreInfo, there: StoreInfo) -> AgreedRoots:
        return AgreedRoots(os.path.join(self._w.cache, "agreed.db"), here.id, there.id)
