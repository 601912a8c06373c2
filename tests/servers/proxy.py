"""A proxy on loopback between a client and an S3 server, in which the network fails as a plan says.

It runs in threads of the test's own process. `python -m servers.proxy --to URL --latency MS` runs one for benchmarks.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

CHUNK = 1 << 16
_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_COUNT = re.compile(rb"<KeyCount>\d+</KeyCount>")
_PER_HOP = frozenset(["connection", "keep-alive", "transfer-encoding", "content-length"])


@dataclass
class Asked:
    """A request as it came: its number from 0, and how many bytes of bodies came before it."""

    number: int
    before: int
    method: str
    path: str
    query: str
    length: int

    @property
    def lists(self) -> bool:
        """Whether it asks for a listing."""
        return self.method == "GET" and "list-type=" in self.query

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method in ("PUT", "POST", "DELETE")


@dataclass
class Status:
    """The server is not asked; the reply is this."""

    code: int
    retry_after: int | None = None
    s3_code: str = "SlowDown"


@dataclass
class Lose:
    """The server is asked, and its reply lost: the connection ends instead."""


@dataclass
class CutUpload:
    """The connection breaks after so many bytes of the request's body; the server is not asked."""

    after: int


@dataclass
class CutReply:
    """The connection breaks after so many bytes of the reply's body."""

    after: int


@dataclass
class Hide:
    """A listing lacks the keys in which this text is."""

    text: str


Fault = Status | Lose | CutUpload | CutReply | Hide
Plan = Callable[[Asked], Fault | None]


@dataclass
class Log:
    """What passed. `asked` are all requests, `served` those that reached the server."""

    asked: list[Asked] = field(default_factory=list)
    served: list[Asked] = field(default_factory=list)
    faults: list[tuple[Asked, Fault]] = field(default_factory=list)
    uploaded: int = 0
    """Bytes of bodies that came from the client, also of requests that were cut."""
    downloaded: int = 0
    """Bytes of bodies that went to the client whole."""


class _Gone(Exception):
    """One of the two sides hung up."""


