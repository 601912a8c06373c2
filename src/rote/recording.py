"""Recording a run: its log in live segments, its record in the end (docs/format.md, 8)."""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections.abc import Iterator

import msgspec
from blake3 import blake3

from rote import conditional
from rote.errors import Conflict, Corrupt, RoteError, StoreError, StoreFull
from rote.ids import RunId, stage_name
from rote.ports import ObjectStore
from rote.record import Run
from rote.redaction import Mask, redact, redact_values
from rote.snapshot import SnapshotRef
from rote.transactions import Transactions, Write

_log = logging.getLogger(__name__)

MAGIC = b"ROTELIVE"
LOG = 1
"""The kind of an item that holds a piece of a stage's log."""
EVERY = 5.0
"""Seconds from the first unsent byte to the segment that holds it."""
LARGEST = 4 << 20
"""Bytes of log that one segment holds at most."""
_HEAD = struct.Struct("<BBI")
_UNPACKED = 5 << 20


class Item(msgspec.Struct, frozen=True):
    """A piece of a live segment."""

    kind: int
    stage: str
    data: bytes


def pack_segment(items: list[Item]) -> bytes:
    """The stored form of a live segment."""
    import zstandard  # a run in which nothing was said need not load it

    parts = []
    for item in items:
        name = item.stage.encode("ascii")
        parts += [_HEAD.pack(item.kind, len(name), len(item.data)), name, item.data]
    frame = zstandard.ZstdCompressor(level=3).compress(b"".join(parts))
    return MAGIC + blake3(frame).digest() + frame


def unpack_segment(data: bytes, where: str) -> Iterator[Item]:
    """The items of a stored segment. Raises Corrupt, with `where`."""
    import zstandard  # as in pack_segment

    frame = data[len(MAGIC) + 32 :]
    if data[: len(MAGIC)] != MAGIC or blake3(frame).digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        raise Corrupt("this piece of a log is damaged: its digest does not fit its content", where=where)
    try:
        # The digest lies beside the frame: it tells of rot, not of malice. What is claimed is judged before it is made.
        claimed = zstandard.frame_content_size(frame)
        if claimed > _UNPACKED:
            raise Corrupt(
                f"this piece of a log claims to have {claimed} bytes, more than one has", where=where
            )
        plain = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=_UNPACKED, allow_extra_data=False
        )
        at = 0
        while at < len(plain):
            kind, name, length = _HEAD.unpack_from(plain, at)
            at += _HEAD.size
            if at + name + length > len(plain):
                raise Corrupt("this piece of a log is damaged: it ends too early", where=where)
            yield Item(kind, plain[at : at + name].decode("ascii"), plain[at + name : at + name + length])
            at += name + length
    except (zstandard.ZstdError, struct.error, UnicodeDecodeError) as e:
        raise Corrupt("this piece of a log is damaged: it cannot be unpacked", where=where) from e


def record_key(run: RunId) -> str:
    """The key of a run's record."""
    return f"runs/{run}/record"


def live_prefix(run: RunId) -> str:
    """What the keys of a run's live segments begin with."""
    return f"runs/{run}/live/"


def clean(run: Run, secrets: tuple[str, ...] = ()) -> Run:
    """The run without what looks like a secret: command line, diff, overrides, params, tags and messages."""
    return msgspec.structs.replace(
        run,
        command=redact(run.command, secrets),
        commit=msgspec.structs.replace(run.commit, diff=redact(run.commit.diff, secrets)),
        overrides=[redact(text, secrets) for text in run.overrides],
        params=redact_values(run.params, secrets),
        metrics=redact_values(run.metrics, secrets),
        tags=redact_values(run.tags, secrets),
        error=redact(run.error, secrets),
        stages=[
            msgspec.structs.replace(s, why=redact(s.why, secrets), metrics=redact_values(s.metrics, secrets))
            for s in run.stages
        ],
    )


def needs_of(run: Run) -> list[SnapshotRef]:
    """Every snapshot that the run's stages left, each once, sorted."""
    found = {(ref.id, ref.txn): ref for stage in run.stages for ref in stage.outs.values()}
    return [found[key] for key in sorted(found)]


