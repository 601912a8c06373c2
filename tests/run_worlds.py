"""Runs for tests, and a small world to keep them in."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from rote.adapters.stores.memory import MemoryStore
from rote.services.runs.catalogue import Catalogue
from rote.services.runs.runs import Runs
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.words.encoding import with_check
from rote.words.ids import RunId, TxnId
from rote.words.record import LIVE, Root
from rote.words.run import Run


class World:
    """A store, its runs and a catalogue, on a clock that stands still."""

    def __init__(self, folder: Path, *, secrets: tuple[str, ...] = ()) -> None:
        self.clock = StillClock()
        self.store = MemoryStore()
        self.transactions = Transactions(self.store, self.clock, "ada@mill")
        self.roots = Roots(self.store)
        self.runs = Runs(
            self.store,
            self.roots,
            self.transactions,
            self.clock,
            folder=str(folder / "runs"),
            secrets=secrets,
        )
        self.path = folder / "cache" / "catalogue.db"
        self.catalogue = Catalogue(self.store, self.clock, str(self.path))

    def run(self, **rest: Any) -> Run:
        """A run that begins now; the clock moves on a minute."""
        now = self.clock.now()
        began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        fields: dict[str, Any] = {"state": "finished", "by": "ada@mill", "command": "rote run", **rest}
        run = Run(id=self.runs.new_id(), began=began, **fields)
        self.clock.move(60)
        return run

    def add(self, **rest: Any) -> RunId:
        """A run that began and ended."""
        run = self.run(**rest)
        recorder = self.runs.start(msgspec.structs.replace(run, state="running"))
        recorder.finish(run)
        return run.id


def plant(store: MemoryStore, run: Run) -> None:
    """Put a record into a store, as another machine might have."""
    root = Root(state=LIVE, txn=TxnId(f"20261121T000000-{run.id[-6:]:0>16}"), body=msgspec.to_builtins(run))
    store.create(f"runs/{run.id}/record", with_check(root))
