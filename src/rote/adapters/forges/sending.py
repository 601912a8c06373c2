"""Sending one file to a forge until it is there whole: before it is sent again, what was lost is looked for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Protocol

from rote.adapters.forges.talk import Talk
from rote.adapters.forges.vendor import Answer
from rote.adapters.forges.wire import Cut
from rote.errors import Changed, Conflict, Corrupt, StoreUnavailable
from rote.ports.hosting import HostedAsset, HostedRelease, Sending
from rote.words.ids import shown

OCTETS = "application/octet-stream"


class Place(Protocol):
    """A forge, as sending needs it."""

    @property
    def url(self) -> str:
        """Its address."""

    def uploaded(self, answer: Answer) -> HostedAsset | None:
        """What an answer says was made; None if something of this name is there already. Raises what it refuses."""

    def copies(self, release: HostedRelease, name: str) -> list[tuple[HostedAsset, bool]]:
        """What is there under this name, the one that counts first; False for what arrived in part."""

    def digest_of(self, release: HostedRelease, asset: HostedAsset) -> str:
        """SHA-256 of an asset."""

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Remove an asset."""


class Look:
    """What is at a forge under the name of a file that is being sent."""

    def __init__(self, place: Place, release: HostedRelease, file: Sending) -> None:
        self._place = place
        self._release = release
        self._file = file

    def made(self, answer: Answer) -> HostedAsset | None:
        """What an answer says was made; None if something of this name is there already. Raises Corrupt for other
        bytes, which are removed again."""
        made = self._place.uploaded(answer)
        if made is None:
            return None
        file = self._file
        if (made.name, made.size) != (file.name, file.size) or made.sha256 not in (None, file.sha256):
            self._place.drop(self._release, made)
            raise Corrupt(
                f"{shown(file.name)} arrived damaged, and was removed again",
                where=self._place.url,
                next="try again",
            )
        return made

    def there(self) -> HostedAsset | None:
        """The asset of this name, if it has the file's bytes; what arrived in part is removed. Raises Conflict."""
        for asset, is_whole in self._place.copies(self._release, self._file.name):
            if is_whole:
                return self.same(asset)
            self._place.drop(self._release, asset)
        return None

    def same(self, there: HostedAsset) -> HostedAsset:
        """The asset, if it has the file's bytes. Raises Conflict."""
        if there.size != self._file.size or self._place.digest_of(self._release, there) != self._file.sha256:
            next = "the same version has the same bytes: make a new one"
            raise Conflict(self._file.name, where=self._place.url, next=next)
        return there


def delivered(talk: Talk, method: str, url: str, file: Sending, look: Look) -> HostedAsset:
    """Send the file, as often as the forge's patience allows. Raises Conflict, Refused, StoreUnavailable, Corrupt, and
    what reading the file raises."""

    def once() -> _Sent:
        try:
            answer = talk.send(method, url, lambda: _read(file), file.size, OCTETS)
        except Cut as e:
            if e.trust or not e.known:
                raise
            found = look.there()
            if found is None:
                raise
            return _Sent(found)
        if answer.status in (500, 502, 503, 504):
            found = look.there()  # a forge that failed behind its gateway may have the file, or half of it
            return _Sent(found, answer if found is None else None)
        return _Sent(None, answer)

    for _ in range(3):
        sent = talk.patiently(once, repeat=True)
        made = sent.made or (look.made(sent.answer) if sent.answer is not None else None) or look.there()
        if made is not None:
            return made
    raise StoreUnavailable(
        f"{talk.vendor.name} says that {file.name} is there, and does not list it",
        where=talk.vendor.where,
        next="try again in a minute",
    )


class _Sent:
    """The outcome of one try, with what `Talk.patiently` looks at."""

    def __init__(self, made: HostedAsset | None, answer: Answer | None = None) -> None:
        self.made = made
        self.answer = answer
        self.status = answer.status if answer is not None else 200
        self.headers = dict(answer.headers) if answer is not None else {}


def _read(file: Sending) -> Iterator[bytes]:
    """The file's bytes, if they are what was said: the last piece goes only when all of them are known to be right, so
    that a file that changed meanwhile never arrives whole. Raises Changed."""
    sha = hashlib.sha256()
    size = 0
    held = b""
    for piece in file.read(0):
        if not piece:
            continue
        if held:
            yield held
        held = bytes(piece)
        sha.update(held)
        size += len(held)
        if size > file.size:
            break
    if (size, sha.hexdigest()) != (file.size, file.sha256):
        raise Changed(
            f"{shown(file.name)} is not what it was when it was looked at", next="do the same again"
        )
    if held:
        yield held
