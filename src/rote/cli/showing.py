"""Progress on a terminal: one line, drawn at most ten times a second, gone when the work is done."""

from __future__ import annotations

import sys
import threading
import time

from rote.cli.tables import size


class _Work:
    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self.what, self.total, self.unit, self.count = what, total, unit, 0

    def shown(self) -> str:
        if self.unit == "bytes":
            of = f" of {size(self.total)}" if self.total else ""
            return f"{self.what}: {size(self.count)}{of}"
        of = f" of {self.total:,}" if self.total else ""
        return f"{self.what}: {self.count:,}{of} {self.unit}".rstrip()


class TerminalProgress:
    """A Progress for people. On a terminal a line is redrawn in place; into a file only `say` is written."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._lock = threading.Lock()
        self._stack: list[_Work] = []
        self._drawn = 0.0

    def start(self, what: str, total: int | None = None, unit: str = "") -> None:
        """A piece of work begins."""
        with self._lock:
            self._stack.append(_Work(what, total, unit))
            self._draw()

    def step(self, amount: int = 1) -> None:
        """So much more is done."""
        with self._lock:
            if self._stack:
                self._stack[-1].count += amount
                self._draw()

    def done(self) -> None:
        """The last piece of work is over."""
        with self._lock:
            if self._stack:
                self._stack.pop()
            self._wipe()

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._quiet:
            return
        with self._lock:
            self._wipe()
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._live or now - self._drawn < 0.1:
            return
        self._drawn = now
        sys.stderr.write(f"\r\x1b[2K{self._stack[-1].shown()}")
        sys.stderr.flush()

    def _wipe(self) -> None:
        if self._live and self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._drawn = 0.0
