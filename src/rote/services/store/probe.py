"""What a store really honours when two clients use it at once: asked of the store itself, not of its vendor.

Everything is tried on objects below `probe/`, which are deleted afterwards (docs/stores.md).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import msgspec

from rote.errors import Conflict, NotFound, StoreError, StoreUnavailable, Unknown, Unsupported
from rote.ports import Abilities, Clock, ObjectStore

PREFIX: Final = "probe/"
ROUNDS: Final = 3
"""How often each race is run."""

_MEANING: Final = {
    "create": "of two who create an object, one wins",
    "replace": "nobody replaces what another has replaced meanwhile",
    "delete": "nobody deletes what another has replaced meanwhile",
    "reads": "what was written is read by everybody at once",
    "lists": "listings are sorted, whole and up to date",
}


class Finding(msgspec.Struct, frozen=True):
    """One ability: what it means, whether the store has it, and what was seen if not."""

    name: str
    meaning: str
    honoured: bool
    seen: str = ""


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe found, and when (UTC)."""

    url: str
    date: str
    findings: list[Finding]

    @property
    def abilities(self) -> Abilities:
        """As the adapter wants it."""
        return Abilities(**{f.name: f.honoured for f in self.findings})

    def warning(self) -> str | None:
        """What a person must know before writing, or None."""
        if self.abilities.shared:
            return None
        lacking = "; ".join(
            f"not true: {f.meaning}" for f in self.findings if not f.honoured and f.name != "delete"
        )
        return (
            f"single-writer mode: {self.url} does not honour what several writers need ({lacking}). Let only one "
            "machine write at a time; gc is refused here. `rote store probe` tells more."
        )


class Probes:
    """What was found before, in a file of this machine. A file that is lost or damaged costs a new probe."""

    def __init__(self, path: str) -> None:
        self._path = path

    def get(self, url: str) -> Probed | None:
        """The newest result for a store."""
        return self._read().get(url)

    def put(self, probed: Probed) -> None:
        """Remember a result; where nothing can be written (a cache that is read-only or full), nothing is."""
        known = self._read()
        known[probed.url] = probed
        aside = f"{self._path}.{os.getpid()}"
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(aside, "wb") as file:
                file.write(msgspec.json.encode(known))
            os.replace(aside, self._path)
        except OSError:
            return

    def _read(self) -> dict[str, Probed]:
        try:
            with open(self._path, "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, Probed])
        except (OSError, msgspec.DecodeError):
            return {}


_NO_SUCH: Final = "stores of this kind know no such condition: rote looks first, and writes then"


def probe(
    client: Callable[[], ObjectStore],
    clock: Clock,
    *,
    rounds: int = ROUNDS,
    most: Abilities = Abilities(delete=True),
) -> Probed:
    """Try two clients of one store against each other; what is not among the abilities `most` counts as not honoured,
    however the trials end. Raises StoreUnavailable, StoreFull."""
    first, second = client(), client()
    prober = _Prober(first, second, f"{PREFIX}{clock.token(8)}/")
    try:
        seen = {
            "create": prober.create(rounds),
            "replace": prober.replace(rounds),
            "delete": prober.delete(),
            "reads": prober.reads(),
            "lists": prober.lists(),
        }
    finally:
        prober.tidy()
    for name, why in seen.items():
        if not why and not getattr(most, name):
            seen[name] = _NO_SUCH
    findings = [Finding(name, _MEANING[name], not why, why) for name, why in seen.items()]
    return Probed(
        url=first.url, date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(clock.now())), findings=findings
    )


