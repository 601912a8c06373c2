"""Which processes belong to a stage, also those that left its process group: they carry a mark in their environment.

A process that calls setsid, or forks twice, is no longer in the group that its stage was started with. It still has the
environment it was started with, and on Linux everybody may read the environment of their own processes. What is not
found: a process that was started with an empty environment, or wrote over it; one of another user; and one that forks
on and on, each time ending itself, faster than it can be looked at. Where there is
no /proc (macOS), nobody is found: there a stage is its process group.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Mapping

MARK = "ROTE_MARK"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LARGEST = 1 << 21
"""Bytes of an environment that are read."""


class Census:
    """Marks the stages of one executor, and finds their processes. Thread-safe."""

    def __init__(self) -> None:
        self.token = os.urandom(8).hex()
        """In the environment of every process that this executor started, and of those they started."""
        self.works = os.access("/proc/self/environ", os.R_OK)
        """Whether processes can be found here."""

    def marked(self, env: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
        """The environment with a mark that no other stage has, and the mark. A stage may run rote, which marks its own
        stages: so the mark of the outer one stays."""
        mark = f"{self.token}.{os.urandom(4).hex()}"
        outer = env.get(MARK, "")
        return {**env, MARK: f"{outer}:{mark}" if outer else mark}, mark.encode()

    def of(self, mark: bytes) -> list[int]:
        """The processes that are alive and have the mark."""
        return [pid for pid, found in _environments() if mark in found] if self.works else []

    def kill(self, mark: bytes, patience: float) -> bool:
        """Kill every process that has the mark, and wait until they are gone. False if one would not go in `patience`
        seconds (a disk that does not answer holds it)."""
        until = time.monotonic() + patience
        while left := self.of(mark):
            for pid in left:
                _end(pid, until)
            if time.monotonic() > until:
                return False
        return True


def _environments() -> Iterator[tuple[int, bytes]]:
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            descriptor = os.open(f"/proc/{name}/environ", os.O_RDONLY)
        except OSError:
            continue  # it is gone, or another user's
        try:
            yield int(name), os.read(descriptor, _LARGEST)
        except OSError:
            continue
        finally:
            os.close(descriptor)


def _end(pid: int, until: float) -> None:
    """Kill a process, and wait until it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        _kill(pid)  # gone; or a kernel without such descriptors: then the next look tells
        return
    try:
        _kill(pid)
        gone = select.poll()
        gone.register(descriptor, select.POLLIN)
        gone.poll(max(0, int((until - time.monotonic()) * 1000)))
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it is gone; or it has become another user's, whom we cannot end


def resident(pids: list[int], enough: int) -> int:
    """Bytes of memory that these processes have together.

    First what each has is added up, which counts shared memory several times. Only if that is more than `enough`,
    shared memory is divided among those who share it: that takes the kernel much longer to tell.
    """
    total = sum(map(_resident, pids))
    return total if total <= enough else sum(map(_share, pids))


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb", buffering=0) as f:
            return int(f.read(200).split()[1]) * _PAGE
    except OSError:
        return 0


def _share(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb", buffering=0) as f:
            for line in f.read(4096).splitlines():
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # it ended, or may not be looked at: then what it has counts whole
    return _resident(pid)
