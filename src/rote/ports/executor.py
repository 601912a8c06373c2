"""The port to where stages run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec


class Exit(msgspec.Struct, frozen=True):
    """How a command ended: `code` as the shell gives it (negative: killed by that signal), `stopped` if we asked."""

    code: int
    seconds: float
    stopped: bool = False
    exceeded: str = ""
    """The bound that it went beyond, and was ended for: `timeout` or `memory`; or `machine`: the kernel ended it,
    because the machine (or what this process may have of it) had no memory left."""
    peak: int = 0
    """The most bytes of memory that were seen; 0 if nobody looked."""
    left: bool = False
    """Whether a process of the command could not be ended: it waits for a disk that does not answer."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a command may use: seconds, and bytes of memory for it and all its children together. None: no bound."""

    timeout: float | None = None
    memory: int | None = None
    grace: float = 10.0
    """Seconds between TERM and KILL for one that is out of time."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the place has where stages run: processors, bytes of memory, and GPUs by the names that CUDA knows."""

    cpus: float
    memory: int
    gpus: tuple[str, ...] = ()


class Process(Protocol):
    """A command under way."""

    def wait(self) -> Exit:
        """Block until the command and all the processes that it started are over."""

    def stop(self, grace: float = 10.0) -> None:
        """Ask the process group to end (TERM), and end it (KILL) after `grace` seconds. Safe from any thread, and to
        call twice: the second call kills at once."""


class Executor(Protocol):
    """Where a stage's command runs."""

    def start(
        self,
        cmd: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        output: Callable[[bytes], None],
        bounds: Bounds = Bounds(),
    ) -> Process:
        """Start command lines, one after the other until one fails, in one process group of their own. What goes beyond
        its `bounds` is ended.

        `output` receives what they write (stdout and stderr as one stream), in order, from another thread. Raises
        StageFailed if the shell cannot be started.
        """

    def capacity(self) -> Capacity:
        """What there is for all stages together."""

    def unbounded(self, bounds: Bounds) -> str:
        """Why one of the bounds cannot be kept here, in words; empty if all can."""
