"""Requests over HTTP, one at a time and by hand: bodies are streamed both ways, an answer that comes early is read, and
no redirect is followed unless somebody decides so. Python's own client, the system's proxies and certificates."""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from urllib.parse import unquote, urlsplit

from rote.errors import Changed, Corrupt

PIECE = 1 << 20
_TIMEOUT = 60.0
"""Seconds that a server may say nothing."""
_IDLE = 4
"""Connections to a host that are kept for the next request."""


class Cut(Exception):
    """The connection failed before the answer was whole. `known` is False if nothing there was ever reached; `trust` is
    True if the server could not prove who it is, which no waiting heals."""

    def __init__(self, why: str, *, known: bool = True, trust: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.known = known
        self.trust = trust


class Reply:
    """An answer whose body has not been read yet. It is to be read to its end or closed."""

    def __init__(self, wire: Wire, place: _Place, conn: _Connection, got: http.client.HTTPResponse) -> None:
        self.status = got.status
        self.headers: Message = got.headers
        self.at = ""
        """The address to ask next time, if it is another than was asked."""
        self._wire = wire
        self._place = place
        self._conn = conn
        self._got = got

    def body(self, limit: int) -> bytes:
        """The whole body. Raises Cut; Corrupt if it is longer than `limit` bytes."""
        parts = []
        size = 0
        for part in self.pieces():
            size += len(part)
            if size > limit:
                self.close()
                raise Corrupt(f"the server's answer is longer than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def pieces(self) -> Iterator[bytes]:
        """The body, piece by piece. Raises Cut if the connection ends before it does."""
        left = self._got.length
        try:
            while left != 0 and (part := self._got.read1(PIECE if left is None else min(left, PIECE))):
                if left is not None:
                    left -= len(part)
                yield part
            if left:
                raise Cut(f"it ended {left} bytes early")
        except (OSError, http.client.HTTPException) as e:
            raise _cut(e) from None
        finally:
            if left == 0 or (left is None and self._got.isclosed()):
                self._done()
            else:
                self.close()

    def drain(self) -> None:
        """Read a short body away, so that the connection can be used again."""
        length = self._got.length
        if length is None or length > PIECE:
            self.close()
            return
        for _ in self.pieces():
            pass

    def close(self) -> None:
        """Leave the rest of the body where it is."""
        self._got.close()
        self._conn.close()

    def _done(self) -> None:
        stays = not self._got.will_close
        self._got.close()
        if stays:
            self._wire.keep(self._place, self._conn)
        else:
            self._conn.close()


_Place = tuple[int, str, str]
"""(process, scheme, host:port): a connection does not survive a fork."""
_Connection = http.client.HTTPConnection


class Wire:
    """Connections to servers. Safe to share between threads."""

    def __init__(self, timeout: float = _TIMEOUT) -> None:
        """`timeout`: seconds that a server may say nothing."""
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: dict[_Place, list[_Connection]] = {}
        self._reached: set[str] = set()
        self._trust: ssl.SSLContext | None = None

    def ask(
        self, method: str, url: str, headers: Mapping[str, str], body: Iterable[bytes] = (), size: int = 0
    ) -> Reply:
        """Send one request, with a body of exactly `size` bytes, and read the head of the answer. Raises Cut; Changed
        if the body is not so long; what reading the body raises."""
        parts = urlsplit(url)
        place = (os.getpid(), parts.scheme, parts.netloc)
        target = parts.path + (f"?{parts.query}" if parts.query else "")

        def on(conn: _Connection) -> Reply:
            self._head(conn, place, method, target, headers=headers, size=size)
            return self._rest(conn, place, body, size)

        if method in ("GET", "HEAD"):
            kept = self._take(place)
            if kept is not None:
                try:
                    return on(kept)
                except Cut:
                    pass  # it had been closed meanwhile; this request changes nothing, so it may be sent again
        return on(self._connect(parts.scheme, parts.netloc))

    def keep(self, place: _Place, conn: _Connection) -> None:
        """Keep a connection for the next request to the same place."""
        with self._lock:
            idle = self._idle.setdefault(place, [])
            if len(idle) < _IDLE:
                idle.append(conn)
                return
        conn.close()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            idle = [conn for kept in self._idle.values() for conn in kept]
            self._idle.clear()
        for conn in idle:
            conn.close()

    def _take(self, place: _Place) -> _Connection | None:
        with self._lock:
            idle = self._idle.get(place)
            return idle.pop() if idle else None

    def _head(
        self,
        conn: _Connection,
        place: _Place,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str],
        size: int,
    ) -> None:
        try:
            conn.putrequest(method, self._absolute(place, target), skip_accept_encoding=True)
            for name, value in headers.items():
                conn.putheader(name, value)
            if size or method in ("POST", "PUT", "PATCH"):
                conn.putheader("Content-Length", str(size))
            conn.endheaders()
        except (OSError, http.client.HTTPException, ValueError) as e:
            conn.close()
            raise _cut(e, known=place[2] in self._reached) from None

    def _rest(self, conn: _Connection, place: _Place, body: Iterable[bytes], size: int) -> Reply:
        try:
            self._send(conn, body, size)
        except BaseException:
            conn.close()  # half a body is on its way: this connection says nothing sensible any more
            raise
        try:
            got = conn.getresponse()
        except (OSError, http.client.HTTPException) as e:
            conn.close()
            raise _cut(e, known=place[2] in self._reached) from None
        self._reached.add(place[2])
        return Reply(self, place, conn, got)

    def _send(self, conn: _Connection, body: Iterable[bytes], size: int) -> None:
        left = size
        for part in body:
            left -= len(part)
            if left < 0:
                break
            try:
                conn.send(part)
            except OSError:
                return  # the server has heard enough: what it has to say about that is read by the caller
        if left:
            raise Changed(f"the file is not {size} bytes long any more", next="try again when it is at rest")

    def _absolute(self, place: _Place, target: str) -> str:
        if place[1] == "http" and self._proxy(place[1], place[2]):
            return f"http://{place[2]}{target}"
        return target

    def _proxy(self, scheme: str, netloc: str) -> str | None:
        host = urlsplit(f"//{netloc}").hostname or ""
        proxy = urllib.request.getproxies().get(scheme)
        return proxy if proxy and not urllib.request.proxy_bypass(host) else None

    def _connect(self, scheme: str, netloc: str) -> _Connection:
        proxy = self._proxy(scheme, netloc)
        at = urlsplit(proxy if proxy and "://" in proxy else f"//{proxy or netloc}")
        host, port = at.hostname or "", at.port
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        if self._trust is None:
            self._trust = ssl.create_default_context()
        conn = http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._trust)
        if proxy:
            login = {}
            if at.username:
                pair = f"{unquote(at.username)}:{unquote(at.password or '')}".encode()
                login["Proxy-Authorization"] = "Basic " + base64.b64encode(pair).decode()
            to = urlsplit(f"//{netloc}")
            conn.set_tunnel(to.hostname or "", to.port or 443, login)
        return conn


def _cut(e: Exception, *, known: bool = True) -> Cut:
    if isinstance(e, ssl.SSLCertVerificationError):
        return Cut("its certificate is not one that this machine trusts", trust=True)
    if isinstance(e, TimeoutError):
        return Cut("it does not answer", known=known)
    why = (e.strerror if isinstance(e, OSError) else "") or type(e).__name__
    return Cut(why, known=known)
