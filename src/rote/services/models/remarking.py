"""Remarks on versions, in a store: written by compare-and-swap (docs/format.md, 10.12)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from rote.errors import BadName, Conflict, Corrupt, TooNew, UsageError
from rote.laws.models import versions
from rote.laws.models.remarks import MAX_BYTES, Remark, Remarks, Told, ordered, told
from rote.laws.models.versions import Semver
from rote.ports import Clock, Found, ObjectStore
from rote.services.store import conditional
from rote.words import ids
from rote.words.encoding import FORMAT, with_check, without_check

_ATTEMPTS = 1000
_MAX_TEXT = 2000


def remarks_key(model: str, version: str) -> str:
    """The key of a version's remarks. Raises BadName."""
    return f"models/{ids.name(model, 'model name')}/remarks/{versions.release(version)}"


class Remarking:
    """The remarks in one store."""

    def __init__(self, store: ObjectStore, clock: Clock | None = None, by: str = "") -> None:
        """A reader needs only the store; `clock` and `by` (user@host) say when something was said and by whom."""
        self._store = store
        self._clock = clock
        self._by = by

    def of(self, model: str, version: str) -> Told:
        """What was said of a version: one GET. Raises BadName, Corrupt, TooNew."""
        key = remarks_key(model, version)
        found = conditional.look(self._store, key)
        return told(decoded(model, version, found).events) if found else Told()

    def versions(self, model: str) -> list[Semver]:
        """The versions that something was said of, deleted ones among them (a list, and so a hint)."""
        prefix = f"models/{ids.name(model, 'model name')}/remarks/"
        found = []
        for meta in self._store.list(prefix):
            try:
                found.append(versions.release(meta.key.removeprefix(prefix)))
            except BadName:
                continue  # not written by a rote
        return found

    def deleted(self, model: str, above: Semver | None = None) -> list[Semver]:
        """The versions (with higher numbers than `above`) that were deleted, or were about to be: their numbers are not
        given again. A listing, and a GET for each of which something was said."""
        told = [number for number in self.versions(model) if above is None or number > above]
        return [number for number in told if self.of(model, str(number)).deleted]

    def say(self, model: str, version: str, kind: str, *, key: str = "", text: str = "") -> Told:
        """Add an event; returns what the remarks come to then. Raises UsageError (a text too long or with control
        characters, or too many remarks), Conflict."""
        if self._clock is None:
            raise UsageError("these remarks were opened for reading only")
        _check(text)
        event = Remark(
            seq=0,
            at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now())),
            by=self._by,
            nonce=self._clock.token(8),
            kind=kind,
            key=key,
            text=text,
        )
        return told(self._written(model, version, lambda there: [_after(there, event)]))

    def join(self, model: str, version: str, events: list[Remark]) -> bool:
        """Add events of another store that are not there yet; whether there were any. Raises as `say` does."""
        there = conditional.look(self._store, remarks_key(model, version))
        known = {event.nonce for event in decoded(model, version, there).events} if there else set()
        if all(event.nonce in known for event in events):
            return False
        self._written(model, version, lambda _: events)
        return True

    def _written(
        self, model: str, version: str, more: Callable[[list[Remark]], list[Remark]]
    ) -> list[Remark]:
        where = remarks_key(model, version)
        found = conditional.look(self._store, where)
        for _ in range(_ATTEMPTS):
            there = decoded(model, version, found).events if found else []
            joined = ordered([*there, *more(there)])
            if len(joined) == len(there):
                return joined  # also when a reply was lost and others have written since
            data = with_check(Remarks(model=model, version=version, events=joined))
            if len(data) > MAX_BYTES:
                raise UsageError(
                    f"there is too much said of {model}@{version}: at most {MAX_BYTES:,} bytes",
                    safe="what was said before stays",
                    next="keep long texts in the repository, and say where",
                )
            put = conditional.put(self._store, where, data, found.etag if found else None)
            if put.etag is not None:
                return joined
            found = put.found
        raise Conflict(where, safe="the remarks are as others left them", next="try again")


def _after(there: list[Remark], event: Remark) -> Remark:
    """The event as it comes after all that are there; the same one if it is there."""
    for other in there:
        if other.nonce == event.nonce:
            return other
    return msgspec.structs.replace(event, seq=there[-1].seq + 1 if there else 1)


def carry(source: ObjectStore, target: ObjectStore, prefix: str) -> Iterator[tuple[str, bool | Corrupt]]:
    """Bring the remarks on versions below `prefix` of one store to another, joined with what was said there: each key,
    and whether anything was sent, or why it could not be read or written."""
    there = Remarking(target)
    for meta in source.list(prefix):
        names = meta.key.split("/")
        if len(names) != 4 or names[2] != "remarks":
            continue
        found = conditional.look(source, meta.key)
        if found is None:
            continue
        try:
            events = decoded(names[1], names[3], found).events
            yield meta.key, there.join(names[1], names[3], events)
        except (Corrupt, BadName) as e:
            yield meta.key, e if isinstance(e, Corrupt) else Corrupt(e.what, where=meta.key)


def decoded(model: str, version: str, found: Found) -> Remarks:
    """The remarks in an object. Raises Corrupt, TooNew."""
    where = remarks_key(model, version)
    if len(found.data) > MAX_BYTES:
        raise Corrupt(f"these remarks are larger than {MAX_BYTES:,} bytes", where=where)
    remarks = without_check(found.data, Remarks, where)
    if remarks.format > FORMAT:
        raise TooNew(
            f"these remarks have format {remarks.format}; this rote reads up to {FORMAT}",
            where=where,
            next="pip install --upgrade rote",
        )
    if (remarks.model, remarks.version) != (model, version):
        raise Corrupt(f"these remarks belong to {remarks.model}@{remarks.version}", where=where)
    return msgspec.structs.replace(remarks, events=ordered(remarks.events))


def _check(text: str) -> None:
    if len(text.encode("utf-8", "surrogatepass")) > _MAX_TEXT or not text.isprintable():
        raise UsageError(
            f"a remark is one line of at most {_MAX_TEXT:,} bytes, without control characters",
            next="say it shorter, on one line",
        )
