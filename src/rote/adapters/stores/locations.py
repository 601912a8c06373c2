"""The address of a store in a cloud: what may stand in it, and what must not (credentials)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from rote.adapters.stores import keys
from rote.errors import UsageError
from rote.words.ids import nearest, shown

OPTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "s3": ("endpoint", "region", "path-style", "profile", "unsigned"),
    "gs": ("endpoint", "unsigned"),
    "az": ("account", "endpoint", "unsigned"),
    "https": (),
    "http": (),
    "webdav": ("tls",),
    "sftp": (),
    "gdrive": (),
    "dropbox": (),
}
"""Scheme -> what may follow `?` in its addresses."""
READ_ONLY: Final = frozenset(["https", "http"])
"""Schemes of stores that can only be read."""
SHARES: Final = frozenset(["webdav", "sftp", "gdrive", "dropbox"])
"""Schemes of file shares, which know no conditions: for a single writer."""
MAX_PREFIX: Final = 120
"""Bytes; with the longest key this stays below the 1,024 of S3."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Compiled with the first address that is no folder.
_BUCKET = r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}\Z"
_HOST = r"[A-Za-z0-9.-]+(:[0-9]{1,5})?\Z|\[[0-9A-Fa-f:]+\](:[0-9]{1,5})?\Z"
_LOGIN_HOST = r"([A-Za-z0-9_][A-Za-z0-9._-]*@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?\Z"
_LOOPBACK = r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?\Z"
_SECRET = r"(?i)key|secret|token|password|credential|sas|sig"
_SYNONYMS: Final = {
    "dav": "webdav",
    "davs": "webdav",
    "webdavs": "webdav",
    "ssh": "sftp",
    "scp": "sftp",
    "gcs": "gs",
    "azure": "az",
    "abfs": "az",
    "s3a": "s3",
    "s3n": "s3",
}
_SWITCH: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where a store lies. `bucket` is a bucket, a container, or HOST[:PORT]; `prefix` has no `/` at its ends."""

    scheme: str
    bucket: str
    prefix: str
    options: dict[str, str]

    @property
    def url(self) -> str:
        """The address as it is shown and compared."""
        from urllib.parse import urlencode  # a folder needs nothing of it

        path = f"/{self.prefix}" if self.prefix else ""
        query = f"?{urlencode(sorted(self.options.items()), safe=':/')}" if self.options else ""
        return f"{self.scheme}://{self.bucket}{path}{query}"

    def switch(self, name: str) -> bool | None:
        """An option that is true or false; None if it is not given."""
        return _SWITCH[self.options[name]] if name in self.options else None


def scheme_of(url: str) -> str | None:
    """`s3` of `s3://…`; None for a folder."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else None


def is_cloud(url: str) -> bool:
    """Whether this is the address of a store in a cloud, right or wrong."""
    return scheme_of(url) in OPTIONS


def parse(url: str) -> Location:
    """The parts of an address. Raises UsageError, without a secret that somebody wrote into it."""
    place, path = _split(url)
    prefix = path.strip("/")
    if place.scheme in SHARES:
        prefix = _shared(place, prefix)
    elif prefix and (len(prefix) > MAX_PREFIX or not all(keys.is_name(n) for n in prefix.split("/"))):
        raise UsageError(
            f"a store cannot lie at {shown(prefix)}: names of letters, digits and ._@+=,- joined by /, at most "
            f"{MAX_PREFIX} bytes",
            next=f"for example {place.scheme}://{place.bucket}/my-project",
        )
    return msgspec.structs.replace(place, prefix=prefix)


def _shared(place: Location, prefix: str) -> str:
    """A folder on a share; `~/` at the beginning is the user's own, over SSH."""
    below = prefix.removeprefix("~/") if place.scheme == "sftp" else prefix
    if place.scheme in ("webdav", "sftp") and not below:
        raise UsageError(
            f"this address names a whole server: {place.url}",
            next=f"{place.url}/FOLDER, a folder of the store's own",
        )
    if below and (len(below) > MAX_PREFIX or not all(keys.is_name(n) for n in below.split("/"))):
        raise UsageError(
            f"a store cannot lie at {shown(prefix)}: names of letters, digits and ._@+=,- joined by /, at most "
            f"{MAX_PREFIX} bytes",
            next=f"for example {place.url}/rote",
        )
    return prefix


