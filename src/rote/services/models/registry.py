"""The registry: models, their versions, and the aliases that name them (docs/format.md, 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from rote.errors import BadName, Missing, Refused
from rote.laws.models import versions
from rote.laws.models.versions import Semver
from rote.ports import Clock, ObjectStore
from rote.services.models.channels import Channels, Seal, Target
from rote.services.models.remarking import Remarking
from rote.services.store import abreast, conditional, fence
from rote.services.store.roots import Roots
from rote.words import ids
from rote.words.channel import AliasMove, Channel
from rote.words.encoding import without_check
from rote.words.ids import nearest, shown
from rote.words.record import Fence
from rote.words.snapshot import SnapshotRecord
from rote.words.version import Version

_AFTER_ALL = "~"  # greater than every character that a key may have


class ModelSummary(msgspec.Struct, frozen=True):
    """A model: its highest version, how many it has, and alias -> version."""

    name: str
    newest: str
    versions: int
    aliases: dict[str, str]


def version_key(model: str, version: str) -> str:
    """The key of a version's root. Raises BadName."""
    return f"models/{ids.name(model, 'model name')}/versions/{versions.release(version)}"


class Registry:
    """Models in one store. Reading a version by number or alias costs one or two GETs."""

    def __init__(
        self, store: ObjectStore, roots: Roots, clock: Clock, by: str, seal: Seal | None = None
    ) -> None:
        """`by` (user@host) goes into the history of aliases; `seal` completes channel documents."""
        self._store = store
        self._roots = roots
        self.channels = Channels(store, clock, by, seal) if seal else Channels(store, clock, by)
        self.remarks = Remarking(store, clock, by)

    def models(self) -> list[ModelSummary]:
        """Every model that has a version in force, by name."""
        found = []
        for name in self._names():
            numbers = self.numbers(name)
            if numbers:
                found.append(ModelSummary(name, str(numbers[0]), len(numbers), self.aliases(name)))
        return sorted(found, key=lambda model: model.name)

    def _names(self) -> Iterator[str]:
        after = ""
        while True:
            first = next(iter(self._store.list("models/", after)), None)
            if first is None:
                return
            name = first.key.split("/")[1]
            yield name
            after = f"models/{name}/{_AFTER_ALL}"

    def numbers(self, model: str) -> list[Semver]:
        """The version numbers of a model in force, highest first; empty if there is no such model."""
        return [number for number, _ in self._in_force(model)]

    def _in_force(self, model: str) -> list[tuple[Semver, Version]]:
        """Every version of a model, highest first; one GET each, from a distant store side by side."""
        listed = self._listed(model)
        found = abreast.each(self._store, lambda number: self._find(model, str(number)), listed)
        return [(number, version) for number, version in zip(listed, found, strict=True) if version]

    def _listed(self, model: str) -> list[Semver]:
        """The numbers of a model that are listed, highest first: a hint, for one may not be in force."""
        prefix = f"models/{ids.name(model, 'model name')}/versions/"
        listed = [self._number(key.removeprefix(prefix)) for key in self._roots.list(prefix)]
        return sorted((number for number in listed if number), reverse=True)

    def highest(self, model: str, below: Semver | None = None) -> Version | None:
        """The highest version of a model (that is lower than `below`), or None: one listing and a GET, however many
        versions there are. Raises BadName."""
        lower = (number for number in self._listed(model) if below is None or number < below)
        return next((found for number in lower if (found := self._find(model, str(number)))), None)

    def _number(self, text: str) -> Semver | None:
        try:
            return versions.release(text)
        except BadName:
            return None  # a listing is a hint: what is no version number was not written by a rote

    def _find(self, model: str, version: str) -> Version | None:
        found = self._roots.get(version_key(model, version), Version)
        return found[0] if found else None

    def versions(self, model: str) -> list[Version]:
        """All versions of a model, highest first. Raises Missing if it has none, with the nearest name."""
        found = [version for _, version in self._in_force(model)]
        if not found:
            raise self._no_model(model)
        return found

    def find(self, model: str, version: str) -> Version | None:
        """The version of exactly this number, or None. Raises BadName."""
        return self._find(model, version)

    def get(self, model: str, ref: str) -> Version:
        """The version that `ref` (a number `X.Y.Z` or an alias) names. Raises Missing, with what there is; BadName."""
        if versions.is_version(ref):
            found = self._find(model, ref)
            if found is None:
                raise self._no_version(model, ref)
            return found
        held = self.channels.read(model, ref)
        if held is None:
            raise self._no_alias(model, ref)
        found = self._find(model, held.channel.version)
        if found is None:
            raise self._no_version(model, held.channel.version)
        return found

    def aliases(self, model: str) -> dict[str, str]:
        """Alias -> version, of every alias of a model."""
        held = {alias: self.channels.read(model, alias) for alias in self.channels.aliases(model)}
        return {alias: h.channel.version for alias, h in held.items() if h}

    def history(self, model: str, alias: str) -> list[AliasMove]:
        """Every move of an alias, newest first. Raises Missing if nobody ever held it."""
        moves = self.channels.history(model, alias)
        if not moves:
            raise self._no_alias(model, alias)
        return moves

    def promote(self, model: str, version: str, alias: str, why: str = "") -> Channel:
        """Point the alias at a version (a number, or another alias, whose holder is taken); returns the channel then in
        force. Moving it to where it is changes nothing. Raises Missing, BadName, UsageError; Refused for a version that
        is deprecated."""
        versions.alias(alias)
        wanted = self.get(model, version)
        target: Target | None = None

        def decide(now: Channel | None) -> Target | None:
            nonlocal target
            there = now is not None and now.version == wanted.version
            if not there:
                self._refuse_deprecated(model, wanted.version, alias)
            target = None if there else Target(wanted.version, wanted.snapshot)
            return target

        channel = self.channels.move(model, alias, decide, why)
        return self._must_stay(channel) if target else channel

    def rollback(
        self,
        model: str,
        alias: str = "prod",
        *,
        to: str | None = None,
        why: str = "",
        say: Callable[[str], None] | None = None,
    ) -> Channel:
        """Point the alias back: at the version it named before, or at `to`, which it must have named once; returns the
        channel then in force.

        A rollback undoes the last promotion that is in force; once more undoes the one before it, and so on. Versions
        that are deprecated or gone are passed over, and `say` told of them. Raises Refused when nothing is left to go
        back to, or `to` is deprecated; Missing if `to` is gone.
        """

        def decide(now: Channel | None) -> Target:
            if now is None:
                raise Refused(
                    f"nobody holds {model}@{alias} yet",
                    safe="nothing was changed",
                    next=f"rote promote {model}@VERSION {alias}",
                )
            if to is not None:
                move = self._back_to(now, to)
                version = self.get(model, move.version)
            else:
                move, version = self._back(now, say)
            return Target(version.version, version.snapshot, move.seq)

        return self._must_stay(self.channels.move(model, alias, decide, why))

    def renew(self, model: str, alias: str = "prod", why: str = "") -> Channel:
        """Let the alias name what it names, from now on for another while (`models.NAME.expires`); signed anew. Raises
        Refused if nobody holds it, or the version is gone."""

        def decide(now: Channel | None) -> Target:
            if now is None:
                raise self._no_alias(model, alias)
            self.get(model, now.version)
            return Target(now.version, now.snapshot, now.seq)

        return self._must_stay(self.channels.move(model, alias, decide, why or "renewed"))

    def _must_stay(self, moved: Channel) -> Channel:
        """Make sure that what the alias names now was not removed while it was moved (docs/format.md, 11.4). Raises
        Refused, with the alias back where it was."""
        if self._stays(moved):
            return moved
        former = moved.history[1] if len(moved.history) > 1 else None
        back = self._find(moved.model, former.version) if former else None
        name = f"{moved.model}@{moved.alias}"

        def decide(now: Channel | None) -> Target | None:
            if now is None or now.seq != moved.seq or former is None or back is None:
                return None
            return Target(back.version, back.snapshot, former.seq)

        channel = self.channels.move(moved.model, moved.alias, decide, f"{moved.version} was removed")
        raise Refused(
            f"the version {moved.version} was removed while {name} was moved to it",
            safe=f"{name} is at {channel.version}",
            next=f"rote gc --undo, or rote promote {moved.model}@VERSION {moved.alias}",
        )

    def _stays(self, moved: Channel) -> bool:
        found = conditional.look(self._store, fence.KEY)
        if found is not None:
            named = set(without_check(found.data, Fence, fence.KEY).objects)
            key = f"snapshots/{moved.snapshot.key}"
            there = conditional.look(self._store, key)
            if there is None or key in named:
                return False
            packs = without_check(there.data, SnapshotRecord, key).packs
            if not named.isdisjoint(f"packs/{pack}" for pack in packs):
                return False
        return self._find(moved.model, moved.version) is not None

    def _back(self, now: Channel, say: Callable[[str], None] | None) -> tuple[AliasMove, Version]:
        name = f"{now.model}@{now.alias}"
        for move in self.channels.earlier(now):
            version = self._find(now.model, move.version)
            deprecated = self.remarks.of(now.model, move.version).deprecated
            if version is not None and deprecated is None and move.version != now.version:
                return move, version
            if say is not None and move.version != now.version:
                why = f"it is deprecated: {deprecated.text}" if deprecated else "it is not there any more"
                say(f"passed over {now.model}@{move.version}: {why}")
        raise Refused(
            f"{name} is at {now.version}, and no earlier version is left to go back to",
            safe=f"{name} stays at {now.version}",
            next=f"rote promote {now.model}@VERSION {now.alias}",
        )

    def _refuse_deprecated(self, model: str, version: str, alias: str) -> None:
        deprecated = self.remarks.of(model, version).deprecated
        if deprecated is None:
            return
        instead = f"rote promote {model}@{deprecated.key} {alias}, or " if deprecated.key else ""
        raise Refused(
            f"{model}@{version} is deprecated, by {deprecated.by}: {deprecated.text}",
            safe=f"{model}@{alias} is where it was",
            next=f"{instead}rote model deprecate {model}@{version} --undo",
        )

    def _back_to(self, now: Channel, to: str) -> AliasMove:
        name = f"{now.model}@{now.alias}"
        if str(versions.release(to)) == now.version:
            raise Refused(f"{name} is at {now.version} already", safe="nothing was changed")
        move = self.channels.last_of(now, to)
        if move is None:
            raise Refused(
                f"{name} never named {to}",
                safe=f"{name} stays at {now.version}",
                next=f"rote promote {now.model}@{to} {now.alias}",
            )
        self._refuse_deprecated(now.model, move.version, now.alias)
        return move

    def _no_model(self, model: str) -> Missing:
        names = list(self._names())
        near = nearest(model, names)
        hint = (
            f"is it {near}?"
            if near
            else f"there are: {', '.join(names)}"
            if names
            else f"rote release {model}"
        )
        return Missing(f"there is no model {shown(model)} with a version", where=self._store.url, next=hint)

    def _no_version(self, model: str, version: str) -> Missing:
        there = [str(v) for v in self.numbers(model)]
        deleted = self.remarks.of(model, version).deleted
        if deleted is not None:
            return Missing(
                f"{model}@{version} was deleted by {deleted.by} ({deleted.at}): {deleted.text or 'no reason given'}",
                where=self._store.url,
                next=f"rote model delete {model}@{version} --undo, if no `rote gc --yes` was since",
            )
        if not there:
            return self._no_model(model)
        return Missing(
            f"the model {model} has no version {version}",
            where=self._store.url,
            next=f"there are: {', '.join(there[:10])}" + (" …" if len(there) > 10 else ""),
        )

    def _no_alias(self, model: str, alias: str) -> Missing:
        there = self.channels.aliases(model)
        if not there and not self.numbers(model):
            return self._no_model(model)
        known = f"there are: {', '.join(there)}; " if there else ""
        return Missing(
            f"nobody holds {model}@{alias}",
            where=self._store.url,
            next=f"{known}rote promote {model}@VERSION {alias}",
        )
