"""Runs in a store: begin one, read it, find it, print its log, tag it."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime

import msgspec

from rote.errors import BadName, Corrupt, Missing, StoreError, UsageError
from rote.laws.pipeline.pacing import FOLDER, Pace
from rote.laws.pipeline.redaction import redact
from rote.ports import Clock, ObjectStore
from rote.services.runs.livelog import LOG, Item, ask_key, live_prefix, now_key, unpack_now, unpack_segment
from rote.services.runs.recording import Recorder, clean, record_key
from rote.services.store import conditional
from rote.services.store.roots import Roots, decoded, held
from rote.services.store.transactions import Transactions
from rote.words.encoding import with_check
from rote.words.ids import RunId, TxnId, name, nearest, run_id, shown, stage_name, stage_of_file
from rote.words.record import LIVE, OPEN
from rote.words.run import RUNNING, STOPPED, Run

_BEFORE_LAST = r"last~[0-9]{1,9}"
LAST = "last"
"""Names the newest run."""
_DAY = 86_400


class Runs:
    """The runs of one store.

    `folder` is where this machine keeps the logs of the runs it makes (`.rote/runs`); `secrets` are values that never
    get into a record.
    """

    def __init__(
        self,
        store: ObjectStore,
        roots: Roots,
        transactions: Transactions,
        clock: Clock,
        *,
        folder: str = os.path.join(".rote", "runs"),
        secrets: Iterable[str] = (),
        pace: Pace = FOLDER,
    ) -> None:
        self._store = store
        self._roots = roots
        self._transactions = transactions
        self._clock = clock
        self._folder = folder
        self._secrets = tuple(secrets)
        self.pace = pace

    def new_id(self) -> RunId:
        """The id of a run that begins now. Of its last six digits three are the fraction of the second, so that runs
        that follow each other quickly sort by time too; three are random."""
        now = self._clock.now()
        began = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
        return RunId(f"{began}-{int(now % 1 * 4096):03x}{self._clock.token(2)[:3]}")

    def start(self, run: Run) -> Recorder:
        """Record that a run begins. Raises Conflict if there is a run of this id."""
        run_id(run.id)
        with self._transactions.begin() as write:
            write.root(record_key(run.id), clean(run, self._secrets), [])
            write.commit()
        return self._recorder(run, 0)

    def folder(self, id: RunId) -> str:
        """Where this machine keeps what belongs to a run that it makes."""
        return os.path.join(self._folder, id)

    def _recorder(self, run: Run, segments: int) -> Recorder:
        return Recorder(
            self._store, self._transactions, run.id, self.folder(run.id), self._secrets, clock=self._clock,
            pace=self.pace, host=run.host.name if run.host else "", segments=segments,
        )  # fmt: skip

    def bury(self, id: RunId, why: str) -> bool:
        """Record that a run which still counts as running was cut off; False, and nothing, if it ended, or never began.
        What of its log is on this machine and not in the store is sent; what was only for the time under way goes."""
        try:
            run = self.get(id)
        except Missing:
            return False
        if run.state == RUNNING:
            ended = self._last_sign(id) or run.began
            seconds = max(0.0, _moment(ended) - _moment(run.began))
            cut = msgspec.structs.replace(run, state=STOPPED, ended=ended, seconds=seconds, error=why)
            sent: dict[str, int] = {}
            segments = 0
            local = self.local(id)
            for meta in self._store.list(live_prefix(id)) if local else ():
                segments += 1
                for item in self._said(meta.key):
                    sent[item.stage] = sent.get(item.stage, 0) + len(item.data)
            recorder = self._recorder(cut, segments)
            for stage, _ in local:
                recorder.spool.adopt(stage, sent.get(stage, 0))
            recorder.finish(cut)
            for key in (now_key(id), ask_key(id)):
                with suppress(StoreError):  # a collector takes it away one day
                    self._store.delete(key)
            return True
        return False

    def _last_sign(self, id: RunId) -> str | None:
        """When the run gave its last sign of life, by its own machine's clock; None if that is not known."""
        found = conditional.look(self._store, now_key(id))
        try:
            return unpack_now(found.data, now_key(id)).sign.at if found else None
        except Corrupt:
            return None

    def get(self, id: RunId) -> Run:
        """The record of a run. Raises Missing, Corrupt, TooNew."""
        found = self._roots.get(record_key(id), Run)
        if found is None:
            raise Missing(f"there is no run {id}", where=self._store.url, next="rote runs")
        return found[0]

    def ids(self, prefix: str = "", after: str = "") -> Iterator[RunId]:
        """Ids of runs that begin with `prefix`, oldest first. A hint: one may have been removed."""
        for key in self._roots.list(f"runs/{prefix}", after):
            if key.endswith("/record"):
                yield RunId(key.split("/")[1])

    def resolve(self, text: str) -> RunId:
        """The run that `text` means: a whole id, a beginning or an end that only one run has, `last`, or `last~N` for
        the Nth before that.

        Raises Missing, UsageError (several runs fit), BadName.
        """
        if text == LAST or re.fullmatch(_BEFORE_LAST, text):
            return self._last(int(text.partition("~")[2] or 0))
        try:
            id = run_id(text)
        except BadName:
            return self._one(text)
        if self._roots.envelope(record_key(id)) is None:
            raise self._missing(text, list(self.ids(text[:8])))
        return id

    def named(self, text: str) -> Run:
        """The record of the run that `text` means; of a whole id in one GET. Raises as `resolve`; Corrupt, TooNew."""
        try:
            found = self._roots.get(record_key(run_id(text)), Run)
        except BadName:
            found = None
        return found[0] if found else self.get(self.resolve(text))

    def logs(self, id: RunId, stage: str | None = None) -> Iterator[bytes]:
        """What the stages of a run wrote, in the order they wrote it, or one stage alone.

        First what is in the store; then, where the run was made on this machine, what is not sent yet. Raises
        Missing (no such run, no such stage in it), Corrupt.
        """
        if stage is not None:
            stage_name(stage)
        run = self.get(id)
        sent: dict[str, int] = {}
        segments = 0
        for meta in self._store.list(live_prefix(id)):
            segments += 1
            for item in self._said(meta.key):
                sent[item.stage] = sent.get(item.stage, 0) + len(item.data)
                if stage in (None, item.stage):
                    yield item.data
        local = self.local(id)
        for item in self._tail(id, segments) if run.state == RUNNING and not local else ():
            sent.setdefault(item.stage, 0)
            if stage in (None, item.stage):
                yield item.data
        for one, path in local:
            if stage in (None, one):
                yield from rest(path, sent.get(one, 0))
                sent.setdefault(one, 0)
        known = {outcome.stage for outcome in run.stages} | set(sent)
        if stage is not None and stage not in known:
            close = nearest(stage, sorted(known))
            raise Missing(
                f"the run {id} has no stage {shown(stage)}",
                next=f"did you mean {close}?"
                if close
                else f"its stages: {', '.join(sorted(known)) or 'none'}",
            )

    def tag(self, id: RunId, tags: Mapping[str, str]) -> Run:
        """Put tags on a run; an empty value takes a tag away. Returns the run as it is then.

        Raises Missing, BadName (of a tag), Corrupt.
        """
        for tag in tags:
            name(tag, "tag")
        key = record_key(id)
        found = conditional.look(self._store, key)
        while True:
            there = held(self._store, key, found)
            root = there.in_force
            if root is None or there.found is None:
                raise Missing(f"there is no run {id}", where=self._store.url, next="rote runs")
            if there.txn_state == OPEN:
                raise UsageError(f"the run {id} is just being finished", next="try again in a moment")
            run = decoded(root, Run, key)
            merged = {**run.tags, **{tag: redact(value, self._secrets) for tag, value in tags.items()}}
            run = msgspec.structs.replace(run, tags={k: v for k, v in merged.items() if v})
            # The needs stay the same, so nothing has to be pinned; a fresh txn id makes the body unlike all others.
            fresh = msgspec.structs.replace(
                root, state=LIVE, before=None, txn=self._fresh_txn(), body=msgspec.to_builtins(run)
            )
            put = conditional.put(self._store, key, with_check(fresh), there.found.etag)
            if put.etag is not None:
                return run
            found = put.found

    def _fresh_txn(self) -> TxnId:
        now = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._clock.now()))
        return TxnId(f"{now}-{self._clock.token(8)}")

    def _last(self, before: int) -> RunId:
        """The newest run but `before`. Looks at the last days first: a store may hold very many runs."""
        now = self._clock.now()
        for days in (1, 40, None):
            after = "" if days is None else time.strftime("runs/%Y%m%d", time.gmtime(now - days * _DAY))
            newest = deque(self.ids(after=after), before + 1)
            if len(newest) > before:
                return newest[0]
        known = {0: "there is no run yet", 1: "there is only one run"}
        what = known.get(len(newest), f"there are only {len(newest)} runs")
        raise Missing(
            f"{what}: no {LAST}{f'~{before}' if before else ''}",
            where=self._store.url,
            next="rote runs" if newest else "rote run",
        )

    def _one(self, text: str) -> RunId:
        if not text or not all(c in "0123456789abcdef-" for c in text):
            raise BadName(
                f"not a run: {shown(text)}",
                next="a run is an id, a part of one, 'last' or 'last~1'; see rote runs",
            )
        found = list(self.ids(text))
        if not found:
            every = list(self.ids())
            found = [id for id in every if id.endswith(text)]
            if not found:
                raise self._missing(text, every)
        if len(found) > 1:
            some = ", ".join(found[-5:])
            raise UsageError(f"{len(found)} runs fit {shown(text)}", next=f"write more of it: {some}")
        return found[0]

    def _missing(self, text: str, ids: list[RunId]) -> Missing:
        close = nearest(text, [*ids[-1000:]]) or nearest(text, [id[-6:] for id in ids[-1000:]])
        return Missing(
            f"there is no run {shown(text)}",
            where=self._store.url,
            next=f"did you mean {close}?" if close else "rote runs",
        )

    def _said(self, key: str) -> list[Item]:
        """The pieces of log in a segment."""
        return [item for item in unpack_segment(self._store.get(key).data, key) if item.kind == LOG]

    def _tail(self, id: RunId, segments: int) -> list[Item]:
        """The log that is in no segment yet."""
        found = conditional.look(self._store, now_key(id))
        if found is None:
            return []
        now = unpack_now(found.data, now_key(id))
        return now.items if now.sign.after == segments else []

    def local(self, id: RunId) -> list[tuple[str, str]]:
        """Stage and path of each log that this machine keeps of a run that it made."""
        folder = os.path.join(self._folder, id)
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            return []  # made on another machine
        return [
            (stage_of_file(n.removesuffix(".log")), os.path.join(folder, n))
            for n in names
            if n.endswith(".log")
        ]


def rest(path: str, start: int) -> Iterator[bytes]:
    """What is in a file from `start` on."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            while piece := file.read(1 << 20):
                yield piece
    except FileNotFoundError:
        return  # tidied away since it was listed; the store has it


def _moment(text: str) -> float:
    """Seconds since 1970 of a moment in a record; 0 for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
