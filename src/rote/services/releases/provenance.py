"""Where a version comes from: the stages behind its files, and the data, code and params that these read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from rote.errors import Corrupt, Missing, RoteError
from rote.laws.models.deriving import Ingredients
from rote.ports import Columns, Silence
from rote.services.data.identity import identify
from rote.services.data.snapshots import Snapshots
from rote.services.data.spots import nodes_below
from rote.services.runs.results import inputs_of
from rote.words.ids import Digest, RunId, SnapshotId, StageKey
from rote.words.paths import holder
from rote.words.pointer import Pointer
from rote.words.result import Result
from rote.words.run import Run, StageOutcome
from rote.words.snapshot import FILE, SnapshotRecord
from rote.words.version import DataUsed, Environment, Version

Pointers = Callable[[str | None], Mapping[str, Pointer]]
"""Data path -> pointer, as of a commit; of the working tree for None. Raises Missing, and what reading them raises."""


class Kept(Protocol):
    """Results by their slot."""

    def get(self, key: StageKey) -> Result | None:
        """The result in force, or None."""


class Recorded(Protocol):
    """Records of runs."""

    def get(self, id: RunId) -> Run:
        """The record of a run. Raises Missing, Corrupt, TooNew."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version comes from, as far as its run can tell."""

    data: list[DataUsed] = []
    environment: Environment | None = None
    ingredients: Ingredients = Ingredients()


class Provenance:
    """Finds out what stands behind a run's outs. Reads a result a stage."""

    def __init__(
        self,
        results: Kept,
        runs: Recorded,
        snapshots: Snapshots,
        pointers: Pointers,
        pinned_otherwise: Callable[[str], bool] = lambda path: False,
    ) -> None:
        """`pinned_otherwise` tells of a path whether something besides our pointers (DVC) keeps it as data."""
        self._results = results
        self._runs = runs
        self._snapshots = snapshots
        self._pointers = pointers
        self._pinned_otherwise = pinned_otherwise

    def of_run(self, run: Run, files: Iterable[str]) -> Origin:
        """What stands behind those `files` (project paths) that are outs of the run; behind all outs, if none is."""
        behind = _Behind(self._results, run, files)
        data: dict[str, SnapshotId] = {}
        code = dict(behind.found)
        pinned = self._pinned(run) if behind.outside else {}
        for path, snapshot in sorted(behind.outside.items()):
            name = _holder(path, pinned) or (path if self._pinned_otherwise(path) else None)
            if name is None:
                code[path] = str(snapshot)
            elif self.pins(pinned, path, snapshot):
                data[name] = pinned[name].snapshot
            else:
                data[path] = snapshot
        environment = None
        if run.host is not None:
            host = run.host
            environment = Environment(
                system=host.system, machine=host.machine, cpus=host.cpus, python=host.python,
                packages=host.packages, locks=dict(sorted(behind.locks.items())), images=sorted(behind.images),
            )  # fmt: skip
        return Origin(
            data=[DataUsed(path, data[path]) for path in sorted(data)],
            environment=environment,
            ingredients=Ingredients(
                data=data, params=behind.params, code=code, commands=behind.commands, around=behind.around,
                keys=behind.keys, unknown=behind.unknown,
            ),
        )  # fmt: skip

    def of_version(self, version: Version, files: Iterable[str]) -> Ingredients:
        """The same of a version that exists, with what its record says of itself."""
        names = frozenset(file.path.partition("/")[0] for file in version.files)
        try:
            if version.run is None:
                raise Missing("it has no run")
            run = self._runs.get(version.run)
        except (Missing, Corrupt):
            return Ingredients(
                names=names, signature=version.signature, params=version.params,
                data={used.path: used.snapshot for used in version.data},
                unknown=[f"the run of {version.version} is not in the store any more: its code is not known"],
            )  # fmt: skip
        found = self.of_run(run, files).ingredients
        data = {used.path: used.snapshot for used in version.data} or found.data
        return msgspec.structs.replace(found, names=names, signature=version.signature, data=data)

    def pins(self, pointers: Mapping[str, Pointer], path: str, snapshot: SnapshotId) -> bool:
        """Whether what pointers pin at a path, which may lie inside of the data, is this snapshot."""
        name = _holder(path, pointers)
        return (
            name is not None
            and name in pointers
            and self._is_part(pointers[name], path[len(name) + 1 :], snapshot)
        )

    def _pinned(self, run: Run) -> dict[str, Pointer]:
        """The pointers of the run's commit; where there is none, or it is not here, those of the working tree."""
        if run.commit.id is not None:
            try:
                there = dict(self._pointers(run.commit.id))
            except RoteError:  # a commit that this clone does not have, or cannot read
                there = {}
            if not run.commit.dirty and there:
                return there
            return {**self._here(), **there}
        return self._here()

    def _here(self) -> dict[str, Pointer]:
        try:
            return dict(self._pointers(None))
        except RoteError:  # a pointer that cannot be read pins nothing
            return {}

    def _is_part(self, pointer: Pointer, inner: str, snapshot: SnapshotId) -> bool:
        """Whether `snapshot` is what lies at `inner` (empty: all) of what a pointer pins."""
        if not inner:
            return pointer.snapshot == snapshot
        try:
            record = self._snapshots.record(self._snapshots.find(pointer.snapshot))
            return identify(_Part(self._snapshots, record, inner), Silence()).id == snapshot
        except (Missing, Corrupt):
            return False


