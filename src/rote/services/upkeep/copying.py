"""From one store to another: a selection with its history, only what is missing. `rote copy`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from rote.errors import Corrupt, Missing, NotFound, RoteError, StoreError, UsageError
from rote.laws.store.mirroring import Selection, Verdict, judge, misspelt, relocated
from rote.laws.store.rooted import is_root
from rote.ports import Clock, Meta, ObjectStore, Progress, Silence
from rote.services.data.presence import Hints, Presence, Source
from rote.services.models import remarking
from rote.services.models.aliasing import Aliases
from rote.services.runs.livelog import unpack_segment
from rote.services.store import conditional, founding
from rote.services.store.roots import Roots, held
from rote.services.store.transactions import Beaten, Transactions, Write
from rote.services.upkeep.carrying import JOBS, Carried, Carrier
from rote.words.record import Root, StoreInfo
from rote.words.snapshot import SnapshotRef

ROOTS = 64
"""Roots that one write brings at most."""
SIZE = 256 << 20
"""Bytes of snapshots, as checked out, after which a write is committed and the next one begins."""
_TRIES = 8


class Left(msgspec.Struct, frozen=True):
    """Something that was not copied, and why."""

    key: str
    why: str


class Copied(msgspec.Struct, kw_only=True):
    """What a copy did. `sent` and `there` count roots by kind, aliases among them; `size` in bytes."""

    source: str
    target: str
    founded: bool = False
    """The target is a new store."""
    sent: dict[str, int] = {}
    there: dict[str, int] = {}
    logs: int = 0
    """Segments of logs that were sent."""
    snapshots: int = 0
    packs: int = 0
    size: int = 0
    """Bytes of packs and segments that were sent."""
    conflicts: list[Left] = []
    """The target says something else there: it was left alone."""
    damaged: list[Left] = []
    """Could not be read from the source."""

    @property
    def ok(self) -> bool:
        """Everything selected is in the target."""
        return not self.conflicts and not self.damaged

    def count(self, of: dict[str, int], kind: str) -> None:
        """One more of a kind."""
        of[kind] = of.get(kind, 0) + 1

    def carried(self, carried: Carried) -> None:
        """What a write sent."""
        self.snapshots += carried.snapshots
        self.packs += carried.packs
        self.size += carried.size


class Agreed(Protocol):
    """Which roots this machine has found equal in two stores, by their etags in both. A hint that spares reading them
    again: an etag changes whenever its object does."""

    def same(self, key: str, here: str, there: str) -> bool:
        """Whether they were equal when they had these etags."""

    def add(self, key: str, here: str, there: str) -> None:
        """They are equal now."""


class _Nothing:
    def same(self, key: str, here: str, there: str) -> bool:
        return False

    def add(self, key: str, here: str, there: str) -> None:
        pass


class _Item(msgspec.Struct, frozen=True):
    """A root that is to be sent, over `there` if one is in force there; `merged`: that one is to be changed, and goes
    on keeping what it keeps."""

    key: str
    root: Root
    there: Root | None = None
    merged: dict[str, Any] | None = None


class Copying:
    """Copies between two stores. Reads the source, and writes to the target as every writer does: it may be in use."""

    def __init__(
        self,
        source: ObjectStore,
        target: ObjectStore,
        *,
        clock: Clock,
        by: str,
        hints: Callable[[StoreInfo], Hints] | None = None,
        agreed: Callable[[StoreInfo, StoreInfo], Agreed] | None = None,
        progress: Progress | None = None,
        jobs: int = JOBS,
    ) -> None:
        """`hints` and `agreed` open what this machine remembers of stores with these ids."""
        self._source_store, self._target_store = source, target
        self._clock = clock
        self._hints = hints
        self._agreed_of = agreed
        self._progress = progress or Silence()
        self._jobs = jobs
        self._transactions = Transactions(target, clock, by)
        self._roots = Roots(source)
        self._there = Roots(target)
        self._agreed: Agreed = _Nothing()

    def copy(self, selection: Selection) -> Copied:
        """Bring everything selected to the target. What is there already, by its id, is not sent again; so a copy that
        was cut goes on where it was.

        What the target has otherwise is named, and left alone. Raises Missing (no store at the source, nothing
        selected is there), UsageError (one store under two addresses, or two with one id), StoreFull,
        StoreUnavailable, Unknown.
        """
        copied = Copied(source=self._source_store.url, target=self._target_store.url)
        self._meet(copied)
        self._progress.start("copying", unit="roots")
        try:
            for prefix in selection.prefixes:
                self._below(prefix, selection, copied)
            if selection.paths:
                self._data_paths(selection, copied)
            aliases = Aliases(self._source_store, self._target_store)
            for prefix in selection.prefixes:
                if prefix.startswith("models/"):
                    self._aliases(aliases, prefix, copied)
                    self._remarks(prefix, copied)
        finally:
            self._progress.done()
        return copied

    def _meet(self, copied: Copied) -> None:
        here = founding.read(self._source_store)
        empty = next(iter(self._target_store.list("")), None) is None
        there = founding.found(self._target_store, self._clock, here)
        copied.founded = empty
        if here.id == there.id:
            raise one_store(self._source_store, self._target_store, here.id)
        self._source = Source(self._source_store)
        self._presence = Presence(self._target_store, self._hints(there) if self._hints else None)
        if self._agreed_of is not None:
            self._agreed = self._agreed_of(here, there)

    # ---- roots -------------------------------------------------------------------------------------------------

    def _below(self, prefix: str, selection: Selection, copied: Copied) -> None:
        batch = _Batch(self._commit, copied)
        pairs = _paired(self._source_store.list(prefix), self._target_store.list(prefix))
        for here, there in pairs:
            names = here.key.split("/")
            if names[0] == "runs" and selection.runs is not None and names[1] not in selection.runs:
                continue
            if is_root(here.key):
                self._root(here, there, batch, copied)
            elif names[0] == "runs" and len(names) == 4 and names[2] == "live":
                self._segment(here, there, copied)
        batch.commit()

    def _data_paths(self, selection: Selection, copied: Copied) -> None:
        batch = _Batch(self._commit, copied)
        met: set[str] = set()
        known: set[str] = set()
        for here, there in _paired(self._source_store.list("data/"), self._target_store.list("data/")):
            try:
                root = self._roots.envelope(here.key)
            except Corrupt:
                continue  # of no path that could be told
            path = str(root.body.get("path")) if root else ""
            known.add(path)
            if root is not None and path in selection.paths and "data/" not in selection.prefixes:
                self._root(here, there, batch, copied)
            if root is not None and path in selection.paths:
                met.add(path)
        batch.commit()
        for path in sorted(selection.paths - met):
            near = misspelt(path)
            some = ", ".join(sorted(known - {""})[:5])
            raise Missing(
                f"nothing was ever added at {path}",
                where=self._source_store.url,
                safe="what was selected otherwise is copied",
                next=f"did you mean {near}?" if near else f"there are: {some}" if some else "rote add PATH",
            )

    def _root(self, here: Meta, there: Meta | None, batch: _Batch, copied: Copied) -> None:
        kind = here.key.partition("/")[0]
        self._progress.step()
        if there is not None and self._agreed.same(here.key, here.etag, there.etag):
            copied.count(copied.there, kind)
            return
        try:
            root = self._roots.envelope(here.key)
        except Corrupt as e:
            copied.damaged.append(Left(here.key, e.what))
            return
        if root is None:
            return
        if there is None:
            batch.add(_Item(here.key, root))
            return
        item = self._judged(here.key, root, copied)
        if isinstance(item, _Item):
            batch.add(item)
        elif item is Verdict.SAME:
            self._agreed.add(here.key, here.etag, there.etag)
            copied.count(copied.there, kind)

    def _judged(self, key: str, root: Root, copied: Copied) -> _Item | Verdict:
        """What is to be sent; or why nothing is: a conflict is noted."""
        try:
            there = self._there.envelope(key)
        except Corrupt as e:
            copied.conflicts.append(Left(key, f"the target's is damaged: {e.what}"))
            return Verdict.CONFLICT
        judged = judge(key, root.body, there.body if there else None)
        if judged.verdict is Verdict.CONFLICT:
            copied.conflicts.append(Left(key, judged.why))
        if judged.verdict is not Verdict.SEND:
            return judged.verdict
        return _Item(key, root, there, judged.merged)

    def _segment(self, here: Meta, there: Meta | None, copied: Copied) -> None:
        if there is not None:
            if there.size != here.size:
                copied.conflicts.append(Left(here.key, "this piece of the run's log is another there"))
            return
        try:
            data = self._source_store.get(here.key).data
            for _ in unpack_segment(data, here.key):
                pass
        except (NotFound, Corrupt) as e:
            copied.damaged.append(Left(here.key, e.what))
            return
        conditional.put(self._target_store, here.key, data, None)
        copied.logs += 1
        copied.size += len(data)

    # ---- writes ------------------------------------------------------------------------------------------------

    def _commit(self, items: list[_Item], copied: Copied) -> None:
        """All in one write; what cannot be read from the source is left out by itself."""
        for _ in range(_TRIES):
            if not items:
                return
            try:
                carried = self._written(items)
            except Beaten:
                items = self._again(items, copied)  # somebody else made one of them meanwhile
            except (Missing, NotFound, Corrupt) as e:
                if len(items) == 1:
                    copied.damaged.append(Left(items[0].key, str(e)))
                    return
                for item in items:
                    self._commit([item], copied)
                return
            else:
                copied.carried(carried)
                for item in items:
                    copied.count(copied.sent, item.key.partition("/")[0])
                return
        raise StoreError(
            "others write the same roots all the time", where=self._target_store.url, next="try again"
        )

    def _written(self, items: list[_Item]) -> Carried:
        return self._transactions.write(lambda write: self._carry(write, items))

    def _again(self, items: list[_Item], copied: Copied) -> list[_Item]:
        found = [self._judged(item.key, item.root, copied) for item in items]
        return [item for item in found if isinstance(item, _Item)]

    def _carry(self, write: Write, items: list[_Item]) -> Carried:
        with Carrier(self._source, self._presence, write, self._jobs) as carrier:
            for item in items:
                there = item.there
                if there is not None:  # a write that was given up may hold the key still
                    found = conditional.look(self._target_store, item.key)
                    held(self._target_store, item.key, found, end=True)
                if item.merged is not None and there is not None:
                    write.root(item.key, item.merged, there.needs, replace=True, expected=there)
                    continue
                where: dict[tuple[str, str], SnapshotRef] = {}
                for ref in item.root.needs:
                    where[ref.id, ref.txn] = carrier.bring(ref)
                body = relocated(item.key, item.root.body, where)
                needs = {(ref.id, ref.txn): ref for ref in where.values()}
                write.root(
                    item.key,
                    body,
                    [needs[k] for k in sorted(needs)],
                    replace=there is not None,
                    expected=there,
                )
            carrier.finish()
            return carrier.carried

    # ---- aliases -----------------------------------------------------------------------------------------------

    def _aliases(self, aliases: Aliases, prefix: str, copied: Copied) -> None:
        for model, alias in aliases.below(prefix):
            key = f"models/{model}/aliases/{alias}"
            try:
                became = aliases.copy(model, alias)
            except (Corrupt, Missing) as e:
                copied.damaged.append(Left(key, str(e)))
                continue
            if became.why:
                copied.conflicts.append(Left(key, became.why))
            else:
                copied.count(copied.sent if became.sent else copied.there, "aliases")

    def _remarks(self, prefix: str, copied: Copied) -> None:
        for key, sent in remarking.carry(self._source_store, self._target_store, prefix):
            if isinstance(sent, Corrupt):
                copied.damaged.append(Left(key, str(sent)))
            else:
                copied.count(copied.sent if sent else copied.there, "remarks")


class _Batch:
    """Roots on their way into one write."""

    def __init__(self, commit: Callable[[list[_Item], Copied], None], copied: Copied) -> None:
        self._commit = commit
        self._copied = copied
        self._items: list[_Item] = []
        self._size = 0

    def add(self, item: _Item) -> None:
        """One more; a full batch is committed."""
        self._items.append(item)
        self._size += sum(ref.size for ref in item.root.needs)
        if len(self._items) >= ROOTS or self._size >= SIZE:
            self.commit()

    def commit(self) -> None:
        """Commit what there is."""
        items, self._items, self._size = self._items, [], 0
        if items:
            self._commit(items, self._copied)


def one_store(source: ObjectStore, target: ObjectStore, id: str) -> RoteError:
    """The error for two addresses of one store id."""
    if source.url == target.url:
        return UsageError("the two are one store", where=source.url, next="rote copy --to ANOTHER_STORE")
    return UsageError(
        f"both stores have the id {id}: they are one store under two addresses, or one is a copy of the other, made "
        "byte by byte",
        where=f"{source.url} and {target.url}",
        safe="nothing was changed",
        next="if one is such a copy, copy from it into a new place: rote copy --from COPY --to NEW_PLACE",
    )


def _paired(here: Iterator[Meta], there: Iterator[Meta]) -> Iterator[tuple[Meta, Meta | None]]:
    """Every object here, with the one under the same key there. Both come sorted by key, and are not held."""
    theirs = next(there, None)
    for mine in here:
        while theirs is not None and theirs.key < mine.key:
            theirs = next(there, None)
        yield mine, theirs if theirs is not None and theirs.key == mine.key else None
