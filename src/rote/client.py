"""For applications: the newest good version of a model, as verified local files.

model = Model("/srv/store", "digits", alias="prod", cache="cache")
session = load(model.path() / "model.onnx")
...
if model.refresh():                    # one small request when there is nothing new
    session = load(model.path() / "model.onnx")
"""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from rote import channels, ids, versions
from rote.channels import Channels
from rote.clock import SystemClock
from rote.delivery import bring
from rote.encoding import digest_of
from rote.errors import Corrupt, Missing, RoteError, StoreUnavailable
from rote.landing.cache import Cache
from rote.ports import ObjectStore
from rote.record import Channel, CurrentVersion
from rote.snapshots import NodeCache, Snapshots
from rote.stores import address
from rote.stores.retry import Patience, RetryingStore

_log = logging.getLogger("rote.client")
PATIENCE = Patience(deadline=10.0)
"""How long an application asks a store that is busy or away."""


class Model:
    """A model that follows an alias. Thread-safe; any number of processes may share one cache.

    Nothing is read from store or cache before the first call. What is served was verified completely once; a damaged
    cache is repaired from the store. While the store cannot be reached, the copy that is here is served, and `problem`
    says why.
    """

    def __init__(
        self,
        store_url: str | ObjectStore,
        name: str,
        alias: str = "prod",
        cache: str | os.PathLike[str] | None = None,
    ) -> None:
        """`store_url` is a folder's path or a cloud's address (or a store that is open); `cache` a folder for this
        model and alias alone (default: below the user's cache folder). Raises BadName, UsageError."""
        channels.key(name, alias)
        self.name = name
        self.alias = alias
        self.problem: RoteError | None = None
        self._address = store_url
        self._base = os.getcwd()
        self._opened: ObjectStore | None = None if isinstance(store_url, str) else store_url
        self._cache = Cache(os.fspath(cache) if cache is not None else _default_cache(store_url, name, alias))
        self._lock = threading.RLock()
        self._verified: CurrentVersion | None = None

    @property
    def version(self) -> str:
        """The version in use, such as 1.2.0; fetched if there is none yet."""
        return self._in_use().version

    def path(self) -> Path:
        """The folder with the files of the version in use; they are read-only, and stay there until two newer versions
        came. The first call looks for a newer version, later ones do not: `refresh` does.

        Raises Missing (nobody holds the alias), StoreUnavailable (no copy here, and the store out of reach), Corrupt.
        """
        return Path(self._cache.files(self._in_use().folder))

    def refresh(self) -> bool:
        """Look for a newer version, and switch to it; True if the version in use changed. Reads one small object if
        there is nothing new. While the store cannot be reached and a copy is here: False, and `problem` says why.
        Raises as `path`; the version that is in use stays in use then."""
        with self._lock:
            before = self._verified or self._sound_current()
            found = self._follow(before)
            return before is None or found.folder != before.folder

    def _in_use(self) -> CurrentVersion:
        with self._lock:
            if self._verified is not None:
                return self._verified
            here = self._sound_current()
            try:
                return self._follow(here)
            except RoteError:
                if here is None:
                    raise
                return here

    def _follow(self, here: CurrentVersion | None) -> CurrentVersion:
        self._verified = here
        self.problem = None
        try:
            self._verified = self._update(here)
        except RoteError as e:
            if here is None:
                raise
            self._stay(here, e)
            if not isinstance(e, StoreUnavailable):
                raise
        assert self._verified is not None
        return self._verified

    def _stay(self, here: CurrentVersion, why: RoteError) -> None:
        self.problem = why
        _log.warning("%s@%s: %s; serving %s", self.name, self.alias, why, here.version)

    def _sound_current(self) -> CurrentVersion | None:
        """The version in use as the cache tells, if its files are what they should be."""
        current = self._cache.current()
        if current is None or (current.model, current.alias) != (self.name, self.alias):
            return None
        if self._verified is not None and self._verified.folder == current.folder:
            return current
        damaged = self._cache.damage(current.folder)
        if damaged:
            _log.warning("%s@%s: the cache is damaged: %s", self.name, self.alias, ", ".join(damaged[:5]))
            return None
        return current

    def _update(self, sound: CurrentVersion | None) -> CurrentVersion:
        """The version to be used from now on, with its files in place."""
        store = self._store()
        held = Channels(store).read(self.name, self.alias)
        if held is None:
            raise Missing(
                f"nobody holds {self.name}@{self.alias}",
                where=store.url,
                next=f"rote promote {self.name}@VERSION {self.alias}",
            )
        if sound is not None and not _newer(held.channel, sound):
            return sound
        with self._cache.locked():
            # Another process may have done it meanwhile.
            current = self._cache.current()
            if current is not None and (current.model, current.alias) != (self.name, self.alias):
                raise Corrupt(
                    f"this cache belongs to {current.model}@{current.alias}",
                    where=self._cache.folder,
                    next="give every model and alias a cache of its own",
                )
            if current is not None and not _newer(held.channel, current):
                if self._sound_current() is not None:
                    return current
                if held.channel.snapshot.id != current.snapshot:
                    raise _old(held.channel, current)
            return self._install(store, held.channel, current)

    def _install(
        self, store: ObjectStore, channel: Channel, current: CurrentVersion | None
    ) -> CurrentVersion:
        folder = self._cache.sound(channel.snapshot.id)
        if folder is None:
            bring(Snapshots(store, cache=NodeCache()), channel.snapshot, self._cache)
            folder = self._cache.sound(channel.snapshot.id)
        if folder is None:
            raise Corrupt(
                "the files that were written are not what they should be",
                where=self._cache.folder,
                next="check the disk",
            )
        previous = None
        if current:
            # A copy that replaces a damaged one of the same version leaves the version before as it was.
            previous = current.previous if current.snapshot == channel.snapshot.id else current.folder
        new = CurrentVersion(
            model=self.name,
            alias=self.alias,
            seq=max(channel.seq, current.seq if current else 0),
            version=channel.version,
            snapshot=channel.snapshot.id,
            folder=folder,
            previous=previous,
            issued=channel.issued,
        )
        self._cache.activate(new)
        return new

    def _store(self) -> ObjectStore:
        if self._opened is None:
            assert isinstance(self._address, str)
            opened = address.at(self._address, base=self._base)
            # A folder is there or not. Whoever serves a copy that is here should not wait long for a newer one.
            self._opened = RetryingStore(opened, SystemClock(), PATIENCE) if "://" in opened.url else opened
        return self._opened


def _newer(channel: Channel, current: CurrentVersion) -> bool:
    """Whether a channel document is a later state than what is in use. An earlier one is an old state that somebody
    serves again, and is not installed."""
    if channel.seq < current.seq or (channel.seq == current.seq and channel.snapshot.id != current.snapshot):
        _log.warning("%s", _old(channel, current))
        return False
    return channel.seq > current.seq


def _old(channel: Channel, current: CurrentVersion) -> Corrupt:
    return Corrupt(
        f"the store offers move {channel.seq} of {channel.model}@{channel.alias} ({channel.version}), but move "
        f"{current.seq} ({current.version}) was installed already: this is an old state of the store",
        safe="nothing was installed",
        next="if the store was made anew on purpose, delete the cache",
    )


def _default_cache(store: str | ObjectStore, name: str, alias: str) -> str:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    where = address.canonical(store) if isinstance(store, str) else store.url
    return os.path.join(
        home, "rote", "models", digest_of(where.encode())[:16], ids.name(name), versions.alias(alias)
    )
