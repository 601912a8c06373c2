"""What a project said at a revision, or says in the working tree: pointers, params, metrics; and what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rote.laws.data import diff
from rote.services.data.data import HERE
from rote.wiring.config import params, reading
from rote.wiring.parts import Wiring
from rote.words import pointer
from rote.words.ids import RunId, shown
from rote.words.pipeline import Pipeline
from rote.words.pointer import SUFFIX, Pointer
from rote.words.run import Run

PARAMS = "params.yaml"


class DataChange(msgspec.Struct, frozen=True, kw_only=True):
    """A data path whose pointer differs: the snapshots before and after (None: no pointer), and the files."""

    path: str
    before: str | None
    after: str | None
    files: diff.TreeDiff


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two revisions. `params` and `metrics` are by file."""

    data: list[DataChange] = []
    params: dict[str, list[diff.ValueChange]] = {}
    metrics: dict[str, list[diff.ValueChange]] = {}


class Revisions:
    """Reads a project as of a revision; None stands for the working tree."""

    def __init__(self, wiring: Wiring) -> None:
        self._w = wiring

    def pointers(self, rev: str | None) -> dict[str, Pointer]:
        """Data path -> pointer. Raises Missing, UsageError, ConfigError."""
        return pointers(self._w, rev)

    def params(self, rev: str | None) -> dict[str, Mapping[str, Any]]:
        """Params file -> content, of every file that the present pipeline names and of params.yaml."""
        files = list(dict.fromkeys([PARAMS, *params.files_of(self._w.pipeline)]))
        if rev is None:
            there = {f: d for f in files if (d := reading.read_bytes(self._w.root, f)) is not None}
        else:
            there = self._w.git.read(rev, lambda name: name in files)
        return {file: params.decode(reading.decode(data, file), file) for file, data in there.items()}

    def metrics(self, rev: str | None) -> dict[str, Any]:
        """Metrics file -> content: of a revision as the newest run of that commit recorded them."""
        if rev is not None:
            run = self._newest_run(self._w.git.resolve(rev))
            return run.metrics if run else {}
        found = {}
        for file in metrics_files(self._w.pipeline):
            data = reading.read_bytes(self._w.root, file)
            if data is not None:
                found[file] = params.decode(reading.decode(data, file), file)
        return found

    def differences(self, old: str | None, new: str | None, what: frozenset[str]) -> Differences:
        """What differs, of `what`: data, params, metrics."""
        return Differences(
            data=self._data(old, new) if "data" in what else [],
            params=_values(self.params(old), self.params(new)) if "params" in what else {},
            metrics=_values(self.metrics(old), self.metrics(new)) if "metrics" in what else {},
        )

    def _newest_run(self, commit: str) -> Run | None:
        """The newest run of a commit; one without uncommitted changes, if there is any."""
        catalogue = self._w.catalogue
        catalogue.sync()
        earnest = f"commit = '{commit}' and smoke = false"
        for where in (f"{earnest} and dirty = false", earnest):
            found = catalogue.runs(where, columns=["id"], limit=1).rows
            if found:
                return self._w.runs.get(RunId(str(found[0][0])))
        return None

    def _data(self, old: str | None, new: str | None) -> list[DataChange]:
        before, after = self.pointers(old), self.pointers(new)
        changes = []
        for path in sorted(before.keys() | after.keys()):
            a, b = before.get(path), after.get(path)
            if a and b and a.snapshot == b.snapshot and new is not None:
                continue
            files = self._files(path, a, b, live=new is None)
            if files.changes() or (a is None) != (b is None):
                changes.append(
                    DataChange(
                        path=path,
                        before=a.snapshot if a else None,
                        after=b.snapshot if b else None,
                        files=files,
                    )
                )
        return changes

    def _files(self, path: str, a: Pointer | None, b: Pointer | None, *, live: bool) -> diff.TreeDiff:
        """With `live` the files as they lie in the working tree stand for what the pointer says."""
        before = self._w.data.locate(path, a) if a else None
        after = self._w.data.locate(path, b) if b else None
        return self._w.data.changes(path, before, HERE if live else after)


def pointers(wiring: Wiring, rev: str | None) -> dict[str, Pointer]:
    """Data path -> pointer, at a revision; of the working tree for None. Raises Missing, UsageError, ConfigError."""
    if rev is None:
        return dict(wiring.workspace.pointers())
    found = wiring.git.read(rev, lambda name: name.endswith(SUFFIX) and name != SUFFIX)
    return {
        path[: -len(SUFFIX)]: pointer.parse(content.decode("utf-8", "replace"), f"{path} at {shown(rev)}")
        for path, content in sorted(found.items())
    }


def metrics_files(pipeline: Pipeline) -> list[str]:
    """Every metrics file of the pipeline."""
    return [o.path for s in pipeline.stages.values() for o in s.outs if o.kind == "metrics"]


def _values(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[diff.ValueChange]]:
    found: dict[str, list[diff.ValueChange]] = {}
    for change in diff.values(before, after):
        found.setdefault(change.file, []).append(change)
    return found
