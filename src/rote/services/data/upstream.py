"""Data that comes from outside: fetched once, and again only when its source has changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import msgspec

from rote.errors import (
    BadPath,
    Changed,
    Missing,
    RoteError,
    SourceUnavailable,
    StoreError,
    Unsaved,
    UsageError,
)
from rote.laws.data import sourcelist
from rote.laws.data.sourcelist import Followed, SourceChange, SourceItem
from rote.ports import Clock, Intake, Outside, Progress, Workspace
from rote.words.ids import shown
from rote.words.pointer import Pointer, Source
from rote.words.snapshot import FILE

if TYPE_CHECKING:  # for the types only
    from rote.services.data.data import Data
    from rote.services.data.snapshots import Snapshots

_T = TypeVar("_T")
_TRIES = 5
"""How often one thing is asked for that fails, if no byte came in between."""
_LOOKS = 3
"""How often a source is looked at anew that changes while it is read."""
_SHOWN = 5


class Updated(msgspec.Struct, frozen=True):
    """What became of one path of `rote update`.

    `state` is `unchanged` (the source has nothing new), `changed`, `same` (the source says it changed, its content did
    not) or `failed` (`problem` says why). The lists hold paths below the data path; `bytes` were fetched. With
    `dry_run` a `changed` path was left as it is, and `bytes` are what would be fetched, as far as the source says.
    """

    path: str
    url: str
    state: str
    new: list[str] = []
    changed: list[str] = []
    gone: list[str] = []
    bytes: int = 0
    problem: str = ""


class Following:
    """Fetches sources and brings what they have to data paths. `save(path, followed)` saves a path and pins it."""

    def __init__(
        self,
        *,
        workspace: Workspace,
        data: Data,
        snapshots: Callable[[], Snapshots],
        outside: Callable[[str], Outside],
        save: Callable[[str, Followed], object],
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._data = data
        self._open_snapshots = snapshots
        self._outside = outside
        self._save = save
        self._clock = clock
        self._progress = progress

    def take(self, outside: Outside, path: str) -> None:
        """Fetch a source to a path where nothing is, or what is saved, and follow it. Raises BadPath, Unsaved,
        SourceUnavailable, Changed, and what adding raises."""
        before = self._workspace.pointer(path)
        if before is None and self._workspace.kind(path) is not None:
            raise BadPath(
                f"there is something at {shown(path, 200)} already",
                safe="it was not touched, and nothing was fetched",
                next=f"move {path} away, or name another path: add --from URL PATH, import REPO PATH --to PATH",
            )
        self._refuse_local(path, before)
        self._fetched(outside, path, before, first=True)

    def update(self, path: str, pointer: Pointer, *, dry_run: bool = False) -> Updated:
        """Fetch what changed at the source of a path, if anything. Raises as `take`."""
        if pointer.source is None:
            raise UsageError(f"{shown(path, 200)} follows no source", next=f"rote add --from URL {path}")
        outside = self._outside(pointer.source.url)
        return self._fetched(outside, path, pointer, dry_run=dry_run)

    def _fetched(
        self,
        outside: Outside,
        path: str,
        before: Pointer | None,
        *,
        dry_run: bool = False,
        first: bool = False,
    ) -> Updated:
        """Look, fetch what is new, put it in place, save. A source that changes meanwhile is looked at anew."""
        for left in range(_LOOKS - 1, -1, -1):
            try:
                return self._once(outside, path, before, dry_run=dry_run, first=first)
            except Changed:
                if not left:
                    raise
                self._progress.say(f"{path}: the source changed while it was read; looking again")
        raise AssertionError  # the loop returns or raises

    def _once(
        self, outside: Outside, path: str, before: Pointer | None, *, dry_run: bool, first: bool
    ) -> Updated:
        source = before.source if before is not None and not first else None
        url = outside.url
        was = before.single if before is not None and source is not None else None
        known = source.etag if source is not None else ""
        looked = self._patiently(lambda: outside.look(was, known if was else ""))
        if looked is None:
            return Updated(path, url, "unchanged")
        single, found = looked
        items = sourcelist.checked(found, url)
        if not items:
            raise _empty(url)
        listed = None if single else sourcelist.text(items)
        etag = items[0].etag if listed is None else sourcelist.mark(listed)
        if not first and etag and etag == known:
            return Updated(path, url, "unchanged")
        change = self._change(items, source, before)
        told = Updated(
            path,
            url,
            "changed",
            [i.path for i in change.new],
            [i.path for i in change.changed],
            change.gone,
            sum(i.size or 0 for i in change.fetch),
        )
        if dry_run:
            return told
        self._refuse_kind(path, before, single)
        local = self._local(path, before, change)
        intake = self._workspace.intake(path, url)
        self._fetch(outside, intake, change.fetch)
        self._refuse_loss(path, single, local, change, intake)
        told = msgspec.structs.replace(told, bytes=sum(intake.size(item) for item in change.fetch))
        self._place(path, single, change, intake)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        self._save(path, Followed(Source(url, etag, now, at=outside.at), listed))
        intake.clear()
        after = self._workspace.pointer(path)
        same = before is not None and after is not None and before.snapshot == after.snapshot
        return msgspec.structs.replace(told, state="same") if same and not first else told

    def _change(self, items: list[SourceItem], source: Source | None, before: Pointer | None) -> SourceChange:
        """What has to be fetched, and what goes."""
        if before is None:
            return sourcelist.compare([], items)
        if source is not None and before.single:
            return SourceChange([], items, [])
        try:
            if source is None or source.list is None:
                raise Missing("this source has no list")
            record = self._open_snapshots().record(self._open_snapshots().find(source.list))
            listed = b"".join(self._open_snapshots().read(record, FILE))
            return sourcelist.compare(sourcelist.parse(listed, f"the list of {source.url}"), items)
        except (Missing, StoreError) as e:
            if source is not None:
                self._progress.say(
                    f"the list of what the source had cannot be read ({e.what}): all of it is fetched"
                )
            here = {e.path for e in self._entries(before)}
            now = {item.path for item in items}
            both = [item for item in items if item.path in here]
            return SourceChange([i for i in items if i.path not in here], both, sorted(here - now))

    def _entries(self, pointer: Pointer) -> list[SourceItem]:
        record = self._open_snapshots().record(self._open_snapshots().find(pointer.snapshot))
        return [SourceItem(e.path, e.size, "") for e in self._open_snapshots().entries(record)]

    def _refuse_kind(self, path: str, before: Pointer | None, single: bool) -> None:
        if before is not None and before.single != single:
            was, now = ("a file", "a folder") if before.single else ("a folder", "a file")
            raise BadPath(
                f"{shown(path, 200)} is {was}, and the source is {now}",
                safe="nothing was fetched",
                next="take it to another path: rote add --from URL PATH",
            )

    def _refuse_local(self, path: str, before: Pointer | None) -> None:
        if before is None or self._workspace.kind(path) is None:
            return
        here = self._data.identify(path)
        if here.id != before.snapshot and all(here.id != b.id for b in self._workspace.bases(path)):
            raise _unsaved(path, [path])

    def _local(self, path: str, before: Pointer | None, change: SourceChange) -> set[str]:
        """Files that are not as the pointer says. Those that the source left alone are somebody's work: Unsaved. What
        is not checked out here, or is older than the pointer, is brought first."""
        if before is None:
            return set()
        if self._workspace.kind(path) is None:
            if not before.single:
                self._data.checkout([path])
            return set()
        if self._workspace.is_link(path):
            raise BadPath(
                f"{shown(path, 200)} is a link: rote does not write through links",
                safe="nothing was fetched",
                next=f"rote checkout --force {path}  (replaces the link, not what it leads to)",
            )
        here = self._data.identify(path)
        if here.id == before.snapshot:
            return set()
        if any(here.id == base.id for base in self._workspace.bases(path)):
            self._data.checkout([path])
            return set()
        found = self._data.differing(path, before)
        alone = sorted(found - change.paths)
        if alone:
            raise _unsaved(path, [path if before.single else f"{path}/{name}" for name in alone])
        return found

    def _refuse_loss(
        self, path: str, single: bool, local: set[str], change: SourceChange, intake: Intake
    ) -> None:
        """Changed here and at the source: it may be overwritten only if it is what came (an update that was killed)."""
        coming = {item.path: item for item in change.fetch}
        lost = []
        for name in sorted(local):
            full = path if single else f"{path}/{name}"
            item = coming.get(name)
            there = self._workspace.kind(full) is not None
            if there and (item is None or not intake.equal(item, full)):
                lost.append(full)
        if lost:
            raise _unsaved(path, lost)

    def _fetch(self, outside: Outside, intake: Intake, items: Sequence[SourceItem]) -> None:
        todo = [item for item in items if not intake.whole(item)]
        self._progress.start("fetching", sum(item.size or 0 for item in todo), "bytes")
        try:
            for item in todo:
                self._fetch_one(outside, intake, item)
        finally:
            self._progress.done()

    def _fetch_one(self, outside: Outside, intake: Intake, item: SourceItem) -> None:
        """One item, begun again where it was cut as long as something comes."""
        failed, reached = 0, -1
        while True:
            start = intake.have(item)
            try:
                begin, total, parts = outside.read(item, start)
                intake.take(item, begin, self._counted(parts), total)
                return
            except SourceUnavailable as e:
                failed = 1 if intake.have(item) > reached else failed + 1
                reached = max(reached, intake.have(item))
                if not e.retry or failed >= _TRIES:
                    raise
                self._pause(failed)

    def _counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            self._progress.step(len(part))
            yield part

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        failed = 0
        while True:
            try:
                return ask()
            except SourceUnavailable as e:
                failed += 1
                if not e.retry or failed >= _TRIES:
                    raise
                self._pause(failed)

    def _pause(self, failed: int) -> None:
        """Between nothing and a limit that doubles, as with stores."""
        self._clock.sleep(0.2 * 2.0**failed * int(self._clock.token(4), 16) / 2**32)

    def _place(self, path: str, single: bool, change: SourceChange, intake: Intake) -> None:
        if not single and self._workspace.kind(path) is None:
            intake.place_tree(change.fetch)
            return
        for name in change.gone:
            intake.remove(f"{path}/{name}")
        for item in change.fetch:
            intake.place(item, path if single else f"{path}/{item.path}")


def failed(path: str, pointer: Pointer, error: RoteError) -> Updated:
    """What is told of a path whose update failed, so that the others go on."""
    return Updated(
        path, pointer.source.url if pointer.source else "", "failed", problem=" ".join(error.lines())
    )


def _empty(url: str) -> SourceUnavailable:
    error = SourceUnavailable(
        "the source has no files",
        where=url,
        safe="nothing in the working tree was touched",
        next="look what became of it",
    )
    error.retry = False
    return error


def _unsaved(path: str, names: Sequence[str]) -> Unsaved:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return Unsaved(
        f"changed here and saved nowhere: {', '.join(shown(n, 200) for n in names[:_SHOWN])}{more}",
        safe="nothing was touched",
        next=f"`rote checkout --force {path}` gives it up; `rote add {path}` keeps it, and follows the source no more",
    )
