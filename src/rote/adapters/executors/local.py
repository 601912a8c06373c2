"""Stages as processes on this machine."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rote.adapters.executors import capacity
from rote.adapters.executors.census import Census
from rote.adapters.executors.guard import Guard
from rote.adapters.executors.memory import MemoryWatch, kernel_kills
from rote.errors import StageFailed
from rote.ports import Bounds, Capacity, Exit

if TYPE_CHECKING:
    import subprocess

_PIECE = 1 << 16
_PATIENCE_MS = 5_000
"""How long output is awaited from processes that were killed but are not gone yet."""
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""The exit codes of a shell that was killed, and of one whose last command was."""

# Standard input is the guard's pipe at first: the shell tells its process group there, then lets go of it. The trap
# keeps the shell alive until the program that it waits for has ended, so that this program has its time to end well.
_HEAD = "trap '' PIPE; echo \"+$$\" >&0 2>/dev/null; trap - PIPE; exec </dev/null; trap 'exit 143' TERM\n"
_INNER = "trap 'exit 143' TERM\n"


class LocalExecutor:
    """A ports.Executor. Each stage is a session of its own, without a terminal and with empty standard input. When
    this process dies, however it does, every stage that it started is killed with all its processes."""

    def __init__(self) -> None:
        self._census = Census()
        self._guard = Guard(self._census.token)

    @property
    def token(self) -> str:
        """By which `rote.adapters.executors.census` finds every process of this executor's stages."""
        return self._census.token

    def start(
        self,
        cmd: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        output: Callable[[bytes], None],
        bounds: Bounds = Bounds(),
    ) -> LocalProcess:
        """Start command lines in `cwd`. Raises StageFailed if the shell cannot be started there."""
        import subprocess  # a run in which nothing has to be done starts nothing, and is spared the import

        marked, mark = self._census.marked(env)
        began = time.monotonic()
        reading, writing = os.pipe()
        try:
            leader = subprocess.Popen(
                _script(cmd), cwd=cwd, env=marked, stdin=self._guard.line(), stdout=writing, stderr=writing,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as e:
            os.close(reading)
            raise _cannot(e, cwd) from e
        finally:
            os.close(writing)
        return LocalProcess(leader, reading, output, Keepers(self._guard, self._census, mark, bounds, began))

    def capacity(self) -> Capacity:
        """What this machine has for stages."""
        return capacity.capacity(os.environ)

    def unbounded(self, bounds: Bounds) -> str:
        """Memory can be looked at on Linux alone."""
        if bounds.memory is not None and not self._census.works:
            return "how much memory a stage takes cannot be seen on this system, so `memory` is not enforced"
        return ""

    def close(self) -> None:
        """No more stages will be started."""
        self._guard.close()


def _script(cmd: Sequence[str]) -> list[str]:
    if len(cmd) == 1:
        return ["/bin/sh", "-c", _HEAD + cmd[0]]
    lines = "".join(f'/bin/sh -c "${{{number}}}" || exit $?\n' for number in range(1, len(cmd) + 1))
    return ["/bin/sh", "-c", _HEAD + lines, "sh", *(_INNER + line for line in cmd)]


def _cannot(error: OSError | ValueError, cwd: str) -> StageFailed:
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    if isinstance(error, NotADirectoryError | FileNotFoundError) and not os.path.isdir(cwd):
        return StageFailed("the folder to start in is not there", where=cwd, next="make it, or change `wdir`")
    return StageFailed(f"cannot start /bin/sh: {why}", where=cwd)


class Keepers:
    """Who looks after one stage: the guard, who ends it if we are gone; the census, which finds its processes by their
    mark; and its bounds. It was `began` then, by the monotonic clock, or a moment later."""

    def __init__(self, guard: Guard, census: Census, mark: bytes, bounds: Bounds, began: float) -> None:
        self._began = began
        self.guard = guard
        self.bounds = bounds
        self.killed = kernel_kills()
        self._census = census
        self._mark = mark
        self._watch: MemoryWatch | None = None

    def watch(self, exceeded: Callable[[], None]) -> None:
        """Look at its memory, if that is bounded."""
        if self.bounds.memory is not None and self._census.works:
            self._watch = MemoryWatch(self._census, self._mark, self.bounds.memory, exceeded)

    def close(self) -> int:
        """It is over; the most memory that was seen."""
        if self._watch is None:
            return 0
        self._watch.close()
        return self._watch.peak

    def end(self, leader: int) -> bool:
        """Kill what has left the process group of `leader`. False if something does not go."""
        return self._census.kill(self._mark, _PATIENCE_MS / 1000, leader, self._began)


class LocalProcess:
    """A ports.Process: the shell that leads a process group, and the thread that passes its output on."""

    def __init__(
        self,
        leader: subprocess.Popen[bytes],
        reading: int,
        output: Callable[[bytes], None],
        keepers: Keepers,
    ) -> None:
        self._leader = leader
        self._reading = reading
        self._output = output
        self._keepers = keepers
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._over = False
        self._stopped = False
        self._exceeded = ""
        self._killed = False  # by us
        self._timer: threading.Timer | None = None
        self._clock: threading.Timer | None = None
        self._trouble: BaseException | None = None
        self._patience = 0
        self._woken, self._wake = os.pipe()
        self._pump = threading.Thread(target=self._pass_on, name="rote-output", daemon=True)
        self._pump.start()
        keepers.watch(lambda: self._exceed("memory"))
        if keepers.bounds.timeout is not None:
            self._clock = self._after(keepers.bounds.timeout, lambda: self._exceed("timeout"))

    @property
    def pid(self) -> int:
        """The process group's id."""
        return self._leader.pid

    def wait(self) -> Exit:
        """Block until the command is over; what it left running is killed then.

        Raises whatever `output` raised; the command is killed in that case.
        """
        _await(self._leader.pid)
        with self._lock:
            # The leader is not reaped yet, so its id cannot have become another's.
            self._over = True
            self._signal(signal.SIGKILL)
            for timer in (self._timer, self._clock):
                if timer is not None:
                    timer.cancel()
        peak = self._keepers.close()
        code = self._leader.wait()
        gone = self._keepers.end(self._leader.pid)
        # Whatever is left was killed just now; the end of its output tells when it is gone.
        self._patience = _PATIENCE_MS if _exists(self._leader.pid) else 0
        os.close(self._wake)
        self._pump.join()
        os.close(self._woken)
        os.close(self._reading)
        self._keepers.guard.forget(self._leader.pid)
        if self._trouble is not None:
            raise self._trouble
        return Exit(
            code, time.monotonic() - self._began, self._stopped, self._why(code), peak=peak, left=not gone
        )

    def _why(self, code: int) -> str:
        """The bound that the command was ended for, if it was."""
        if self._exceeded or self._killed or self._stopped or code not in _KILLED:
            return self._exceeded
        return "machine" if kernel_kills() > self._keepers.killed else ""

    def stop(self, grace: float = 10.0) -> None:
        """TERM to the process group, KILL after `grace` seconds; the second call kills at once."""
        with self._lock:
            if self._over:
                return
            again, self._stopped = self._stopped, True
            if again or grace <= 0:
                self._signal(signal.SIGKILL)
                return
            self._end(grace)

    def _end(self, grace: float) -> None:
        """TERM, and KILL after `grace` seconds; the lock is held."""
        self._signal(signal.SIGTERM)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._after(grace, self._kill)

    def _after(self, seconds: float, do: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), do)
        timer.daemon = True
        timer.start()
        return timer

    def _exceed(self, bound: str) -> None:
        """The command has used more than it may."""
        with self._lock:
            if self._over or self._stopped or self._exceeded:
                return
            self._exceeded = bound
            if bound == "timeout":
                self._end(self._keepers.bounds.grace)
            else:  # it may take what others need while it is asked
                self._signal(signal.SIGKILL)

    def _kill(self) -> None:
        with self._lock:
            if not self._over:
                self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        self._killed = self._killed or (number == signal.SIGKILL and not self._over)
        try:
            os.killpg(self._leader.pid, number)
        except (ProcessLookupError, PermissionError):
            pass  # nothing is left of the group (macOS says so with EPERM while the leader is not reaped)

    def _pass_on(self) -> None:
        try:
            poll = select.poll()
            poll.register(self._reading, select.POLLIN | select.POLLHUP)
            poll.register(self._woken, select.POLLHUP)
            while True:
                ready = dict(poll.poll())
                if self._reading in ready and not self._read():
                    return
                if self._woken in ready:
                    break
            # The command is over. What it wrote is in the pipe; a process that left the group may hold the pipe open
            # for ever, and is not waited for.
            rest = select.poll()
            rest.register(self._reading, select.POLLIN | select.POLLHUP)
            while rest.poll(self._patience) and self._read():
                pass
        except BaseException as e:  # noqa: BLE001  # kept whole, and raised by wait()
            self._trouble = e
            self._kill()

    def _read(self) -> bool:
        data = os.read(self._reading, _PIECE)
        if data:
            self._output(data)
        return bool(data)


def _await(pid: int) -> None:
    """Block until the process has ended, and leave it to be reaped."""
    if hasattr(os, "waitid"):  # not in every Python on macOS: there the id is free a moment earlier
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
