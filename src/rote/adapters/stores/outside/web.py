"""A file on the web as a source, asked with conditions. Python's own HTTP client: it follows the system's proxies and
certificates, and the core needs no package more."""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from rote.errors import Changed, SourceUnavailable
from rote.laws.data.sourcelist import ONLY, SourceItem
from rote.words.ids import shown

_PIECE = 1 << 20
_TIMEOUT = 60.0
"""Seconds that a server may say nothing."""
_MODIFIED = "modified "
_NO_HEAD = frozenset([400, 403, 405, 500, 501])
"""What servers answer that know GET only (a signed address is signed for one of them)."""
_AGAIN = frozenset([408, 425, 429, 500, 502, 503, 504])


class WebSource:
    """A ports.Outside at an address of http or https. A name and password come from ~/.netrc, for that host only."""

    def __init__(self, url: str, environ: Mapping[str, str]) -> None:
        self._url = url
        self._environ = environ
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(context=ssl.create_default_context()),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
        ):
            self._opener.add_handler(handler)

    @property
    def url(self) -> str:
        """The address; what it redirects to, perhaps with a signature, is never shown."""
        return self._url

    @property
    def name(self) -> str:
        """The last name of the path."""
        return unquote(urlsplit(self._url).path.rpartition("/")[2])

    @property
    def at(self) -> str:
        """Nothing: its states have no names."""
        return ""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """One request without a body: HEAD, or where the server refuses that, a GET that is left at its head. Raises
        SourceUnavailable."""
        if single is False:
            raise self._error(
                "a folder cannot be fetched over https", "rote add --from URL PATH, a file at a time"
            )
        try:
            reply = self._ask("HEAD", known, plain=True)
        except urllib.error.HTTPError as e:
            if e.code not in _NO_HEAD:
                self._only_unchanged(e, known)
                return None
            e.close()
            try:
                reply = self._ask("GET", known, plain=True)
            except urllib.error.HTTPError as e:
                self._only_unchanged(e, known)
                return None
        reply.close()
        item = SourceItem(ONLY, _length(reply.headers), _mark(reply.headers))
        return None if known and item.etag == known else (True, [item])

    def _only_unchanged(self, e: urllib.error.HTTPError, known: str) -> None:
        e.close()
        if e.code != 304 or not known:
            raise self._refused(e) from None

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """The file from `start` on, or all of it where the server knows no ranges. Raises SourceUnavailable,
        Changed."""
        try:
            reply = self._ask("GET", item.etag, start=start)
        except urllib.error.HTTPError as e:
            e.close()
            if e.code in (412, 416) and start:
                raise self._changed() from None
            raise self._refused(e) from None
        if _mark(reply.headers) != item.etag:
            reply.close()
            raise self._changed()
        encoding = (reply.headers.get("Content-Encoding") or "identity").lower()
        if encoding != "identity":
            reply.close()
            raise self._error(
                f"the server sends this file packed ({shown(encoding)}) though it was asked not to",
                "download it by other means, then `rote add`",
            )
        begin = start if reply.status == 206 else 0
        if begin and not reply.headers.get("Content-Range", "").startswith(f"bytes {begin}-"):
            reply.close()
            raise self._changed()
        length = _length(reply.headers)
        total = item.size if length is None else begin + length
        return begin, total, self._parts(reply)

    def _parts(self, reply: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            with reply:
                while part := reply.read1(_PIECE):
                    yield part
        except (OSError, http.client.HTTPException) as e:
            raise self._cut(e) from None

    def _ask(
        self, method: str, etag: str, *, plain: bool = False, start: int = 0
    ) -> http.client.HTTPResponse:
        """Ask; `plain`: only if it has changed. Raises HTTPError, SourceUnavailable."""
        request = urllib.request.Request(self._url, method=method)
        request.add_header("User-Agent", "rote")
        request.add_header("Accept-Encoding", "identity")
        date = etag.removeprefix(_MODIFIED) if etag.startswith(_MODIFIED) else ""
        if plain and etag:
            request.add_header("If-Modified-Since" if date else "If-None-Match", date or etag)
        if start:
            request.add_header("Range", f"bytes={start}-")
            request.add_header("If-Range", date or etag)
        login = self._login()
        if login:
            request.add_unredirected_header("Authorization", login)
        try:
            reply: http.client.HTTPResponse = self._opener.open(request, timeout=_TIMEOUT)
        except urllib.error.HTTPError:
            raise
        except (OSError, http.client.HTTPException) as e:
            raise self._cut(e) from None
        return reply

    def _login(self) -> str | None:
        parts = urlsplit(self._url)
        host = parts.hostname or ""
        if parts.scheme != "https" and host not in ("localhost", "127.0.0.1", "::1"):
            return None  # a password in the clear is none
        home = self._environ.get("HOME") or os.path.expanduser("~")
        try:
            found = netrc.netrc(self._environ.get("NETRC") or os.path.join(home, ".netrc")).hosts.get(host)
        except FileNotFoundError:
            return None
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            # The parser's own message quotes the line, and the line may be a password.
            raise self._error("~/.netrc cannot be read", "mend it, or set NETRC to another file") from None
        if found is None:
            return None
        return "Basic " + base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()

    def _refused(self, e: urllib.error.HTTPError) -> SourceUnavailable:
        host = urlsplit(self._url).hostname
        if e.code in (404, 410):
            return self._error(f"there is nothing at this address ({e.code})", "check how it is spelled")
        if e.code in (401, 403):
            return self._error(
                f"the server does not let us read this ({e.code})",
                f"put a name and password into ~/.netrc: machine {host} login … password …",
            )
        if e.code in _AGAIN:
            return self._error(
                f"the server is in trouble or busy ({e.code})", "try again in a minute", retry=True
            )
        return self._error(
            f"the server does not answer as it should ({e.code})", "open the address in a browser"
        )

    def _cut(self, e: Exception) -> SourceUnavailable:
        reason: Any = e.reason if isinstance(e, urllib.error.URLError) else e
        if isinstance(reason, ssl.SSLCertVerificationError):
            return self._error(
                "the server's certificate is not one that this machine trusts",
                "SSL_CERT_FILE names certificates of a server of your own",
            )
        why = (reason.strerror if isinstance(reason, OSError) else "") or type(reason).__name__
        return self._error(
            f"the connection failed: {why}",
            "check the network and the address, then type the same again: it goes on where it was",
            retry=True,
        )

    def _error(self, what: str, hint: str, *, retry: bool = False) -> SourceUnavailable:
        error = SourceUnavailable(
            what, where=self._url, safe="nothing in the working tree was touched", next=hint
        )
        error.retry = retry
        return error

    def _changed(self) -> Changed:
        return Changed("the file changed at the source while it was being read", where=self._url)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """HEAD stays HEAD, and nothing leads from https to http or to a file."""

    def redirect_request(  # noqa: PLR0917 - urllib calls it so
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:  # fmt: skip
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme != "http" or req.type == "https"):
            raise urllib.error.HTTPError(
                req.full_url, code, "leads to a place that is not https", headers, fp
            )
        kept = dict(req.headers)
        return urllib.request.Request(newurl, headers=kept, method=req.get_method(), unverifiable=True)


def _length(headers: Message) -> int | None:
    said = headers.get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() else None


def _mark(headers: Message) -> str:
    """What tells whether the file is still the same."""
    etag = (headers.get("ETag") or "").strip()
    if etag:
        return "".join(c for c in etag if c.isprintable())
    date = (headers.get("Last-Modified") or "").strip()
    return _MODIFIED + "".join(c for c in date if c.isprintable()) if date else ""
