"""Checkpoints in a store: taken, found again, brought back, removed (docs/format.md, 12.2)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from rote.errors import Changed, Corrupt, Missing, NotFound, StoreError
from rote.ports import Clock, HeldTree
from rote.ports.logger import Logger
from rote.services.data.data import Data
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.runs.results import needs_of
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions, Write
from rote.words.ids import RunId, StageKey
from rote.words.result import Found
from rote.words.snapshot import SnapshotRecord, SnapshotRef
from rote.words.unfinished import Checkpoint, Checkpoints

_log = Logger(__name__)


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose checkpoints: a stage under its key, in a run; `keep` is how many of the last are kept."""

    stage: str
    key: StageKey
    run: RunId
    keep: int


def checkpoints_key(key: StageKey) -> str:
    """The key of the root that keeps a stage's checkpoints."""
    return f"checkpoints/{key[:2]}/{key}"


class CheckpointStore:
    """The checkpoints of one store. Thread-safe."""

    def __init__(
        self,
        roots: Roots,
        transactions: Transactions,
        snapshots: Snapshots,
        data: Data,
        *,
        writer: Callable[[Write], SnapshotWriter],
        clock: Clock,
        by: str,
    ) -> None:
        self._roots = roots
        self._transactions = transactions
        self._snapshots = snapshots
        self._data = data
        self._writer = writer
        self._clock = clock
        self._by = by

    def get(self, key: StageKey) -> list[Checkpoint]:
        """The checkpoints of a stage key, newest first. One GET. Raises Corrupt, TooNew."""
        found = self._roots.get(checkpoints_key(key), Checkpoints)
        return [] if found is None else found[0].kept

    def take(
        self,
        whose: Owner,
        tree: HeldTree,
        step: str,
        former: Sequence[Checkpoint],
        found: Found | None = None,
    ) -> list[Checkpoint]:
        """Save the files of a checkpoint, and keep it with the newest of `former`. What it shares with
        the one before is not stored again. Returns those that are kept, newest first.

        Raises Changed if a file was changed meanwhile (nothing was kept then), and what the store raises.
        """

        def work(write: Write) -> list[Checkpoint]:
            record = self._writer(write).save(tree, parent=self._parent(former))
            if not tree.is_still():
                raise Changed("the checkpoint changed while it was being read")
            new = Checkpoint(
                snapshot=record.ref(), step=step, run=whose.run, nonce=self._clock.token(8), found=found,
                made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now())),
            )  # fmt: skip
            kept = [new, *(old for old in former[: whose.keep - 1] if write.use(old.snapshot))]
            body = Checkpoints(stage=whose.stage, key=whose.key, run=whose.run, by=self._by, kept=kept)
            write.root(checkpoints_key(whose.key), body, needs_of(one.snapshot for one in kept), replace=True)
            return kept

        return self._transactions.write(work)

    def _parent(self, former: Sequence[Checkpoint]) -> SnapshotRecord | None:
        try:
            return self._snapshots.record(former[0].snapshot) if former else None
        except (Missing, Corrupt):
            return None  # then all of it is stored anew

    def bring(self, path: str, ref: SnapshotRef) -> bool:
        """Put a checkpoint's files at `path`, over whatever lies there. False if the store no longer has it whole."""
        try:
            self._data.bring(path, ref, force=True)
        except (Missing, NotFound, Corrupt):
            return False
        return True

    def remove(self, key: StageKey) -> None:
        """The stage has its result: its checkpoints are not needed any more. What cannot be removed now goes with the
        next collection."""
        try:
            self._roots.remove(checkpoints_key(key))
        except StoreError as e:
            _log.debug("the checkpoints of %s stay for now: %s", key, e)