class _Prober:
    """The trials. Each returns what was wrong, or an empty text."""

    def __init__(self, first: ObjectStore, second: ObjectStore, prefix: str) -> None:
        self._a, self._b, self._prefix = first, second, prefix
        self._made: list[str] = []
        self._stale = ""

    def create(self, rounds: int) -> str:
        key = self._key("create")
        self._a.create(key, b"first")
        if self._won(lambda: self._b.create(key, b"second")):
            return "an object that was there was overwritten"
        for n in range(rounds):
            key = self._key(f"create-{n}")
            wins = self._race(partial(self._a.create, key, b"a"), partial(self._b.create, key, b"b"))
            if wins == [True, True]:
                return "two clients created the same object"
        return ""

    def replace(self, rounds: int) -> str:
        key = self._key("replace")
        etag = self._a.create(key, b"1")
        try:
            newer = self._b.replace(key, b"2", etag)
        except Conflict:
            return "an object could not be replaced over its own etag"
        if self._won(lambda: self._a.replace(key, b"3", etag)):
            return "an old etag was accepted"
        for n in range(rounds):
            wins = self._race(
                partial(self._a.replace, key, f"a{n}".encode(), newer),
                partial(self._b.replace, key, f"b{n}".encode(), newer),
            )
            if wins == [True, True]:
                return "two clients replaced the same state of an object"
            newer = self._a.head(key).etag
        return ""

    def delete(self) -> str:
        key = self._key("delete")
        old = self._a.create(key, b"1")
        new = self._write(key, b"2", old)
        try:
            gone = self._won(lambda: self._a.delete(key, old))
            if gone or self._absent(key):
                return "an object was deleted over an old etag"
            self._a.delete(key, new)
        except (Unsupported, StoreUnavailable) as e:
            return f"not offered ({e.what})"
        except Conflict:
            return "an object could not be deleted over its own etag"
        return "" if self._absent(key) else "an object was not deleted over its own etag"

    def reads(self) -> str:
        key = self._key("reads")
        etag = ""
        for n in range(6):
            writer, reader = (self._a, self._b) if n % 2 else (self._b, self._a)
            body = f"body {n}".encode()
            etag = self._write(key, body, etag, by=writer) if etag else writer.create(key, body)
            if self._stale or reader.get(key).data != body:
                return "another client read an old body"
        self._a.delete(key)
        return "" if self._absent(key) else "an object was read after it was deleted"

    def lists(self) -> str:
        below = f"{self._prefix}lists/"
        made: list[str] = []
        for name in ("b", "a-b", "a", "c/d", "a.b", "B"):
            made.append(self._key(f"lists/{name}"))
            self._a.create(made[-1], b"")
            if [m.key for m in self._b.list(below)] != sorted(made):
                return "a listing was not sorted, or lacked what had just been written"
        after = sorted(made)[2]
        if [m.key for m in self._b.list(below, after)] != sorted(made)[3:]:
            return "a listing did not begin where it was asked to"
        self._b.delete(made[0])
        if made[0] in [m.key for m in self._a.list(below)]:
            return "a listing had what was deleted before"
        return ""

    def tidy(self) -> None:
        for key in self._made:
            try:
                self._a.delete(key)
            except StoreError:
                continue  # what is left below probe/ counts for nothing

    def _key(self, name: str) -> str:
        self._made.append(self._prefix + name)
        return self._made[-1]

    def _write(self, key: str, body: bytes, etag: str, by: ObjectStore | None = None) -> str:
        """Replace as the store's own etag says now."""
        try:
            return (by or self._a).replace(key, body, etag)
        except Conflict:
            self._stale = key  # the etag was just returned: whoever refuses it sees an old state
            return etag

    def _absent(self, key: str) -> bool:
        try:
            self._b.head(key)
        except NotFound:
            return True
        return False

    @staticmethod
    def _won(attempt: Callable[[], object]) -> bool:
        try:
            attempt()
        except (Conflict, Unknown):
            return False
        return True

    def _race(self, *attempts: Callable[[], object]) -> list[bool]:
        start = threading.Barrier(len(attempts))

        def run(attempt: Callable[[], object]) -> bool:
            start.wait()
            return self._won(attempt)

        with ThreadPoolExecutor(len(attempts)) as pool:
            return list(pool.map(run, attempts))
