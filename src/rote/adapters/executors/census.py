"""Which processes belong to a stage, also those that left its process group: they carry a mark in their environment.

A process that calls setsid, or forks twice, is no longer in the group that its stage was started with. It still has the
environment it was started with, and on Linux everybody may read the environment of their own processes. What is not
found: a process that was started with an empty environment, or wrote over it; and one of another user. Where there is
no /proc (macOS), nobody is found: there a stage is its process group.

One that forks on and on, ending itself each time, is gone before a look at all processes comes to it. But it takes a
new number each time. So after such a look the numbers that were given meanwhile are looked at, the newest first, until
none is given any more between two looks. One that is caught is moved to the back of the queue for a processor before it
is killed, and its children with it, should it have had time for them.

A look at every process of a machine takes longer than a short stage. Numbers are given in order, and begin anew after
the largest: as long as so many cannot have been given since the stage was started, only what has a number between that
of its first process and the newest can belong to it.

As a program, `python census.py TOKEN`, it ends what an executor that was killed has left; it imports nothing of rote.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping

MARK = "ROTE_MARK"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LARGEST = 1 << 21
"""Bytes of an environment that are read."""
_MOST = 4096
"""So many of the newest processes are looked at."""
_PIECE = 1 << 16
_FASTEST = 500_000
"""Processes and threads that no machine makes in a second."""

_TOKEN = re.compile("[0-9a-f]{16}")
_ENOUGH = 10.0
"""Seconds for ending what is left of an executor that was killed."""


class Census:
    """Marks the stages of one executor, and finds their processes. Thread-safe."""

    def __init__(self) -> None:
        self.token = os.urandom(8).hex()
        """In the environment of every process that this executor started, and of those they started."""
        self.works = os.access("/proc/self/environ", os.R_OK)
        """Whether processes can be found here."""
        self._sure = _seconds_without_end() if self.works else 0.0

    def marked(self, env: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
        """The environment with a mark that no other stage has, and the mark. A stage may run rote, which marks its own
        stages: so the mark of the outer one stays."""
        mark = f"{self.token}.{os.urandom(4).hex()}"
        outer = env.get(MARK, "")
        return {**env, MARK: f"{outer}:{mark}" if outer else mark}, mark.encode()

    def of(self, mark: bytes) -> list[int]:
        """The processes that are alive and have the mark."""
        return [pid for pid, found in _environments() if mark in found] if self.works else []

    def kill(self, mark: bytes, patience: float, first: int = 0, began: float = 0.0) -> bool:
        """Kill every process that has the mark, and wait until they are gone. False if one would not go in `patience`
        seconds (a disk that does not answer holds it). `first` is the process that all others came from, and `began`
        when it was started, by the monotonic clock; without them every process of the machine is looked at."""
        if not self.works:
            return True
        until = time.monotonic() + patience
        while True:
            newest = _newest()
            near = self._near(first, began)
            left = self.of(mark) if near is None else [pid for pid in near if mark in _environment(pid)]
            left = left or _chased(mark, newest, until)
            if not left:
                return True
            for pid in left:
                _end(pid, until)
            if time.monotonic() > until:
                return False

    def _near(self, first: int, began: float) -> range | None:
        """The numbers that were given since this process was started, if all of them are known to lie there."""
        if not first or time.monotonic() - began > self._sure:
            return None
        newest = _number()
        # Asked again: the numbers may have begun anew while one was taken.
        if not first < newest <= first + _MOST or time.monotonic() - began > self._sure:
            return None
        return range(first + 1, newest)


def _seconds_without_end() -> float:
    """For how long it is certain that the numbers of processes have not come round."""
    try:
        with open("/proc/sys/kernel/pid_max", "rb", buffering=0) as f:
            most = int(f.read(100))
        # Otherwise the numbers in /proc are those of another namespace.
        return most / _FASTEST if os.readlink("/proc/self") == str(os.getpid()) else 0.0
    except (OSError, ValueError):
        return 0.0


def _number() -> int:
    """The number of a thread that is made now: the newest there is. 0 if none can be made."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(threading.get_native_id()), daemon=True)
    try:
        thread.start()
    except RuntimeError:
        return 0  # no thread is to be had now
    thread.join()
    return found[0]


def remains(token: str) -> dict[int, str]:
    """The processes that an executor which was killed has left, and what each was started as. Empty for what is no
    token of an executor, for that of one above us, and where processes cannot be found."""
    census = Census()
    if not _TOKEN.fullmatch(token) or token in os.environ.get(MARK, ""):
        return {}
    return {pid: _line(pid) for pid in census.of(token.encode())}


def end(token: str) -> bool:
    """Kill what an executor that was killed has left. False if something does not go."""
    if not _TOKEN.fullmatch(token) or token in os.environ.get(MARK, ""):
        return True
    return Census().kill(token.encode(), _ENOUGH)


def _line(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb", buffering=0) as f:
            return " ".join(f.read(4096).decode("utf-8", "replace").split("\0")).strip()
    except OSError:
        return ""


def _environments() -> Iterator[tuple[int, bytes]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name), _environment(name)


def _environment(pid: int | str) -> bytes:
    """The environment that a process was started with; nothing if it is gone, or another user's."""
    try:
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
    except OSError:
        return b""
    try:
        data = piece = os.read(descriptor, _PIECE)
        while len(piece) == _PIECE and len(data) < _LARGEST:
            piece = os.read(descriptor, _PIECE)
            data += piece
        return data
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _newest() -> int:
    """The last number that was given to a process or thread; 0 if that is not told."""
    try:
        with open("/proc/loadavg", "rb", buffering=0) as f:
            return int(f.read(200).split()[-1])
    except (OSError, ValueError, IndexError):
        return 0


def _chased(mark: bytes, since: int, until: float) -> list[int]:
    """Kill whoever has the mark among the processes that were made since this one, until none is made between two
    looks. Those that were killed, and may not be gone yet."""
    found: list[int] = []
    while (now := _newest()) != since and time.monotonic() < until:
        if now < since or now - since > _MOST:  # the numbers began anew, or there are too many of them
            since = max(0, now - _MOST)
        for pid in range(now, since, -1):
            if mark in _environment(pid):
                _catch(pid)
                found.append(pid)
                break
        since = now
    return found


def _catch(pid: int) -> None:
    """Kill a process that may fork at any moment: a child that it has before it notices starts far back."""
    try:
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    except OSError:
        pass  # it is gone, or may not be moved: then it takes more tries
    _kill(pid)


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


if __name__ == "__main__":
    sys.exit(0 if end(sys.argv[1]) else 1)
