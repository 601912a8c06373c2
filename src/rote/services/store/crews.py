"""Several threads at one kind of work, which end together: with the first that fails, and with whoever interrupts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from rote.errors import Stopped

_T = TypeVar("_T")
_U = TypeVar("_U")


class Crew:
    """`threads` of them. For one piece of work at a time."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._stop = threading.Event()

    def each(self, work: Callable[[_T], _U], over: Sequence[_T]) -> list[_U]:
        """Do this for each, several at once; raises what the first raised, when none is at it any more."""
        self._stop.clear()
        with ThreadPoolExecutor(self._threads, "rote-crew") as pool:
            under_way: list[Future[_U]] = [pool.submit(work, one) for one in over]
            try:
                done, _ = wait(under_way, return_when=FIRST_EXCEPTION)
                failed = [e for future in done if (e := future.exception()) is not None]
                for e in sorted(failed, key=lambda e: isinstance(e, Stopped)):
                    raise e
                return [future.result() for future in under_way]
            except BaseException:
                self._stop.set()
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def going(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """The same bytes, as long as nobody failed."""
        for data in parts:
            if self._stop.is_set():
                raise Stopped("stopped, for another file failed")
            yield data
