"""A model that an application follows."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rote.errors import Corrupt, RoteError, StoreUnavailable, UsageError
from rote.words.signatory import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rote.adapters.landing.proving import Check
    from rote.client.updating import Looked
    from rote.client.watching import Watch
    from rote.laws.publishing.looks import Look
    from rote.ports import ObjectStore
    from rote.services.models.vouching import Vouching
    from rote.wiring.origins import Origin
    from rote.words.landed import CurrentVersion, SignedBy

# In-function imports below have one reason: an application imports this, and should start fast.

_log = logging.getLogger("rote.client")
_T = TypeVar("_T")


class Model:
    """A model that follows an alias. Thread-safe; any number of processes may share one cache.

    Nothing is read from store or cache before the first call. What is served was verified completely once; a damaged
    cache is repaired from the store. While the store cannot be reached, or what it offers is no good, the copy that is
    here is served, and `problem` says why.
    """

    def __init__(
        self,
        store_url: str | ObjectStore,
        name: str,
        alias: str = "prod",
        cache: str | os.PathLike[str] | None = None,
        *,
        keys: Sequence[str] = (),
        identity: str = "",
        issuer: str = "",
        trust: str | os.PathLike[str] = "",
        check: Check | None = None,
        check_timeout: float = 60.0,
        failures: int = 3,
        offline: bool = False,
    ) -> None:
        """`store_url` is where the model is: a folder's path, `s3://…`, `https://…`, `github:owner/repo`, … (or a store
        that is open); `cache` a folder for this model and alias alone (default: below the user's cache folder).

        `keys`: public keys, one of which must have signed what is followed. `identity` and its `issuer`: by whom, as
        Sigstore says, the files must be signed; `trust` is the file of another trust root than the public one.

        `check`: a function at the top of a module, or a command line, that is given the folder of a new version in a
        process of its own, at most `check_timeout` seconds long, before it is put in use; False, an exception or
        another exit code than 0 keep it from being used. After so many `failures` a version is left alone. `offline`,
        or the variable `ROTE_OFFLINE`: nothing is asked of anybody, only what is here is served. Raises BadName,
        UsageError, MissingExtra.
        """
        from rote.adapters.landing.cache import Cache  # as above
        from rote.adapters.landing.proving import Proof  # as above
        from rote.client.turns import Told  # as above
        from rote.client.updating import Updater  # as above
        from rote.services.models import channels  # light import, see above

        channels.key(name, alias)
        if failures < 1:
            raise UsageError("failures is 1 or more: so often a version may fail before it is left alone")
        self.name = name
        self.alias = alias
        self.problem: RoteError | None = None
        """Why the last look did not lead to what the channel names, while a copy that is here is served; or None."""
        self._address = store_url
        self._base = os.getcwd()
        self._origin: Origin | None = None
        self._cache = Cache(os.fspath(cache) if cache is not None else _default_cache(store_url, name, alias))
        self._offline = offline or os.environ.get("ROTE_OFFLINE", "") not in ("", "0")
        self._lock = threading.RLock()
        self._verified: CurrentVersion | None = None
        self._told = ""
        self._allowed = failures
        self._shared = Told(self._cache.folder, self._asked, time.time)
        vouching, signed_by = _vouching(identity, issuer, os.fspath(trust))
        self._updater = Updater(
            self._cache,
            name,
            alias,
            origin=self._open,
            keys=keys,
            proof=Proof(check, check_timeout) if check is not None else None,
            vouching=vouching,
            signed_by=signed_by,
            allowed=failures,
            now=time.time,
        )

    @property
    def version(self) -> str:
        """The version in use, such as 1.2.0; fetched if there is none yet."""
        return self._in_use().version

    @property
    def files(self) -> Mapping[str, Path]:
        """The files of the version in use: path in the version -> where it lies. Fetched if there is none yet."""
        using = self._in_use()
        manifest = self._cache.manifest(using.folder)
        if manifest is None:
            raise Corrupt(
                "the cache is damaged", where=self._cache.folder, next="start the application again"
            )
        folder = Path(self._cache.files(using.folder))
        return {file.path: folder / file.path for file in manifest.files}

    @property
    def stale(self) -> bool:
        """Whether what was last heard has expired: then nobody can tell whether the version in use is still the newest.
        Nothing is asked for this."""
        return self._updater.is_stale() is not None

    def path(self) -> Path:
        """The folder with the files of the version in use; they are read-only, and stay there until two newer versions
        came. The first call looks for a newer version, later ones do not: `refresh` does.

        Raises Missing (nobody holds the alias), StoreUnavailable (no copy here, and the store out of reach), Corrupt,
        Untrusted, Stale, Unfit (no copy here, and what the store offers is no good).
        """
        return Path(self._cache.files(self._in_use().folder))

    def refresh(self) -> bool:
        """Look for a newer version, and switch to it; True if the version in use changed. One request without a body if
        there is nothing new. While the store cannot be reached and a copy is here: False, and `problem` says why; so it
        is with a version that failed its check, and with an old state of the store.
        Raises as `path`; the version that is in use stays in use then."""
        with self._lock:
            before = self._verified or self._sound_current()
            found = self._follow(self._sound_current() or before)
            return before is None or found.folder != before.folder

    def load(self, loader: Callable[[Path], _T]) -> _T:
        """What `loader` makes of the folder with the files. Where it raises, that is a failure of the version: it is
        tried again, and after the last allowed failure the version before is put in use and loaded instead. Raises what
        the loader raised if there is no version before."""
        while True:
            using = self._in_use()
            try:
                return loader(Path(self._cache.files(using.folder)))
            except Exception as e:
                if not self._go_on(using, e):
                    raise

    def failed(self, why: str) -> bool:
        """The version in use is no good: it gives answers that cannot be, say. After the last allowed failure the
        version before is put in use again, and this one is left alone until it is promoted anew. True if the version in
        use changed. Raises CannotLand, StoreFull."""
        with self._lock:
            using = self._in_use()
            found = self._updater.failed(using, why)
            self._settle(found)
            return found.current.folder != using.folder

    def watch(self, callback: Callable[[Model], object], every: float | str = "5m") -> Watch:
        """Look for newer versions in the background, and call `callback` with this model whenever the version in use
        changed. `every` is in seconds, or such as `5m`: a wait is by chance up to a fifth shorter or longer, and grows
        to an hour while the place is in trouble, for all models that are followed there. An exception of the callback
        is a failure of the version, as with `load`. Call `stop` of what is returned to end it. Raises UsageError."""
        from rote.client.turns import Turns  # as above
        from rote.client.watching import Watch  # as above
        from rote.laws.publishing import polling  # light import, see above
        from rote.wiring import origins  # light import, see above

        place = origins.canonical(self._address, self._base)
        pace = polling.seconds(every)
        turns = Turns(self._shared, pace, self._hear)
        return Watch(self, callback, pace, place=place, turns=turns, using=self._folder)

    # ---- private

    def _folder(self) -> str | None:
        """What the version in use is called in the cache, if there is one; nothing is read or asked."""
        return self._verified.folder if self._verified else None

    def _go_on(self, using: CurrentVersion, why: Exception) -> bool:
        """Count a failure; whether to load again: another version, or this one once more."""
        with self._lock:
            found = self._updater.failed(using, f"{type(why).__name__}: {why}")
            self._settle(found)
            _log.warning("%s@%s: %s cannot be loaded: %s", self.name, self.alias, using.version, why)
            return found.current.folder != using.folder or found.problem is None

    def _settle(self, found: Looked) -> None:
        self._verified = found.current
        if found.problem is not None:
            self._tell(found.current, found.problem)

    def _in_use(self) -> CurrentVersion:
        using = self._verified
        if using is not None:
            return using  # also while another thread brings a newer one
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
            if self._offline:
                raise self._away()
            found = self._look(here)
        except RoteError as e:
            if here is None:
                raise
            self._tell(here, e)
            if not isinstance(e, StoreUnavailable):
                raise
            return here
        self._verified = found.current
        self._judge(found.current, found.problem)
        return found.current

    def _look(self, here: CurrentVersion | None) -> Looked:
        """A look, of which those who share the cache are told."""
        try:
            found = self._updater.look(here, self._sound_current)
        except RoteError as e:
            self._shared.tell(e)
            raise
        self._shared.tell(found.problem)
        return found

    def _hear(self, look: Look) -> bool:
        """Take what somebody else's look led to. False where that is no sound version."""
        with self._lock:
            try:
                here = None if self._offline else self._sound_current()
            except RoteError as e:
                _log.debug("%s@%s: %s", self.name, self.alias, e)
                return False
            if here is None:
                return False
            self._verified = here
            self.problem = None
            self._judge(here, look.problem.error() if look.problem else None)
            return True

    def _judge(self, using: CurrentVersion, problem: RoteError | None) -> None:
        """A look came to an end: is what is in use what it should be?"""
        problem = problem or self._updater.is_stale()
        if problem is not None:
            self._tell(using, problem)
        else:
            self._told = ""

    def _asked(self) -> str:
        from rote.laws.publishing import looks  # light import, see above
        from rote.wiring import origins  # light import, see above

        return looks.asked(origins.canonical(self._address, self._base), self._updater.trusts())

    def _away(self) -> StoreUnavailable:
        where = self._cache.folder
        away = StoreUnavailable(
            "nothing is asked: this application is offline",
            where=where,
            next="unset ROTE_OFFLINE, or offline=False",
        )
        away.retry = False
        return away

    def _tell(self, here: CurrentVersion, why: RoteError) -> None:
        self.problem = why
        text = f"{self.name}@{self.alias}: {why}; serving {here.version}"
        if text != self._told:  # not the same at every look
            _log.warning("%s", text)
        self._told = text

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
        if not self._updater.is_signed(current.folder):
            _log.info("%s@%s: who signed what is in the cache is looked at anew", self.name, self.alias)
            return None
        return current

    def _open(self) -> Origin:
        if self._origin is None:
            from rote.wiring import origins  # light import, see above

            self._origin = origins.at(self._address, self._base)
        return self._origin


def _vouching(identity: str, issuer: str, trust: str) -> tuple[Vouching | None, SignedBy | None]:
    signatory = named(identity, issuer, os.path.abspath(trust) if trust else "")
    if signatory is None:
        return None, None
    from rote.adapters.signing.sigstore import trusted_by  # it needs an extra
    from rote.wiring import identities  # it needs an extra
    from rote.words.landed import SignedBy  # light import, see above

    return identities.vouching(signatory), SignedBy(identity, issuer, trusted_by(signatory))


def _default_cache(store: str | ObjectStore, name: str, alias: str) -> str:
    from rote.laws.models import versions  # light import, see above
    from rote.wiring import origins  # light import, see above
    from rote.words import ids  # light import, see above
    from rote.words.encoding import digest_of  # as above

    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    where = origins.canonical(store)
    return os.path.join(
        home, "rote", "models", digest_of(where.encode())[:16], ids.name(name), versions.alias(alias)
    )
