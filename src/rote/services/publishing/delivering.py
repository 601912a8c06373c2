"""Delivering: the channel of an alias, from the store to a target where applications poll it (docs/format.md, 10.4)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from rote.errors import Conflict, Corrupt, NotFound, Refused, Unknown
from rote.ports.hosting import ReleaseHost, Told
from rote.services.models.channels import MAX_BYTES
from rote.services.models.registry import Registry
from rote.words.channel import AliasMove, Channel
from rote.words.encoding import with_check, without_check
from rote.words.publication import ManifestRef

_TRIES = 8

Seal = Callable[[Channel, Channel | None], Channel]
"""Completes a document that takes the place of another: its expiry, its signatures."""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A channel at a target: `version` is what it names there now; `moved` tells whether this call moved it."""

    alias: str
    version: str
    seq: int
    moved: bool


class Delivering:
    """Brings channels to one target, never back."""

    def __init__(self, registry: Registry, host: ReleaseHost, seal: Seal) -> None:
        self._registry = registry
        self._host = host
        self._seal = seal

    def deliver(self, model: str, alias: str, manifest_of: Callable[[str], ManifestRef]) -> Delivered:
        """Bring the target's channel to where the store's is; one that is there, or farther, stays. `manifest_of` tells
        of a version's manifest at the target, and publishes the version if need be.

        Raises Refused if the target's channel was moved by another store; Missing, StoreUnavailable.
        """
        for _ in range(_TRIES):
            ours = self._ours(model, alias)
            told, theirs = self._theirs(model, alias)
            if theirs is not None:
                self._refuse_apart(ours, theirs)
                if theirs.seq > ours.seq or (
                    theirs.seq == ours.seq and theirs.manifest == manifest_of(ours.version)
                ):
                    return Delivered(alias=alias, version=theirs.version, seq=theirs.seq, moved=False)
                self._refuse_other_expiry(ours, theirs)
            # With the same `seq`, too: a manifest that somebody deleted was written anew, by a rote that says more.
            document = self._document(ours, theirs, manifest_of(ours.version))
            try:
                self._host.move(model, alias, document, told)
            except (Conflict, Unknown):
                continue  # others moved it, or this did: look again
            return Delivered(alias=alias, version=ours.version, seq=ours.seq, moved=True)
        raise Conflict(f"{model}@{alias}", where=self._host.url, next="try again")

    def _ours(self, model: str, alias: str) -> Channel:
        held = self._registry.channels.read(model, alias)
        if held is None:
            raise Refused(
                f"nobody holds {model}@{alias} yet",
                safe="nothing was changed",
                next=f"rote promote {model}@VERSION {alias}",
            )
        return held.channel

    def _theirs(self, model: str, alias: str) -> tuple[Told | None, Channel | None]:
        try:
            told = self._host.channel(model, alias)
        except NotFound:
            return None, None
        assert told is not None, "without an etag it is always told"
        where = f"{self._host.url}: {model}@{alias}"
        try:
            return told, without_check(told.data, Channel, where)
        except Corrupt as e:
            raise Corrupt(
                f"the channel there is damaged, and nobody puts another in place of what cannot be read: {e.what}",
                where=where,
                safe="applications go on with what they have",
                next=f"delete it there, then rote publish {model}@{alias}",
            ) from e

    def _refuse_apart(self, ours: Channel, theirs: Channel) -> None:
        """The moves that both tell of must be the same; else two stores deliver to one target."""
        mine = {move.seq: move for move in self._moves(ours, theirs)}
        other = next((m for m in theirs.history if m.seq in mine and mine[m.seq].nonce != m.nonce), None)
        if other is None:
            return
        raise Refused(
            f"{ours.model}@{ours.alias} was moved there by another store: move {other.seq} names {other.version} "
            f"({other.by}, {other.at}), here it names {mine[other.seq].version}",
            where=self._host.url,
            safe="the channel there is as it was",
            next="give each store a target of its own, or delete the channel there if its store is gone for good",
        )

    def _refuse_other_expiry(self, ours: Channel, theirs: Channel) -> None:
        """Two documents with one `seq` must say the same; readers take the later one for a forgery otherwise."""
        if theirs.seq == ours.seq and self._seal(ours, theirs).expires != theirs.expires:
            raise Refused(
                f"the manifest of {ours.model}@{ours.version} was written anew there, and models.{ours.model}.expires "
                f"is not what it was when {ours.alias} was moved",
                where=self._host.url,
                safe="the channel there is as it was; applications that have the version stay with it",
                next=f"rote model renew {ours.model}",
            )

    def _moves(self, ours: Channel, theirs: Channel) -> list[AliasMove]:
        if theirs.seq >= ours.history[-1].seq:
            return list(ours.history)
        return list(self._registry.channels.history(ours.model, ours.alias))

    def _document(self, ours: Channel, theirs: Channel | None, manifest: ManifestRef) -> bytes:
        """The document as it lies at a target: with the manifest, sealed, with as many moves as fit."""
        whole = msgspec.structs.replace(ours, manifest=manifest)
        for kept in range(len(ours.history), 0, -1):
            cut = msgspec.structs.replace(whole, history=ours.history[:kept])
            if kept > 1 and len(with_check(cut)) > MAX_BYTES:
                continue
            document = with_check(self._seal(cut, theirs))
            if len(document) <= MAX_BYTES:
                return document
        raise Refused(f"the channel document of {ours.model}@{ours.alias} has no room for what is to be signed",
                      safe="the channel there is as it was", next="promote with a shorter --why")  # fmt: skip
