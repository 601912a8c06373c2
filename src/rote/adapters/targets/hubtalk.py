"""What the Hugging Face Hub says, in words of this project; bytes of files, by ranges; a copy of what is sent."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final
from urllib.parse import quote

from rote.adapters.targets.spool import copy
from rote.errors import (
    Conflict,
    Corrupt,
    MissingExtra,
    NotFound,
    Refused,
    StoreUnavailable,
)
from rote.ports.hosting import Sending
from rote.words.ids import shown

try:
    from huggingface_hub import HfApi, get_session
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status
except ModuleNotFoundError as e:
    if e.name != "huggingface_hub":
        raise
    raise MissingExtra(
        "hf: needs the package huggingface_hub, which is not installed",
        next='pip install "rote[hub]" (on a device: "rote-client[hub]")',
    ) from e

PIECE: Final = 1 << 20
TIMEOUT: Final = 60.0
"""Seconds without a byte after which a read is given up."""
# Whatever library huggingface_hub speaks HTTP with, this is what all of its errors are.
_TRANSPORT = [kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, Exception)][1]


class _NoXet(logging.Filter):
    """It is meant (see `hub`), and a warning for each file says nothing to people."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "not supported by Xet" not in record.getMessage()


logging.getLogger("huggingface_hub._commit_api").addFilter(_NoXet())


@contextmanager
def translated(key: str, where: str) -> Iterator[None]:
    """Errors of the Hub and of the line as ours. No address goes into them: those of downloads hold signatures."""
    try:
        yield
    except (EntryNotFoundError, RevisionNotFoundError) as e:
        raise NotFound(key, where=where) from e
    except RepositoryNotFoundError as e:
        raise Refused(
            "there is no such repository, or this token may not see it",
            where=where,
            next="hf repos create OWNER/NAME, or export HF_TOKEN=… (or hf auth login)",
        ) from e
    except HfHubHTTPError as e:
        raise _by_status(e, key, where) from e
    except OfflineModeIsEnabled as e:
        offline = StoreUnavailable(
            "HF_HUB_OFFLINE says not to ask the Hub", where=where, next="unset HF_HUB_OFFLINE"
        )
        offline.retry = False
        raise offline from e
    except (_TRANSPORT, ConnectionError, TimeoutError) as e:
        raise StoreUnavailable(f"the Hub cannot be reached: {type(e).__name__}", where=where) from e
    except RuntimeError as e:
        # The upload of a large file wraps what went wrong.
        if isinstance(e.__cause__, HfHubHTTPError):
            raise _by_status(e.__cause__, key, where) from e
        if isinstance(e.__cause__, (_TRANSPORT, OSError)):
            raise StoreUnavailable(f"an upload broke off: {type(e.__cause__).__name__}", where=where) from e
        raise


def _by_status(
    error: HfHubHTTPError, key: str, where: str
) -> Conflict | Corrupt | NotFound | Refused | StoreUnavailable:
    status = error.response.status_code
    said = f": {shown(error.server_message[:300])}" if error.server_message else ""
    if status in (409, 412):
        return Conflict(key, where=where)
    if status == 404:
        return NotFound(key, where=where)
    if status == 416:
        return Corrupt(f"{key} ends earlier than it should", where=where)
    if status in (401, 403):
        return Refused(
            f"the Hub refused access{said}",
            where=where,
            next="export HF_TOKEN=… of a token with write access",
        )
    if status == 429 or status >= 500:
        unavailable = StoreUnavailable(f"the Hub is busy or broken (status {status}){said}", where=where)
        after = error.response.headers.get("Retry-After", "")
        unavailable.retry_after = float(after) if after.isascii() and after.isdigit() else None
        return unavailable
    return Refused(f"the Hub refused this (status {status}){said}", where=where)


class Files:
    """Reads files of one repository by plain HTTP. Safe to share between threads."""

    def __init__(self, api: HfApi, repo: str, where: str) -> None:
        self._api = api
        self._repo = repo
        self._where = where

    def _url(self, path: str, revision: str) -> str:
        return f"{self._api.endpoint}/{self._repo}/resolve/{quote(revision, safe='')}/{quote(path)}"

    def _headers(self, **more: str) -> dict[str, str]:
        # Compressed on the way, a length is not that of the file.
        plain = {"Accept-Encoding": "identity", **more}
        return build_hf_headers(token=self._api.token, library_name="rote", headers=plain)

    def range(self, path: str, revision: str, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to `end`, in pieces. Raises NotFound, Corrupt if there are fewer."""
        if start == end:
            with translated(path, self._where):
                hf_raise_for_status(
                    get_session().request(
                        "HEAD", self._url(path, revision), headers=self._headers(), follow_redirects=False,
                        timeout=TIMEOUT,
                    )
                )  # fmt: skip
            return
        headers = self._headers(Range=f"bytes={start}-{end - 1}")
        left = end - start
        with (
            translated(path, self._where),
            get_session().stream(
                "GET", self._url(path, revision), headers=headers, follow_redirects=True, timeout=TIMEOUT
            ) as answer,
        ):
            hf_raise_for_status(answer)
            skip = 0 if answer.status_code == 206 else start
            for piece in answer.iter_bytes(PIECE):
                part = piece[skip : skip + left]
                skip = max(0, skip - len(piece))
                left -= len(part)
                if part:
                    yield part
                if left == 0:
                    return
        raise Corrupt(f"{path} ends earlier than it should", where=self._where)

    def small(self, path: str, revision: str, most: int, etag: str | None = None) -> tuple[bytes, str] | None:
        """A whole file with its etag; None if that is still `etag`. One request. Raises NotFound, Corrupt if it is
        larger than `most`."""
        headers = self._headers(**({"If-None-Match": f'"{etag}"'} if etag else {}))
        found = bytearray()
        with (
            translated(path, self._where),
            get_session().stream(
                "GET", self._url(path, revision), headers=headers, follow_redirects=True, timeout=TIMEOUT
            ) as answer,
        ):
            if answer.status_code == 304:
                return None
            hf_raise_for_status(answer)
            # Of what lies in LFS the Hub itself tells the digest, and the place it leads to says something else.
            led = (one.headers.get("X-Linked-Etag") for one in answer.history)
            said = next((tag for tag in led if tag), None) or answer.headers.get("ETag")
            now = (said or "").removeprefix("W/").strip('"')
            if etag is not None and now == etag:
                return None
            for piece in answer.iter_bytes():
                found += piece
                if len(found) > most:
                    break
        if len(found) > most:
            raise Corrupt(f"{path} is larger than {most} bytes", where=self._where)
        return bytes(found), now


def blob_id(size: int) -> hashlib._Hash:
    """The digest by which git names a file of this size, to be fed with its bytes."""
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


@contextmanager
def spooled(file: Sending) -> Iterator[tuple[BinaryIO, str]]:
    """A copy of the file on disk, and its git digest. Raises Changed if it is not what it was said to be, StoreFull."""
    with tempfile.TemporaryFile(prefix="rote-publish-") as spool:
        sha1 = blob_id(file.size)
        copy(file, spool, sha1.update)
        spool.seek(0)
        yield spool, sha1.hexdigest()
