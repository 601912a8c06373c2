"""Ctrl-C, TERM and HUP while stages run: the first asks them to end, the second ends them."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue between threads and signal handlers that one thread waits at.

    A lock or a `queue` will not do: a signal that comes just before the thread blocks would be handled only when
    something else wakes it. Here the signal itself, in C, writes to the pipe that the thread reads (`descriptor`).
    """

    def __init__(self) -> None:
        self._letters: deque[T] = deque()
        self._reading, self.descriptor = os.pipe()
        os.set_blocking(self.descriptor, False)

    def put(self, letter: T) -> None:
        """Leave a letter. Never blocks; safe from any thread and in signal handlers."""
        self._letters.append(letter)
        try:
            os.write(self.descriptor, b"!")
        except BlockingIOError:
            pass  # the pipe is full: whoever waits is awake

    def get(self) -> T:
        """Wait for the next letter."""
        while not self._letters:
            os.read(self._reading, 4096)
        return self._letters.popleft()

    def __del__(self) -> None:
        # Not sooner: whoever can still leave a letter must not write into another's descriptor.
        os.close(self._reading)
        os.close(self.descriptor)


class Interrupts:
    """While in this context, a signal that asks this process to end calls `interrupted` with the signal's name.

    `interrupted` is called in the main thread, between two instructions of whatever it does there: it must not block,
    nor take a lock that the main thread may hold. Outside of the main thread signals are left as they are.
    """

    def __init__(self, interrupted: Callable[[str], None], wakes: int) -> None:
        """`wakes` is the descriptor of the mailbox that the main thread waits at."""
        self._interrupted = interrupted
        self._wakes = wakes
        self._woke: int | None = None
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._woke = signal.set_wakeup_fd(self._wakes, warn_on_full_buffer=False)
            for number in _asked():
                # A process that was started to ignore a signal (nohup) goes on ignoring it.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._former[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, signal.SIG_DFL if former is None else former)
        self._former.clear()
        if self._woke is not None:
            signal.set_wakeup_fd(self._woke)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._interrupted(signal.Signals(number).name)


def _asked() -> list[int]:
    return [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
    ]
