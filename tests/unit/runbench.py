"""A project whose pipeline runs for real: processes, working tree, transactions; the store in memory or a folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from rote.adapters.clock import SystemClock
from rote.adapters.executors.local import LocalExecutor
from rote.adapters.stores.memory import MemoryStore
from rote.adapters.worktree.checkpoints import CheckpointFolder
from rote.adapters.worktree.files import Files
from rote.adapters.worktree.workspace import Workspace
from rote.laws.pipeline.plan import Plan, Why
from rote.ports import ObjectStore, Silence
from rote.services.data.data import Data
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.runs.attempt import Companion
from rote.services.runs.checkpointing import Checkpointing
from rote.services.runs.checkpoints import CheckpointStore
from rote.services.runs.committing import Item
from rote.services.runs.joining import Joining
from rote.services.runs.matching import Matching
from rote.services.runs.planning import Planner
from rote.services.runs.results import LastResults, Results
from rote.services.runs.runner import Parts, Runner
from rote.services.runs.runrecord import RunOutcome
from rote.services.runs.runs import Runs
from rote.services.runs.stagework import Stagework
from rote.services.store.founding import found, read
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.wiring import config
from rote.wiring.config import overrides, params, reading
from rote.words.run import Run, StageOutcome

BY = "ada@lab"


class Told(Silence):
    """A Progress that keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Bench:
    """A working tree in `root` over a store. Two benches with one store are two machines."""

    def __init__(self, root: Path, store: ObjectStore | None = None, seed: int = 0) -> None:
        self.root = root
        (root / ".rote" / "cache").mkdir(parents=True, exist_ok=True)
        self.clock = StillClock(seed=seed)
        self.store = store if store is not None else MemoryStore()
        if store is None:
            found(self.store, self.clock)
        self.environment = {"PATH": os.environ["PATH"]}
        self.executor = LocalExecutor()
        self.grace = 600.0
        self.told = Told()
        self.companions: list[Companion] = []
        self.checkpoints: CheckpointStore | None = None
        self.joining: Joining | None = None
        self.followed = False
        self.described = 0
        self.info = read(self.store)
        self.workspace = Workspace(str(root), str(root / ".rote" / "cache"))
        self.transactions = Transactions(self.store, self.clock, BY)
        self.roots = Roots(self.store)
        self.runs = Runs(
            self.store, self.roots, self.transactions, self.clock, folder=str(root / ".rote" / "runs")
        )
        self.snapshots = Snapshots(self.store)
        self.data = Data(
            self.workspace,
            snapshots=lambda: self.snapshots,
            transactions=lambda: self.transactions,
            roots=lambda: self.roots,
            writer=lambda write: SnapshotWriter(self.store, write, known=None, info=self.info),
            clock=self.clock,
            by=BY,
        )
        self.results = Results(self.roots)
        self.files = Files(str(root), str(root / ".rote" / "cache"))
        self.matching = Matching(self.results, self.files)

    def watch_checkpoints(self, **options: Any) -> None:
        """Take the checkpoints of stages, looking all the time, by a real clock."""
        self.checkpoints = CheckpointStore(
            self.roots, self.transactions, self.snapshots, self.data,
            writer=lambda write: SnapshotWriter(self.store, write, known=None, info=self.info),
            clock=self.clock, by=BY,
        )  # fmt: skip
        self.companions.append(
            Checkpointing(
                self.checkpoints,
                self._checkpoint_folder,
                clock=SystemClock(),
                progress=self.told,
                **{"look": 0.02, "quiet": 0.1, **options},
            )
        )

    def join(self, **options: Any) -> None:
        """Never compute what another bench on the same store computes; by a real clock."""
        self.joining = Joining(
            self.store, self.runs, self.matching, SystemClock(), by=BY, progress=self.told,
            **{"poll": 0.02, "after": 0.0, **options},
        )  # fmt: skip
        self.companions.insert(0, self.joining)

    def _done(self, item: Item) -> None:
        if self.joining is not None:
            self.joining.give_back(item.slot)
        pipeline = config.load(str(self.root))
        if self.checkpoints is not None and item.key is not None and pipeline.stages[item.stage].checkpoints:
            self.checkpoints.remove(item.slot or item.key)

    def _checkpoint_folder(self, path: str) -> CheckpointFolder:
        note = self.root / ".rote" / "cache" / "checkpoints" / path.replace("/", "_")
        return CheckpointFolder(self.workspace, path, str(note))

    # ---- the project's files -----------------------------------------------------------------------------------

    def write(self, path: str, content: str | bytes = "") -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def read(self, path: str) -> str:
        return (self.root / path).read_text()

    def exists(self, path: str) -> bool:
        return (self.root / path).exists()

    def stages(self, text: str) -> None:
        self.write("rote.yaml", "stages:\n" + text)

    # ---- running -----------------------------------------------------------------------------------------------

    @property
    def last(self) -> LastResults:
        return LastResults(str(self.root / ".rote" / "cache" / "last"))

    def run(self, *targets: str, set: tuple[str, ...] = (), **options: Any) -> RunOutcome:
        pipeline = config.load(str(self.root))
        with overrides.overridden(str(self.root), pipeline, overrides.parse(set)) as values:
            return Runner(
                Parts(
                    pipeline=pipeline,
                    work=self._work(values),
                    executor=self.executor,
                    matching=self.matching,
                    transactions=self.transactions,
                    runs=self.runs,
                    last=self.last,
                    clock=self.clock,
                    describe=lambda: self._describe(values),
                    progress=self.told,
                    grace=self.grace,
                    companions=self.companions,
                    done=self._done,
                    joining=self.joining,
                    followed=self.followed,
                )
            ).run(targets, **options)

    def planner(self, set: tuple[str, ...] = ()) -> Planner:
        pipeline = config.load(str(self.root))
        values = params.of(str(self.root), pipeline, overrides.parse(set))
        return Planner(pipeline, self._work(values), self.matching, self.last)

    def plan(self, *targets: str, force: bool = False, set: tuple[str, ...] = ()) -> Plan:
        return self.planner(set).plan(targets, force=force)

    def verdicts(self, *targets: str, **options: Any) -> dict[str, str]:
        return {
            d.stage: d.verdict + ("" if d.certain else "?") for d in self.plan(*targets, **options).decisions
        }

    def why(self, stage: str) -> Why:
        return self.planner().why(stage)

    def log(self, outcome: RunOutcome, stage: str | None = None) -> bytes:
        return b"".join(self.runs.logs(outcome.run.id, stage))

    def _work(self, values: Any) -> Stagework:
        return Stagework(
            self.workspace,
            self.data,
            values=values,
            environment=self.environment,
            decode=lambda file, data: params.decode(reading.decode(data, file), file),
            files=self.files,
        )

    def _describe(self, values: Any) -> Run:
        self.described += 1
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now()))
        return Run(
            id=self.runs.new_id(),
            state="running",
            began=began,
            by=BY,
            command="rote run",
            params=dict(values),
        )


def outcomes(outcome: RunOutcome) -> dict[str, str]:
    """Stage -> what became of it."""
    return {s.stage: s.outcome for s in outcome.stages}


def stage(outcome: RunOutcome, name: str) -> StageOutcome:
    """One stage of a run."""
    return next(s for s in outcome.stages if s.stage == name)
