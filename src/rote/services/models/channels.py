"""Channels: small documents that say which version an alias names, moved by compare-and-swap (docs/format.md, 10)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from rote.errors import Conflict, Corrupt, TooNew, UsageError
from rote.laws.models import versions
from rote.ports import Clock, Found, ObjectStore
from rote.services.store import conditional
from rote.words.channel import AliasArchive, AliasMove, Channel
from rote.words.encoding import FORMAT, with_check, without_check
from rote.words.ids import name as parse_name
from rote.words.snapshot import SnapshotRef

MAX_BYTES = 4096
"""A channel document is never larger than this."""
_KEPT_BYTES = 2048
_MAX_WHY = 500
_MAX_BY = 200
_ATTEMPTS = 1000


class Target(msgspec.Struct, frozen=True):
    """Where an alias is to be moved: the version and its snapshot. `to` is the seq of the move that is taken again."""

    version: str
    snapshot: SnapshotRef
    to: int | None = None


class Held(msgspec.Struct, frozen=True):
    """A channel document as it was read, with the etag for moving it on."""

    channel: Channel
    etag: str


Decide = Callable[[Channel | None], Target | None]
"""Given who holds the alias now: where to move it, or None to leave it. Called again whenever somebody was faster."""


Seal = Callable[[Channel, Channel | None], Channel]
"""Given a document and the one it takes the place of: the same with its expiry, keys and signatures."""


def _unsealed(channel: Channel, former: Channel | None) -> Channel:
    return channel


def key(model: str, alias: str) -> str:
    """The key of a channel document. Raises BadName."""
    return f"models/{parse_name(model, 'model name')}/aliases/{versions.alias(alias)}"


class Channels:
    """The aliases of models in one store."""

    def __init__(
        self, store: ObjectStore, clock: Clock | None = None, by: str = "", seal: Seal = _unsealed
    ) -> None:
        """A reader needs only the store; to move an alias, `clock` and `by` (user@host) say when and who, and `seal`
        completes the document."""
        self._store = store
        self._seal = seal
        self._clock = clock
        self._by = by

    def read(self, model: str, alias: str) -> Held | None:
        """Who holds the alias, in one GET; None if nobody does. Raises BadName, Corrupt, TooNew."""
        where = key(model, alias)
        found = conditional.look(self._store, where)
        return _decoded(model, alias, found) if found else None

    def aliases(self, model: str) -> list[str]:
        """The model's aliases, sorted (a list, and so a hint: one that was made this moment may not be in it)."""
        prefix = f"models/{parse_name(model, 'model name')}/aliases/"
        rest = (meta.key.removeprefix(prefix) for meta in self._store.list(prefix))
        return sorted(alias for alias in rest if "/" not in alias)

    def move(self, model: str, alias: str, decide: Decide, why: str = "") -> Channel:
        """Move the alias where `decide` says; returns the channel that this made, or found good as it was.

        Raises BadName, UsageError (a `why` too long or with control characters), Conflict if others moved it
        a thousand times meanwhile.
        """
        if self._clock is None:
            raise UsageError("these channels were opened for reading only")
        _check_why(why)
        where = key(model, alias)
        found = conditional.look(self._store, where)
        for _ in range(_ATTEMPTS):
            held = _decoded(model, alias, found) if found else None
            target = decide(held.channel if held else None)
            if target is None:
                assert held is not None, "nothing can be left as it is where nothing is"
                return held.channel
            channel = self._next(model, alias, held, target, why)
            put = conditional.put(self._store, where, with_check(channel), held.etag if held else None)
            if put.etag is not None or self._contains(model, alias, put.found, channel.history[0]):
                return channel
            found = put.found
        raise Conflict(where, safe="the alias is as others left it", next="try again")

    def _contains(self, model: str, alias: str, found: Found | None, mine: AliasMove) -> bool:
        """Whether a write whose reply was lost was applied, and others moved the alias on since."""
        if found is None:
            return False
        channel = _decoded(model, alias, found).channel
        # What others wrote since is in the document itself, unless they dropped it within this moment.
        recent = channel.history if channel.history[-1].seq <= mine.seq else self._moves(channel)
        return any(move == mine for move in recent)

    def history(self, model: str, alias: str) -> list[AliasMove]:
        """Every move of the alias, newest first, none missing. Raises Corrupt if one is."""
        held = self.read(model, alias)
        return list(self._moves(held.channel)) if held else []

    def _moves(self, channel: Channel) -> Iterator[AliasMove]:
        """The moves up to the one that made `channel`, newest first; the archive is read only when it is reached."""
        yield from channel.history
        missing = channel.history[-1].seq - 1
        if missing < 1:
            return
        where = key(channel.model, channel.alias) + ".history/"
        archived: dict[int, AliasMove] = {}
        for meta in self._store.list(where):
            for move in without_check(self._store.get(meta.key).data, AliasArchive, meta.key).moves:
                archived[move.seq] = move
        for seq in range(missing, 0, -1):
            if seq not in archived:
                raise Corrupt(
                    f"move {seq} of this alias is not in its history", where=where, next="rote store check"
                )
            yield archived[seq]

    def earlier(self, channel: Channel) -> Iterator[AliasMove]:
        """The promotions that were in force before the present one, newest first, rollbacks followed to what they took
        again: what a rollback goes back to, and one after it."""
        moves = self._moves(channel)
        seen: list[AliasMove] = []

        def at(seq: int) -> AliasMove:
            while channel.seq - seq >= len(seen):
                seen.append(next(moves))
            return seen[channel.seq - seq]

        def origin(move: AliasMove) -> AliasMove:
            while move.to is not None:
                move = at(move.to)
            return move

        present = origin(at(channel.seq))
        while present.seq > 1:
            present = origin(at(present.seq - 1))
            yield present

    def last_of(self, channel: Channel, version: str) -> AliasMove | None:
        """The newest move of the alias to `version`, or None if it never named it."""
        return next((move for move in self._moves(channel) if move.version == version), None)

    def _next(self, model: str, alias: str, held: Held | None, target: Target, why: str) -> Channel:
        assert self._clock is not None
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        old = held.channel if held else None
        by = _cut(self._by, _MAX_BY)
        move = AliasMove(
            seq=(old.seq if old else 0) + 1,
            version=target.version,
            at=now,
            by=by,
            why=why,
            nonce=self._clock.token(8),
            to=target.to,
        )
        plain = Channel(
            model=model,
            alias=alias,
            seq=move.seq,
            version=target.version,
            snapshot=target.snapshot,
            issued=now,
            by=by,
            why=why,
            history=[move, *(old.history if old else [])],
        )
        channel = self._seal(plain, old)
        if len(with_check(channel)) <= MAX_BYTES:
            return channel
        kept = 1
        while len(with_check(_shortened(plain, kept + 1))) <= _KEPT_BYTES:
            kept += 1
        self._archive(model, alias, plain.history[kept:])
        return self._fitting(self._seal(_shortened(plain, kept), old))

    def _fitting(self, channel: Channel) -> Channel:
        """Raises UsageError for a document that is too large with one move only."""
        if len(with_check(channel)) > MAX_BYTES:
            raise UsageError(
                f"this channel document has more than {MAX_BYTES} bytes",
                next="fewer keys, or a shorter reason",
            )
        return channel

    def _archive(self, model: str, alias: str, moves: list[AliasMove]) -> None:
        """Put aside moves that were in force when they were read. Already there is as good."""
        where = f"{key(model, alias)}.history/{moves[-1].seq:010d}-{moves[0].seq:010d}"
        conditional.put(self._store, where, with_check(AliasArchive(moves=moves)), None)


