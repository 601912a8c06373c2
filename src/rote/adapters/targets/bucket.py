"""Versions published in a bucket or a folder, as plain objects (docs/format.md, 10.10): through any ports.ObjectStore.

A bucket has no drafts: a release is one once its manifest is there, and the manifest is written last.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap

import msgspec

from rote.adapters.targets.spool import copy
from rote.errors import BadName, Conflict, Corrupt, NotFound, Refused, Unknown
from rote.laws.models import versions
from rote.laws.publishing import releasetags
from rote.laws.publishing.releasetags import manifest_name
from rote.ports import Found, ObjectStore
from rote.ports.hosting import CHANNEL_BYTES, HostedAsset, HostedRelease, Sending, Told
from rote.words.encoding import digest_of
from rote.words.ids import name as parse_name
from rote.words.ids import shown
from rote.words.publication import FILES, MANIFEST, NOTES, PublishedFile

LARGEST = 128 << 30
"""Bytes of one object: what S3 takes in 10,000 parts of 16 MiB, with room to spare."""
PIECE = 8 << 20
"""Bytes that are read at once, and up to which a file is held in memory while it is sent."""
MANIFEST_BYTES = 64 << 20
_LONGEST = 600
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+=,-")
_HEX = frozenset("0123456789ABCDEF")
_BYTE = re.compile("=([0-9A-F]{2})")
_TRIES = 8


def object_name(path: str) -> str:
    """The name of a file's object below its version: the path itself, or, where the grammar of keys refuses that, one
    with every byte that it refuses as `=XX`. No two paths have the same name."""
    if path in (MANIFEST, NOTES):
        return f"={ord(path[0]):02X}{path[1:]}"
    names = [_escaped(name) for name in path.split("/")]
    whole = "/".join(names)
    if len(whole) <= _LONGEST and all(0 < len(name) <= 255 for name in names):
        return whole
    return f"=_{digest_of(path.encode('utf-8', 'surrogatepass'))[:32]}"


def _escaped(name: str) -> str:
    if name and name[0] != "." and "=" not in name and _PLAIN.issuperset(name):
        return name
    out = []
    for n, c in enumerate(name):
        # An `=` with two digits behind it would be taken for an escaped byte.
        meant = c == "=" and (
            name[n + 1 : n + 2] == "_" or (len(name) > n + 2 and _HEX.issuperset(name[n + 1 : n + 3]))
        )
        plain = c in _PLAIN and not meant and not (c == "." and n == 0)
        out.append(c if plain else "".join(f"={b:02X}" for b in c.encode("utf-8", "surrogatepass")))
    return "".join(out)


class BucketHost:
    """A hosting.ReleaseHost in an ObjectStore. Safe to share between threads.

    With `writes` a release is what a listing shows; without, what its manifest says: a public reader need not be
    allowed to list.
    """

    def __init__(self, store: ObjectStore, *, writes: bool = True) -> None:
        self._store = store
        self._writes = writes

    @property
    def url(self) -> str:
        """The store's."""
        return self._store.url

    @property
    def largest(self) -> int:
        """The same for all."""
        return LARGEST

    def asset_name(self, path: str) -> str:
        """The path itself, or one that the grammar of keys takes."""
        return object_name(path)

    def find(self, tag: str) -> HostedRelease | None:
        """The release of this tag. Raises BadName, Corrupt, StoreUnavailable."""
        return self._listed(tag) if self._writes else self._told(tag)

    def _listed(self, tag: str) -> HostedRelease | None:
        below = prefix_of(tag)
        found = [HostedAsset(m.key.removeprefix(below), m.size, key=m.key) for m in self._store.list(below)]
        if not found:
            return None
        notes = self._look(below + NOTES) if any(a.name == NOTES for a in found) else None
        assets = [asset for asset in found if asset.name != NOTES]
        draft = not any(asset.name == manifest_name(tag) for asset in assets)
        text = notes.data.decode("utf-8", "replace") if notes else ""
        return HostedRelease(tag=tag, draft=draft, assets=assets, title=tag, notes=text, key=below)

    def _told(self, tag: str) -> HostedRelease | None:
        below, name = prefix_of(tag), manifest_name(tag)
        found = self._look(below + name)
        if found is None:
            return None
        if len(found.data) > MANIFEST_BYTES:
            raise Corrupt("this manifest is larger than any is", where=self._at(below + name))
        try:
            manifest = msgspec.json.decode(found.data, type=_Listed)
        except (msgspec.DecodeError, RecursionError) as e:
            raise Corrupt(f"this is no manifest: {e}", where=self._at(below + name)) from e
        assets = [
            HostedAsset(a.name, a.size, key=key_of(below, a.name)) for f in manifest.files for a in f.assets
        ]
        assets.append(HostedAsset(name, len(found.data), key=below + name))
        return HostedRelease(tag=tag, draft=False, assets=assets, title=tag, key=below)

    def latest(self) -> HostedRelease | None:
        """The one whose manifest says that it was released last. Raises Unsupported where nothing can be listed."""
        newest: tuple[str, versions.Semver, str] | None = None
        for meta in (*self._store.list("models/"), *self._store.list("releases/")):
            tag = tag_of_manifest(meta.key)
            if tag is None or meta.size > MANIFEST_BYTES:
                continue
            found = self._look(meta.key)
            when = released_in(found.data) if found else ""
            one = (when, releasetags.order(tag), tag)
            newest = max(newest, one) if newest else one
        return self.find(newest[2]) if newest else None

    def begin(self, tag: str, *, title: str, notes: str, commit: str | None = None) -> HostedRelease:
        """A draft: nothing is there yet but what was sent before. Raises Conflict, BadName."""
        there = self._listed(tag)
        if there is None:
            return HostedRelease(tag=tag, draft=True, title=title, notes=notes, key=prefix_of(tag))
        if not there.draft:
            raise Conflict(tag, where=self.url)
        return there

    def send(self, release: HostedRelease, file: Sending) -> HostedAsset:
        """Send one file as one object. Raises Conflict, Changed, StoreFull, StoreUnavailable."""
        key = key_of(prefix_of(release.tag), file.name)
        if file.name == NOTES:
            raise BadName(f"{NOTES} is the name of the notes")
        there = release.asset(file.name)
        if there is not None and (same := self._same(key, file)):
            return same
        with _spooled(file) as data:
            for _ in range(_TRIES):
                try:
                    self._store.create(key, memoryview(data))
                except (Conflict, Unknown):
                    if same := self._same(key, file):
                        return same
                    continue  # the reply was lost, and so was the request
                return HostedAsset(file.name, file.size, key=key)
        raise Unknown(key, where=self.url, next="try again: what was sent is not sent again")

    def _same(self, key: str, file: Sending) -> HostedAsset | None:
        """The object, which was read and is this file; None if there is none. Raises Conflict if it is another."""
        found = self._is(key, file)
        if found is False:
            raise Conflict(key, where=self.url)
        return HostedAsset(file.name, file.size, file.sha256, key) if found else None

    def drop(self, release: HostedRelease, asset: HostedAsset) -> None:
        """Delete an object. Raises StoreUnavailable."""
        key = key_of(prefix_of(release.tag), asset.name)
        for _ in range(_TRIES):
            try:
                self._store.delete(key)
                return
            except Unknown as e:
                last = e
        raise last

    def finish(self, release: HostedRelease, *, notes: str) -> HostedRelease:
        """The manifest made it public already; the notes for people are put beside. Raises Refused."""
        below = prefix_of(release.tag)
        if self._look(below + manifest_name(release.tag)) is None:
            raise Refused(
                f"{release.tag} has no manifest, which makes a release of what lies in a bucket",
                where=self.url,
                safe="it stays a draft",
            )
        if notes:
            self._put_notes(below + NOTES, notes.encode())
        found = self._listed(release.tag)
        assert found is not None, "its manifest was there"
        return found

    def _put_notes(self, key: str, text: bytes) -> None:
        for _ in range(_TRIES):
            there = self._look(key)
            if there and there.data == text:
                return
            try:
                if there is None:
                    self._store.create(key, text)
                else:
                    self._store.replace(key, text, there.etag)
            except (Conflict, Unknown):
                continue  # somebody else's, or our own: look again
        # Whoever writes other notes all the time may have them.

    def read(
        self, release: HostedRelease, asset: HostedAsset, start: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """The bytes of an object, in pieces. Raises NotFound, Corrupt, StoreUnavailable."""
        key = key_of(prefix_of(release.tag), asset.name)
        end = asset.size if length is None else start + length
        if start == end:
            self._store.head(key)
        for begin in range(start, end, PIECE):
            yield self._store.get_range(key, begin, min(PIECE, end - begin))

    def channel(self, model: str, alias: str, etag: str | None = None) -> Told | None:
        """The channel document: one request if it has not changed. Raises NotFound, Corrupt, StoreUnavailable."""
        key = channel_key(model, alias)
        if etag is not None and self._store.head(key).etag == etag:
            return None
        found = self._store.get(key)
        if len(found.data) > CHANNEL_BYTES:
            raise Corrupt(f"this channel document is larger than {CHANNEL_BYTES} bytes", where=self._at(key))
        return Told(found.data, found.etag)

    def move(self, model: str, alias: str, document: bytes, after: Told | None) -> Told:
        """Put a channel document by compare-and-swap. No two documents are ever equal, so that one whose reply was lost
        is known again. Raises Conflict, Refused, StoreUnavailable."""
        key = channel_key(model, alias)
        if len(document) > CHANNEL_BYTES:
            raise Refused(f"a channel document has at most {CHANNEL_BYTES} bytes", where=self._at(key))
        for _ in range(_TRIES):
            try:
                put = (
                    self._store.replace(key, document, after.etag)
                    if after
                    else self._store.create(key, document)
                )
                return Told(document, put)
            except (Conflict, Unknown):
                there = self._look(key)
            if there and there.data == document:
                return Told(document, there.etag)
            if (there.etag if there else None) != (after.etag if after else None):
                raise Conflict(key, where=self.url)
        raise Unknown(key, where=self.url, next="try again")

    def _is(self, key: str, file: Sending) -> bool | None:
        """Whether the object is this file; None if there is none."""
        try:
            if self._store.head(key).size != file.size:
                return False
            sha256 = hashlib.sha256()
            for begin in range(0, file.size, PIECE):
                sha256.update(self._store.get_range(key, begin, min(PIECE, file.size - begin)))
        except NotFound:
            return None
        except Corrupt:
            return False  # it was changed meanwhile
        return sha256.hexdigest() == file.sha256

    def _look(self, key: str) -> Found | None:
        try:
            return self._store.get(key)
        except NotFound:
            return None

    def _at(self, key: str) -> str:
        return f"{self.url}: {key}"


def channel_key(model: str, alias: str) -> str:
    """Where a channel document lies: under the key that it has in a store. Raises BadName."""
    return f"models/{parse_name(model, 'model name')}/aliases/{versions.alias(alias)}"


def prefix_of(tag: str) -> str:
    """What the keys of a release begin with. Raises BadName, also for the tag of a channel."""
    if manifest_name(tag) == MANIFEST:
        model, version = releasetags.parse(tag)
        return f"models/{model}/published/{version}/"
    if releasetags.is_channel(tag):
        raise BadName(f"{shown(tag)} is the tag of a channel, which applications follow")
    name = _escaped(releasetags.any_tag(tag))
    if len(name) > 255:
        raise BadName(f"this tag is too long for the key of an object: {shown(tag)}")
    return f"releases/{name}/"


def key_of(below: str, name: str) -> str:
    """The key of an asset. Raises BadName."""
    if not name or len(name) > _LONGEST:
        raise BadName(f"not the name of an object: {shown(name)}")
    return below + name


def tag_of_manifest(key: str) -> str | None:
    """The tag of the release whose manifest has this key; None if it is not the key of one."""
    names = key.split("/")
    try:
        if len(names) == 5 and names[2] == "published" and names[4] == MANIFEST:
            return releasetags.of_version(names[1], names[3])
        if len(names) == 3 and names[0] == "releases" and names[2] == FILES:
            tag = _BYTE.sub(lambda m: chr(int(m[1], 16)), names[1])
            return tag if prefix_of(tag) == f"releases/{names[1]}/" else None
    except BadName:
        pass  # nothing that a rote put there
    return None


class _Listed(msgspec.Struct):
    files: list[PublishedFile]


class _Released(msgspec.Struct):
    released: str = ""


def released_in(data: bytes) -> str:
    """When the version of a manifest was released, as it says."""
    try:
        return msgspec.json.decode(data, type=_Released).released
    except (msgspec.DecodeError, RecursionError):
        return ""


@contextmanager
def _spooled(file: Sending) -> Iterator[bytes | mmap]:
    """The whole file at once, as an object is written: of a large one a copy on disk that is mapped. Raises Changed if
    it is not what it was said to be, StoreFull."""
    with tempfile.SpooledTemporaryFile(max_size=PIECE, prefix="rote-publish-") as spool:
        size = copy(file, spool)
        if size <= PIECE:
            spool.seek(0)
            yield spool.read()
            return
        # Not closed here: an error on its way out holds pieces of it. It goes with the last of them.
        yield mmap(spool.fileno(), 0, access=ACCESS_READ)
