"""`.dvc/config`, `.dvc/config.local` and the user's own: where DVC's cache is, its remotes, how it writes options."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import msgspec

from rote.wiring.config import reading
from rote.wiring.config.expressions import Options
from rote.wiring.config.refusal import refused
from rote.wiring.config.sources import Sources
from rote.wiring.config.vocabulary import OPTIONS
from rote.words.ids import nearest, shown
from rote.words.pipeline import At

FILES: Final = (".dvc/config", ".dvc/config.local")
_REMOTE = re.compile(r"""remote\s+["']?(.+?)["']?\Z""")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A remote: a folder (absolute), or a cloud's address as rote writes it; `environment` has what its client finds
    in the environment otherwise (credentials: never shown)."""

    name: str
    url: str
    folder: bool
    environment: dict[str, str] = {}
    at: At


class DvcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says; `cache` is the folder of the cache, absolute. `default` is the remote's name."""

    cache: str
    remotes: dict[str, Remote] = {}
    default: str | None = None
    others: dict[str, At] = {}
    """Remotes of kinds that rote does not reach, and where they are described."""


def read(root: str, environ: Mapping[str, str]) -> DvcSettings:
    """The settings of the project at `root`, before which stand those of the user. Raises ConfigError."""
    sections: dict[str, dict[str, tuple[str, At]]] = {}
    for file in (_users(environ), *FILES):
        data = reading.read_bytes(root, file)
        if data is not None:
            _sections(reading.decode(data, file), file, sections)
    cache = sections.get("cache", {}).get("dir")
    remotes: dict[str, Remote] = {}
    others: dict[str, At] = {}
    for title, values in sections.items():
        match = _REMOTE.match(title)
        if match and "url" in values:
            found = _remote(
                match[1], {key: value for key, (value, _) in values.items()}, values["url"][1], root
            )
            if found is None:
                others[match[1]] = values["url"][1]
            else:
                remotes[match[1]] = found
    default = sections.get("core", {}).get("remote")
    if default is not None and default[0] not in remotes and default[0] not in others:
        near = nearest(default[0], [*remotes, *others])
        raise refused(
            default[1], f"no remote is called {shown(default[0])}", f"did you mean {near}?" if near else None
        )
    return DvcSettings(
        cache=_beside(root, cache[1], cache[0]) if cache else os.path.join(root, ".dvc", "cache"),
        remotes=remotes,
        default=default[0] if default else None,
        others=others,
    )


def _users(environ: Mapping[str, str]) -> str:
    """The user's own configuration (`dvc config --global`)."""
    folder = environ.get("DVC_GLOBAL_CONFIG_DIR")
    if not folder:
        mac = "~/Library/Application Support" if sys.platform == "darwin" else "~/.config"
        folder = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.expanduser(mac), "dvc")
    return os.path.join(folder, "config")


def _beside(root: str, at: At, path: str) -> str:
    """A path in a configuration begins at the folder of its file."""
    return os.path.normpath(os.path.join(root, os.path.dirname(at.file), os.path.expanduser(path)))


def options(sources: Sources) -> Options:
    """How templates write mappings in commands: `[parsing]`. Raises ConfigError."""
    sections: dict[str, dict[str, tuple[str, At]]] = {}
    for file in FILES:
        _sections(sources.text(file), file, sections)
    said = sections.get("parsing", {})
    return Options(
        off=said.get("bool", ("", None))[0].lower() == OPTIONS["bool"][1],
        each=said.get("list", ("", None))[0].lower() == OPTIONS["list"][1],
    )


def _sections(text: str, file: str, into: dict[str, dict[str, tuple[str, At]]]) -> None:
    """INI text, as DVC writes it: `['remote "name"']`. What comes later goes before what came earlier."""
    title = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            title = line[1:-1].strip().strip("'").strip()
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise refused(At(file, number), f"expected KEY = VALUE, found {shown(line)}")
        at = At(file, number, f"{title}.{key.strip()}")
        into.setdefault(title, {})[key.strip().lower()] = (value.strip().strip("\"'"), at)


def _remote(name: str, values: Mapping[str, str], at: At, root: str) -> Remote | None:
    url = values["url"]
    match = _SCHEME.match(url)
    if match is None or match[1] in ("file", "local"):
        path = url[match.end() :] if match else url
        return Remote(name=name, url=_beside(root, at, path), folder=True, at=at)
    if match[1] != "s3":
        return None
    options = {
        theirs: values[ours]
        for ours, theirs in (("endpointurl", "endpoint"), ("region", "region"), ("profile", "profile"))
        if values.get(ours)
    }
    if values.get("allow_anonymous_login", "").lower() == "true":
        options["unsigned"] = "true"
    secrets = {
        theirs: values[ours]
        for ours, theirs in (
            ("access_key_id", "AWS_ACCESS_KEY_ID"),
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("session_token", "AWS_SESSION_TOKEN"),
        )
        if values.get(ours)
    }
    query = f"?{urlencode(options)}" if options else ""
    return Remote(name=name, url=url.rstrip("/") + query, folder=False, environment=secrets, at=at)
