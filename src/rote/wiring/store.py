"""The store of a project: what is in it, whether it is sound, what may go. Public, as `project.store`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rote.errors import Refused, UsageError
from rote.wiring.leftovers import working
from rote.wiring.parts import Wiring

if TYPE_CHECKING:
    from rote.laws.store.usage import Budget
    from rote.services.store.probe import Probed
    from rote.services.upkeep.check import CheckReport
    from rote.services.upkeep.copying import Copied
    from rote.services.upkeep.gc import GcReport, Going
    from rote.services.upkeep.stats import StoreFigures


class Store:
    """The store that a project uses. Made by `Project.store`."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd

    def copy(
        self, *what: str, source: str | None = None, target: str | None = None, where: str | None = None
    ) -> Copied:
        """Copy what a store has to another, only what is missing there: everything, or `what` (`data`, `runs`,
        `results`, `models`, `models/NAME`, data paths), of the runs those for which `where` holds.

        A store that is not named is the project's own; if neither is, `source` is `.rote/store`. What the target has
        otherwise is left alone, and named in what is returned. Raises UsageError, Missing, StoreError.
        """
        from rote.wiring.exchanging import Exchanging  # only this call needs it

        return Exchanging(self._w, self._cwd).copy(what, source, target, where)

    def probe(self) -> Probed:
        """What the store honours when two clients use it at once, tried now. Raises StoreUnavailable."""
        return self._w.guarantees.probe(self._w.settings.store.value)

    def stats(self, *, quick: bool = False) -> StoreFigures:
        """Objects and bytes in the store by kind, what dedup and compression saved, what each data path, model, run and
        stage takes, and what gc would free. `quick` reads no pack. Raises StoreError."""
        from rote.services.upkeep.stats import StoreStats  # only this call needs it

        return StoreStats(self._w.store, self._w.pinned).stats(self._w.progress, quick=quick)

    def check(
        self,
        *,
        read_data: bool = False,
        sample: float | None = None,
        repair: bool = False,
        source: str | None = None,
    ) -> CheckReport:
        """Whether everything that is needed is there and sound; with `read_data` every byte is read and verified, with
        `sample` that of a share of the packs (0 to 1; others every day).

        With `repair`, what is damaged is restored first from what is sound in the store, in the store `source`, or in
        the working tree; the report is of what is left. Raises UsageError, Missing, StoreError.
        """
        from rote.wiring.exchanging import Exchanging  # only this call needs it

        return Exchanging(self._w, self._cwd).check(read_data, sample, repair, source)

    def gc(
        self,
        *,
        delete: bool = False,
        keep_last: int | None = None,
        keep_days: float | None = None,
        keep_tagged: bool = False,
        unpinned_data: bool = False,
        forget_repositories: Iterable[str] = (),
        forget_versions: Iterable[str] = (),
        grace_hours: float = 72.0,
        repack: bool = True,
    ) -> GcReport:
        """What is garbage, and what the rules let go; with `delete` it goes. See docs/guide.md.

        Without rules no root goes, only what nothing needs. Raises Refused (a version that an alias names; a shallow
        clone), Locked (another collection took over), Corrupt (a root cannot be read: nothing is deleted), UsageError.
        """
        from rote.laws.models.versions import named  # as above
        from rote.laws.store.retention import Rules  # as above
        from rote.services.models.registry import version_key  # only this call needs it

        if (keep_last is not None and keep_last < 0) or (keep_days or 0) < 0 or grace_hours < 0:
            raise UsageError("a number of runs, days or hours is 0 or more")
        if unpinned_data and self._w.git.shallow:
            raise Refused(
                "this clone holds only a part of the history, so which data a commit pins is not known",
                where=self._w.root,
                safe="nothing was deleted",
                next="git fetch --unshallow, then do the same again",
            )
        rules = Rules(
            keep_last=keep_last,
            keep_days=keep_days,
            keep_tagged=keep_tagged,
            unpinned_data=unpinned_data,
            forget_repositories=frozenset(forget_repositories),
            forget_versions=frozenset(version_key(*named(name)) for name in forget_versions),
            repository=self._w.project,
            grace=grace_hours * 3600,
        )
        if not delete:
            return self._w.garbage.report(rules)
        with working(self._w, "rote gc"):
            report = self._w.garbage.collect(rules, repack=repack)
            self._w.catalogue.sync(full=True)
        return report

    def gc_undo(self) -> list[Going]:
        """Bring back the runs, results, data and versions that the last collection removed; what came back. Raises
        Locked, StoreError."""
        with working(self._w, "rote gc --undo"):
            back = self._w.garbage.undo()
            self._w.catalogue.sync(full=True)
        return back

    def budget(self, *, plan: str | None = None, stored: bool = False) -> Budget:
        """The month so far against the declared plan, or `plan`; `stored` asks the store how much it holds (a request a
        thousand objects). Without it nothing is asked. Raises UsageError."""
        from rote.wiring.spending import budget  # only this call needs it

        return budget(self._w, plan=plan, stored=stored)
