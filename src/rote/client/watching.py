"""Looking for newer versions in the background."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rote import polling
from rote.errors import RoteError, StoreUnavailable

if TYPE_CHECKING:
    from rote.client.model import Model

_log = logging.getLogger("rote.client")


class Host:
    """How a place is: all models of this process that are followed there leave it alone together. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures = 0
        self._until = 0.0

    def told(self, every: float, chance: float, error: StoreUnavailable | None) -> float:
        """A look ended, with this error or well: for how many seconds to wait until the next."""
        with self._lock:
            self._failures = self._failures + 1 if error is not None else 0
            asked = (error.retry_after or 0.0) if error is not None else 0.0
            wanted = polling.pause(every, self._failures, chance, asked)
            self._until = time.monotonic() + wanted if error is not None else 0.0
            return wanted

    def closed(self) -> float:
        """For how many more seconds the place is to be left alone."""
        with self._lock:
            return max(0.0, self._until - time.monotonic())


_HOSTS: dict[str, Host] = {}
_LOCK = threading.Lock()


def host_of(url: str) -> Host:
    """The state of the place at an address."""
    scheme, _, rest = url.partition("://")
    name = urlsplit(url).netloc if rest else scheme
    with _LOCK:
        return _HOSTS.setdefault(f"{scheme}://{name}" if rest else name, Host())


class Watch:
    """A thread that looks for newer versions of a model. Made by `Model.watch`; it ends with the program."""

    def __init__(
        self,
        model: Model,
        callback: Callable[[Model], object],
        every: float,
        *,
        place: str,
        using: Callable[[], str | None],
    ) -> None:
        """`place` is the address where the model is looked for; `using` tells which version is in use."""
        self._model = model
        self._callback = callback
        self._every = every
        self._host = host_of(place)
        self._using = using
        self._told = using()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rote-watch-{model.name}", daemon=True)
        self._thread.start()

    def stop(self, timeout: float | None = None) -> None:
        """Look no more. Waits until a look or a callback that is under way is over, at most `timeout` seconds."""
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = polling.pause(self._every, 0, random.random())
        while not self._stopped.wait(pause):
            pause = self._host.closed()
            if pause:
                continue
            error = self._look()
            pause = self._host.told(self._every, random.random(), error)
            self._tell()

    def _look(self) -> StoreUnavailable | None:
        """One look; what the place is in trouble with."""
        try:
            self._model.refresh()
        except RoteError as e:
            _log.warning("%s@%s: %s", self._model.name, self._model.alias, e)
            return e if isinstance(e, StoreUnavailable) else None
        problem = self._model.problem
        return problem if isinstance(problem, StoreUnavailable) else None

    def _tell(self) -> None:
        """Call back if another version is in use than the callback knows."""
        if self._using() in (None, self._told) or self._stopped.is_set():
            return
        try:
            self._model.load(lambda _: self._callback(self._model))
        except Exception as e:  # noqa: BLE001 - what the application does is its own; the watch goes on
            _log.warning("%s@%s: the callback failed: %s", self._model.name, self._model.alias, e)
        self._told = self._using()