class Proxy:
    """A proxy in front of `to` (http://HOST:PORT), listening at `url`; a context manager. `plan` and `latency` (seconds
    added to each request) may be changed at any time."""

    def __init__(self, to: str, plan: Plan | None = None, latency: float = 0.0, port: int = 0) -> None:
        self.to = urlsplit(to)
        self.plan = plan
        self.latency = latency
        self.log = Log()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._ended = False
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening, and break every connection."""
        self._ended = True
        # A listener that is only closed goes on accepting in the thread that waits on it.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for each in self._open:
                _break(each)

    def reset(self) -> Log:
        """Begin a new log; returns the one so far."""
        with self._lock:
            log, self.log = self.log, Log()
            return log

    def _accept(self) -> None:
        while not self._ended:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client,), name="proxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = http.client.HTTPConnection(self.to.hostname or "127.0.0.1", self.to.port, timeout=120)
        reader = client.makefile("rb", buffering=CHUNK)
        try:
            while self._one(client, reader, server):
                pass
        except (_Gone, OSError, http.client.HTTPException):
            pass  # as it is meant to be: a plan broke the connection, or the client left
        finally:
            server.close()
            with self._lock:
                self._open.discard(client)
            _break(client)
            reader.close()

    def _one(self, client: socket.socket, reader: Any, server: http.client.HTTPConnection) -> bool:
        """Serve one request; False at the end of the connection."""
        line = reader.readline(CHUNK)
        if not line:
            return False
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: list[tuple[str, str]] = []
        while text := reader.readline(CHUNK).decode("latin-1").rstrip("\r\n"):
            name, _, value = text.partition(":")
            headers.append((name, value.strip()))
        said = {name.lower(): value for name, value in headers}
        if "100-continue" in said.get("expect", "").lower():
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in said.get("transfer-encoding", "").lower():
            raise _Gone  # no client of ours sends its body so
        length = int(said.get("content-length", "0"))
        split = urlsplit(target)
        with self._lock:
            log = self.log
            asked = Asked(len(log.asked), log.uploaded, method, unquote(split.path), split.query, length)
            log.asked.append(asked)
            fault = self.plan(asked) if self.plan is not None else None
            if fault is not None:
                log.faults.append((asked, fault))
        body = self._body(reader, log, length, fault.after if isinstance(fault, CutUpload) else None)
        if self.latency:
            time.sleep(self.latency)
        if isinstance(fault, Status):
            client.sendall(_refusal(fault, method))
            return True
        with self._lock:
            log.served.append(asked)
        status, reason, kept, data = _forward(server, method, target, headers, body)
        if isinstance(fault, Lose):
            raise _Gone
        if isinstance(fault, Hide) and asked.lists:
            data = _without(data, fault.text.encode())
        length = len(data) if method != "HEAD" else int(dict(kept).get("Content-Length", "0") or 0)
        head = "".join(f"{n}: {v}\r\n" for n, v in kept if n.lower() not in _PER_HOP)
        client.sendall(
            f"HTTP/1.1 {status} {reason}\r\n{head}Content-Length: {length}\r\n\r\n".encode("latin-1")
        )
        if isinstance(fault, CutReply):
            client.sendall(data[: fault.after])
            raise _Gone
        client.sendall(data)
        with self._lock:
            log.downloaded += len(data) if method != "HEAD" else 0
        return True

    def _body(self, reader: Any, log: Log, length: int, cut: int | None) -> bytes:
        data = bytearray()
        wanted = length if cut is None else min(cut, length)
        while len(data) < wanted:
            piece = reader.read1(min(CHUNK, wanted - len(data)))
            if not piece:
                raise _Gone
            data += piece
            with self._lock:
                log.uploaded += len(piece)
        if cut is not None:
            raise _Gone
        return bytes(data)


def _forward(
    server: http.client.HTTPConnection, method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> tuple[int, str, list[tuple[str, str]], bytes]:
    """The server's reply. The request goes on as it came, for it is signed."""
    for left in (1, 0):
        try:
            server.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                if name.lower() not in ("connection", "expect"):
                    server.putheader(name, value)
            server.endheaders()
            if body:
                server.send(body)
            reply = server.getresponse()
            return reply.status, reply.reason, reply.getheaders(), reply.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closes what was idle; nothing was served then.
            server.close()
            if not left:
                raise
    raise AssertionError("unreachable")


def _refusal(fault: Status, method: str) -> bytes:
    body = (
        f"<?xml version='1.0'?><Error><Code>{fault.s3_code}</Code><Message>planned</Message></Error>".encode()
    )
    after = f"Retry-After: {fault.retry_after}\r\n" if fault.retry_after is not None else ""
    head = f"HTTP/1.1 {fault.code} Planned\r\nContent-Type: application/xml\r\n{after}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + (b"" if method == "HEAD" else body)


def _without(listing: bytes, text: bytes) -> bytes:
    """A listing without the keys that contain `text`."""

    def keep(match: re.Match[bytes]) -> bytes:
        key = _KEY.search(match[0])
        return b"" if key and text in key[1] else match[0]

    thinned = _CONTENTS.sub(keep, listing)
    return _COUNT.sub(b"<KeyCount>%d</KeyCount>" % len(_CONTENTS.findall(thinned)), thinned)


def _break(connection: socket.socket) -> None:
    """End a connection as a broken network does: with a reset."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already
    connection.close()


def main() -> None:
    """A proxy for a benchmark, until it is interrupted."""
    import argparse

    parser = argparse.ArgumentParser()
    parser.add_argument("--to", required=True)
    parser.add_argument("--latency", type=float, default=0.0, metavar="MS")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    with Proxy(given.to, latency=given.latency / 1000, port=given.port) as proxy:
        print(proxy.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