def _shortened(channel: Channel, moves: int) -> Channel:
    return msgspec.structs.replace(channel, history=channel.history[:moves])


def _check_why(why: str) -> None:
    if len(why.encode("utf-8", "surrogatepass")) > _MAX_WHY or not why.isprintable():
        raise UsageError(
            f"a reason is one line of at most {_MAX_WHY} bytes, without control characters",
            next="say it shorter, on one line",
        )


def _cut(text: str, limit: int) -> str:
    clean = "".join(c if c.isprintable() else "?" for c in text)
    return clean.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def _decoded(model: str, alias: str, found: Found) -> Held:
    return Held(decoded(model, alias, found.data), found.etag)


def decoded(model: str, alias: str, data: bytes) -> Channel:
    """The channel document of an alias as it was read. Raises Corrupt, TooNew."""
    where = key(model, alias)
    if len(data) > MAX_BYTES:
        raise Corrupt(f"this channel document is larger than {MAX_BYTES} bytes", where=where)
    channel = without_check(data, Channel, where)
    if channel.format > FORMAT:
        raise TooNew(
            f"this channel document has format {channel.format}; this rote reads up to {FORMAT}",
            where=where,
            next="pip install --upgrade rote",
        )
    if (channel.model, channel.alias) != (model, alias) or not channel.history:
        raise Corrupt(
            f"this channel document belongs to {channel.model}@{channel.alias}",
            where=where,
            next="rote store check",
        )
    return channel
