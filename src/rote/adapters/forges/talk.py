"""Speaking to a forge's interface: with the token, patiently, and never where the token does not belong.

A forge that is busy is asked again after the time that it names (`Retry-After`, or when its limit is lifted), never
sooner; without one the wait grows. A redirect is followed with the token only to the very server the token is for.
"""

from __future__ import annotations

import email.utils
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.message import Message
from typing import Any, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec

from rote.adapters.forges.address import is_loopback
from rote.adapters.forges.vendor import BUSY, SAFE, Answer, Vendor
from rote.adapters.forges.wire import Cut, Reply, Wire
from rote.errors import Corrupt, Refused, RoteError
from rote.ports import Clock
from rote.words.ids import shown

_T = TypeVar("_T")


class Outcome(Protocol):
    """What one try came to, as far as `Talk.patiently` looks at it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str] | Message: ...


_Got = TypeVar("_Got", bound=Outcome)
_log = logging.getLogger("rote.forges")
LARGEST = 32 << 20
"""Bytes of an answer that is read whole."""
PAGE = 100
"""Items of a list in one answer: the most that GitHub and GitLab give."""
_MOST_PAGES = 100
_HOPS = 5
_MOVED = frozenset([301, 302, 303, 307, 308])


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a forge is asked again, in seconds."""

    deadline: float = 300.0
    """A request is given up so long after it failed first, whatever the forge asks to wait ..."""
    stranger: float = 10.0
    """... or so long, if nothing there has ever answered."""
    base: float = 1.0
    cap: float = 30.0
    limited: float = 60.0
    """The first wait after a limit that does not say how long."""


