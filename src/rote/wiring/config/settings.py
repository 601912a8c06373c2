"""Settings: which store, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

import msgspec

from rote.wiring.config import reading
from rote.wiring.config.refusal import refused
from rote.wiring.config.vocabulary import LOCAL
from rote.words.pipeline import At, Limits, Pipeline, ReadCache

LOCAL_FILE: Final = "rote.local.yaml"
DEFAULT_STORE: Final = ".rote/store"
DEFAULT_CACHE: Final = 10 * 1000**3
"""Bytes that the read cache may have."""


class Setting(msgspec.Struct, frozen=True):
    """A value (a folder as an absolute path), where it came from in words, and the place if that is a file."""

    value: str
    source: str
    at: At | None = None


class SettingShown(msgspec.Struct, frozen=True):
    """A setting as `rote config` shows it."""

    key: str
    value: str
    source: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. `cache` is the folder of the read cache, `cache_size` its limit in bytes (0: no cache); `budget`
    the plan that was declared, `account` the folder in which the requests of a month are counted."""

    store: Setting
    cache: Setting
    cache_size: int
    budget: Limits | None
    budget_source: str
    account: str

    def shown(self) -> list[SettingShown]:
        """Each setting with its value and where it came from."""
        store, cache = self.store, self.cache
        source = str(store.at) if store.at and store.at.line else store.source
        size = f"{cache.value} ({self.cache_size} bytes)" if self.cache_size else "off"
        return [SettingShown("store", store.value, source), SettingShown("cache", size, cache.source)]


def read(
    root: str, pipeline: Pipeline, *, store: str | None = None, environ: Mapping[str, str], cwd: str
) -> Settings:
    """`store` (from `--store`) over ROTE_STORE over rote.local.yaml over rote.yaml over `.rote/store`.

    A relative folder begins at `cwd` where it was typed or came from the environment, and at `root` where a file says
    it. Raises ConfigError.
    """
    local, local_cache, local_budget = _local(root)
    if store is not None:
        found = Setting(_resolved(store, cwd, "--store"), "--store")
    elif environ.get("ROTE_STORE"):
        found = Setting(
            _resolved(environ["ROTE_STORE"], cwd, "ROTE_STORE"), "the environment variable ROTE_STORE"
        )
    elif local is not None:
        found = Setting(_resolved(local.value, root, str(local.at)), LOCAL_FILE, local.at)
    elif pipeline.store is not None:
        found = Setting(
            _resolved(pipeline.store, root, "rote.yaml"), "rote.yaml", At("rote.yaml", 0, "store")
        )
    else:
        found = Setting(_resolved(DEFAULT_STORE, root, "default"), "the default")
    said = [c for c in (local_cache, pipeline.cache) if c is not None]
    size = next((c.size for c in said if c.size is not None), DEFAULT_CACHE)
    state = environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Settings(
        store=found,
        cache=_cache(local_cache, pipeline.cache, root, environ, cwd),
        cache_size=size,
        budget=local_budget or pipeline.budget,
        budget_source=LOCAL_FILE if local_budget else "rote.yaml" if pipeline.budget else "the default",
        account=os.path.join(os.path.abspath(state), "rote", "budget"),
    )


def _cache(
    local: ReadCache | None, shared: ReadCache | None, root: str, environ: Mapping[str, str], cwd: str
) -> Setting:
    """The read cache's folder: ROTE_CACHE over rote.local.yaml over rote.yaml over a folder of the user's, which all
    projects share."""
    if environ.get("ROTE_CACHE"):
        return Setting(
            _resolved(environ["ROTE_CACHE"], cwd, "ROTE_CACHE"), "the environment variable ROTE_CACHE"
        )
    for cache, source in ((local, LOCAL_FILE), (shared, "rote.yaml")):
        if cache is not None and cache.folder is not None:
            return Setting(_resolved(cache.folder, root, source), source)
    home = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Setting(os.path.join(os.path.abspath(home), "rote", "packs"), "the default")


def _local(root: str) -> tuple[Setting | None, ReadCache | None, Limits | None]:
    data = reading.read_bytes(root, LOCAL_FILE)
    if data is None:
        return None, None, None
    from rote.wiring.config import (  # PyYAML is loaded only where there is such a file
        budgeting,
        caching,
        yamltext,
    )
    from rote.wiring.config.section import Section  # the same

    node = yamltext.read(reading.decode(data, LOCAL_FILE), LOCAL_FILE)
    if node.value is None:
        return None, None, None
    section = Section(node, LOCAL_FILE, "")
    if not isinstance(node.value, dict):
        raise refused(
            section.at(), f"expected a mapping with {', '.join(LOCAL)}, found {node.kind}", "write store: …"
        )
    section.known(tuple(LOCAL), LOCAL_FILE)
    value = section.text("store")
    store = Setting(value, LOCAL_FILE, section.at("store")) if value else None
    return store, caching.read(section), budgeting.read(section)


def _resolved(value: str, base: str, where: str) -> str:
    if not value.strip() or "\0" in value:
        raise refused(At(where, 0), "expected a folder or a URL, found nothing", "name a folder or a URL")
    if "://" in value:
        return value
    return os.path.normpath(os.path.join(base, os.path.expanduser(value)))
