"""The address of another project: a git URL or a folder; and of a path in it, as a pointer names its source."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

from rote.errors import BadPath, UsageError
from rote.words import paths
from rote.words.ids import shown

SCHEME = "rote+"
"""What the address of a source in another project begins with."""
_SCHEMES = ("https", "http", "ssh", "git", "file")
_SCP = re.compile(r"(?:([A-Za-z0-9_][A-Za-z0-9._-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]+):(?!//|:)([^\s]+)\Z")
_NEXT = "https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, or a folder"


class RepoAddress(msgspec.Struct, frozen=True):
    """A project elsewhere: `url` is a git URL without secrets, or `file://` and a folder; `sub` the project's folder in
    the repository."""

    url: str
    sub: str = ""

    @property
    def folder(self) -> str | None:
        """The folder on this machine, if it is one."""
        return unquote(urlsplit(self.url).path) if self.url.startswith("file://") else None


class SourceAddress(msgspec.Struct, frozen=True):
    """A path in a project elsewhere, at a revision (empty: what the repository shows first)."""

    repo: RepoAddress
    path: str
    rev: str = ""
    store: str = ""
    """The project's store, if it was named by hand."""

    def text(self) -> str:
        """As it stands in a pointer."""
        said = {"path": self.path, "rev": self.rev, "subdirectory": self.repo.sub, "store": self.store}
        query = "&".join(f"{key}={quote(value, safe='/@._~-')}" for key, value in said.items() if value)
        return f"{SCHEME}{self.repo.url}#{query}"


def parse(text: str) -> RepoAddress:
    """A git URL; `#subdirectory=DIR` at its end names the project's folder in the repository. Raises UsageError."""
    url, _, fragment = text.partition("#")
    if not text.isprintable() or " " in text:
        raise UsageError(f"not the address of a repository: {shown(text)}", next=_NEXT)
    said = dict(parse_qsl(fragment))
    if said.keys() - {"subdirectory"} or (fragment and not said):
        raise UsageError(f"after # an address has subdirectory=DIR only, not {shown(fragment)}")
    sub = said.get("subdirectory", "").strip("/")
    if sub:
        checked(sub)
    scp = _SCP.match(url)
    if scp and "://" not in url:
        user = f"{scp[1]}@" if scp[1] else ""
        return RepoAddress(f"ssh://{user}{scp[2]}/{scp[3].lstrip('/')}", sub)
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.password
    except ValueError as e:
        raise UsageError(f"not the address of a repository: {shown(url)}", next=_NEXT) from e
    if parts.scheme not in _SCHEMES or (parts.scheme != "file" and (not host or host.startswith("-"))):
        raise UsageError(f"not the address of a repository: {shown(url)}", next=_NEXT)
    if secret is not None or (parts.username is not None and parts.scheme in ("https", "http")):
        raise UsageError(
            "credentials do not belong into the address of a repository: it may be written into a pointer",
            where=f"{parts.scheme}://…@{host}",
            safe="nothing was fetched or written",
            next="let git know them: git config credential.helper, or an SSH key",
        )
    return RepoAddress(url.rstrip("/"), sub)


def of_folder(path: str) -> RepoAddress:
    """The address of a folder (an absolute path)."""
    return RepoAddress("file://" + quote(path))


def parse_source(text: str) -> SourceAddress:
    """The address of a source in a pointer. Raises UsageError."""
    url, _, fragment = text.removeprefix(SCHEME).partition("#")
    said = dict(parse_qsl(fragment))
    if "path" not in said:
        raise UsageError(f"this source names no path: {shown(text)}")
    sub = said.get("subdirectory", "")
    repo = parse(f"{url}#subdirectory={quote(sub)}" if sub else url)
    return SourceAddress(repo, checked(said["path"]), said.get("rev", ""), said.get("store", ""))


def checked(path: str) -> str:
    """A path in a project, as it is compared; `.` is all of it. Raises UsageError."""
    plain = path.rstrip("/").removeprefix("./")
    if plain in ("", "."):
        return "."
    try:
        return paths.check(plain)
    except BadPath as e:
        raise UsageError(f"not a path in a project: {e.what}") from e
