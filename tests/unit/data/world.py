"""A working tree and a store in memory, wired as a project wires them."""

from __future__ import annotations

from pathlib import Path

from rote.adapters.stores.memory import MemoryStore
from rote.adapters.worktree import Workspace
from rote.ports import ObjectStore, Progress
from rote.services.data.data import Data
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import NodeCache, Snapshots
from rote.services.store.founding import found
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock


class World:
    def __init__(
        self, root: Path, store: ObjectStore | None = None, seed: int = 0, progress: Progress | None = None
    ) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.store = store or MemoryStore()
        self.clock = StillClock(seed=seed)
        self.info = found(self.store, self.clock)
        self.workspace = Workspace(str(root))
        self.snapshots = Snapshots(self.store, cache=NodeCache())
        self.roots = Roots(self.store)
        self.transactions = Transactions(self.store, self.clock, "me@here")
        self.data = Data(
            self.workspace,
            snapshots=lambda: self.snapshots,
            transactions=lambda: self.transactions,
            roots=lambda: self.roots,
            writer=lambda write: SnapshotWriter(self.store, write, info=self.info),
            clock=self.clock,
            by="me@here",
            progress=progress,
        )

    def write(self, files: dict[str, bytes]) -> None:
        for path, content in files.items():
            full = self.root / path
            full.parent.mkdir(parents=True, exist_ok=True)
            full.write_bytes(content)

    def content(self, path: str = "d") -> dict[str, bytes]:
        folder = self.root / path
        found = (p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}

    def objects(self) -> dict[str, str]:
        """Every object and its etag."""
        return {meta.key: meta.etag for meta in self.store.list("")}
