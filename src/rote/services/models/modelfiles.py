"""Which files a version of a model holds: outs of its run, and files that git tracks, as they were in that run."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rote.errors import Refused
from rote.ports import Columns, Committed, Silence
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.words.ids import nearest, shown
from rote.words.pipeline import Model
from rote.words.run import Run
from rote.words.snapshot import FILE, SnapshotRecord, SnapshotRef

_SAFE = "no version was made"


class ModelFiles:
    """Finds the snapshots that `models.NAME.files` means."""

    def __init__(self, snapshots: Snapshots, committed: Committed | None) -> None:
        """`committed` reads git commits; None where there is no git."""
        self._snapshots = snapshots
        self._committed = committed

    def of(self, model: Model, run: Run, writer: SnapshotWriter) -> dict[str, SnapshotRecord]:
        """Path in the version -> snapshot. An entry lands under its last name, as `cp -r` would put it there.

        An entry is an out of the run, a folder with outs or files that git tracks below it, or a file that git tracks;
        those are saved from the run's commit by `writer`. Raises Refused if an entry is none of these, was not
        committed as it was in the run, or two entries land under one name.
        """
        outs = {path: ref for stage in run.stages for path, ref in stage.outs.items()}
        found: dict[str, SnapshotRecord] = {}
        taken: dict[str, str] = {}
        for entry in model.files:
            path = entry.rstrip("/")
            name = path.rpartition("/")[2]
            other = taken.setdefault(name.casefold(), path)
            if other != path:
                raise Refused(
                    f"{other} and {path} would both be {name} in {model.name}",
                    where=str(model.at),
                    safe=_SAFE,
                    next="rename one of them",
                )
            for below, record in self._entry(model, run, outs, path, writer):
                found[name + below] = record
        if not found:
            raise Refused(f"the model {model.name} has no files", where=str(model.at), safe=_SAFE)
        return found

    def _entry(
        self, model: Model, run: Run, outs: Mapping[str, SnapshotRef], path: str, writer: SnapshotWriter
    ) -> Iterator[tuple[str, SnapshotRecord]]:
        if path in outs:
            yield "", self._snapshots.record(outs[path])
            return
        holder = next((out for out in outs if path.startswith(out + "/")), None)
        if holder:
            raise Refused(
                f"{path} is a part of the out {holder}",
                where=str(model.at),
                safe=_SAFE,
                next=f"take the whole {holder} into the model's files, or make {path} an out of its own",
            )
        inside = {out: ref for out, ref in outs.items() if out.startswith(path + "/")}
        for out, ref in inside.items():
            yield out[len(path) :], self._snapshots.record(ref)
        tracked = self._tracked(run, path)
        if tracked:
            self._refuse_uncommitted(model, run, path)
            for file, data in tracked.items():
                yield file[len(path) :], writer.save(_OneFile(data), progress=Silence())
        elif not inside:
            raise self._nothing(model, run, list(outs), path)

    def _tracked(self, run: Run, path: str) -> Mapping[str, bytes]:
        if self._committed is None or run.commit.id is None:
            return {}
        return self._committed.read(run.commit.id, lambda _: True, below=path)

    def _refuse_uncommitted(self, model: Model, run: Run, path: str) -> None:
        commit = run.commit
        if not commit.dirty:
            return
        if commit.diff_cut or not commit.diff or _touches(commit.diff, path):
            raise Refused(
                f"{path} was not committed as it was in run {run.id}",
                where=str(model.at),
                safe=_SAFE,
                next="commit it, then `rote run --force` and release that run",
            )

    def _nothing(self, model: Model, run: Run, outs: list[str], path: str) -> Refused:
        near = nearest(path, outs)
        known = f"the outs of the run: {', '.join(outs)}; " if outs else ""
        in_git = f"if git shall keep it: git add {path}, commit, then `rote run --force` and release that run"
        hint = f"is it {near}?" if near else known + in_git
        return Refused(
            f"{shown(path)} is no out of run {run.id}, and git does not track it in the run's commit",
            where=str(model.at),
            safe=_SAFE,
            next=hint,
        )


def _touches(diff: str, path: str) -> bool:
    """Whether a diff may change `path`, or files below it. In doubt, yes: a header that git quoted, say."""
    for line in diff.splitlines():
        if not line.startswith("diff --git "):
            continue
        if '"' in line:
            return True
        for side in line.removeprefix("diff --git ").split(" "):
            # Paths in a diff begin at the repository, which may lie above the project.
            if f"/{side}/".endswith(f"/{path}/") or f"/{path}/" in f"/{side}":
                return True
    return False


class _OneFile:
    """A port `Tree` of a single file in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def single(self) -> bool:
        return True

    def batches(self) -> Iterator[Columns]:
        yield Columns([FILE], [len(self._data)], bytearray(1), [None])

    def read(self, path: str, size: int) -> bytes:
        return self._data

    @contextmanager
    def stream(self, path: str, size: int) -> Iterator[Callable[[memoryview], int]]:
        yield io.BytesIO(self._data).readinto

    def seen(self, batch: Columns) -> None:
        """Nothing is remembered: the file is in git."""
