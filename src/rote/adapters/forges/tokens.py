"""Whose token goes to which server: from the environment, or from what `gh` and `glab` keep. A token is never shown.

The address of a target may come from a file that somebody else wrote, so a token goes only to the server it is for: the
vendor's own, or the one that the environment names (`GH_HOST`, `GITLAB_HOST`, or what the CI job says of itself).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from rote.adapters.forges.address import GITHUB, ForgeAddress
from rote.errors import UsageError


class Token(msgspec.Struct, frozen=True):
    """A token: the header it goes in, and where it came from. Its text is in no `repr`."""

    secret: str
    source: str
    header: str = "Authorization"
    scheme: str = "Bearer "

    def __repr__(self) -> str:
        return f"Token(from {self.source})"

    def headers(self) -> dict[str, str]:
        """What is sent along with a request."""
        return {self.header: self.scheme + self.secret}


def given(at: ForgeAddress, secret: str) -> Token:
    """A token that the caller hands over, for this server. Raises UsageError if it cannot be one."""
    return _made(at, secret, "the caller")


def found(at: ForgeAddress, environ: Mapping[str, str]) -> Token | None:
    """The token for a server, or None. Raises UsageError for a file of `gh` or `glab` that cannot be read."""
    return _github(at, environ) if at.kind == GITHUB else _gitlab(at, environ)


def hint(at: ForgeAddress, environ: Mapping[str, str]) -> str:
    """What to type for this server to get a token."""
    host = at.host
    if at.kind == GITHUB:
        if _githubs_own(host):
            kept = _says_host(environ, at)
            return "export GH_TOKEN=$(gh auth token)" if kept else "export GH_TOKEN=…, or `gh auth login`"
        return f"export GH_HOST={host} GH_ENTERPRISE_TOKEN=…, or `gh auth login --hostname {host}`"
    if at.at_home:
        return "export GITLAB_TOKEN=…, or `glab auth login`"
    return f"export GITLAB_HOST={host} GITLAB_TOKEN=…, or `glab auth login --hostname {host}`"


def _github(at: ForgeAddress, environ: Mapping[str, str]) -> Token | None:
    host = at.host
    if _githubs_own(host):
        names = ["GH_TOKEN", "GITHUB_TOKEN"]
    elif host in (_bare(environ.get("GH_HOST")), _bare(environ.get("GITHUB_SERVER_URL"))):
        names = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]
        if host == _bare(environ.get("GITHUB_SERVER_URL")):
            names += ["GH_TOKEN", "GITHUB_TOKEN"]  # in a job of that very server
    else:
        names = []
    for name in names:
        if environ.get(name):
            return _made(at, environ[name], name)
    entry = _hosts(environ, at).get(host)
    if isinstance(entry, dict):
        secret = entry.get("oauth_token")
        if isinstance(secret, str) and secret:
            return _made(at, secret, "gh's hosts.yml")
    return None


def _gitlab(at: ForgeAddress, environ: Mapping[str, str]) -> Token | None:
    host = at.host
    named = _bare(environ.get("GITLAB_HOST")) or _bare(environ.get("GL_HOST"))
    job = _bare(environ.get("CI_SERVER_URL"))
    if host in (named, job) or (at.at_home and not named):
        for name in ("GITLAB_TOKEN", "GITLAB_ACCESS_TOKEN", "OAUTH_TOKEN"):
            if environ.get(name):
                return _made(at, environ[name], name)
    entry = _hosts(environ, at).get(host)
    if isinstance(entry, dict):
        secret = entry.get("token")
        if isinstance(secret, str) and secret:
            return _made(at, secret, "glab's config.yml")
    if host == job and environ.get("CI_JOB_TOKEN"):
        return Token(_clean(environ["CI_JOB_TOKEN"], "CI_JOB_TOKEN"), "CI_JOB_TOKEN", "JOB-TOKEN", "")
    return None


def _made(at: ForgeAddress, secret: str, source: str) -> Token:
    secret = _clean(secret, source)
    if at.kind != GITHUB and secret.startswith("gldt-"):
        return Token(secret, source, "Deploy-Token", "")
    return Token(secret, source)


def _clean(secret: str, source: str) -> str:
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable() or " " in secret:
        raise UsageError(
            f"the token from {source} is not one: it has characters that no token has",
            next="copy it again, without quotes and line breaks",
        )
    return secret


def _githubs_own(host: str) -> bool:
    return host == "github.com" or host.endswith(".ghe.com")


def _bare(text: str | None) -> str | None:
    """The host of `https://host`, `host` or `host:port`; None for nothing."""
    if not text:
        return None
    return (urlsplit(text).netloc if "://" in text else text.strip("/")).lower() or None


def _config(environ: Mapping[str, str], at: ForgeAddress) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")
    below = environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config")
    if at.kind == GITHUB:
        return os.path.join(environ.get("GH_CONFIG_DIR") or os.path.join(below, "gh"), "hosts.yml")
    return os.path.join(environ.get("GLAB_CONFIG_DIR") or os.path.join(below, "glab-cli"), "config.yml")


def _says_host(environ: Mapping[str, str], at: ForgeAddress) -> bool:
    return at.host in _hosts(environ, at)


def _hosts(environ: Mapping[str, str], at: ForgeAddress) -> dict[str, object]:
    """What the vendor's own command keeps of each host; nothing where it was never used."""
    path = _config(environ, at)
    try:
        with open(path, "rb") as file:
            text = file.read(1 << 20)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as e:
        raise UsageError(
            f"cannot be read: {e.strerror}",
            where=path,
            next="set the token by the environment instead",
        ) from None
    # Only who keeps a token in this file pays for reading YAML.
    import yaml

    # GitLab's command marks its tokens `!!null TOKEN`, which means: a text that may be missing. PyYAML would take that
    # for nothing at all, so every scalar is read as the text that stands there.
    try:
        told = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        # The parser's own message quotes the line, and the line may be a token.
        raise UsageError("is not YAML", where=path, next="log in again with the vendor's command") from None
    hosts = told.get("hosts") if at.kind != GITHUB and isinstance(told, dict) else told
    return {str(name).lower(): entry for name, entry in hosts.items()} if isinstance(hosts, dict) else {}