def parse_below(url: str) -> tuple[Location, str]:
    """A bucket, and the path in it of an object or prefix that need not be a store's. Raises UsageError."""
    from urllib.parse import unquote  # a folder needs nothing of it

    place, path = _split(url)
    path = unquote(path)
    if not path.isprintable() or ".." in path.split("/"):
        raise UsageError(f"not a path in a bucket: {shown(path)}")
    return place, path


def _split(url: str) -> tuple[Location, str]:
    match = _SCHEME.match(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in OPTIONS:
        raise unknown_scheme(url)
    rest, _, query = url[match.end() :].partition("?")
    bucket, _, path = rest.partition("/")
    if "@" in bucket and (scheme != "sftp" or ":" in bucket.rpartition("@")[0]):
        raise _secret(f"{scheme}://…@{bucket.rpartition('@')[2]}")
    _bucket(scheme, bucket)
    return Location(scheme=scheme, bucket=bucket, prefix="", options=_options(scheme, query)), path


def unknown_scheme(url: str) -> UsageError:
    """What is said of an address that no adapter knows."""
    scheme = scheme_of(url) or ""
    meant = _SYNONYMS.get(scheme)
    return UsageError(
        f"this rote has no store for addresses of {scheme}://",
        next=f"write {meant}://"
        if meant
        else "use a folder, s3://, gs://, az://, webdav://, sftp://, gdrive://, dropbox://, or (to read only) https://",
    )


def _bucket(scheme: str, bucket: str) -> None:
    if scheme in READ_ONLY:
        if not re.match(_HOST, bucket):
            raise UsageError(f"not a host: {shown(bucket)}", next="https://HOST/PATH")
        if scheme == "http" and not re.match(_LOOPBACK, bucket):
            raise UsageError(
                "http:// is for this machine only: on a network anybody could put other models into it",
                next=f"https://{bucket}",
            )
    elif scheme in ("webdav", "sftp"):
        if not re.match(_LOGIN_HOST if scheme == "sftp" else _HOST, bucket):
            raise UsageError(f"not a host: {shown(bucket)}", next=f"{scheme}://HOST/FOLDER")
    elif not re.match(_BUCKET, bucket):
        what = {"az": "container", "gdrive": "folder", "dropbox": "folder"}.get(scheme, "bucket")
        raise UsageError(f"not a {what}: {shown(bucket)}", next=f"{scheme}://{what.upper()}/PREFIX")


def _options(scheme: str, query: str) -> dict[str, str]:
    from urllib.parse import parse_qsl  # a folder needs nothing of it

    found: dict[str, str] = {}
    known = OPTIONS[scheme]
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            if re.search(_SECRET, name):
                raise _secret(f"{scheme}://…?{name}=…")
            meant = nearest(name, list(known))
            raise UsageError(
                f"an address of {scheme}:// has no setting {shown(name)}",
                next=f"did you mean {meant}?" if meant else f"it has {', '.join(known) or 'none'}",
            )
        if name in ("path-style", "unsigned", "tls") and value not in _SWITCH:
            raise UsageError(f"{name} is true or false, not {shown(value)}", next=f"write {name}=true")
        if name == "endpoint":
            _endpoint(value)
        found[name] = value
    return found


def _endpoint(value: str) -> None:
    match = _SCHEME.match(value)
    if not match or match[1].lower() not in ("http", "https"):
        raise _no_endpoint(value)
    host = value[match.end() :].partition("/")[0]
    if "@" in host:
        raise _secret(f"endpoint={match[0]}…@{host.rpartition('@')[2]}")
    if not re.match(_HOST, host):
        raise _no_endpoint(value)


def _no_endpoint(value: str) -> UsageError:
    return UsageError(
        f"not an endpoint: {shown(value)}", next="write endpoint=https://HOST or https://HOST:PORT"
    )


def _secret(where: str) -> UsageError:
    return UsageError(
        "credentials do not belong into the address of a store: it is shown, logged and kept in git",
        where=where,
        safe="nothing was written; take them out of any file and shell history where they are",
        next="put them where the vendor's own tools look: docs/stores.md lists the variables and files",
    )
