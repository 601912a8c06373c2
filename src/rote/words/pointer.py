"""The pointer `NAME.rote`: a small text file in git that pins a data path to a snapshot (docs/format.md, 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from rote.errors import ConfigError, RoteError, TooNew
from rote.words import ids
from rote.words.encoding import FORMAT
from rote.words.ids import SnapshotId

SUFFIX = ".rote"


_NAMED = re.compile(rb"^snapshot:[ \t]*([0-9a-f]{64})[ \t\r]*$", re.MULTILINE)


MAX_URL = 2000
"""Characters of a source's address."""


class Source(msgspec.Struct, frozen=True):
    """Where data came from: the address without credentials, what the source said of its content then (an etag, or
    empty), when that was, and for a folder the snapshot of the source's list."""

    url: str
    etag: str
    time: str
    list: SnapshotId | None = None
    at: str = ""
    """What the source calls the state that was taken: a commit, or MODEL@VERSION."""

    def text(self) -> str:
        """The lines in a pointer."""
        etag = f"source-etag: {self.etag}\n" if self.etag else ""
        listed = f"source-list: {self.list}\n" if self.list else ""
        at = f"source-at: {self.at}\n" if self.at else ""
        return f"source: {self.url}\n{etag}source-time: {self.time}\n{listed}{at}"


class Pointer(msgspec.Struct, frozen=True):
    """What a pointer says: the snapshot, and for people who read a diff, how many files and bytes it has; and the
    source that the data follows, if any."""

    snapshot: SnapshotId
    files: int
    size: int
    single: bool = False
    source: Source | None = None

    def text(self) -> str:
        """The file's text."""
        kind = "file" if self.single else "folder"
        return (
            f"# Data kept by rote; `rote checkout` brings it.\nrote: {FORMAT}\nsnapshot: {self.snapshot}\n"
            f"kind: {kind}\nfiles: {self.files}\nbytes: {self.size}\n"
            f"{self.source.text() if self.source else ''}"
        )


def parse(text: str, where: str) -> Pointer:
    """Parse a pointer's text; `where` is its path, for the error. Raises ConfigError or TooNew."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        if not colon or key in found:
            raise ConfigError(
                "this line of the pointer is not 'key: value'"
                if not colon
                else f"the key {key} stands twice",
                where=f"{where}:{number}",
                next="take the file from git again, or run `rote add` on the data",
            )
        found[key.strip()] = value.strip()
    try:
        if int(found.get("rote", "0")) > FORMAT:
            raise TooNew(
                f"this pointer has format {found['rote']}; this rote reads up to {FORMAT}",
                where=where,
                next="pip install --upgrade rote",
            )
        if found["kind"] not in ("file", "folder"):
            raise ValueError(f"kind is {found['kind']}, not file or folder")
        return Pointer(
            ids.snapshot_id(found["snapshot"]),
            int(found["files"]),
            int(found["bytes"]),
            found["kind"] == "file",
            _source(found),
        )
    except (KeyError, ValueError) as e:
        reason = f"it has no {e}" if isinstance(e, KeyError) else str(e)
        raise ConfigError(
            f"this pointer cannot be read: {reason}",
            where=where,
            next="take the file from git again, or run `rote add` on the data",
        ) from e
    except RoteError as e:
        if isinstance(e, TooNew):
            raise
        raise ConfigError(
            f"this pointer cannot be read: {e.what}",
            where=where,
            next="take the file from git again, or run `rote add` on the data",
        ) from e


def _source(found: Mapping[str, str]) -> Source | None:
    url = found.get("source")
    if not url:
        return None
    if len(url) > MAX_URL or not url.isprintable() or " " in url:
        raise ValueError("its source is not an address")
    listed = found.get("source-list")
    return Source(
        url,
        found.get("source-etag", ""),
        found.get("source-time", ""),
        ids.snapshot_id(listed) if listed else None,
        found.get("source-at", ""),
    )


def names(content: bytes) -> SnapshotId | None:
    """The snapshot that a pointer's bytes name, of whatever format and however damaged; None if they name none."""
    found = _NAMED.search(content)
    return ids.snapshot_id(found[1].decode("ascii")) if found else None
