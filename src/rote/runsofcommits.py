"""Which run counts for a commit: one made there, or one of which nothing that it read has changed since."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from rote.config import params, reading
from rote.errors import ConfigError, Missing, RoteError
from rote.ids import RunId
from rote.operating import Operating
from rote.pipeline import Model
from rote.pointer import SUFFIX
from rote.provenance import Provenance
from rote.record import FINISHED, Run
from rote.wiring import Wiring

_LOOKED_AT = 50
"""Runs of other commits that are held against a commit, newest first."""
_BESIDE = frozenset({"models", "gates", "store", "cache", "budget"})
"""Keys of rote.yaml that no stage depends on."""


class RunsOfCommits:
    """Finds runs of commits."""

    def __init__(self, wiring: Wiring, provenance: Provenance, reported: str | None) -> None:
        """`reported` is the run that `rote run` reported last in this tree."""
        self._w = wiring
        self._provenance = provenance
        self._reported = reported
        self._synced = False

    def find(self, model: Model, commit: str) -> Run:
        """The newest finished run, without uncommitted changes, that counts for the commit. Raises Missing."""
        own = self._asked(f"commit = '{commit}' and dirty = false and state = '{FINISHED}'", 1)
        for id in own:
            return self._w.runs.get(id)
        here = self._of_the_tree(commit)
        if here is not None:
            return here
        for id in self._asked(f"dirty = false and state = '{FINISHED}'", _LOOKED_AT):
            try:
                run = self._w.runs.get(id)
            except Missing:
                continue  # removed since
            if self.counts(run, commit):
                return run
        raise Missing(
            f"there is no finished run of commit {commit[:12]}",
            where=self._w.store.url,
            next=f"git checkout {commit[:12]}, rote run, then the same again",
        )

    def counts(self, run: Run, commit: str) -> bool:
        """Whether the run is as good as one of that commit: it has no uncommitted changes, and nothing that its stages
        read is another there."""
        if run.commit.id is None or run.commit.dirty:
            return False
        if run.commit.id == commit:
            return True
        changed = self._w.git.changed(run.commit.id, commit)
        if changed is None:
            return False
        touched = [path for path in changed if not self._beside(path, run.commit.id, commit)]
        return not touched or not self._reads(run, touched)

    def _asked(self, where: str, limit: int) -> Iterator[RunId]:
        if not self._synced:
            self._w.catalogue.sync()
            self._synced = True
        for row in self._w.catalogue.runs(where, columns=["id"], limit=limit).rows:
            yield RunId(str(row[0]))

    def _of_the_tree(self, commit: str) -> Run | None:
        """The run whose results the working tree has, if that is the commit: one that had nothing to do is not recorded
        again."""
        at = self._w.git.commit()
        if at.id != commit or at.dirty:
            return None
        try:
            hits = Operating(self._w).hits()
        except RoteError:  # the tree cannot be run as it is: then no run is of it
            return None
        stages = {name for name, stage in self._w.pipeline.stages.items() if not stage.frozen}
        if not hits or set(hits) != stages:
            return None
        makers = {result.run for result in hits.values()}
        wanted = [self._reported] if self._reported else []
        for id in [*wanted, *sorted(makers, reverse=True)]:
            try:
                run = self._w.runs.get(RunId(id))
            except RoteError:
                continue
            keys = {outcome.stage: outcome.key for outcome in run.stages}
            if run.state == FINISHED and all(keys.get(name) == hits[name].key for name in hits):
                return run
        return None

    def _beside(self, path: str, old: str, new: str) -> bool:
        """Whether a file that changed is one of the pipeline in which only what no stage depends on did."""
        if path != "rote.yaml":
            return False
        try:
            before, after = (self._stages_text(rev) for rev in (old, new))
        except (Missing, ConfigError):
            return False
        return before == after

    def _stages_text(self, rev: str) -> dict[str, Any]:
        data = self._w.git.show(rev, "rote.yaml")
        content = params.decode(reading.decode(data, "rote.yaml"), "rote.yaml")
        return {key: value for key, value in content.items() if key not in _BESIDE}

    def _reads(self, run: Run, changed: list[str]) -> bool:
        """Whether the run read any of these paths. In doubt it did."""
        origin = self._provenance.of_run(run, ())
        if origin.ingredients.unknown:
            return True
        read = {*origin.ingredients.code, *(used.path + SUFFIX for used in origin.data)}
        read |= (
            {used.path for used in origin.data} | set(origin.ingredients.params) | set(self._w.pipeline.files)
        )
        read |= set(origin.environment.locks) if origin.environment else set()
        folders = {os.path.dirname(path) for path in origin.ingredients.code if path.endswith(".py")}
        for path in changed:
            if any(path == one or path.startswith(one + "/") for one in read):
                return True
            # A module that is new beside others may be found before them.
            if path.endswith(".py") and os.path.dirname(path) in folders:
                return True
        return False
