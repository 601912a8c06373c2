"""Collecting garbage: what goes, what stays and why (docs/format.md, 11). The protocol is in collecting.py."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import msgspec

from rote.errors import Corrupt, Refused
from rote.laws.models.remarks import DELETE
from rote.laws.store.retention import Rules, Standing, Verdict, decide, is_old
from rote.laws.store.rooted import rooted
from rote.ports import Clock, ObjectStore, Progress, Silence
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.models.remarking import Remarking
from rote.services.store.transactions import Transactions, Write
from rote.services.upkeep.collecting import Collector
from rote.services.upkeep.marking import OBJECTS, Look, Marker, RootSeen, owner
from rote.services.upkeep.repacking import Repacked, Repacking
from rote.services.upkeep.tidying import Janitor, Tidied
from rote.services.upkeep.trash import Trash
from rote.words.ids import Digest, SnapshotId, TxnId

WORKERS = 16
"""Requests under way at once."""
_NONE = SnapshotId(Digest(""))


class Going(msgspec.Struct, frozen=True):
    """A root that goes into the trash, or lies in it: its key, what it is to a person, why."""

    key: str
    name: str
    why: str


class Amount(msgspec.Struct):
    """Objects and their bytes."""

    objects: int = 0
    size: int = 0


class GcReport(msgspec.Struct, kw_only=True):
    """What a collection did, or (`done` false) would do. Sizes in bytes."""

    done: bool
    url: str
    going: list[Going] = []
    """Roots that go into the trash; `rote gc --undo` brings them back until the next collection."""
    emptied: list[Going] = []
    """Roots that lay in the trash, and are gone for good."""
    staying: dict[str, int] = {}
    """Why -> how many roots stay for that reason."""
    freed: Amount = msgspec.field(default_factory=Amount)
    """Records and packs that nobody needs."""
    later: Amount = msgspec.field(default_factory=Amount)
    """What the next collection frees, when the trash is emptied."""
    waiting: Amount = msgspec.field(default_factory=Amount)
    """What nobody needs, within the grace period."""
    stays: Amount = msgspec.field(default_factory=Amount)
    """Records and packs that are needed."""
    stale_txns: int = 0
    """Writes that were given up without a word."""
    repacked: Repacked = msgspec.field(default_factory=Repacked)
    tidied: Tidied = msgspec.field(default_factory=Tidied)
    unfinished: bool = False
    """Another collection was interrupted: this one finishes it."""
    missing: list[str] = []
    """Snapshots that something needs and the store does not have: `rote store check` says more."""


class Garbage:
    """Collects what one store does not need any more.

    `pinned` are the snapshots that pointers of this repository name, `writer(write)` saves snapshots within a write.
    """

    def __init__(
        self,
        store: ObjectStore,
        clock: Clock,
        *,
        snapshots: Snapshots,
        transactions: Transactions,
        writer: Callable[[Write], SnapshotWriter],
        pinned: frozenset[SnapshotId] = frozenset(),
        workers: int = WORKERS,
        progress: Progress | None = None,
        by: str = "",
    ) -> None:
        self._store = store
        self._clock = clock
        self._pinned = pinned
        self._progress = progress or Silence()
        self._marker = Marker(store, pinned, workers)
        self._collector = Collector(store, self._marker, lambda: clock.token(8))
        self._repacking = Repacking(self._marker, snapshots, transactions, writer)
        self._trash = Trash(store)
        self._remarks = Remarking(store, clock, by)

    def report(self, rules: Rules) -> GcReport:
        """What `collect` would do. Changes nothing. Raises Refused, Corrupt, TooNew, StoreUnavailable."""
        return self._plan(rules).report

    def collect(self, rules: Rules, *, repack: bool = True) -> GcReport:
        """Remove what the rules let go, and delete what nobody needs.

        Raises Refused (a version that an alias names), Locked (another collection took over), Corrupt and TooNew (a
        root cannot be read: nothing is deleted), StoreUnavailable (what was begun is finished by the next one).
        """
        plan = self._plan(rules)
        report, look = plan.report, plan.look
        report.done = True
        moment = self._moment()
        janitor = Janitor(self._store, self._marker, now=self._clock.now(), moment=moment, grace=rules.grace)
        self._collector.finish()
        janitor.begin(look)
        emptied = {seen.key for seen in look.roots if seen.trash and self._trash.empty(seen, moment)}
        report.emptied = [going for going in report.emptied if going.key in emptied]
        judged = [seen for seen in look.roots if seen.key in plan.why]
        for key in sorted(rules.forget_versions):
            model, _, number = _version(key).partition("@")
            self._remarks.say(model, number, DELETE, text="rote gc --forget-version")
        removed = {seen.key for seen in self._trash.put_all(judged, plan.why, moment)}
        report.going = [going for going in report.going if going.key in removed]
        self._guard_aliases(removed)
        gone = self._collector.collect(plan.candidates)
        report.freed = _amount(gone, plan.sizes)
        if repack:
            now = self._marker.look()
            report.repacked = self._repacking.empty(now, self._repacking.find(now, plan.sizes))
        janitor.end()
        report.tidied = janitor.done
        return report

    def trash(self) -> list[Going]:
        """What lies in the trash."""
        return [_trashed(seen) for seen in self._marker.look().roots if seen.trash]

    def undo(self) -> list[Going]:
        """Bring back what lies in the trash; what came back. A key that was written to since stays as it is."""
        return [_trashed(seen) for seen in self._marker.look().roots if self._trash.undo(seen)]

    # ---- deciding ------------------------------------------------------------------------------------------------

    def _plan(self, rules: Rules) -> _Plan:
        self._progress.start("looking at the store")
        try:
            look = self._marker.look()
            verdicts = self._judge(look, rules)
            return self._marked(look, verdicts, rules)
        except Corrupt as e:
            e.safe = e.safe or "nothing was deleted: who cannot read a root cannot tell what it needs"
            raise
        finally:
            self._progress.done()

    def _judge(self, look: Look, rules: Rules) -> list[Verdict]:
        standing = [Standing(seen.key, root.txn, root.body) for seen in look.roots if (root := seen.in_force)]
        for key in sorted(rules.forget_versions):
            if key not in {root.key for root in standing}:
                raise Refused(
                    f"there is no version {_version(key)}", where=self._store.url, next="rote models"
                )
            _refuse_named(key, look)
        return decide(standing, rules, self._pinned, self._clock.now())

    def _marked(self, look: Look, verdicts: Sequence[Verdict], rules: Rules) -> _Plan:
        why = {verdict.key: verdict.why for verdict in verdicts if not verdict.keep}
        # A root that is pending stays until its write is over.
        why = {s.key: why[s.key] for s in look.roots if s.key in why and s.root.state != "pending"}
        now = self._clock.now()
        stale = {txn for txn in look.open if is_old(txn, now, rules.grace)}
        begun = msgspec.structs.replace(
            look,
            open={id: txn for id, txn in look.open.items() if id not in stale},
            roots=[_begun(seen, stale) for seen in look.roots if not seen.trash],
        )
        needed = self._marker.needed(begun)
        rest = msgspec.structs.replace(begun, roots=[s for s in begun.roots if s.key not in why])
        needed_later = self._marker.needed(rest)
        sizes = {meta.key: meta.size for prefix in OBJECTS for meta in self._store.list(prefix)}
        known = [key for key in sizes if owner(key)]
        garbage = [key for key in known if key not in needed]
        old = [key for key in garbage if is_old(owner(key) or "", now, rules.grace)]
        left = self._collector.unfinished()
        report = GcReport(
            done=False,
            url=self._store.url,
            going=[_going(seen, why[seen.key]) for seen in look.roots if seen.key in why],
            emptied=[_trashed(seen) for seen in look.roots if seen.trash],
            staying=dict(Counter(v.why for v in verdicts if v.key not in why).most_common()),
            freed=_amount(old, sizes),
            later=_amount([key for key in known if key in needed and key not in needed_later], sizes),
            waiting=_amount(set(garbage) - set(old), sizes),
            stays=_amount([key for key in known if key in needed_later], sizes),
            stale_txns=len(stale),
            unfinished=left is not None,
            missing=sorted(self._marker.missing),
        )
        report.repacked.packs = self._repacking.find(begun, sizes)
        return _Plan(look, report, why, old, sizes)

    def _guard_aliases(self, removed: set[str]) -> None:
        """Whoever removes a version looks at the aliases once more, now that it is removed."""
        versions = {key for key in removed if key.startswith("models/")}
        if not versions:
            return
        look = self._marker.look()
        for seen in look.roots:
            if seen.key in versions:
                try:
                    _refuse_named(seen.key, look)
                except Refused:
                    self._trash.undo(seen)
                    raise

    def _moment(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))


class _Plan(msgspec.Struct):
    look: Look
    report: GcReport
    why: Mapping[str, str]
    candidates: list[str]
    sizes: Mapping[str, int]


def _begun(seen: RootSeen, stale: set[TxnId]) -> RootSeen:
    """The root as it will be once the janitor has ended stale transactions."""
    if seen.txn_state == "open" and seen.root.txn in stale:
        return msgspec.structs.replace(seen, txn_state="aborted")
    return seen


def _refuse_named(key: str, look: Look) -> None:
    name = _version(key)
    held = [c.alias for c in look.channels.values() if f"{c.model}@{c.version}" == name]
    if held:
        raise Refused(
            f"{name} cannot be forgotten: {', '.join(sorted(held))} names it",
            safe="the version stays",
            next=f"rote promote {name.partition('@')[0]}@OTHER {held[0]}",
        )


def _version(key: str) -> str:
    names = key.split("/")
    return f"{names[1]}@{names[-1]}"


def _going(seen: RootSeen, why: str) -> Going:
    root = seen.in_force
    body = root.body if root else {}
    return Going(seen.key, rooted(seen.key, body, _NONE).name, why)


def _trashed(seen: RootSeen) -> Going:
    body = seen.trash.body if seen.trash else {}
    return Going(seen.key, rooted(seen.key, body, _NONE).name, str(seen.root.body.get("why", "")))


def _amount(keys: Sequence[str] | set[str], sizes: Mapping[str, int]) -> Amount:
    return Amount(len(keys), sum(sizes.get(key, 0) for key in keys))
