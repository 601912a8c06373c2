"""Reading one file from a forge: any part of it, and on from where a connection broke."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from rote.adapters.forges.talk import Gone, Short, Talk
from rote.adapters.forges.wire import Cut, Reply
from rote.errors import Corrupt, NotFound

_REMEMBERED = 256
"""Files of which it is known where they really lie."""


class Reader:
    """Reads files through a forge's interface. Safe to share between threads."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._lock = threading.Lock()
        self._lies: dict[str, str] = {}

    def read(
        self, url: str, name: str, size: int, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes from `start` on, `length` of them or all to the end of `size`. A connection that breaks is taken up
        where it broke. Raises NotFound, Corrupt, StoreUnavailable, Refused."""
        end = size if length is None else min(size, start + length)
        while start < end:
            before = start
            try:
                for part in self._parts(url, name, start, end):
                    yield part
                    start += len(part)
            except Cut as e:
                if start == before:  # not a byte more than last time: no use to go on like this
                    raise self._talk.vendor.unreachable(e) from None

    def _parts(self, url: str, name: str, start: int, end: int) -> Iterator[bytes]:
        with self._lock:
            known = self._lies.get(url, "")
        try:
            reply = self._talk.open(
                url, start=start, length=end - start, known=known, kind="application/octet-stream"
            )
        except Short:
            raise self._short(name) from None
        except Gone as e:
            told = self._talk.vendor.words(e.answer)
            missing = NotFound(name, where=self._talk.vendor.where)
            missing.what = f"there is no {name} any more{told}"
            raise missing from None
        with self._lock:
            if len(self._lies) >= _REMEMBERED:
                self._lies.clear()
            self._lies[url] = reply.at
        left = end - start
        for part in self._from(reply, name, start):
            yield part[:left]
            left -= len(part)
            if left <= 0:
                reply.close()
                return
        raise self._short(name)

    def _short(self, name: str) -> Corrupt:
        return Corrupt(
            f"{name} is shorter than {self._talk.vendor.name} says of it",
            where=self._talk.vendor.where,
            safe="nothing of it was taken",
            next="try again; if it stays so, it was damaged there: publish anew, under a new number",
        )

    def _from(self, reply: Reply, name: str, start: int) -> Iterator[bytes]:
        """The reply's bytes from `start` of the file on: a server without ranges sends all of it."""
        if reply.headers.get("Content-Encoding", "identity").lower() != "identity":
            reply.close()
            raise Corrupt(f"{name} comes packed though it was asked not to", where=self._talk.vendor.where)
        skip = start if reply.status == 200 else 0
        if reply.status == 206 and not reply.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            reply.close()
            raise Corrupt(f"{name}: another part came than was asked for", where=self._talk.vendor.where)
        for part in reply.pieces():
            if skip >= len(part):
                skip -= len(part)
                continue
            yield part[skip:]
            skip = 0
