"""Stages as processes on this machine."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rote.errors import StageFailed
from rote.executors.guard import Guard
from rote.ports import Exit

if TYPE_CHECKING:
    import subprocess

_PIECE = 1 << 16
_PATIENCE_MS = 5_000
"""How long output is awaited from processes that were killed but are not gone yet."""

# Standard input is the guard's pipe at first: the shell tells its process group there, then lets go of it. The trap
# keeps the shell alive until the program that it waits for has ended, so that this program has its time to end well.
_HEAD = "trap '' PIPE; echo \"+$$\" >&0 2>/dev/null; trap - PIPE; exec </dev/null; trap 'exit 143' TERM\n"
_INNER = "trap 'exit 143' TERM\n"


class LocalExecutor:
    """A ports.Executor. Each stage is a session of its own, without a terminal and with empty standard input. When
    this process dies, however it does, every stage that it started is killed with its whole process group."""

    def __init__(self) -> None:
        self._guard = Guard()

    def start(
        self, cmd: Sequence[str], *, cwd: str, env: Mapping[str, str], output: Callable[[bytes], None]
    ) -> LocalProcess:
        """Start command lines in `cwd`. Raises StageFailed if the shell cannot be started there."""
        import subprocess  # a run in which nothing has to be done starts nothing, and is spared the import

        reading, writing = os.pipe()
        try:
            leader = subprocess.Popen(
                _script(cmd), cwd=cwd, env=env, stdin=self._guard.line(), stdout=writing, stderr=writing,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, ValueError) as e:
            os.close(reading)
            raise _cannot(e, cwd) from e
        finally:
            os.close(writing)
        return LocalProcess(leader, reading, output, self._guard)

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


class LocalProcess:
    """A ports.Process: the shell that leads a process group, and the thread that passes its output on."""

    def __init__(
        self, leader: subprocess.Popen[bytes], reading: int, output: Callable[[bytes], None], guard: Guard
    ) -> None:
        self._leader = leader
        self._reading = reading
        self._output = output
        self._guard = guard
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._over = False
        self._stopped = False
        self._timer: threading.Timer | None = None
        self._trouble: BaseException | None = None
        self._patience = 0
        self._woken, self._wake = os.pipe()
        self._pump = threading.Thread(target=self._pass_on, name="rote-output", daemon=True)
        self._pump.start()

    @property
    def pid(self) -> int:
        """The process group's id."""
        return self._leader.pid

    def wait(self) -> Exit:
        """Block until the command is over; what it left running in its process group is killed then.

        Raises whatever `output` raised; the command is killed in that case.
        """
        _await(self._leader.pid)
        with self._lock:
            # The leader is not reaped yet, so its id cannot have become another's.
            self._over = True
            self._signal(signal.SIGKILL)
            if self._timer is not None:
                self._timer.cancel()
        code = self._leader.wait()
        # Whatever is left was killed just now; the end of its output tells when it is gone.
        self._patience = _PATIENCE_MS if _exists(self._leader.pid) else 0
        os.close(self._wake)
        self._pump.join()
        os.close(self._woken)
        os.close(self._reading)
        self._guard.forget(self._leader.pid)
        if self._trouble is not None:
            raise self._trouble
        return Exit(code, time.monotonic() - self._began, self._stopped)

    def stop(self, grace: float = 10.0) -> None:
        """TERM to the process group, KILL after `grace` seconds; the second call kills at once."""
        with self._lock:
            if self._over:
                return
            again, self._stopped = self._stopped, True
            if again or grace <= 0:
                self._signal(signal.SIGKILL)
                return
            self._signal(signal.SIGTERM)
            self._timer = threading.Timer(grace, self._kill)
            self._timer.daemon = True
            self._timer.start()

    def _kill(self) -> None:
        with self._lock:
            if not self._over:
                self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
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
