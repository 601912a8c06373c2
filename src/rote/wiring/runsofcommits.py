"""Which run counts for a commit: one made there, or one of which nothing that it read has changed since."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from rote.errors import ConfigError, Missing, RoteError
from rote.laws.pipeline import overriding, stagekey
from rote.services.releases.provenance import Provenance
from rote.wiring.config import params, reading
from rote.wiring.operating import Operating
from rote.wiring.parts import Wiring
from rote.words.ids import RunId
from rote.words.pipeline import Model
from rote.words.pointer import SUFFIX
from rote.words.run import FINISHED, Run

_LOOKED_AT = 50
"""Runs of other commits that are held against a commit, newest first."""
_TOLD = 3
"""So many runs are told of that do not count."""
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
        for run in self._runs(f"commit = '{commit}' and dirty = false and state = '{FINISHED}'"):
            if self._makes(run, model):
                return run
        here = self._of_the_tree(commit)
        if here is not None and self._makes(here, model):
            return here
        for run in self._runs(f"dirty = false and state = '{FINISHED}'"):
            if self._makes(run, model) and self.counts(run, commit):
                return run
        raise Missing(
            f"there is no finished run of commit {commit[:12]} as it was committed{self._but(commit, model)}",
            where=self._w.store.url,
            next=f"git checkout {commit[:12]}, rote run, then the same again",
        )

    def _but(self, commit: str, model: Model) -> str:
        """Why the newest runs of the commit do not count."""
        told = [_why_not(run, model) for run in islice(self._runs(f"commit = '{commit}'"), _TOLD)]
        return f": {'; '.join(told)}" if told else ""

    def _makes(self, run: Run, model: Model) -> bool:
        """Whether the run left all that the model needs, from what was committed alone: no `-S`, no smoke run."""
        outs = [out.path for stage in self._w.pipeline.stages.values() for out in stage.outs]
        left = [path for stage in run.stages for path in stage.outs]
        wanted = [path.rstrip("/") for path in model.files]
        made = [path for path in wanted if any(_related(path, out) for out in outs)]
        return (
            not run.overrides
            and not run.smoke
            and all(any(_related(path, out) for out in left) for path in made)
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
        return not touched or not self._reads(run, touched, commit)

    def _runs(self, where: str) -> Iterator[Run]:
        """The newest runs for which this holds."""
        if not self._synced:
            self._w.catalogue.sync()
            self._synced = True
        for row in self._w.catalogue.runs(where, columns=["id"], limit=_LOOKED_AT).rows:
            try:
                yield self._w.runs.get(RunId(str(row[0])))
            except Missing:
                continue  # removed since

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

    def _same_params(self, file: str, used: Mapping[str, Any], commit: str) -> bool:
        """Whether the params that a run used have the same values in a commit."""
        try:
            content = params.decode(reading.decode(self._w.git.show(commit, file), file), file)
        except (Missing, ConfigError):
            return False
        for key, value in used.items():
            place = overriding.locate(content, key)
            if place is None or stagekey.plain(overriding.value_at(content, place)) != value:
                return False
        return True

    def _reads(self, run: Run, changed: list[str], commit: str) -> bool:
        """Whether the run read any of these paths, which another commit has otherwise. In doubt it did."""
        origin = self._provenance.of_run(run, ())
        if origin.ingredients.unknown:
            return True
        read = {*origin.ingredients.code, *(used.path + SUFFIX for used in origin.data)}
        read |= {used.path for used in origin.data} | set(self._w.pipeline.files)
        values = origin.ingredients.params
        read |= set(origin.environment.locks) if origin.environment else set()
        folders = {os.path.dirname(path) for path in origin.ingredients.code if path.endswith(".py")}
        for path in changed:
            if path in values and not self._same_params(path, values[path], commit):
                return True
            if any(path == one or path.startswith(one + "/") for one in read):
                return True
            # A module that is new beside others may be found before them.
            if path.endswith(".py") and os.path.dirname(path) in folders:
                return True
        return False


def _why_not(run: Run, model: Model) -> str:
    if run.state != FINISHED:
        return f"run {run.id} is {run.state}"
    if run.overrides:
        return f"run {run.id} was made with {', '.join(run.overrides)}"
    if run.commit.dirty:
        return f"run {run.id} had uncommitted changes"
    if run.smoke:
        return f"run {run.id} is a smoke run"
    return f"run {run.id} did not make all that {model.name} needs"


def _related(a: str, b: str) -> bool:
    """Whether the paths are one, or one is inside the other."""
    return a == b or a.startswith(b + "/") or b.startswith(a + "/")
