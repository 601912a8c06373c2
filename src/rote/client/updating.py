"""One look for a newer version: which document is followed, what is brought, proved and put in use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from rote.adapters.landing.cache import Cache
from rote.errors import Corrupt, RoteError, Stale, Unfit
from rote.laws.publishing import accepting, trust
from rote.laws.publishing.accepting import Verdict
from rote.services.models.channels import decoded, key
from rote.words.channel import Channel
from rote.words.landed import CurrentVersion, Seen, SignedBy, Trial

if TYPE_CHECKING:
    from rote.adapters.landing.proving import Proof
    from rote.ports.hosting import Told
    from rote.services.models.vouching import Vouching
    from rote.wiring.origins import Origin

_log = logging.getLogger("rote.client")


class Looked(msgspec.Struct, frozen=True):
    """What a look led to: the version to be used, and why it is not the one that the channel names, if so."""

    current: CurrentVersion
    problem: RoteError | None = None


class Updater:
    """Follows one alias into one cache (docs/format.md, 10.6 and 10.9)."""

    def __init__(
        self,
        cache: Cache,
        name: str,
        alias: str,
        *,
        origin: Callable[[], Origin],
        keys: Sequence[str],
        proof: Proof | None,
        vouching: Vouching | None = None,
        signed_by: SignedBy | None = None,
        allowed: int,
        now: Callable[[], float],
    ) -> None:
        """`keys` are the public keys that the application was shipped with; a version that failed `allowed` times is
        left alone. `vouching` holds each version against the signature of an identity, `signed_by` is what is kept
        of that."""
        self._cache = cache
        self._name = name
        self._alias = alias
        self._origin = origin
        self._shipped = trust.checked(keys)
        self._proof = proof
        self._vouching = vouching
        self._signed_by = signed_by
        self._allowed = allowed
        self._now = now
        self._where = key(name, alias)

    # ---- what is known

    def known(self) -> tuple[Seen, Channel] | None:
        """What was accepted last, if this application would accept it now. Raises CannotLand."""
        seen = self._cache.seen()
        if seen is None:
            return None
        try:
            document = seen.document.encode()
            channel = decoded(self._name, self._alias, document)
            if seen.shipped != self._shipped:
                trust.verify(document, channel, self._shipped, self._cache.folder)
                seen = msgspec.structs.replace(seen, shipped=self._shipped, trusted=self._follow(channel))
        except RoteError:
            return None
        return seen, channel

    def trusts(self) -> list[str]:
        """Whom this application believes, in words: two who believe others are not told the same."""
        by = self._signed_by
        return [*self._shipped, *([by.name, by.issuer, by.trust] if by else [])]

    def is_signed(self, folder: str) -> bool:
        """Whether a version in the cache was found signed by the identity that is asked for, if one is."""
        return self._signed_by is None or self._signed_by in self._cache.signed(folder)

    def is_stale(self) -> Stale | None:
        """Whether what was accepted last has expired, in words."""
        known = self.known()
        if known is None or not accepting.is_stale(known[1], self._now(), self._where):
            return None
        return self._stale(known[1], known[0].url)

    def _follow(self, channel: Channel) -> list[str]:
        """The keys to trust once this document was accepted."""
        if not self._shipped:
            return []
        return trust.checked(channel.keys) if channel.keys else []

    # ---- a look

    def look(self, sound: CurrentVersion | None, verified: Callable[[], CurrentVersion | None]) -> Looked:
        """Look, and put in use what is newer. `sound` is the version in use, None if none is; `verified` reads it
        again from the cache. Raises what keeps a first version from being used, and whatever leaves the one in use
        as it is."""
        known = self.known()
        origin = self._origin()
        told = origin.channel(self._name, self._alias, self._etag(known, origin))
        if told is None:
            assert known is not None
            channel, document = known[1], None
        else:
            channel, document = self._read(told, known, origin), told
        old = self._old(channel, known, sound, origin)
        if old is not None:
            if sound is None:
                raise old
            return Looked(sound, old)
        trials = known[0].trials if known is not None else []
        if sound is not None and self._is_settled(channel, trials, sound):
            if document is not None:
                self._note(document, channel, origin)
            return Looked(sound, self._kept_from(channel, trials, sound))
        return self._change(origin, channel, document, verified)

    def _etag(self, known: tuple[Seen, Channel] | None, origin: Origin) -> str | None:
        return known[0].etag or None if known is not None and known[0].url == origin.url else None

    def _read(self, told: Told, known: tuple[Seen, Channel] | None, origin: Origin) -> Channel:
        channel = origin.decoded(self._name, self._alias, told)
        trusted = self._shipped
        if known is not None and known[0].trusted:
            trusted = known[0].trusted
        where = f"{origin.url}: {self._where}"
        trust.verify(told.data, channel, trusted, where)
        accepting.is_stale(channel, 0.0, where)  # what is written down can be read later
        self._follow(channel)
        return channel

    def _old(
        self,
        channel: Channel,
        known: tuple[Seen, Channel] | None,
        current: CurrentVersion | None,
        origin: Origin,
    ) -> Corrupt | None:
        """What is to be said of a document that is an old state, or another one with a number that is known."""
        reached = current.seq if current else 0
        verdict = accepting.judge(known[1] if known else None, reached, channel)
        if verdict not in (Verdict.OLD, Verdict.OTHER):
            return None
        return _old(channel, known[1] if known else None, current, verdict, origin.url)

    def _is_settled(self, channel: Channel, trials: Sequence[Trial], sound: CurrentVersion) -> bool:
        """Whether there is nothing to do: this move was reached, and what it names is in use, or blocked."""
        if sound.seq != channel.seq:
            return False
        return sound.snapshot == channel.snapshot.id or self._blocked(channel, trials) is not None

    def _blocked(self, channel: Channel, trials: Sequence[Trial]) -> Trial | None:
        return accepting.blocking(trials, channel, self._allowed)

    def _kept_from(
        self, channel: Channel, trials: Sequence[Trial], sound: CurrentVersion
    ) -> RoteError | None:
        if sound.snapshot == channel.snapshot.id:
            return None
        blocked = self._blocked(channel, trials)
        return _unfit(channel, blocked, sound) if blocked else None

    def _note(self, told: Told, channel: Channel, origin: Origin) -> None:
        """The document was read anew though nothing in it is: next time that is to be one request without a body."""
        try:
            with self._cache.locked():
                now = self.known()
                if now is None or now[1].seq == channel.seq:
                    self._cache.remember(self._seen(told, channel, now, origin))
        except (
            RoteError
        ) as e:  # a cache that may only be read serves as well; the next look costs a little more
            _log.debug("%s@%s: %s", self._name, self._alias, e)

    def _seen(self, told: Told, channel: Channel, known: tuple[Seen, Channel] | None, origin: Origin) -> Seen:
        trusted = self._follow(channel) or (known[0].trusted if known else [])
        return Seen(
            url=origin.url,
            etag=told.etag,
            document=told.data.decode(),
            shipped=self._shipped,
            trusted=trusted,
            trials=known[0].trials if known else [],
        )

    # ---- a change, with the lock held

    def _change(
        self,
        origin: Origin,
        channel: Channel,
        told: Told | None,
        verified: Callable[[], CurrentVersion | None],
    ) -> Looked:
        with self._cache.locked():
            # Another process may have done it meanwhile, or something newer.
            current = self._cache.current()
            if current is not None and (current.model, current.alias) != (self._name, self._alias):
                raise Corrupt(
                    f"this cache belongs to {current.model}@{current.alias}",
                    where=self._cache.folder,
                    safe="nothing in it was changed",
                    next="give every model and alias a cache of its own",
                )
            known = self.known()
            sound = verified()
            old = self._old(channel, known, current, origin)
            if old is not None:
                if sound is None:
                    raise old
                return Looked(sound)
            if sound is None and accepting.is_stale(channel, self._now(), self._where):
                raise self._stale(channel, origin.url)
            if told is not None:
                seen = self._seen(told, channel, known, origin)
                self._cache.remember(seen)
            else:
                assert known is not None
                seen = known[0]
            blocked = self._blocked(channel, seen.trials)
            if blocked is not None:
                return self._stay(channel, blocked, sound, current)
            return self._install(origin, channel, seen, current, sound)

    def _stay(
        self, channel: Channel, blocked: Trial, sound: CurrentVersion | None, current: CurrentVersion | None
    ) -> Looked:
        why = _unfit(channel, blocked, sound)
        if sound is None:
            raise why
        if sound.seq != channel.seq:
            sound = msgspec.structs.replace(sound, seq=channel.seq)
            self._cache.activate(sound)
        return Looked(sound, why)

    def _install(
        self,
        origin: Origin,
        channel: Channel,
        seen: Seen,
        current: CurrentVersion | None,
        sound: CurrentVersion | None,
    ) -> Looked:
        folder = self._cache.sound(channel.snapshot.id)
        if folder is None or not self.is_signed(folder):
            self._look_who_signed(origin, channel)
        if folder is None:
            origin.bring(channel, self._cache)
            folder = self._cache.sound(channel.snapshot.id)
        if folder is None:
            raise Corrupt(
                "the files that were written are not what they should be",
                where=self._cache.folder,
                next="check the disk",
            )
        if self._signed_by is not None:
            self._cache.sign(folder, self._signed_by)
        if self._proof is not None and (sound is None or sound.folder != folder):
            why = self._proof.why_not(self._cache.files(folder))
            if why is not None:
                return self._not_good(channel, seen, sound, why)
        new = self._following(channel, folder, current)
        self._cache.activate(new)
        return Looked(new)

    def _look_who_signed(self, origin: Origin, channel: Channel) -> None:
        """Before any file is brought: whether the identity that this application asks for has signed them."""
        if self._vouching is None:
            return
        manifest = None
        if channel.manifest:
            manifest = origin.manifest(self._name, channel.version, channel.manifest, channel.snapshot)
        origin.hold_against(self._vouching, f"{self._name}@{channel.version}", manifest)

    def _following(self, channel: Channel, folder: str, current: CurrentVersion | None) -> CurrentVersion:
        previous: str | None = None
        before: str | msgspec.UnsetType = msgspec.UNSET
        if current is not None and current.snapshot == channel.snapshot.id:
            # A copy that replaces a damaged one of the same version leaves the version before as it was.
            previous, before = current.previous, current.before
        elif current is not None:
            previous, before = current.folder, current.version
        return CurrentVersion(
            model=self._name,
            alias=self._alias,
            seq=max(channel.seq, current.seq if current else 0),
            version=channel.version,
            snapshot=channel.snapshot.id,
            folder=folder,
            previous=previous,
            issued=channel.issued,
            before=before,
        )

    def _not_good(self, channel: Channel, seen: Seen, sound: CurrentVersion | None, why: str) -> Looked:
        trials = accepting.failed(seen.trials, channel, f"the check failed: {why}")
        self._cache.remember(msgspec.structs.replace(seen, trials=trials))
        error = _unfit(channel, trials[0], sound)
        if sound is None:
            raise error
        return Looked(sound, error)

    # ---- what the application says of a version

    def failed(self, using: CurrentVersion, why: str) -> Looked:
        """The version in use is no good, says the application. Once it has said so often enough, the version before is
        put in use again, and this one left alone. Raises CannotLand, StoreFull."""
        with self._cache.locked():
            current, known = self._cache.current(), self.known()
            if current is None or current.folder != using.folder or known is None:
                return Looked(current or using)  # it is not in use any more
            seen, channel = known
            trials = accepting.failed(seen.trials, self._named_by(channel, using), why)
            self._cache.remember(msgspec.structs.replace(seen, trials=trials))
            if trials[0].failures < self._allowed:
                return Looked(current)
            back = self._before(current, trials)
            error = _unfit_version(self._name, self._alias, current.version, trials[0], back)
            if back is None:
                return Looked(current, error)
            self._cache.activate(back)
            return Looked(back, error)

    def _named_by(self, channel: Channel, using: CurrentVersion) -> Channel:
        """The document as if it named what is in use: it may name something that failed before."""
        if channel.snapshot.id == using.snapshot:
            return channel
        other = msgspec.structs.replace(channel.snapshot, id=using.snapshot)
        return msgspec.structs.replace(channel, snapshot=other)

    def _before(self, current: CurrentVersion, trials: Sequence[Trial]) -> CurrentVersion | None:
        """The version before as the one in use, if it is still sound and did not fail as well."""
        folder = current.previous
        if folder is None or not isinstance(current.before, str) or self._cache.damage(folder):
            return None
        if not self.is_signed(folder):
            return None
        manifest = self._cache.manifest(folder)
        if manifest is None:
            return None
        if any(t.snapshot == manifest.snapshot and t.failures >= self._allowed for t in trials):
            return None
        return msgspec.structs.replace(
            current,
            version=current.before,
            snapshot=manifest.snapshot,
            folder=folder,
            previous=current.folder,
            before=current.version,
        )

    def _stale(self, channel: Channel, where: str) -> Stale:
        return Stale(
            f"what is said of {self._name}@{self._alias} expired at {channel.expires}: nobody can tell whether "
            f"{channel.version} is still the newest",
            where=where,
            safe="a version that is in use stays in use",
            next=f"rote model renew {self._name} {self._alias}; or set this machine's clock",
        )


def _unfit(channel: Channel, trial: Trial, sound: CurrentVersion | None) -> Unfit:
    return _unfit_version(channel.model, channel.alias, channel.version, trial, sound)


def _unfit_version(model: str, alias: str, version: str, trial: Trial, sound: CurrentVersion | None) -> Unfit:
    times = "once" if trial.failures == 1 else f"{trial.failures} times"
    safe = f"{sound.version} is in use" if sound is not None else "nothing was put in use"
    return Unfit(
        f"{model}@{version} failed here {times}: {trial.why}",
        safe=safe,
        next=f"rote rollback {model} {alias}, or release a better one",
    )


def _old(
    channel: Channel, known: Channel | None, current: CurrentVersion | None, verdict: Verdict, where: str
) -> Corrupt:
    reached, version = max(
        (known.seq, known.version) if known else (0, ""),
        (current.seq, current.version) if current else (0, ""),
    )
    offers = f"the store offers move {channel.seq} of {channel.model}@{channel.alias} ({channel.version})"
    what = (
        f"{offers}, but move {reached} ({version}) was seen already: this is an old state of the store"
        if verdict is Verdict.OLD
        else f"{offers}, but another move {reached} ({version}) was seen already: this is not the store that it was"
    )
    return Corrupt(
        what,
        where=where,
        safe="nothing was installed",
        next="if the store was made anew on purpose, delete the cache",
    )
