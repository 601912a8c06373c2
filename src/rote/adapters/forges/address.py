"""What names a forge's repository: `github:owner/repo`, or with the address of a server of one's own."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import msgspec

from rote.errors import UsageError
from rote.words.ids import shown

GITHUB = "github"
GITLAB = "gitlab"
_HOME = {GITHUB: "https://github.com", GITLAB: "https://gitlab.com"}
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_-])?\Z")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?\Z")
_LOOPBACK = frozenset(["127.0.0.1", "localhost", "::1"])


class ForgeAddress(msgspec.Struct, frozen=True):
    """A repository at a forge: `kind` github or gitlab, `server` such as https://github.com, `path` owner/repo (at
    GitLab, groups may lie in groups)."""

    kind: str
    server: str
    path: str

    @property
    def text(self) -> str:
        """As it is written and shown."""
        return f"{self.kind}:{self.path if self.at_home else self.page}"

    @property
    def page(self) -> str:
        """The repository's page for people."""
        return f"{self.server}/{self.path}"

    @property
    def host(self) -> str:
        """The server's name, with a port if it has one of its own; in lower case."""
        return urlsplit(self.server).netloc

    @property
    def at_home(self) -> bool:
        """Whether this is github.com or gitlab.com."""
        return self.server == _HOME[self.kind]


def parse(text: str) -> ForgeAddress:
    """Parse `github:owner/repo`, `gitlab:group/project`, or `KIND:https://HOST/PATH`. Raises UsageError."""
    kind, _, rest = text.partition(":")
    kind = kind.lower()
    if kind not in _HOME:
        raise UsageError(f"not the address of a forge: {shown(text)}", next=_EXAMPLES)
    if "://" not in rest:
        return ForgeAddress(kind, _HOME[kind], _path(kind, rest, text))
    scheme, _, more = rest.partition("://")
    host, _, path = more.partition("/")
    return ForgeAddress(kind, server(f"{scheme}://{host}"), _path(kind, path, text))


_EXAMPLES = "such as github:owner/repo, gitlab:group/project or github:https://git.example.org/owner/repo"


def server(text: str) -> str:
    """The address of a server, in one spelling. Raises UsageError if it is not https (or http on this machine)."""
    scheme, _, host = text.rstrip("/").partition("://")
    scheme = scheme.lower()
    if "@" in host:
        raise UsageError(
            "an address holds no name and no password",
            next="the token comes from the environment: docs/forges.md says from where",
        )
    if not _HOST.match(host):
        raise UsageError(
            f"not the address of a server: {shown(text)}", next="such as https://git.example.org"
        )
    if scheme != "https" and not (scheme == "http" and is_loopback(host)):
        raise UsageError(
            f"a forge is reached over https, not {shown(scheme)}: a token would be sent in the clear",
            where=shown(text),
            next="write https://",
        )
    host = host.lower()
    return f"{scheme}://{host.removesuffix(':443') if scheme == 'https' else host}"


def is_loopback(host: str) -> bool:
    """Whether a host (with or without a port) is this machine itself."""
    return (urlsplit(f"//{host}").hostname or "") in _LOOPBACK


def _path(kind: str, path: str, text: str) -> str:
    parts = path.strip("/").removesuffix(".git").split("/")
    enough = len(parts) == 2 if kind == GITHUB else len(parts) >= 2
    if not enough or not all(_PART.match(part) for part in parts):
        what = "owner/repo" if kind == GITHUB else "group/project"
        raise UsageError(f"{kind} knows a repository by {what}: {shown(text)}", next=_EXAMPLES)
    return "/".join(parts)
