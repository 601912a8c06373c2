"""What the test servers of GitHub and GitLab have in common: requests, answers, troubles, and a second server to which
downloads are led (as both vendors do), which takes no token."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

TOKENS = ("Authorization", "PRIVATE-TOKEN", "JOB-TOKEN", "Deploy-Token")


@dataclass
class Request:
    """A request as it came; the body of an upload lies in a file."""

    server: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""
    file: Path | None = None
    size: int = 0
    whole: bool = True

    @property
    def names(self) -> list[str]:
        """The path's names, decoded."""
        return [unquote(name) for name in self.path.strip("/").split("/")]

    @property
    def token(self) -> str:
        """The token that came along, by whatever header."""
        for name in TOKENS:
            if value := self.headers.get(name.lower()):
                return value.removeprefix("Bearer ").removeprefix("token ")
        return ""

    def json(self) -> dict[str, Any]:
        found = json.loads(self.body or b"{}")
        assert isinstance(found, dict)
        return found


@dataclass
class Answer:
    """An answer. `cut`: so many bytes of the body, then the connection breaks; -1: it breaks before a word is said."""

    status: int
    body: bytes | Path = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


def told(status: int, value: Any, **headers: str) -> Answer:
    """An answer in JSON."""
    return Answer(
        status, json.dumps(value).encode(), {"Content-Type": "application/json; charset=utf-8", **headers}
    )


Trouble = Callable[[Request], Answer | None]
"""Asked before each request is done; an answer takes its place."""


