"""Looking for newer versions in the background."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rote.client.hosts import host_of
from rote.errors import RoteError, StoreUnavailable
from rote.laws.publishing import polling

if TYPE_CHECKING:
    from rote.client.model import Model
    from rote.client.turns import Turns

_log = logging.getLogger("rote.client")


class Watch:
    """A thread that looks for newer versions of a model. Made by `Model.watch`; it ends with the program."""

    def __init__(
        self,
        model: Model,
        callback: Callable[[Model], object],
        every: float,
        *,
        place: str,
        turns: Turns,
        using: Callable[[], str | None],
    ) -> None:
        """`place` is the address where the model is looked for, `turns` what is shared with others who look for it;
        `using` tells which version is in use."""
        self._model = model
        self._callback = callback
        self._every = every
        self._host = host_of(place)
        self._turns = turns
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
        pause = self._turns.left() or polling.pause(self._every, 0, random.random())
        while not self._stopped.wait(pause):
            pause = self._turn()
            self._tell()

    def _turn(self) -> float:
        """Look, if nobody else did or does; for how many seconds to wait then."""
        pause = max(self._turns.heard(), self._host.closed())
        if pause:
            return pause
        with self._turns.taken() as busy:
            # Somebody may have looked just now.
            return busy or self._turns.heard() or self._looked()

    def _looked(self) -> float:
        before = self._host.known()
        error = self._look()
        self._host.told(self._every, random.random(), error, before)
        pause = max(self._host.closed(), self._turns.left())
        return pause or polling.pause(self._every, 0, random.random())

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
