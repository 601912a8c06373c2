"""Deleting a version of a model: only one that no alias names; it can be undone for a while (docs/format.md, 11.4)."""

from __future__ import annotations

import time

from rote.errors import Conflict, Missing, Refused, UsageError
from rote.laws.models import versions
from rote.laws.models.remarks import DELETE
from rote.ports import Clock, ObjectStore
from rote.services.models.registry import Registry, version_key
from rote.services.store import conditional, roots
from rote.services.upkeep.marking import RootSeen
from rote.services.upkeep.trash import Trash
from rote.words.version import Version

_TRIES = 8


class Deleting:
    """Deletes versions, and brings them back."""

    def __init__(self, store: ObjectStore, registry: Registry, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._trash = Trash(store)

    def delete(self, model: str, version: str, why: str = "") -> Version:
        """Put a version into the trash, from which `undo` takes it until the next collection; what it was. Its number
        is not given again. Raises Refused if an alias names it, Missing, BadName, UsageError."""
        number = _number(version)
        there = self._registry.get(model, number)
        self._refuse_named(model, number)
        # First of all, so that nobody gives the number again, whatever becomes of this process.
        self._registry.remarks.say(model, number, DELETE, text=why)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now()))
        key = version_key(model, number)
        for _ in range(_TRIES):
            seen = self._seen(key)
            if seen is None or seen.in_force is None:
                return there  # somebody else deleted it just now
            if self._trash.put(seen, why or "deleted", moment):
                break
        else:
            raise Conflict(key, safe="the version stays", next="try again")
        try:
            self._refuse_named(model, number)  # an alias may have been moved to it meanwhile
        except Refused:
            self.undo(model, number)
            raise
        return there

    def undo(self, model: str, version: str) -> Version:
        """Bring a version back that was deleted. Raises Missing if it does not lie in the trash (any more)."""
        number = _number(version)
        seen = self._seen(version_key(model, number))
        if seen is not None and seen.trash is not None:
            self._trash.undo(seen)
        found = self._registry.find(model, number)
        if found is None:
            deleted = self._registry.remarks.of(model, number).deleted
            raise Missing(
                f"{model}@{number} does not lie in the trash"
                + (": a collection has emptied it since" if deleted else ""),
                where=self._store.url,
                next=f"rote model list {model}",
            )
        return found

    def _seen(self, key: str) -> RootSeen | None:
        held = roots.held(self._store, key, conditional.look(self._store, key))
        if held.found is None or held.root is None:
            return None
        return RootSeen(key, held.found.etag, held.root, held.txn_state)

    def _refuse_named(self, model: str, version: str) -> None:
        held = sorted(alias for alias, at in self._registry.aliases(model).items() if at == version)
        if held:
            raise Refused(
                f"{model}@{version} cannot be deleted: {' and '.join(held)} {'names' if len(held) == 1 else 'name'} it",
                safe="the version stays",
                next=f"rote promote {model}@OTHER {held[0]}",
            )


def _number(version: str) -> str:
    if not versions.is_version(version):
        raise UsageError(
            f"an alias is not deleted: {version!r} is no version number",
            next="say the number: rote model list shows them",
        )
    return str(versions.release(version))