class _Behind:
    """The stages that the files of a run come from, and what these read from outside of the pipeline."""

    def __init__(self, results: Kept, run: Run, files: Iterable[str]) -> None:
        self.outside: dict[str, SnapshotId] = {}
        self.found: dict[str, str] = {}
        self.params: dict[str, dict[str, Any]] = {}
        self.commands: dict[str, tuple[str, ...]] = {}
        self.around: dict[str, str] = {}
        self.locks: dict[str, Digest] = {}
        self.images: set[str] = set()
        self.unknown: list[str] = []
        self.keys: dict[str, str] = {}
        self._makers = {path: stage for stage in run.stages for path in stage.outs}
        wanted = list(self._makers_of(files)) or list(run.stages)
        met: set[str] = set()
        while wanted:
            stage = wanted.pop()
            if stage.stage in met:
                continue
            met.add(stage.stage)
            slot = stage.slot or stage.key
            result = results.get(slot) if slot else None
            wanted += self._add(stage, result)

    def _makers_of(self, paths: Iterable[str]) -> Iterator[StageOutcome]:
        for path in paths:
            for out, maker in self._makers.items():
                if _related(path.rstrip("/"), out):
                    yield maker

    def _add(self, stage: StageOutcome, result: Result | None) -> list[StageOutcome]:
        inputs = inputs_of(result) if result else None
        self.keys[stage.stage] = (
            stage.slot
            or stage.key
            or "".join(f"{path} {ref.id} " for path, ref in sorted(stage.outs.items()))
        )
        if stage.key is None:  # frozen: what it left is all that counts
            self.outside.update((path, ref.id) for path, ref in stage.outs.items())
            return []
        if result is None or inputs is None:
            self.unknown.append(
                f"what stage {stage.stage} was made of is not known: its result is not in the store any more"
            )
            return []
        self.commands[stage.stage] = (inputs.wdir, *inputs.cmd)
        for file, values in inputs.params.items():
            self.params.setdefault(file, {}).update(values)
        for path, lock in inputs.locks.items():
            self.locks[path] = lock
            self.around[f"the lock file {path}"] = lock
        for name, value in inputs.env.items():
            self.around[f"the variable {name}"] = str(value)
        if inputs.image:
            self.images.add(inputs.image)
            self.around[f"the image of stage {stage.stage}"] = inputs.image
        if inputs.python:
            self.around[f"the Python of stage {stage.stage}"] = inputs.python
        if result.found:
            self.found.update((path, str(digest)) for path, digest in result.found.files.items())
        makers: list[StageOutcome] = []
        for path, snapshot in inputs.deps.items():
            of = list(self._makers_of([path]))
            makers += of
            if not of:
                self.outside[path] = SnapshotId(Digest(snapshot))
        return makers


class _Part:
    """A ports.Tree of what lies at a path of a snapshot. Every digest is known, so nothing is ever read."""

    def __init__(self, snapshots: Snapshots, record: SnapshotRecord, inner: str) -> None:
        self._snapshots = snapshots
        self._record = record
        self._inner = inner
        self.single = False

    def batches(self) -> Iterator[Columns]:
        below = self._inner + "/"
        for node in self._snapshots.nodes(self._record, nodes_below(self._record, self._inner)):
            batch = Columns([], [], bytearray(), [])
            rows = node.rows
            for row, path in enumerate(rows.paths):
                if path == self._inner or path.startswith(below):
                    self.single = path == self._inner
                    batch.paths.append(FILE if self.single else path[len(below) :])
                    batch.sizes.append(rows.sizes[row])
                    batch.executables.append(rows.executables[row])
                    batch.digests.append(rows.digest(row))
            yield batch

    def read(self, path: str, size: int) -> bytes:
        raise AssertionError("every digest is known")

    def stream(self, path: str, size: int) -> AbstractContextManager[Callable[[memoryview], int]]:
        raise AssertionError("every digest is known")

    def seen(self, batch: Columns) -> None:
        raise AssertionError("every digest is known")


def _related(a: str, b: str) -> bool:
    """Whether the paths are one, or one is inside the other."""
    return a == b or a.startswith(b + "/") or b.startswith(a + "/")


def _holder(path: str, pinned: Mapping[str, Pointer]) -> str | None:
    """The data path that a path is, or lies in."""
    at = holder(path, pinned)
    if at is not None:
        return at
    # A dep that is a folder with data in it is data, too.
    return path if any(name.startswith(path + "/") for name in pinned) else None
