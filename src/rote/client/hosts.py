"""Hosts in trouble: everything that is followed there leaves them alone together."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from rote.adapters.landing.looked import Troubled
from rote.errors import StoreUnavailable
from rote.laws.publishing import looks, polling, targetnames
from rote.laws.publishing.polling import Trouble


class Moment:
    """A moment that another process named by the clock on the wall, kept by this process's own: whoever sets the clock
    then makes nobody wait longer, and a moment that has passed does not come again."""

    def __init__(self) -> None:
        self._named = ""
        self._at = 0.0

    def left(self, name: str, seconds: float) -> float:
        """Seconds until the moment of this name, which were `seconds` when it was heard of first."""
        if name != self._named:
            self._named, self._at = name, time.monotonic() + seconds
        return max(0.0, self._at - time.monotonic())


class Host:
    """How a place is. With `shared` all processes of the user know it, else this process. Thread-safe."""

    def __init__(
        self, name: str = "", shared: Troubled | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self._name = name
        self._shared = shared
        self._now = now
        self._lock = threading.Lock()
        self._mine: Trouble | None = None
        self._moment = Moment()

    def known(self) -> Trouble | None:
        """What is known of its trouble; None if there is none."""
        told = self._shared.known() if self._shared is not None else None
        return told or self._mine

    def closed(self) -> float:
        """For how many more seconds the place is to be left alone."""
        with self._lock:
            trouble = self.known()
            return self._moment.left(trouble.nonce, trouble.left(self._now())) if trouble else 0.0

    def told(
        self, every: float, chance: float, error: StoreUnavailable | None, before: Trouble | None
    ) -> None:
        """A look ended, with this error or well. `before` is what was known when it began."""
        with self._lock:
            known = self.known()
            if error is None:
                if known is not None and known == before:
                    self._mine = None
                    if self._shared is not None:
                        self._shared.over()
                return
            trouble = polling.worse(
                known,
                before,
                error,
                host=self._name,
                every=every,
                chance=chance,
                now=self._now(),
                nonce=secrets.token_hex(8),
            )
            if trouble == known:
                return
            shared = self._shared is not None and looks.is_for_all(error) and self._shared.tell(trouble)
            self._mine = None if shared else trouble


_HOSTS: dict[str, Host] = {}
_LOCK = threading.Lock()


def host_of(url: str) -> Host:
    """The state of the place at an address (in the spelling of `origins.canonical`)."""
    name = name_of(url)
    with _LOCK:
        if name not in _HOSTS:
            shared = Troubled(_folder(), name) if "://" in name else None
            _HOSTS[name] = Host(name, shared)
        return _HOSTS[name]


def name_of(url: str) -> str:
    """The host behind an address, such as https://example.org; the address itself where nobody else is asked. A forge
    and the Hub have a limit for each user, and another one for those who have no token."""
    kind, _, rest = url.partition(":")
    if kind in targetnames.FORGES:
        from rote.adapters.forges import address, tokens  # only who follows a forge needs them

        at = address.parse(url)
        return _limited(at.server, tokens.found(at, os.environ) is not None)
    if kind == targetnames.HUB:
        known = bool(os.environ.get("HF_TOKEN"))
        return _limited(os.environ.get("HF_ENDPOINT") or "https://huggingface.co", known)
    parts = urlsplit(url)
    if not rest.startswith("//") or not parts.netloc:
        return url
    endpoint = parse_qs(parts.query).get("endpoint", [""])[0]
    return endpoint.rstrip("/") or f"{parts.scheme}://{parts.netloc}"


def _limited(server: str, known: bool) -> str:
    return server if known else f"{server} (without a token)"


def _folder() -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "rote", "hosts")
