"""Ctrl-C, TERM and HUP while stages run: the first asks them to end, the second ends them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """While in this context, a signal that asks this process to end calls `interrupted` with the signal's name.

    `interrupted` is called in the main thread, between two instructions of whatever it does there: it must not block,
    nor take a lock that the main thread may hold. Outside of the main thread signals are left as they are.
    """

    def __init__(self, interrupted: Callable[[str], None]) -> None:
        self._interrupted = interrupted
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._interrupted(signal.Signals(number).name)


def _asked() -> list[int]:
    return [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)
    ]
