"""The parts that read what DVC keeps of a project, put together."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property

from rote.adapters.dvc.objects import Objects, Remote
from rote.adapters.dvc.sums import Sums
from rote.adapters.stores import address
from rote.ports import ObjectStore, Progress, Workspace
from rote.services.runs.pinning import Pinning
from rote.services.runs.taking import Taking
from rote.wiring.config.dvc import pins
from rote.wiring.config.dvc.records import Records
from rote.wiring.config.dvc.settings import DvcSettings
from rote.wiring.config.dvc.settings import Remote as Described
from rote.wiring.config.dvc.settings import read as read_settings
from rote.words.foreign import Mark
from rote.words.pipeline import Pipeline


class DvcWiring:
    """The parts of one project that are about DVC, made on demand."""

    def __init__(
        self, root: str, cache: str, *, workspace: Workspace, pipeline: Pipeline, progress: Progress
    ) -> None:
        """`cache` is the folder of rote's own caches."""
        self._root = root
        self._cache = cache
        self._workspace = workspace
        self._pipeline = pipeline
        self._progress = progress

    @cached_property
    def settings(self) -> DvcSettings:
        return read_settings(self._root, os.environ)

    @cached_property
    def sums(self) -> Sums:
        return Sums(self._root, os.path.join(self._cache, "dvc.sums"))

    @cached_property
    def objects(self) -> Objects:
        found = sorted(self.settings.remotes.values(), key=lambda one: one.name != self.settings.default)
        remotes = [
            Remote(
                name=one.name, shown=f"the remote {one.name}",
                folder=one.url if one.folder else None, store=self._opener(one),
            )
            for one in found
        ]  # fmt: skip
        return Objects(self.settings.cache, remotes, os.path.join(self._cache, "dvc"))

    def _opener(self, remote: Described) -> Callable[[], ObjectStore]:
        return lambda: address.at(remote.url, environ={**os.environ, **remote.environment})

    @cached_property
    def records(self) -> Records:
        return Records(self._root)

    @cached_property
    def taking(self) -> Taking:
        return Taking(self._workspace, self.sums, self.objects, self.records, self._progress)

    @cached_property
    def pinning(self) -> Pinning:
        return Pinning(
            self._workspace,
            self.taking,
            pins=lambda: pins.read(self._root),
            sums=self.sums,
            records=self.records,
            stages=self._pipeline.stages,
            progress=self._progress,
        )

    def keep_out_of_git(self) -> None:
        """In a project that `rote init` never saw, git is to look past rote's own folder."""
        file = os.path.join(self._root, ".rote", ".gitignore")
        if not os.path.lexists(file):
            os.makedirs(os.path.dirname(file), exist_ok=True)
            with open(file, "w", encoding="ascii") as out:
                out.write("*\n")

    def absent(self) -> dict[str, Mark]:
        """The sums of pinned data that stages need and that is not here."""
        deps = {path for stage in self._pipeline.stages.values() for path in stage.deps}
        return {path: pinned.mark for path, pinned in self.pinning.absent(deps).items()}
