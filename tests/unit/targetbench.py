"""A version published in a bucket, byte by byte as docs/format.md, 10.10 says, beside the store that it comes from."""

from __future__ import annotations

import hashlib

import msgspec
from modelbench import CHANNEL, Bench

from rote.adapters.signing.keyring import KeyRing
from rote.adapters.stores.memory import MemoryStore
from rote.adapters.targets.bucket import object_name
from rote.errors import Conflict
from rote.laws.data.chunking import SMALL, Cutter
from rote.services.models.channels import decoded
from rote.services.models.registry import Registry
from rote.services.models.sealing import Sealing
from rote.testing.faults import CountingStore
from rote.words.encoding import digest_of, with_check
from rote.words.pipeline import Model
from rote.words.publication import MANIFEST, ManifestRef, PublishedAsset, PublishedFile, PublishedManifest


class Published(Bench):
    """A bench, and a target to which what `prod` names is published. With `keys` (a folder) everything is signed."""

    def __init__(self, keys=None, target=None, **rest):
        super().__init__(**rest)
        self.target = CountingStore(target if target is not None else MemoryStore())
        self.ring = KeyRing({}, str(keys)) if keys else None
        self.described = Model(name="digits", files=("m",))
        if keys:
            self.described = msgspec.structs.replace(
                self.described, keys=(self.ring.create("digits", "now").public,)
            )
        self.resign()

    def resign(self, **changes):
        self.described = msgspec.structs.replace(self.described, **changes)
        self.sealing = Sealing(lambda name: self.described, lambda: self.ring)
        self.registry = Registry(self.store, self.roots, self.clock, "ada@lab", self.sealing.seal)

    @property
    def keys(self):
        return list(self.described.keys or [])

    def put(self, key, data):
        try:
            self.target.inner.create(key, data)
        except Conflict:
            self.target.inner.replace(key, data, self.target.inner.get(key).etag)

    def document(self):
        return self.target.inner.get(CHANNEL).data

    def manifest(self, version, largest=None):
        """Put the files of a version in their places, and its manifest."""
        there = self.registry.find("digits", version)
        record = self.snapshots.record(there.snapshot)
        files = []
        below = f"models/digits/published/{version}/"
        for entry in self.snapshots.entries(record):
            data = b"".join(self.snapshots.read(record, entry.path))
            chunks, start = [], 0
            for length in lengths(data, self.info):
                chunks.append((digest_of(data[start : start + length]), length))
                start += length
            assets = []
            for n, begin in enumerate(range(0, len(data) or 1, largest or len(data) or 1)):
                part = data[begin : begin + (largest or len(data))]
                name = object_name(entry.path) + (f".part{n}" if largest else "")
                self.put(below + name, part)
                assets.append(PublishedAsset(name, len(part), hashlib.sha256(part).hexdigest()))
            files.append(
                PublishedFile(
                    path=entry.path, size=entry.size, digest=entry.digest.hex(), executable=entry.executable,
                    assets=assets, chunks=chunks if len(chunks) > 1 else [],
                )
            )  # fmt: skip
        return PublishedManifest(model="digits", version=version, snapshot=there.snapshot.id, files=files)

    def publish(self, largest=None, change=None):
        """Publish what prod names; `change` may tamper with the manifest before it is signed."""
        channel = decoded("digits", "prod", self.inner.get(CHANNEL).data)
        manifest = self.manifest(channel.version, largest)
        if change:
            manifest = change(manifest)
        data = msgspec.json.encode(manifest)
        self.put(f"models/digits/published/{channel.version}/{MANIFEST}", data)
        told = msgspec.structs.replace(channel, manifest=ManifestRef(len(data), digest_of(data)))
        self.put(CHANNEL, with_check(self.sealing.seal(told)))
        return told

    def ship(self, outs, **rest):
        """Release, promote and publish."""
        self.release(outs, promote="prod")
        self.publish(**rest)
        self.target.reset()


def lengths(data, info):
    """The lengths of the chunks of a file."""
    if len(data) < SMALL:
        return [len(data)]
    return Cutter(info.chunk_min, info.chunk_avg, info.chunk_max).cut(memoryview(data), True)
