"""A store in a cloud, through obstore. Every guarantee is the vendor's own: nothing is locked, nothing is local."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import obstore

from rote.adapters.stores import keys
from rote.adapters.stores.cloud.connecting import Connect, connector
from rote.adapters.stores.cloud.refusals import final, told
from rote.adapters.stores.locations import READ_ONLY, Location
from rote.errors import Conflict, Corrupt, NotFound, StoreUnavailable, Unsupported
from rote.laws.publishing.stretches import GAP
from rote.ports import Abilities, Found, Meta

MULTIPART = 64 << 20
"""Bytes from which on an object goes in parts. Below, one conditional request does it, which is also the cheapest."""
PART = 16 << 20
_LONGER = re.compile(r"[0-9a-f]{33,39}\Z")
"""An MD5 with more behind it is nobody's etag, but RGW compares only as many characters as its own has."""


class CloudStore:
    """A ports.ObjectStore in a bucket. Safe to share between threads.

    `abilities` is asked before the first write, and says what this store was seen to honour. Where it lacks conditional
    writes, it is looked first and written then, which is safe for a single writer only. Etags may come back when equal
    bytes do, as on S3.
    """

    def __init__(
        self, place: Location, environ: Mapping[str, str], abilities: Callable[[], Abilities] = Abilities
    ) -> None:
        self._place = place
        self._connect: Connect = connector(place, environ)
        self._backend = self._connect({})
        self._ask = abilities
        self._asked: Abilities | None = None

    @property
    def url(self) -> str:
        """The address, without secrets: there are none in it."""
        return self._place.url

    def get(self, key: str) -> Found:
        """The whole object. Raises NotFound, StoreUnavailable; Corrupt if it is larger than any that is read whole."""
        keys.check(key)
        with told(self._place, f"reading {key}", key):
            reply = obstore.get(self._backend, key)
            meta = reply.meta
            keys.check_size(key, meta["size"], self.url)
            data = bytes(reply.bytes())
        if len(data) != meta["size"]:
            raise _short(self._place, key)
        return Found(data, self._etag(meta))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        """Exactly `length` bytes from `start`. Raises NotFound, Corrupt, StoreUnavailable."""
        return self.get_ranges(key, [(start, length)])[0]

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Several (start, length) at once, in the order asked, in parallel and with small gaps read over. Raises
        NotFound, Corrupt, StoreUnavailable."""
        keys.check(key)
        if not ranges or any(
            length == 0 or start < 0 or start + length >= 1 << 62 for start, length in ranges
        ):
            # An empty range is no request, but tells whether the object is there and reaches that far.
            size = self.head(key).size
            if any(start < 0 or length < 0 or start + length > size for start, length in ranges):
                raise _short(self._place, key)
        if any(length < 0 for _, length in ranges):
            raise _short(self._place, key)
        wanted = [r for r in ranges if r[1]]
        if not wanted:
            return [b""] * len(ranges)
        with told(self._place, f"reading {key}", key):
            found = obstore.get_ranges(
                self._backend,
                key,
                starts=[start for start, _ in wanted],
                lengths=[length for _, length in wanted],
                coalesce=GAP,
            )
            parts = [bytes(part) for part in found]
        if any(len(part) != length for part, (_, length) in zip(parts, wanted, strict=True)):
            raise _short(self._place, key)
        whole = iter(parts)
        return [next(whole) if length else b"" for _, length in ranges]

    def head(self, key: str) -> Meta:
        """Size and etag without the body. Raises NotFound, StoreUnavailable."""
        keys.check(key)
        with told(self._place, f"looking at {key}", key):
            meta = obstore.head(self._backend, key)
        return Meta(key, meta["size"], self._etag(meta))

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        """Write an object that must not exist yet; returns its etag. Raises Conflict, StoreFull, StoreUnavailable,
        Unknown.

        An object of MULTIPART bytes or more is looked for first and then written in parts. Only packs are that large,
        and the name of a pack belongs to one writer.
        """
        keys.check(key)
        abilities = self._abilities()
        size = memoryview(data).nbytes
        large = size >= MULTIPART
        if (large or not abilities.create) and self._there(key):
            raise Conflict(key, where=self.url)
        with told(self._place, f"writing {key}", key, write=True):
            if large:
                put = obstore.put(self._backend, key, data, use_multipart=True, chunk_size=PART)
            else:
                mode: Any = "create" if abilities.create else "overwrite"
                put = obstore.put(self._backend, key, data, mode=mode, use_multipart=False)
        return self._etag(put) or self.head(key).etag  # parts that were joined come without one

    def replace(self, key: str, data: bytes, etag: str) -> str:
        """Replace the object that has exactly this etag; returns the new one. Raises Conflict, StoreFull,
        StoreUnavailable, Unknown."""
        keys.check(key)
        abilities = self._abilities()
        if not etag or _LONGER.match(etag) or (not abilities.replace and not self._there(key, etag)):
            raise Conflict(key, where=self.url)  # an empty condition is none at all to some servers
        mode: Any = self._condition(etag) if abilities.replace else "overwrite"
        try:
            with told(self._place, f"writing {key}", key, write=True):
                put = obstore.put(self._backend, key, data, mode=mode, use_multipart=False)
        except NotFound:
            raise Conflict(key, where=self.url) from None
        return self._etag(put)

    def delete(self, key: str, etag: str | None = None) -> None:
        """Delete the object, with `etag` only if it has that one. Raises Conflict, StoreUnavailable, Unknown;
        Unsupported with `etag` where the store would delete without looking at it."""
        keys.check(key)
        abilities = self._abilities()
        if etag is None:
            self._delete(self._backend, key)
            return
        if not self._there(key, etag if not abilities.delete else None) or not etag:
            raise Conflict(key, where=self.url)
        if not abilities.delete:
            raise Unsupported(
                f"this store cannot delete {key} only if nobody changed it meanwhile",
                where=self.url,
                safe="it was left as it is",
            )
        quoted = f'"{etag}"' if self._place.scheme in ("s3", "az") else etag
        name = "x-goog-if-generation-match" if self._place.scheme == "gs" else "If-Match"
        # obstore's delete knows no condition: a client of its own sends the header.
        self._delete(self._connect({name: quoted}), key)

    def list(self, prefix: str, after: str = "") -> Iterator[Meta]:
        """Every object whose key begins with `prefix` and is greater than `after`, sorted. Raises StoreUnavailable,
        also in the middle."""
        keys.check_prefix(prefix)
        if self._place.scheme in READ_ONLY:
            raise Unsupported(
                "a store at https:// cannot be listed", where=self.url, next="use the bucket's own address"
            )
        return self._list(prefix, after)

    def _list(self, prefix: str, after: str) -> Iterator[Meta]:
        folder = prefix.rpartition("/")[0]
        start = max(_offset(after), _before(prefix))
        with told(self._place, f"listing {prefix}", prefix):
            found = obstore.list(self._backend, folder or None, offset=start or None, chunk_size=1000)
        last = ""
        while True:
            with told(self._place, f"listing {prefix}", prefix):
                batch = next(found, None)
            if batch is None:
                return
            names = [meta["path"] for meta in batch]
            if names != sorted(names) or (names and names[0] <= last):
                if last:
                    raise final(_unsorted(self._place))
                yield from self._sorted(prefix, after)
                return
            for meta in batch:
                last = meta["path"]
                if last > after and last.startswith(prefix):
                    yield Meta(last, meta["size"], self._etag(meta))
                elif last > prefix and not last.startswith(prefix):
                    return

    def _sorted(self, prefix: str, after: str) -> Iterator[Meta]:
        """For a server that lists out of order: everything is fetched, whatever that costs, and sorted here."""
        folder = prefix.rpartition("/")[0]
        with told(self._place, f"listing {prefix}", prefix):
            found = [meta for batch in obstore.list(self._backend, folder or None) for meta in batch]
        for meta in sorted(found, key=lambda meta: meta["path"]):
            if meta["path"] > after and meta["path"].startswith(prefix):
                yield Meta(meta["path"], meta["size"], self._etag(meta))

    def _abilities(self) -> Abilities:
        if self._asked is None:
            if self._place.scheme in READ_ONLY:
                raise Unsupported(
                    "a store at https:// can only be read",
                    where=self.url,
                    safe="nothing was written",
                    next="write to the bucket by its own address, such as s3://BUCKET/PREFIX",
                )
            self._asked = self._ask()
        return self._asked

    def _there(self, key: str, etag: str | None = None) -> bool:
        try:
            found = self.head(key)
        except NotFound:
            return False
        return etag is None or found.etag == etag

    def _delete(self, backend: Any, key: str) -> None:
        try:
            with told(self._place, f"deleting {key}", key, write=True):
                obstore.delete(backend, key)
        except NotFound:
            pass  # as it should be: some vendors say so, others do not

    def _etag(self, meta: Any) -> str:
        """S3's without quotes (a server of S3's kind takes nothing else), Azure's the same; a generation on GCS."""
        found = (meta["version"] if self._place.scheme == "gs" else None) or meta["e_tag"] or ""
        return str(found).strip('"')

    def _condition(self, etag: str) -> dict[str, str]:
        if self._place.scheme == "gs":
            return {"version": etag}
        return {"e_tag": f'"{etag}"' if self._place.scheme == "az" else etag}


def _before(prefix: str) -> str:
    """A name that sorts before every key with this prefix, and close to the first of them."""
    if not prefix or prefix.endswith("/"):
        return ""  # obstore itself lists what lies below a folder
    rest, before = prefix[:-1], chr(ord(prefix[-1]) - 1)
    if before == "/" and (not rest or rest.endswith("/")):
        return rest.rstrip("/")  # no name begins with a slash
    return f"{rest}{before}zzzz"


def _offset(after: str) -> str:
    """As much of `after` as names an object: that sorts no later, and what is listed too early is passed over."""
    whole = []
    for name in after.split("/"):
        if not keys.is_name(name):
            break
        whole.append(name)
    return "/".join(whole)


def _short(place: Location, key: str) -> Corrupt:
    return Corrupt(f"the object {key} ends earlier than it should", where=place.url, next="rote store check")


def _unsorted(place: Location) -> StoreUnavailable:
    return StoreUnavailable(
        "this store lists its objects out of order, so that some could be missed",
        where=place.url,
        safe="nothing was changed",
        next="rote store probe says what this store guarantees; use another store for this project",
    )
