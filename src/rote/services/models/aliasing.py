"""Aliases from one store to another, with their history; never one that was moved on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from rote.errors import Conflict
from rote.laws.store.mirroring import Standing, standing
from rote.ports import ObjectStore
from rote.services.models.channels import Channels, Held, key
from rote.services.models.registry import version_key
from rote.services.store import conditional
from rote.services.store.roots import Roots
from rote.words.channel import Channel
from rote.words.encoding import with_check
from rote.words.version import Version

_TRIES = 8


class Outcome(msgspec.Struct, frozen=True):
    """What became of an alias: it was `sent`, or was there already, or was left alone: `why`."""

    sent: bool = False
    why: str = ""


_SENT, _THERE = Outcome(sent=True), Outcome()


class Aliases:
    """The aliases of two stores. The versions they name are copied first."""

    def __init__(self, source: ObjectStore, target: ObjectStore) -> None:
        self._source_store, self._target_store = source, target
        self._source, self._target = Channels(source), Channels(target)
        self._versions = Roots(target)

    def below(self, prefix: str) -> Iterator[tuple[str, str]]:
        """(model, alias) of every alias of the source whose key begins with `prefix`."""
        for meta in self._source_store.list(prefix):
            names = meta.key.split("/")
            if len(names) == 4 and names[2] == "aliases":
                yield names[1], names[3]

    def copy(self, model: str, alias: str) -> Outcome:
        """Bring the target's alias to where the source's is, with every move in between, unless it is as far there, or
        farther. Raises Corrupt."""
        for _ in range(_TRIES):
            ours, theirs = self._source.read(model, alias), self._target.read(model, alias)
            if ours is None:
                return _THERE
            if theirs is not None:
                stands = standing(self._source.history(model, alias), self._target.history(model, alias))
                if stands in (Standing.EQUAL, Standing.AHEAD):
                    return _THERE
                if stands is Standing.APART:
                    return Outcome(why=_apart(ours.channel, theirs.channel))
            moved = self._move(ours.channel, theirs)
            if moved is not None:
                return moved
        raise Conflict(key(model, alias), safe="the alias is as others left it", next="try again")

    def _move(self, channel: Channel, theirs: Held | None) -> Outcome | None:
        """None: others moved it meanwhile."""
        found = self._versions.get(version_key(channel.model, channel.version), Version)
        if found is None:
            return Outcome(why=f"it names {channel.version}, which the target does not have")
        if found[0].snapshot.id != channel.snapshot.id:
            return Outcome(why=f"it names {channel.version}, which has other files there")
        self._archive(channel.model, channel.alias)
        moved = msgspec.structs.replace(channel, snapshot=found[0].snapshot)
        etag = theirs.etag if theirs else None
        put = conditional.put(self._target_store, key(channel.model, channel.alias), with_check(moved), etag)
        return None if put.etag is None else _SENT

    def _archive(self, model: str, alias: str) -> None:
        """The moves that the document has dropped; already there is as good."""
        prefix = f"{key(model, alias)}.history/"
        there = {meta.key for meta in self._target_store.list(prefix)}
        for meta in self._source_store.list(prefix):
            if meta.key not in there:
                conditional.put(self._target_store, meta.key, self._source_store.get(meta.key).data, None)


def _apart(ours: Channel, theirs: Channel) -> str:
    return (
        f"it was moved on both sides: it names {ours.version} here (move {ours.seq}, {ours.by}) "
        f"and {theirs.version} there (move {theirs.seq}, {theirs.by})"
    )
