"""Results that DVC knows, taken over: a stage that DVC has run on the same deps, params and command is a hit."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from rote.errors import BadPath, Unsaved
from rote.laws.data.dvcsums import run_key
from rote.laws.pipeline.stagekey import plain
from rote.ports import Progress, Workspace
from rote.ports.foreign import ForeignObjects, ForeignRecords, ForeignSums, ForeignTree
from rote.services.data.bringing import Brought
from rote.services.data.identity import identify
from rote.words.encoding import canonical
from rote.words.foreign import Made, Mark
from rote.words.ids import shown
from rote.words.pipeline import Stage
from rote.words.pointer import Pointer

Params = Mapping[str, Mapping[str, Any]]


class Taking:
    """Looks results up in dvc.lock and in DVC's cache of runs, and brings their outs from DVC's cache and remotes."""

    def __init__(
        self,
        workspace: Workspace,
        sums: ForeignSums,
        objects: ForeignObjects,
        records: ForeignRecords,
        progress: Progress,
    ) -> None:
        self._workspace = workspace
        self._sums = sums
        self._objects = objects
        self._records = records
        self._progress = progress

    def find(self, stage: Stage, params: Params, marks: Mapping[str, Mark] | None = None) -> Made | None:
        """What DVC knows of the stage as it is now, and whose outs are here or can be brought from the cache.

        `marks` has the sums of deps that are still to be brought. Raises ConfigError if dvc.lock is damaged.
        """
        if stage.always_changed:
            return None
        for made in self._candidates(stage, params, marks or {}):
            if self._fits(stage, params, made, marks or {}) and self._reachable(stage, made):
                return made
        return None

    def _candidates(self, stage: Stage, params: Params, marks: Mapping[str, Mark]) -> Iterator[Made]:
        locked = self._records.lock(stage)
        if locked is not None:
            yield locked
        if not (stage.deps and stage.outs) or any(out.persist for out in stage.outs):
            return
        for legacy in (False, True):
            deps = {}
            for path in stage.deps:
                mark = self._coming(path, marks) or self._mark(path, legacy)
                if mark is None:
                    return
                deps[posixpath.relpath(path, stage.wdir)] = mark
            outs = [posixpath.relpath(out.path, stage.wdir) for out in stage.outs]
            key = run_key(stage.cmd, deps, _for_run(stage, params), outs)
            for where, data in self._objects.runs(key):
                made = self._records.run(stage, where, data)
                if made is not None:
                    yield made

    def _coming(self, path: str, marks: Mapping[str, Mark]) -> Mark | None:
        """What will lie at the path once what is still to be brought is here."""
        if path in marks:
            return marks[path]
        around = next((one for one in marks if path.startswith(f"{one}/")), None)
        return self._objects.inside(marks[around], path[len(around) + 1 :]) if around else None

    def _mark(self, path: str, legacy: bool) -> Mark | None:
        try:
            digest = self._sums.of(path, legacy=legacy)
        except BadPath:
            return None
        return Mark(digest, legacy) if digest else None

    def _fits(self, stage: Stage, params: Params, made: Made, marks: Mapping[str, Mark]) -> bool:
        """As DVC judges: the command, and each dep, param and out that the stage names now."""
        if made.cmd != stage.cmd or not all(out.path in made.outs for out in stage.outs):
            return False
        if not all(path in made.deps for path in stage.deps) or not _same_params(stage, params, made):
            return False
        for path in stage.deps:
            old = made.deps[path]
            new = self._coming(path, marks) or self._mark(path, old.legacy)
            if new is None or new.md5 != old.md5:
                return False
        return True

    def _reachable(self, stage: Stage, made: Made) -> bool:
        """Whether every out is in place; or may be brought, and is not one that goes on from what is there."""
        for out in stage.outs:
            mark = made.outs[out.path]
            here = self._mark(out.path, mark.legacy)
            if here is not None and here.md5 == mark.md5:
                continue
            if here is not None and out.persist:
                return False
            if not out.cache and not self._objects.has(mark):
                return False
        return True

    def in_place(self, stage: Stage, made: Made) -> bool:
        """Whether every out lies in the working tree as DVC left it."""
        return all(
            (here := self._mark(out.path, made.outs[out.path].legacy)) is not None
            and here.md5 == made.outs[out.path].md5
            for out in stage.outs
        )

    def take(self, stage: Stage, made: Made, label: str) -> list[str]:
        """Bring every out. What is saved nowhere is put aside; returns where that is. Raises Missing, Corrupt,
        StoreUnavailable."""
        aside = []
        for out in stage.outs:
            mark = made.outs[out.path]
            try:
                self.bring(out.path, mark)
            except (Unsaved, BadPath):
                aside.append(self._workspace.put_aside(out.path, f"{label}/before"))
                self.bring(out.path, mark)
        self._sums.save()
        return [place for place in aside if place]

    def bring(self, path: str, mark: Mark, *, remote: str | None = None, force: bool = False) -> Brought:
        """Make the path what the mark says. Raises Unsaved (with nothing touched) if content that DVC's cache does not
        have would be lost, and not `force`; Missing, Corrupt, StoreUnavailable."""
        here = self._mark(path, mark.legacy)
        if here is not None and here.md5 == mark.md5:
            return Brought(kept=1)
        there = self._workspace.kind(path) is not None
        if there and not force and (here is None or not self._objects.has(here)):
            raise Unsaved(
                f"{shown(path, 200)} was changed, and neither rote nor DVC has saved it",
                safe="nothing was touched",
                next=f"dvc add {path} saves it; rote checkout --force {path} gives it up",
            )
        tree = self._objects.tree(mark, remote)
        try:
            return self._written(path, tree, replace=there)
        finally:
            tree.close()

    def _written(self, path: str, tree: ForeignTree, *, replace: bool) -> Brought:
        found = identify(tree, self._progress)
        with self._workspace.whole(path, single=tree.single) as sink:
            for batch in tree.batches():
                for i, name in enumerate(batch.paths):
                    digest = batch.digests[i] or b""
                    sink.file(name, batch.sizes[i], bool(batch.executables[i]), digest, tree.parts(name))
            if replace and not (tree.single and self._workspace.kind(path) == "file"):
                self._workspace.delete(path)
            sink.place(Pointer(found.id, found.files, found.size, found.single), replace=replace)
        return Brought(written=found.files, bytes=found.size)


def _same_params(stage: Stage, params: Params, made: Made) -> bool:
    for param in stage.params:
        old: Any = made.params.get(param.file)
        new: Any = params.get(param.file, {}).get(param.key)
        if old is None:
            return False
        if param.key:
            if param.key not in old:
                return False
            old = old[param.key]
        if canonical(plain(old)) != canonical(plain(new)):
            return False
    return True


def _for_run(stage: Stage, params: Params) -> dict[str, dict[str, Any]]:
    """The params as they stand in the key of a run."""
    found: dict[str, dict[str, Any]] = {}
    for param in stage.params:
        value = params.get(param.file, {}).get(param.key)
        into = found.setdefault(posixpath.relpath(param.file, stage.wdir), {})
        if param.key:
            into[param.key] = value
        elif isinstance(value, Mapping):
            into.update(value)
    return found
