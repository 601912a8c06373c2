"""Results on their way into the store while the next stages run already."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from rote.errors import RoteError
from rote.laws.pipeline.stagekey import Inputs, shown
from rote.ports import Clock
from rote.services.data.data import Data
from rote.services.runs.matching import Matching
from rote.services.runs.results import Last, LastResults, result_key
from rote.services.runs.stagework import Done
from rote.services.store.transactions import Beaten, Transactions, Write
from rote.words.ids import RunId, StageKey
from rote.words.result import Found, Result
from rote.words.snapshot import SnapshotRef


class Item(msgspec.Struct, kw_only=True):
    """A finished stage whose outs are to be saved. Without `key` its outs are saved for the run alone, and no result is
    made."""

    stage: str
    key: StageKey | None
    inputs: Inputs
    done: Done
    found: Found | None = None
    slot: StageKey | None = None
    """What stood for the files when the stage began (`Match.slot`)."""
    put: StageKey | None = None
    """Where the result is put, once that is known."""
    replace: bool = False
    refs: dict[str, SnapshotRef] = {}
    trouble: RoteError | None = None
    beaten_by: RunId | None = None


class Committer:
    """Saves outs and results from a thread of its own: all that wait, in one transaction.

    A stage that needs an out reads it in the working tree, so it need not wait for the store. A result is in force
    when its transaction is committed; if this process dies before that, the stage runs again next time.
    """

    def __init__(
        self,
        data: Data,
        transactions: Transactions,
        matching: Matching,
        *,
        last: LastResults,
        clock: Clock,
        run: RunId,
        fresh: bool = False,
        done: Callable[[Item], None] = lambda item: None,
    ) -> None:
        """`done` is told of each stage whose result is in force."""
        self._done = done
        self._data = data
        self._transactions = transactions
        self._matching = matching
        self._last = last
        self._clock = clock
        self._run = run
        self._fresh = fresh
        self._condition = threading.Condition()
        self._waiting: list[Item] = []
        self._closed = False
        self._unforeseen: BaseException | None = None
        self._thread: threading.Thread | None = None

    def add(self, item: Item) -> None:
        """Take a finished stage."""
        with self._condition:
            self._waiting.append(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="rote-commit", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        """Wait until everything is saved. What went wrong stands in the items."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
        if self._unforeseen is not None:
            raise self._unforeseen

    def _work(self) -> None:
        try:
            while batch := self._next():
                self._commit(batch)
        except BaseException as e:  # noqa: BLE001  # kept whole, and raised by close()
            self._unforeseen = e

    def _next(self) -> list[Item]:
        with self._condition:
            while not self._waiting and not self._closed:
                self._condition.wait()
            batch, self._waiting = self._waiting, []
            return batch

    def _commit(self, batch: list[Item]) -> None:
        """All in one transaction; what is refused goes on without what it was refused for."""
        while batch:
            try:
                for item in batch:
                    self._place(item)
                refs = self._transactions.write(lambda write: self._save(write, batch))
            except Beaten as e:
                beaten = next(i for i in batch if i.put and result_key(i.put) == e.key)
                self._lose(beaten, e)
                continue
            except RoteError as e:
                if len(batch) > 1:  # one of them may be at fault, and the others not
                    for item in batch:
                        self._commit([item])
                else:
                    batch[0].trouble = e
                return
            for item, saved in zip(batch, refs, strict=True):
                self._finish(item, saved)
            return

    def _place(self, item: Item) -> None:
        """Find out where the result belongs, if that is not known yet."""
        if item.key is None or item.put is not None:
            return
        if item.slot == item.key and not item.replace:
            item.put = item.key  # the lookup saw that nothing is there
        else:
            item.put, item.replace = self._matching.place(item.key, item.found, replace=item.replace)

    def _lose(self, item: Item, error: Beaten) -> None:
        """Somebody made this result meanwhile: theirs stays, if it is for the same files; else ours goes into another
        slot. Ours, on which later stages of this run may have been built, is saved for this run."""
        theirs = msgspec.convert(error.root.body, Result)
        if item.key is not None and theirs.found and theirs.found != item.found:
            item.put, item.replace = self._matching.place(item.key, item.found, replace=item.replace)
            if item.put is not None:
                return
        item.key = None
        item.beaten_by = theirs.run

    def _save(self, write: Write, batch: Sequence[Item]) -> list[dict[str, SnapshotRef]]:
        every = []
        for item in batch:
            refs = {}
            for path, id in item.done.ids.items():
                if path in item.done.beside:
                    continue
                record = self._data.save(write, path, fresh=self._fresh)
                if record.id != id:
                    raise RoteError(
                        "it changed after the stage that makes it had ended",
                        where=path,
                        next="let no other command write it, then run again",
                    )
                refs[path] = record.ref()
            if item.key is not None and item.put is not None:
                result = self._result(item, item.key, refs)
                self._matching.results.add(write, result, replace=item.replace, slot=item.put)
            every.append(refs)
        return every

    def _result(self, item: Item, key: StageKey, refs: dict[str, SnapshotRef]) -> Result:
        return Result(
            stage=item.stage, key=key, outs=refs,
            beside={path: item.done.ids[path] for path in item.done.beside}, metrics=item.done.metrics, run=self._run,
            seconds=round(item.done.seconds, 3), made=moment(self._clock),
            found=item.found, inputs=msgspec.to_builtins(shown(item.inputs)),
        )  # fmt: skip

    def _finish(self, item: Item, refs: dict[str, SnapshotRef]) -> None:
        item.refs = refs
        for path, ref in refs.items():
            self._data.saved(path, ref)
        if item.key is not None:
            slot = item.put if item.put != item.key else None
            last = Last(key=item.key, slot=slot, run=self._run, made=moment(self._clock), inputs=item.inputs)
            self._last.put(item.stage, last)
            self._done(item)


def moment(clock: Clock) -> str:
    """Now, as it stands in records."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now()))
