"""A web server in the test's own process that does what web servers do: etags, ranges, redirects, logins, and cuts."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


@dataclass
class Page:
    """A file on the site."""

    body: bytes
    etag: str | None = None
    modified: str | None = None
    login: str | None = None
    redirect: str | None = None
    status: int | None = None
    head: bool = True
    ranges: bool = True
    packed: str | None = None

    def __post_init__(self) -> None:
        if self.etag is None:
            self.etag = f'"{hashlib.md5(self.body).hexdigest()}"'


@dataclass
class Site:
    """Pages by path. `cut` says after how many bytes the connection breaks while a body is sent (None: never); it is
    asked for each GET."""

    pages: dict[str, Page] = field(default_factory=dict)
    cut: Callable[[int], int | None] = lambda number: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    sent: int = 0
    """Bytes of bodies."""

    def put(self, path: str, body: bytes, **rest: Any) -> str:
        """Put a page, and give its address."""
        self.pages[path] = Page(body, **rest)
        return f"{self.url}{path}"

    def since(self) -> list[str]:
        """The methods asked since this was called last."""
        found = [method for method, _ in self.asked]
        self.asked.clear()
        return found

    def __enter__(self) -> Site:
        site = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.answer(self)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        self.asked.append((to.command, to.path))
        self.logins.append(to.headers.get("Authorization") or "")
        page = self.pages.get(to.path)
        if page is None:
            return self.short(to, 404)
        if page.status:
            return self.short(to, page.status)
        if page.redirect:
            return self.short(to, 302, Location=page.redirect)
        if (
            page.login
            and to.headers.get("Authorization") != "Basic " + base64.b64encode(page.login.encode()).decode()
        ):
            return self.short(to, 401)
        if to.command == "HEAD" and not page.head:
            return self.short(to, 405)
        if page.etag and to.headers.get("If-None-Match") == page.etag:
            return self.short(to, 304, ETag=page.etag)
        if page.modified and to.headers.get("If-Modified-Since") == page.modified:
            return self.short(to, 304)
        self.body(to, page)
        return None

    def short(self, to: BaseHTTPRequestHandler, status: int, **headers: str) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name, value)
        to.send_header("Content-Length", "0")
        to.end_headers()

    def body(self, to: BaseHTTPRequestHandler, page: Page) -> None:
        start = 0
        wanted = re.fullmatch(r"bytes=(\d+)-", to.headers.get("Range") or "")
        same = to.headers.get("If-Range") in (None, page.etag, page.modified)
        if wanted and page.ranges and same:
            start = int(wanted[1])
        to.send_response(206 if start else 200)
        if start:
            to.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        for name, value in (
            ("ETag", page.etag),
            ("Last-Modified", page.modified),
            ("Content-Encoding", page.packed),
        ):
            if value:
                to.send_header(name, value)
        to.send_header("Content-Length", str(len(page.body) - start))
        to.end_headers()
        if to.command == "HEAD":
            return
        data = page.body[start:]
        after = self.cut(len([m for m, _ in self.asked if m == "GET"]))
        if after is not None:
            data = data[:after]
            to.close_connection = True
        to.wfile.write(data)
        self.sent += len(data)
