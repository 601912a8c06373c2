"""A store, runs and models for tests of releasing and of the application's side: real services on a store in memory."""

from __future__ import annotations

import io
import random
from contextlib import contextmanager

from rote.adapters.landing.folder import Folder
from rote.adapters.stores.memory import MemoryStore
from rote.ports import Columns, Silence
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.models.channels import key
from rote.services.models.delivery import Delivery
from rote.services.models.modelfiles import ModelFiles
from rote.services.models.registry import Registry
from rote.services.releases.releasing import Releasing
from rote.services.store import founding
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore
from rote.words.pipeline import At, Gate, Model
from rote.words.record import DataRoot
from rote.words.run import Commit, Run, StageOutcome
from rote.words.snapshot import FILE

BY = "ada@lab"


def noise(size, seed=0):
    """Bytes that no compression shrinks, the same for the same seed."""
    return random.Random(seed).randbytes(size)


class Files:
    """A port `Tree` of files in memory: path -> bytes, or bytes for a single file."""

    def __init__(self, files):
        self.single = isinstance(files, bytes)
        self._files = {FILE: files} if self.single else files

    def batches(self):
        paths = sorted(self._files, key=lambda p: p.encode())
        yield Columns(paths, [len(self._files[p]) for p in paths], bytearray(len(paths)), [None] * len(paths))

    def read(self, path, size):
        return self._files[path]

    @contextmanager
    def stream(self, path, size):
        yield io.BytesIO(self._files[path]).readinto

    def seen(self, batch):
        pass


class Commits:
    """A port `Committed`: commit -> path -> bytes."""

    def __init__(self, commits):
        self.commits = commits

    def read(self, rev, wanted, *, below=""):
        return {
            path: data
            for path, data in self.commits[rev].items()
            if wanted(path) and (path == below or path.startswith(below + "/"))
        }


class Bench:
    def __init__(self, *, commits=None, store=None, seed=0):
        self.inner = store or MemoryStore()
        self.store = CountingStore(self.inner)
        self.clock = StillClock(seed=seed)  # two benches on one store need tokens of their own
        self.info = founding.found(self.store, self.clock)
        self.roots = Roots(self.store)
        self.transactions = Transactions(self.store, self.clock, BY)
        self.snapshots = Snapshots(self.store)
        self.registry = Registry(self.store, self.roots, self.clock, BY)
        self.releasing = Releasing(
            transactions=self.transactions,
            registry=self.registry,
            snapshots=self.snapshots,
            writer=self.writer,
            files=ModelFiles(self.snapshots, Commits(commits) if commits is not None else None),
            clock=self.clock,
            by=BY,
        )
        self.delivery = Delivery(self.registry, self.snapshots, Folder)
        self.runs = 0

    def writer(self, write):
        return SnapshotWriter(self.store, write, known=None, info=self.info)

    def save(self, files):
        """Save a tree in a write of its own."""
        with self.transactions.begin() as write:
            record = self.writer(write).save(Files(files), progress=Silence())
            ref = write.add_snapshot(record)
            write.root(
                f"data/{ref.id[:2]}/{ref.id}",
                DataRoot(path="x", repository="", added="", by=BY),
                [ref],
                replace=True,
            )
            write.commit()
        return ref

    def run(self, outs, metrics=None, *, state="finished", commit=None):
        """A run whose stages left these outs: path -> files."""
        self.runs += 1
        refs = {path: self.save(files) for path, files in outs.items()}
        return Run(
            id=f"20261121-1100{self.runs:02d}-abcdef",
            state=state,
            began="2026-11-21T11:00:00Z",
            by=BY,
            command="rote run",
            commit=commit or Commit(id="c" * 40),
            metrics={"metrics.json": metrics or {"accuracy": 0.95}},
            params={"params.yaml": {"lr": 0.1}},
            stages=[StageOutcome(stage="train", outcome="done", outs=refs)],
        )

    def release(self, outs, files=None, *, gates=(), metrics=None, promote=None, **how):
        """A run with these outs, released as the model `digits`."""
        run = self.run(outs, metrics)
        released = self.releasing.release(model(files or list(outs), gates), run, **how)
        if promote:
            self.registry.promote("digits", released.version.version, promote)
        return released


def model(files, gates=(), name="digits"):
    at = At("rote.yaml", 30, f"models.{name}")
    return Model(name=name, files=tuple(files), gates=tuple(Gate(g, at) for g in gates), at=at)


def tree(folder):
    """Every file below a folder: path -> bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


CHANNEL = key("digits", "prod")
