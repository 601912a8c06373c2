"""The processes of the stages under way, and who tells them to end."""

from __future__ import annotations

import threading

from rote.ports import Process


class Underway:
    """What runs now. Thread-safe: a stage that starts while the others are told to end is told as well."""

    def __init__(self, grace: float) -> None:
        """`grace` are the seconds between TERM and KILL."""
        self.grace = grace
        self._lock = threading.Lock()
        self._processes: dict[str, Process] = {}
        self._told = 0  # how often running stages were told to end
        self._ending = threading.Event()

    @property
    def stages(self) -> list[str]:
        """The stages whose command runs."""
        with self._lock:
            return list(self._processes)

    def started(self, stage: str, process: Process) -> None:
        """The stage's command runs."""
        with self._lock:
            self._processes[stage] = process
            told = self._told
        for _ in range(told):
            process.stop(self.grace)

    def ended(self, stage: str) -> None:
        """The stage's command is over, if it ran at all."""
        with self._lock:
            self._processes.pop(stage, None)

    def tell(self) -> int:
        """Ask every stage to end; the second time kills them. Returns how often they were told by now."""
        with self._lock:
            # A stage that starts at this moment is told either here or by `started`, never by both.
            self._told += 1
            told, processes = self._told, list(self._processes.values())
        self._ending.set()
        for process in processes:
            process.stop(self.grace)
        return told

    def pause(self, seconds: float) -> bool:
        """Wait between two attempts at a stage. False if it was told to end meanwhile."""
        return not self._ending.wait(min(seconds, threading.TIMEOUT_MAX))

    def kill(self) -> None:
        """Leave nothing running, whatever has happened."""
        self._ending.set()
        with self._lock:
            processes = list(self._processes.values())
        for process in processes:
            process.stop(0)
