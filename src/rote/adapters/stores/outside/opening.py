"""From a source's address to what reads it. No address holds a secret: it stands in git."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from rote.adapters.stores import locations
from rote.errors import UsageError
from rote.ports import Outside
from rote.words.ids import shown
from rote.words.pointer import MAX_URL

_BUCKETS = ("s3", "gs", "az")
_SECRET = re.compile(
    r"(^|[-_.])(api-?key|apikey|key|secret|token|passwd|password|pwd|credentials?|sas|sig|signature|auth|authorization)$"
    r"|^x-(amz|goog)-|accesskeyid$",
    re.IGNORECASE,
)


def outside(url: str, *, base: str, environ: Mapping[str, str]) -> Outside:
    """The source at an address: https:// or http://, s3://, gs://, az://, file:/// or a path (relative to `base`).

    Raises UsageError for an address that is none, or that has credentials in it.
    """
    scheme = locations.scheme_of(url)
    if scheme is None or scheme == "file":
        # Each kind is loaded when it is wanted.
        from rote.adapters.stores.outside.files import FileSource

        return FileSource(_path(url, base, scheme))
    _check(url)
    if scheme in ("https", "http"):
        # As above: the web's modules take a while to load.
        from rote.adapters.stores.outside.web import WebSource

        return WebSource(_web(url), environ)
    if scheme not in _BUCKETS:
        raise UsageError(
            f"data cannot be fetched from {scheme}://",
            next="https://, s3://, gs://, az://, or a file or folder",
        )
    # As above.
    from rote.adapters.stores.outside.bucket import BucketSource

    return BucketSource(*locations.parse_below(url), environ)


def _path(url: str, base: str, scheme: str | None) -> str:
    if scheme == "file":
        host, slash, rest = url.partition("://")[2].partition("/")
        if host not in ("", "localhost") or not slash:
            raise UsageError(f"a file outside is file:///ABSOLUTE/PATH, not {shown(url)}")
        return os.path.normpath("/" + unquote(rest))
    if not url.strip():
        raise UsageError("the source's address is empty", next="rote add --from URL PATH")
    return os.path.normpath(os.path.join(base, os.path.expanduser(url)))


def _check(url: str) -> None:
    if len(url) > MAX_URL:
        raise UsageError(f"this address is longer than {MAX_URL} characters", where=shown(url))
    if not url.isprintable() or " " in url:
        raise UsageError("an address has no spaces and no control characters", next="write %20 for a space")


def _web(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UsageError(f"not an address: {shown(url.partition('@')[2] or url)}") from None
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise _secret(
            f"{parts.scheme}://…@{host}", f"put them into ~/.netrc: machine {host} login … password …"
        )
    if not host:
        raise UsageError(f"not an address: {shown(url)}", next="https://HOST/PATH")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET.search(name):
            raise _secret(
                f"{parts.scheme}://{host}{parts.path}?{shown(name)}=…",
                "use the bucket's own address (s3://…), or an address that does not need it",
            )
    told = f"{host}:{port}" if port else host
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme.lower()}://{told if ':' not in host else parts.netloc.lower()}{parts.path or '/'}{query}"


def _secret(where: str, hint: str) -> UsageError:
    return UsageError(
        "credentials do not belong into the address of a source: it is written into the pointer, which stands in git",
        where=where,
        safe="nothing was fetched or written",
        next=hint,
    )