class Talk:
    """Requests to one forge. Safe to share between threads."""

    def __init__(self, wire: Wire, clock: Clock, vendor: Vendor, patience: Patience) -> None:
        self._wire = wire
        self._clock = clock
        self._patience = patience
        self.vendor = vendor
        self.token = vendor.token

    def ask(
        self,
        method: str,
        url: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        fine: Iterable[int] = (200,),
        repeat: bool = True,
        limit: int = LARGEST,
    ) -> Answer:
        """Ask the interface, with a body that becomes JSON. Statuses that are not `fine` become errors. With `repeat` a
        lost or unserved request is made again. Raises StoreUnavailable, Refused, Corrupt."""
        data = b"" if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", **self._heads(), **(headers or {})}
        if data:
            sent["Content-Type"] = "application/json"

        def once() -> Answer:
            reply = self._reply(method, url, sent, (data,) if data else (), len(data))
            read = {name.lower(): value for name, value in reply.headers.items()}
            return Answer(reply.status, reply.body(limit), read)

        answer = self.patiently(once, repeat=repeat)
        if answer.status not in set(fine):
            raise self.vendor.refused(answer)
        return answer

    def listed(self, ask: Callable[[int], Answer], kind: type[list[_T]]) -> Iterator[_T]:
        """What a list holds that comes in pages of `PAGE`, which `ask` asks for by number, from 1; nothing where there
        is no list (404). Raises Corrupt."""
        for page in range(1, _MOST_PAGES + 1):
            answer = ask(page)
            items = [] if answer.status == 404 else self.decoded(answer, kind)
            yield from items
            if len(items) < PAGE:
                return

    def send(
        self, method: str, url: str, body: Callable[[], Iterator[bytes]], size: int, kind: str
    ) -> Answer:
        """Send a file once. Raises Cut, StoreUnavailable (a limit), what reading the file raises."""
        sent = {"Accept": "application/json", **self._heads(), "Content-Type": kind}
        reply = self._wire.ask(method, url, sent, body(), size)
        read = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, reply.body(LARGEST), read)

    def open(self, url: str, *, start: int, length: int | None, known: str = "", kind: str = "") -> Reply:
        """Begin to read a file. The interface may lead to another server, which gets no token; `known` is such an
        address of a moment ago (the reply's `at`), which is tried first. The reply's status is 200 or 206. Raises
        Gone, Short, Refused, StoreUnavailable."""
        ranged = {}
        if start or length is not None:
            last = "" if length is None else str(start + length - 1)
            ranged["Range"] = f"bytes={start}-{last}"

        def once() -> Reply:
            return self._follow(url, {"Accept": kind or "*/*", **ranged}, known)

        reply = self.patiently(once, repeat=True)
        if reply.status not in (200, 206):
            answer = Answer(
                reply.status, reply.body(LARGEST), {k.lower(): v for k, v in reply.headers.items()}
            )
            if reply.status in (404, 410):
                raise Gone(answer)
            if reply.status == 416:
                raise Short
            raise self.vendor.refused(answer)
        return reply

    def patiently(self, once: Callable[[], _Got], *, repeat: bool) -> _Got:
        """Do a request, again and again while the forge is busy or out of reach, as long as there is patience."""
        began = self._clock.monotonic()
        times = 0
        while True:
            try:
                got = once()
            except Cut as e:
                if e.trust or not repeat:
                    raise self.vendor.unreachable(e) from None
                wait = self._grown(times)
                self._wait(wait, began, e.known, self.vendor.unreachable(e))
            else:
                status, heads = got.status, {k.lower(): v for k, v in got.headers.items()}
                limited = self.limit(status, heads, got, times)
                if limited is None and (status not in BUSY or not repeat):
                    return got
                wait = self._grown(times) if limited is None else limited
                if isinstance(got, Reply):
                    got.close()
                self._wait(wait, began, True, self.vendor.busy(status, limited))
            times += 1

    def limit(self, status: int, heads: Mapping[str, str], got: object, times: int) -> float | None:
        """For how many seconds the forge wants to be left alone, or None if this is not about a limit."""
        if status not in (403, 429, 503):
            return None
        if heads.get("retry-after"):
            return _seconds(heads["retry-after"], self._now(heads), self._patience.limited)
        spent = heads.get("x-ratelimit-remaining", heads.get("ratelimit-remaining")) == "0"
        reset = heads.get("x-ratelimit-reset", heads.get("ratelimit-reset", ""))
        if spent and reset.isascii() and reset.isdigit():
            return max(1.0, float(reset[:15]) - self._now(heads) + 1)
        said = got.data[:4096].lower() if isinstance(got, Answer) else b""
        if status == 429 or b"rate limit" in said or b"abuse" in said:
            return min(self._patience.limited * 2.0**times, 3600.0)
        return None

    def _now(self, heads: Mapping[str, str]) -> float:
        """The time there: a clock of ours that is wrong must not make us wait for hours, or not at all."""
        try:
            return email.utils.parsedate_to_datetime(heads.get("date", "")).timestamp()
        except (ValueError, TypeError, OverflowError):
            return self._clock.now()

    def _grown(self, times: int) -> float:
        most = min(self._patience.cap, self._patience.base * 2.0 ** min(times, 16))
        return most * (int(self._clock.token(4), 16) / 0xFFFFFFFF)

    def _wait(self, wait: float, began: float, known: bool, error: RoteError) -> None:
        spent = self._clock.monotonic() - began
        patience = self._patience
        if spent + wait > (patience.deadline if known else min(patience.stranger, patience.deadline)):
            raise error
        if wait >= 5:
            _log.warning("%s; going on in %d seconds", error.what, int(wait))
        self._clock.sleep(wait)

    def _heads(self) -> dict[str, str]:
        return {
            "User-Agent": "rote",
            "Accept-Encoding": "identity",
            **(self.token.headers() if self.token else {}),
        }

    def _reply(
        self, method: str, url: str, heads: Mapping[str, str], body: Iterable[bytes], size: int
    ) -> Reply:
        """Ask, and follow to where a repository was renamed to, if that is at the same server."""
        body = list(body)
        for _ in range(_HOPS):
            reply = self._wire.ask(method, url, heads, body, size)
            to = reply.headers.get("Location")
            if reply.status not in _MOVED or not to or (method != "GET" and reply.status not in (307, 308)):
                return reply
            reply.drain()
            url, before = urljoin(url, to), url
            if urlsplit(url)[:2] != urlsplit(before)[:2]:
                raise Refused(
                    f"{self.vendor.name} leads to another server ({shown(urlsplit(url).netloc)}): "
                    "not followed, for the token is not for that one",
                    where=self.vendor.where,
                    safe=SAFE,
                    next="write the address that it has now",
                )
        raise self.vendor.looped()

    def _follow(self, url: str, heads: Mapping[str, str], known: str) -> Reply:
        base = urlsplit(url)
        if known:
            reply = self._wire.ask(
                "GET", known, {"User-Agent": "rote", "Accept-Encoding": "identity", **heads}
            )
            if reply.status in (200, 206):
                reply.at = known
                return reply
            reply.close()  # such addresses are good for a while only
        for _ in range(_HOPS):
            here = urlsplit(url)
            ours = here[:2] == base[:2]
            plain = {"User-Agent": "rote", "Accept-Encoding": "identity"}
            reply = self._wire.ask("GET", url, {**(self._heads() if ours else plain), **heads})
            to = reply.headers.get("Location")
            if reply.status not in _MOVED or not to:
                reply.at = "" if ours else url
                return reply
            reply.drain()
            url = urljoin(url, to)
            there = urlsplit(url)
            local = there.scheme == "http" and base.scheme == "http" and is_loopback(there.netloc)
            if there.scheme != "https" and not local:
                raise Refused(
                    f"{self.vendor.name} leads to a place that is not https: not followed",
                    where=self.vendor.where,
                    next="try again; if it stays so, something stands between you and the server",
                )
        raise self.vendor.looped()

    def decoded(self, answer: Answer, kind: type[_T]) -> _T:
        """The answer as a value. Raises Corrupt."""
        try:
            return msgspec.json.decode(answer.data, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
            raise Corrupt(
                f"{self.vendor.name}'s answer is not what its description promises: {shown(str(e), 200)}",
                where=self.vendor.where,
                safe=SAFE,
                next="try again; if it stays so, something stands between you and the server",
            ) from None


class Short(Exception):
    """The file ends before the part that was asked for."""


class Gone(Exception):
    """There is no such file."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.status))
        self.answer = answer


def _seconds(text: str, now: float, otherwise: float) -> float:
    """The seconds that a Retry-After header means: a number, or a date."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return otherwise
