"""The log of a run on this machine: a file for each stage, and which parts of them the store does not have yet."""

from __future__ import annotations

import os
import threading

from rote.errors import Corrupt, RoteError, StoreFull
from rote.laws.pipeline.redaction import Mask
from rote.services.runs.livelog import LOG, Item
from rote.words.ids import stage_file, stage_name

LARGEST = 4 << 20
"""Bytes of log that are taken at a time, at most."""

Part = tuple[str, int, int]
"""Stage, where it begins in the stage's file, length."""


class Spool:
    """Takes what stages write. What waits to be sent is remembered as places in the local files, so that memory stays
    small however long the store is away. Thread-safe."""

    def __init__(self, folder: str, secrets: tuple[str, ...]) -> None:
        self.folder = folder
        self._secrets = secrets
        self._lock = threading.Lock()
        self._masks: dict[str, Mask] = {}
        self._files: dict[str, tuple[int, int]] = {}  # stage -> (file descriptor, bytes written)
        self._waiting: list[Part] = []  # in order
        self.size = 0
        """Bytes that wait."""
        self.total = 0
        """Bytes that were taken, ever."""

    def log(self, stage: str, data: bytes) -> None:
        """Take what a stage wrote. Raises StoreFull if the local disk is full, RoteError if it cannot be written."""
        with self._lock:
            mask = self._masks.get(stage) or self._masks.setdefault(stage, Mask(self._secrets))
            self._keep(stage, mask.feed(data))

    def end(self) -> None:
        """No more is written: what was held back because it might have become a secret was none."""
        with self._lock:
            for stage, mask in self._masks.items():
                self._keep(stage, mask.rest())
            self._masks.clear()

    def adopt(self, stage: str, start: int) -> None:
        """Take over the file that a process which is gone has left, of which the store has `start` bytes."""
        with self._lock:
            descriptor = os.open(self._path(stage), os.O_RDWR | os.O_APPEND)
            size = os.fstat(descriptor).st_size
            self._files[stage] = (descriptor, size)
            if size > start:
                self._wait(stage, start, size - start)

    def peek(self) -> tuple[list[Item], list[Part]]:
        """What waits, as items, at most `LARGEST` bytes; and which parts that are, for `drop`. Raises Corrupt."""
        with self._lock:
            taken: list[Part] = []
            room = LARGEST
            for stage, start, length in self._waiting:
                if room <= 0:
                    break
                taken.append((stage, start, min(length, room)))
                room -= length
            return [
                Item(LOG, stage, self._read(stage, start, length)) for stage, start, length in taken
            ], taken

    def drop(self, taken: list[Part]) -> None:
        """These parts, which `peek` gave, are in the store."""
        if not taken:
            return
        with self._lock:
            stage, start, length = taken[-1]
            whole = self._waiting[len(taken) - 1][2]
            # more may have been added to the last one meanwhile
            left = (stage, start + length, whole - length)
            self._waiting[: len(taken)] = [left] if left[2] else []
            self.size -= sum(length for _, _, length in taken)

    def close(self) -> None:
        """Let go of the files."""
        with self._lock:
            for stage, (descriptor, size) in self._files.items():
                if descriptor >= 0:
                    os.close(descriptor)
                self._files[stage] = (-1, size)

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
        self._wait(stage, start, len(data))

    def _wait(self, stage: str, start: int, length: int) -> None:
        last = self._waiting[-1] if self._waiting else None
        if last and last[0] == stage and last[1] + last[2] == start:
            self._waiting[-1] = (stage, last[1], last[2] + length)
        else:
            self._waiting.append((stage, start, length))
        self.size += length
        self.total += length

    def _path(self, stage: str) -> str:
        return os.path.join(self.folder, f"{stage_file(stage)}.log")

    def _create(self, stage: str) -> int:
        if stage:  # what rote itself says has none
            stage_name(stage)
        os.makedirs(self.folder, exist_ok=True)
        return os.open(self._path(stage), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)

    def _read(self, stage: str, start: int, length: int) -> bytes:
        data = os.pread(self._files[stage][0], length, start)
        if len(data) < length:
            raise Corrupt("this log was cut while it was being written", where=self._path(stage))
        return data
