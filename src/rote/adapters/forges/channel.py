"""The channels of a forge: each is a release of its own, whose description holds the document (`blocks`)."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import Protocol

from rote.adapters.forges import blocks
from rote.adapters.forges.vendor import Answer
from rote.errors import Conflict, Corrupt, NotFound, Refused, StoreUnavailable
from rote.laws.publishing.releasetags import of_channel
from rote.ports.hosting import CHANNEL_BYTES, Told


class Pages(Protocol):
    """The releases of a forge as channels need them."""

    def page(self, tag: str, headers: Mapping[str, str]) -> Answer:
        """The release of this tag as it is answered: 200, 304 or 404."""

    def description(self, answer: Answer) -> str:
        """What a release says of itself."""

    def make(self, tag: str, title: str, text: str) -> bool:
        """Make a release that is never the latest; False if somebody made it a moment before."""

    def edit(self, answer: Answer, text: str) -> None:
        """Give the release of this answer another description."""


class ChannelPages:
    """Reads and moves channels. Safe to share between threads."""

    def __init__(self, pages: Pages, where: str) -> None:
        self._pages = pages
        self._where = where
        self._lock = threading.Lock()
        self._seen: dict[str, str] = {}
        """Our etag and tag -> the forge's own etag, as last told."""

    def read(self, model: str, alias: str, etag: str | None) -> Told | None:
        """The document, in one request; None if it is as it was at `etag`, which is the document's digest and the
        forge's own etag. Raises NotFound, Corrupt."""
        tag = of_channel(model, alias)
        ours, _, theirs = (etag or "").partition(" ")
        with self._lock:
            # Something else of the release may have changed since, and the document not.
            theirs = self._seen.get(f"{ours} {tag}", theirs)
        answer = self._pages.page(tag, {"If-None-Match": theirs} if theirs else {})
        if answer.status == 304:
            return None
        if answer.status == 404:
            missing = NotFound(
                tag, where=self._where, next=f"rote promote {model}@VERSION {alias}, by who publishes it"
            )
            missing.what = f"no channel {tag} was published here"
            raise missing
        told = self._told(tag, answer)
        return None if ours and told.etag.partition(" ")[0] == ours else told

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a document. A forge changes a description in one step but knows no condition for it, so two who move at
        the same moment are told apart by reading before and after. Raises Conflict, Refused."""
        tag = of_channel(model, alias)
        if len(document) > CHANNEL_BYTES:
            raise Refused(
                f"a channel document has at most {CHANNEL_BYTES} bytes", where=f"{self._where}: {tag}"
            )
        text = blocks.framed(model, alias, document)
        answer = self._pages.page(tag, {})
        if answer.status == 404:
            if after is not None or not self._made(tag, f"{model} {alias}", text):
                raise self._moved(tag)
        else:
            now = self._told(tag, answer)
            if now.data == document:
                return now
            if after is None or now.data != after.data:
                raise self._moved(tag)
            self._pages.edit(answer, text)
        told = self.read(model, alias, None)
        if told is None or told.data != document:
            raise self._moved(tag)
        return told

    def _made(self, tag: str, title: str, text: str) -> bool:
        try:
            return self._pages.make(tag, title, text)
        except StoreUnavailable:
            if self._pages.page(tag, {}).status != 200:
                raise
            return True  # the reply was lost, not the release; whose it is, is seen when it is read

    def _told(self, tag: str, answer: Answer) -> Told:
        data = blocks.found(self._pages.description(answer))
        if data is None or len(data) > CHANNEL_BYTES:
            raise Corrupt(
                "there is no channel document in this release's description"
                if data is None
                else f"the channel document is larger than {CHANNEL_BYTES} bytes",
                where=f"{self._where}: {tag}",
                safe="what is in use stays in use",
                next=f"delete the release {tag} there; the next promotion makes it anew",
            )
        ours = hashlib.sha256(data).hexdigest()[:32]
        theirs = answer.header("etag")
        with self._lock:
            if len(self._seen) > 1000:
                self._seen.clear()
            self._seen[f"{ours} {tag}"] = theirs
        return Told(data, f"{ours} {theirs}")

    def _moved(self, tag: str) -> Conflict:
        return Conflict(tag, where=self._where, safe="the channel is as others left it", next="try again")