class Forge:
    """A server on loopback with a second one beside it. `files` is a folder for what is uploaded."""

    kind = ""
    token = ""
    """Of somebody who may publish."""

    def __init__(self, files: Path) -> None:
        self.files = files
        files.mkdir(parents=True, exist_ok=True)
        self.asked: list[Request] = []
        self.wrong: list[str] = []
        """What broke the contract, on either side."""
        self.before: list[Trouble] = []
        """Troubles instead of a request."""
        self.after: list[Callable[[Request, Answer], Answer | None]] = []
        """Troubles with the answer, when the request was done."""
        self.hold_upload: Callable[[Request], int | None] = lambda request: None
        """After how many bytes the line breaks in an upload."""
        self.lock = threading.RLock()
        self.number = 0
        self.tls: ssl.SSLContext | None = None
        """With it the interface is at https; the second server never is."""

    @property
    def address(self) -> str:
        """As it is given to rote."""
        return f"{self.kind}:{self.url}/{self.repository}"

    @property
    def host(self) -> str:
        """Its name and port."""
        return self.url.removeprefix("http://")

    # what a vendor fills in

    repository = ""

    @property
    def login(self) -> dict[str, str]:
        """The environment of somebody who may publish."""
        raise NotImplementedError

    def answer(self, request: Request) -> Answer:
        """The interface."""
        raise NotImplementedError

    def give(self, request: Request) -> Answer:
        """The second server, where the files lie."""
        raise NotImplementedError

    def uploads(self, method: str, path: str) -> bool:
        """Whether the body of such a request is a file."""
        raise NotImplementedError

    def lost(self, request: Request) -> None:
        """The line broke in an upload."""

    # both servers

    def __enter__(self) -> Forge:
        self._servers = [self._serve("interface", self._answered), self._serve("files", self._given)]
        self.url, self.elsewhere = (f"http://127.0.0.1:{s.server_port}" for s, _ in self._servers)
        if self.tls is not None:
            self.url = self.url.replace("http://", "https://")
        return self

    def __exit__(self, *args: object) -> None:
        for server, thread in self._servers:
            server.shutdown()
            server.server_close()
            thread.join()

    def next(self) -> int:
        """A new number."""
        with self.lock:
            self.number += 1
            return self.number

    def requests(self, *, of: str = "interface", method: str = "") -> list[Request]:
        """What was asked."""
        with self.lock:
            return [r for r in self.asked if r.server == of and (not method or r.method == method)]

    def forget(self) -> None:
        """Forget what was asked."""
        with self.lock:
            self.asked.clear()

    def _answered(self, request: Request) -> Answer:
        for trouble in list(self.before):
            instead = trouble(request)
            if instead is not None:
                return instead
        with self.lock:
            answer = self.answer(request)
        for after in list(self.after):
            answer = after(request, answer) or answer
        return answer

    def _given(self, request: Request) -> Answer:
        if request.token:
            # As S3 and Azure do: two ways to say who one is are one too many.
            return Answer(
                400, b"<Error><Code>InvalidArgument</Code></Error>", {"Content-Type": "application/xml"}
            )
        for trouble in list(self.before):
            instead = trouble(request)
            if instead is not None:
                return instead
        answer = self.give(request)
        for after in list(self.after):
            answer = after(request, answer) or answer
        return answer

    def _serve(
        self, name: str, answer: Callable[[Request], Answer]
    ) -> tuple[ThreadingHTTPServer, threading.Thread]:
        forge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def any(self) -> None:
                at = urlsplit(self.path)
                request = Request(
                    name, self.command, at.path, dict(parse_qsl(at.query, keep_blank_values=True)),
                    {k.lower(): v for k, v in self.headers.items()},
                )  # fmt: skip
                with forge.lock:
                    forge.asked.append(request)
                if not self.take(request):
                    return
                self.say(request, answer(request))

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = any

            def take(self, request: Request) -> bool:
                size = int(self.headers.get("Content-Length") or 0)
                if not forge.uploads(request.method, request.path):
                    request.body = self.rfile.read(size)
                    return True
                request.file = forge.files / f"upload-{forge.next()}"
                stop = forge.hold_upload(request)
                sha = hashlib.sha256()
                with open(request.file, "wb") as file:
                    while request.size < size:
                        most = min(
                            1 << 20, size - request.size, (stop - request.size) if stop is not None else size
                        )
                        part = self.rfile.read1(most) if most > 0 else b""
                        if not part:
                            break
                        file.write(part)
                        sha.update(part)
                        request.size += len(part)
                request.whole = request.size == size
                request.headers["sha256"] = sha.hexdigest()
                if not request.whole:
                    forge.lost(request)
                    self.close_connection = True
                return request.whole

            def say(self, request: Request, answer: Answer) -> None:
                if answer.cut == -1:
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else b""
                size = len(body) if isinstance(answer.body, bytes) else answer.body.stat().st_size
                start, end, status = 0, size, answer.status
                wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
                if (
                    isinstance(answer.body, Path)
                    and wanted
                    and status == 200
                    and answer.headers.get("Accept-Ranges") != "none"
                ):
                    start = int(wanted[1])
                    end = min(size, int(wanted[2]) + 1 if wanted[2] else size)
                    status = 206 if start < size else 416
                    if status == 416:
                        start = end = 0
                self.send_response(status)
                for key, value in answer.headers.items():
                    self.send_header(key, value)
                if status == 206:
                    self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
                if status not in (204, 304):
                    self.send_header("Content-Length", str(end - start))
                self.end_headers()
                if self.command == "HEAD" or status in (204, 304):
                    return
                left = end - start if answer.cut is None else min(answer.cut, end - start)
                if left < end - start:
                    self.close_connection = True
                try:
                    if isinstance(answer.body, bytes):
                        self.wfile.write(body[start : start + left])
                    else:
                        with open(answer.body, "rb") as file:
                            file.seek(start)
                            while left > 0 and (part := file.read(min(left, 1 << 20))):
                                self.wfile.write(part)
                                left -= len(part)
                except OSError:
                    self.close_connection = True  # the client has enough

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, *args: Any) -> None:
                import sys

                error = sys.exc_info()[1]
                if not isinstance(error, OSError):  # of a client that went away there is nothing to say
                    forge.wrong.append(f"the server itself: {error!r}")

        server = Server(("127.0.0.1", 0), Handler)
        if self.tls is not None and name == "interface":
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        # By default a server takes half a second to see that it should end: after each test, twice.
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        return server, thread
