"""Files on WebDAV, Google Drive and Dropbox, through opendal.

opendal's own text is never shown: it may quote addresses, headers and tokens. What is taken from it is the HTTP status.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rote.adapters.stores.locations import Location
from rote.adapters.stores.shares.files import Seen
from rote.adapters.stores.shares.store import at_once
from rote.errors import MissingExtra, RoteError, StoreFull, StoreUnavailable, Unknown, UsageError

DRAFTS = "~tmp"
_TIMEOUT = 60.0
"""Seconds for a request without a body ..."""
_IO_TIMEOUT = 600.0
"""... and for one piece of one."""
_STATUS = re.compile(r"status: (\d{3})")
_LOOKS = 100
"""How often a file is read again that is replaced meanwhile."""
_NOT_DAV = "check the address: does WebDAV answer there?"
_NEEDS = {
    "webdav": "set WEBDAV_USERNAME and WEBDAV_PASSWORD, or WEBDAV_TOKEN",
    "gdrive": "set GDRIVE_REFRESH_TOKEN, GDRIVE_CLIENT_ID and GDRIVE_CLIENT_SECRET, or GDRIVE_ACCESS_TOKEN",
    "dropbox": "set DROPBOX_REFRESH_TOKEN, DROPBOX_CLIENT_ID and DROPBOX_CLIENT_SECRET, or DROPBOX_ACCESS_TOKEN",
}


def configuration(place: Location, environ: Mapping[str, str]) -> dict[str, str]:
    """What opendal is told of a location. Raises UsageError where the credentials are not all there."""
    names: tuple[str, ...]
    if place.scheme == "webdav":
        tls = place.switch("tls") is not False
        found = {"endpoint": f"{'https' if tls else 'http'}://{place.bucket}", "root": f"/{place.prefix}/"}
        names = ("username", "password", "token")
    else:
        found = {"root": "/" + "/".join(p for p in (place.bucket, place.prefix) if p) + "/"}
        names = ("access_token", "refresh_token", "client_id", "client_secret")
    said = {n: value for n in names if (value := environ.get(f"{place.scheme}_{n}".upper()))}
    if place.scheme != "webdav" and "refresh_token" in said:
        said.pop("access_token", None)  # opendal takes one or the other
        complete = "client_id" in said and "client_secret" in said
    else:
        complete = place.scheme == "webdav" or "access_token" in said
        said = said if place.scheme == "webdav" else {n: v for n, v in said.items() if n == "access_token"}
    if not complete:
        raise UsageError(
            f"no credentials for {place.scheme}:// are set", where=place.url, next=_NEEDS[place.scheme]
        )
    return {**found, **said}


def operator(place: Location, environ: Mapping[str, str]) -> Any:
    """opendal's operator for a location. Raises MissingExtra, UsageError."""
    try:
        import opendal  # an extra
        from opendal.layers import TimeoutLayer
    except ImportError:
        raise MissingExtra(
            f"stores at {place.scheme}:// need the package opendal", next="pip install 'rote[opendal]'"
        ) from None
    try:
        found = opendal.Operator(place.scheme, **configuration(place, environ))
        # Trying again is decided in one place for all stores (retry.py).
        return found.layer(TimeoutLayer(timeout=_TIMEOUT, io_timeout=_IO_TIMEOUT))
    except (opendal.exceptions.ConfigInvalid, opendal.exceptions.Unsupported):
        raise UsageError("this address cannot be used", where=place.url, next="see docs/stores.md") from None


class _Odd(Exception):
    """The server finds a look odd: what it means, and what to do if it means that."""


class _Replaced(Exception):
    """A file is not the one any more that was asked for."""