class Recorder:
    """One run that is under way. `log` is thread-safe; `finish` comes last.

    A line goes to the run's local file at once and to the store within some seconds, from a thread of its own: a slow
    store never holds a stage up. What waits is remembered as places in the local files, so that memory stays small
    however long the store is away.
    """

    def __init__(
        self,
        store: ObjectStore,
        transactions: Transactions,
        run: RunId,
        folder: str,
        secrets: tuple[str, ...],
    ) -> None:
        self.id = run
        self._store = store
        self._transactions = transactions
        self._folder = folder
        self._secrets = secrets
        self._lock = threading.Lock()
        self._masks: dict[str, Mask] = {}
        self._files: dict[str, tuple[int, int]] = {}  # stage -> (file descriptor, bytes written)
        self._waiting: list[tuple[str, int, int]] = []  # (stage, start, length), in order
        self._segments = 0
        self._sending = threading.Lock()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def log(self, stage: str, data: bytes) -> None:
        """Take what a stage wrote. Raises StoreFull if the local disk is full, RoteError if it cannot be written."""
        with self._lock:
            mask = self._masks.get(stage) or self._masks.setdefault(stage, Mask(self._secrets))
            self._keep(stage, mask.feed(data))

    def _keep(self, stage: str, data: bytes) -> None:
        """Take what may be shown; the lock is held."""
        if not data:
            return
        try:
            descriptor, start = self._files.get(stage) or (self._create(stage), 0)
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError as e:
            kind = StoreFull if e.errno == 28 else RoteError
            raise kind(f"cannot write the log: {e.strerror}", where=self._path(stage)) from e
        self._files[stage] = (descriptor, start + len(data))
        last = self._waiting[-1] if self._waiting else None
        if last and last[0] == stage and last[1] + last[2] == start:
            self._waiting[-1] = (stage, last[1], last[2] + len(data))
        else:
            self._waiting.append((stage, start, len(data)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._send_now_and_then, name="rote-log", daemon=True)
            self._thread.start()
        if len(self._waiting) == 1:
            self._wake.set()

    def finish(self, run: Run, write: Write | None = None) -> None:
        """Send the rest of the log and write the run's record.

        With `write`, the record becomes a root of it, in force once the caller commits it; without, it is written at
        once, with the snapshots its stages left kept as far as the store still holds them. May be called again if a
        write was lost. Raises StoreFull, StoreUnavailable, Unknown.
        """
        self.close()
        cleaned = clean(run, self._secrets)
        key = record_key(self.id)
        if write is not None:
            write.root(key, cleaned, needs_of(cleaned), replace=True)
            return

        def work(own: Write) -> None:
            own.root(key, cleaned, [ref for ref in needs_of(cleaned) if own.use(ref)], replace=True)

        self._transactions.write(work)

    def close(self) -> None:
        """Send what waits and let go of the local files; the record stays as it is."""
        with self._lock:
            for stage, mask in self._masks.items():
                self._keep(stage, mask.rest())
            self._masks.clear()
        self._ending.set()
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._send()
        with self._lock:
            for stage, (descriptor, size) in self._files.items():
                if descriptor >= 0:
                    os.close(descriptor)
                self._files[stage] = (-1, size)

    def _path(self, stage: str) -> str:
        return os.path.join(self._folder, f"{stage}.log")

    def _create(self, stage: str) -> int:
        stage_name(stage)
        os.makedirs(self._folder, exist_ok=True)
        return os.open(self._path(stage), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)

    def _send_now_and_then(self) -> None:
        while not self._ending.is_set():
            self._wake.wait()
            self._wake.clear()
            if self._ending.wait(EVERY) or self._ending.is_set():
                return
            try:
                self._send()
            except StoreError as e:
                # nothing is lost: it waits in the local file, and the end of the run tries again and says so
                _log.debug("the log of %s waits: %s", self.id, e)
                self._wake.set()

    def _send(self) -> None:
        """Send everything that waits, in segments."""
        with self._sending:
            while True:
                with self._lock:
                    taken = self._take()
                    items = [
                        Item(LOG, stage, self._read(stage, start, length)) for stage, start, length in taken
                    ]
                if not items:
                    return
                self._put(pack_segment(items))
                with self._lock:
                    self._drop(taken)

    def _take(self) -> list[tuple[str, int, int]]:
        taken, room = [], LARGEST
        for stage, start, length in self._waiting:
            if room <= 0:
                break
            taken.append((stage, start, min(length, room)))
            room -= length
        return taken

    def _drop(self, taken: list[tuple[str, int, int]]) -> None:
        stage, start, length = taken[-1]
        whole = self._waiting[len(taken) - 1][2]
        # more may have been added to the last one meanwhile
        left = (stage, start + length, whole - length)
        self._waiting[: len(taken)] = [left] if left[2] else []

    def _read(self, stage: str, start: int, length: int) -> bytes:
        data = os.pread(self._files[stage][0], length, start)
        if len(data) < length:
            raise Corrupt("this log was cut while it was being written", where=self._path(stage))
        return data

    def _put(self, data: bytes) -> None:
        key = f"{live_prefix(self.id)}{self._segments + 1:08d}"
        put = conditional.put(self._store, key, data, None)
        if put.etag is None:
            raise Conflict(key, next="a run has one writer: is another process recording it?")
        self._segments += 1
