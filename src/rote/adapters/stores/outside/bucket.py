"""Objects in a bucket as a source: one, or all below a prefix. Through obstore, as the stores in buckets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import msgspec
import obstore

from rote.adapters.stores.cloud.connecting import connector
from rote.adapters.stores.cloud.refusals import told
from rote.adapters.stores.locations import Location
from rote.errors import Changed, NotFound, SourceUnavailable, StoreUnavailable
from rote.laws.data.sourcelist import ONLY, SourceItem
from rote.words.ids import shown

_PIECE = 1 << 20


class BucketSource:
    """A ports.Outside at `path` in a bucket; `place` says how the bucket is reached. A path that ends with `/`, or is
    empty, is a prefix."""

    def __init__(self, place: Location, path: str, environ: Mapping[str, str]) -> None:
        self._place = place
        self._path = path
        self._backend = connector(place, environ)({})
        self._shown = msgspec.structs.replace(place, prefix=quote(path.lstrip("/")))
        self._single = False

    @property
    def url(self) -> str:
        """The address without secrets: there are none in it."""
        return self._shown.url

    @property
    def name(self) -> str:
        """The last name of the path."""
        return self._path.strip("/").rpartition("/")[2]

    @property
    def at(self) -> str:
        """Nothing: its states have no names."""
        return ""

    def look(self, single: bool | None, known: str = "") -> tuple[bool, list[SourceItem]] | None:
        """A HEAD for an object, a LIST a thousand objects for a prefix. Raises SourceUnavailable."""
        if single is not False and self._path and not self._path.endswith("/"):
            try:
                with self._told("looking at the source"):
                    item = self._item(ONLY, obstore.head(self._backend, self._path))
                self._single = True
                return None if known and item.etag == known else (True, [item])
            except NotFound:
                if single:
                    raise self._absent() from None
        items = self._listed()
        if not items:
            raise self._absent()
        return False, items

    def _listed(self) -> list[SourceItem]:
        top = self._path.strip("/")
        found = []
        with self._told("listing the source"):
            for batch in obstore.list(self._backend, top or None, chunk_size=1000):
                for meta in batch:
                    path = meta["path"][len(top) + 1 :] if top else meta["path"]
                    if path:
                        found.append(self._item(path, meta))
        return _without_marks(found)

    def _item(self, path: str, meta: Any) -> SourceItem:
        etag = meta["e_tag"] or (meta["last_modified"].isoformat() if meta["last_modified"] else "")
        return SourceItem(path, meta["size"], "".join(c for c in etag if c.isprintable()))

    def read(self, item: SourceItem, start: int) -> tuple[int, int | None, Iterator[bytes]]:
        """The object from `start` on. Raises SourceUnavailable, Changed."""
        key = self._path if self._single else f"{self._path.strip('/')}/{item.path}".lstrip("/")
        try:
            with self._told(f"reading {shown(item.path, 200)}"):
                options: Any = {"range": {"offset": start}} if start else {}
                reply = obstore.get(self._backend, key, options=options)
                meta = self._item(item.path, reply.meta)
        except NotFound:
            raise self._changed(item) from None
        if (meta.etag, meta.size) != (item.etag, item.size):
            raise self._changed(item)
        return start, item.size, self._parts(reply, item)

    def _parts(self, reply: Any, item: SourceItem) -> Iterator[bytes]:
        with self._told(f"reading {shown(item.path, 200)}"):
            for part in reply.stream(min_chunk_size=_PIECE):
                yield bytes(part)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """As the stores tell it; a source is no store."""
        try:
            with told(self._shown, doing, self._path):
                yield
        except StoreUnavailable as e:
            error = SourceUnavailable(
                e.what.replace("the store", "the source"),
                where=self.url,
                safe="nothing in the working tree was touched",
                next=e.next,
            )
            error.retry = e.retry
            raise error from None

    def _changed(self, item: SourceItem) -> Changed:
        return Changed(
            f"{shown(item.path, 200)} changed at the source while it was being read", where=self.url
        )

    def _absent(self) -> SourceUnavailable:
        error = SourceUnavailable(
            "there is nothing at this address",
            where=self.url,
            safe="nothing in the working tree was touched",
            next="check the bucket, the path and its case",
        )
        error.retry = False
        return error


def _without_marks(items: list[SourceItem]) -> list[SourceItem]:
    """Some tools mark a folder with an empty object of its name."""
    folders: set[str] = set()
    for item in items:
        folder = item.path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return [item for item in items if item.size or item.path not in folders]