class DriveFiles:
    """A `files.Files` in a folder of a drive. WebDAV servers differ: some write a file where it lies, so a new one is
    written aside and moved."""

    def __init__(self, place: Location, environ: Mapping[str, str]) -> None:
        self._place = place
        self._operator = operator(place, environ)
        self._aside = place.scheme == "webdav"

    def look(self, path: str) -> Seen | None:
        """A file, or None. Raises StoreUnavailable."""
        return self._stat(path)[0]

    def _stat(self, path: str) -> tuple[Seen | None, str]:
        """What a file is, and an etag that a read can ask for, if the server has one."""
        try:
            with self._told(f"looking at {path}", path):
                found = self._operator.stat(path)
        except FileNotFoundError:
            return None, ""
        except _Odd as e:
            # Apache says so of a path below a file.
            if "/" in path and self.look(path.rpartition("/")[0]) is not None:
                return None, ""
            raise self._final(*e.args) from None
        etag = found.etag or ""
        strong = self._place.scheme == "webdav" and etag.startswith('"')
        return (_seen(found), etag if strong else "") if found.is_file else (None, "")

    def read(self, path: str) -> tuple[bytes, Seen] | None:
        """The whole file: a look, then a read that asks for just that, or another look. Raises StoreUnavailable."""
        seen, etag = self._stat(path)
        for _ in range(_LOOKS):
            if seen is None:
                return None
            try:
                with self._told(f"reading {path}", path):
                    data = bytes(
                        self._operator.read(path, if_match=etag) if etag else self._operator.read(path)
                    )
            except (FileNotFoundError, _Replaced):
                data = None
            if data is not None and etag and len(data) == seen.size:
                return data, seen
            before, (seen, etag) = seen, self._stat(path)
            if seen == before:
                etag = ""  # there are servers that list one etag and answer with another
                if data is not None and len(data) == before.size:
                    return data, before
        raise StoreUnavailable(f"{path} is replaced all the time", where=self._place.url, next="try again")

    def spans(self, path: str, spans: Sequence[tuple[int, int]]) -> list[bytes]:
        """A request a range, some at once. Raises FileNotFoundError, StoreUnavailable."""
        return at_once(lambda span: self._span(path, *span), spans)

    def _span(self, path: str, start: int, length: int) -> bytes:
        try:
            with self._told(f"reading {path}", path):
                return bytes(self._operator.read(path, offset=start, size=length))
        except StoreUnavailable:
            seen = self.look(path)  # opendal has no error of its own for a file that ends too early
            if seen is not None and start + length > seen.size:
                return b""
            raise

    def write(self, path: str, data: bytes | bytearray | memoryview, *, new: bool) -> Seen:
        """Write a file, and look what it is. Raises StoreFull, StoreUnavailable, Unknown."""
        body = bytes(data)
        if new and self._aside:
            draft = f"{DRAFTS}/{os.urandom(8).hex()}"
            with self._told(f"writing {path}", path):
                self._operator.write(draft, body)
            with self._told(f"writing {path}", path, write=True):
                self._operator.rename(draft, path)
        else:
            with self._told(f"writing {path}", path, write=True):
                self._operator.write(path, body)
        seen = self.look(path)
        if seen is None or seen.size != len(body):
            raise Unknown(path, where=self._place.url)
        return seen

    def remove(self, path: str) -> None:
        """Delete a file. Raises StoreUnavailable, Unknown."""
        try:
            with self._told(f"deleting {path}", path, write=True):
                if self.look(path) is not None:  # a folder would go with all in it
                    self._operator.delete(path)
        except FileNotFoundError:
            return

    def folder(self, path: str) -> Iterator[tuple[str, Seen | None]]:
        """What lies in a folder. Raises StoreUnavailable."""
        top = f"{path}/" if path else ""
        found: list[tuple[str, Seen | None]] = []
        try:
            with self._told(f"listing {path}", path):
                # opendal holds the interpreter while it lists: other threads of this process wait for the reply.
                for entry in self._operator.list(top):
                    name = entry.path[len(top) :]
                    if name.rstrip("/"):
                        found.append(
                            (name.rstrip("/"), None if name.endswith("/") else _seen(entry.metadata))
                        )
        except FileNotFoundError:
            return iter(())
        return iter(found)

    @contextmanager
    def _told(self, doing: str, path: str, *, write: bool = False) -> Iterator[None]:
        """What opendal refuses, in rote's errors; FileNotFoundError for what is not there."""
        from opendal import exceptions as vendor  # an extra; it was there when this was made

        try:
            yield
        except RoteError:
            raise
        except (vendor.NotFound, FileNotFoundError):
            raise FileNotFoundError(path) from None
        except vendor.ConditionNotMatch:
            raise _Replaced from None
        except tuple(
            e for e in vars(vendor).values() if isinstance(e, type) and issubclass(e, Exception)
        ) as e:
            # They have no base class in common.
            raise self._refusal(e, doing, path, write) from None

    def _refusal(self, e: Exception, doing: str, path: str, write: bool) -> RoteError:
        match = _STATUS.search(str(e))
        status = match[1] if match else ""
        about = f"{doing}: {status}" if status else doing
        name = type(e).__name__
        if status == "401" or "invalid_grant" in str(e):
            return self._final(
                f"the server does not accept these credentials ({about})", _NEEDS[self._place.scheme]
            )
        if name == "PermissionDenied" or status == "403":
            return self._final(
                f"the server does not let this user do that ({about})",
                "see who may write there; or use other credentials",
            )
        if status == "507" or "insufficient_space" in str(e) or "storageQuotaExceeded" in str(e):
            return StoreFull(
                f"the store takes no more ({about})",
                where=self._place.url,
                safe="everything committed before is untouched, and nothing half-written counts",
                next="raise the quota or make room, then type the same command again",
            )
        if name == "RateLimited" or status in ("429", "503"):
            return StoreUnavailable(
                f"the store asks to slow down ({about})", where=self._place.url, next="try again in a minute"
            )
        if status == "400" and doing.startswith("looking"):
            raise _Odd(f"the server does not understand this store's requests ({about})", _NOT_DAV)
        if status in ("400", "405", "501"):
            return self._final(f"the server does not understand this store's requests ({about})", _NOT_DAV)
        early = "dns error" in str(e) or "tcp connect error" in str(e) or "ConnectError" in str(e)
        if write and not early:
            return Unknown(path, where=self._place.url)
        error = StoreUnavailable(
            f"the store cannot be reached ({about})"
            if early
            else f"the store did not answer as it should ({about})",
            where=self._place.url,
            safe="nothing was changed",
            next="check the network and the address" if early else "try again",
        )
        error.reached = not early
        return error

    def _final(self, what: str, hint: str) -> StoreUnavailable:
        error = StoreUnavailable(what, where=self._place.url, safe="nothing was changed", next=hint)
        error.retry = False
        return error


def _seen(found: Any) -> Seen:
    """The server's etag; where it has none, when and how large it is. A weak etag becomes a strong one after a second
    with some servers: that is the same."""
    etag = (found.etag or "").removeprefix("W/").strip('"')
    if not etag:
        date = found.last_modified.isoformat() if found.last_modified else ""
        etag = f"{found.content_md5 or found.version or ''}{date}"
    return Seen(found.content_length, f"{etag}-{found.content_length:x}")
