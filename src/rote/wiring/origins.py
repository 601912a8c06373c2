"""Where an application looks for versions: a store, or a target, by its address. Knows both adapters and services."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rote.adapters.clock import SystemClock
from rote.adapters.stores import address as stores
from rote.adapters.stores.retry import Patience, RetryingStore
from rote.adapters.targets.bucket import BucketHost
from rote.errors import Corrupt, Missing, MissingExtra, NotFound, Untrusted
from rote.laws.publishing import manifests, releasetags, targetnames
from rote.laws.publishing.statements import MAX_BUNDLE
from rote.ports import Landing, ObjectStore, Progress
from rote.ports.hosting import HostedRelease, ReleaseHost, Told
from rote.services.models import channels, plainly
from rote.services.models.plainly import Brought
from rote.services.models.vouching import Vouching
from rote.words.channel import Channel
from rote.words.ids import shown
from rote.words.publication import MANIFEST, SIGNATURE, ManifestRef, PublishedAsset, PublishedManifest
from rote.words.snapshot import SnapshotRef
from rote.words.version import Version

PATIENCE = Patience(deadline=10.0)
"""How long an application asks a place that is busy or away."""


class Origin:
    """A store, or a target. In a bucket or folder one address serves both: the channel document tells which. Safe to
    share between threads."""

    def __init__(self, host: ReleaseHost, store: ObjectStore | None = None) -> None:
        """`store` is given where files lie in an ObjectStore under keys that are known; elsewhere the host is asked."""
        self._host = host
        self._store = store

    @property
    def url(self) -> str:
        """The address, fit to be shown."""
        return self._host.url

    def channel(self, model: str, alias: str, etag: str | None) -> Told | None:
        """The channel document: one request without a body if it is the one that `etag` came with (then None). Raises
        Missing if nobody holds the alias; Corrupt, StoreUnavailable."""
        with self._as_read(model, alias):
            try:
                return self._host.channel(model, alias, etag)
            except NotFound as e:
                raise Missing(
                    f"nobody holds {model}@{alias}",
                    where=self.url,
                    safe="nothing was installed",
                    next=f"rote promote {model}@VERSION {alias}, and rote publish {model}@{alias} TARGET if it is one; "
                    "or check the address, the names, and whether a private place was given a token",
                ) from e

    def decoded(self, model: str, alias: str, told: Told) -> Channel:
        """What a channel document says. Raises Corrupt, TooNew."""
        with self._as_read(model, alias):
            return channels.decoded(model, alias, told.data)

    @contextmanager
    def _as_read(self, model: str, alias: str) -> Iterator[None]:
        """A document that is none is told as by somebody who can only read it."""
        try:
            yield
        except Corrupt as e:
            raise Corrupt(
                e.what,
                where=e.where
                if e.where and self.url in e.where
                else f"{self.url}: {channels.key(model, alias)}",
                safe="nothing was installed",
                next=f"ask who publishes it; if that is you: delete it there, then rote publish {model}@{alias} TARGET",
            ) from e

    def bring(self, channel: Channel, landing: Landing, progress: Progress | None = None) -> Brought:
        """The files of the version that a channel document names, verified against it. Raises Missing, Corrupt,
        StoreUnavailable, and what the landing raises."""
        if channel.manifest:
            manifest = self.manifest(channel.model, channel.version, channel.manifest, channel.snapshot)
            return self.bring_plain(manifest, landing, progress)
        if self._store is None:
            raise Corrupt(
                f"the channel document names no manifest, so that the files of {channel.version} cannot be verified",
                where=self.url,
                next=f"rote publish {channel.model}@{channel.version} {self.url}",
            )
        return self.bring_stored(channel.snapshot, landing, progress)

    def version(self, model: str, version: str) -> Version | None:
        """The version of this number in a store, or None. Raises Corrupt, StoreUnavailable."""
        # Applications follow aliases, and never need these.
        from rote.services.models.registry import version_key
        from rote.services.store.roots import Roots

        if self._store is None:
            return None
        found = Roots(self._store).get(version_key(model, version), Version)
        return found[0] if found else None

    def bring_stored(self, ref: SnapshotRef, landing: Landing, progress: Progress | None = None) -> Brought:
        """The files of a version in a store. Raises as `bring`."""
        with _needed("the packs of a store", "zstandard", "store"):
            # An application at a target needs none of these.
            from rote.services.data.snapshots import NodeCache, Snapshots
            from rote.services.models import delivery
        assert self._store is not None, "only a store has snapshots"
        return delivery.bring(Snapshots(self._store, cache=NodeCache()), ref, landing, progress)

    def manifest(
        self, model: str, version: str, ref: ManifestRef | None = None, snapshot: SnapshotRef | None = None
    ) -> PublishedManifest:
        """The manifest of a published version, verified. Raises Missing, Corrupt."""
        tag = releasetags.of_version(model, version)
        try:
            data = self._small(tag, MANIFEST, ref.size if ref else None, manifests.MAX_BYTES)
        except NotFound as e:
            raise Missing(
                f"{model}@{version} is not published here, or no longer",
                where=self.url,
                safe="nothing was installed",
                next=f"rote publish {model}@{version} TARGET; or check the address and the number",
            ) from e
        where = f"{self.url}: {tag}/{MANIFEST}"
        if ref is not None and manifests.ref_of(data) != ref:
            raise _not_it("it is not the one that the channel document names", where)
        found = manifests.decoded(data, where)
        if (found.model, found.version) != (model, version):
            raise _not_it(f"it is that of {shown(found.model)}@{shown(found.version)}", where)
        total = sum(file.size for file in found.files)
        if snapshot is not None and (found.snapshot, len(found.files), total) != (
            snapshot.id, snapshot.files, snapshot.size,
        ):  # fmt: skip
            raise _not_it("its files are not those that the channel document names", where)
        return found

    def hold_against(self, vouching: Vouching, name: str, manifest: PublishedManifest | None) -> None:
        """Raise Untrusted unless the version called `name`, which has this manifest, is signed by the signatory;
        `manifest` is None in a store, where nobody signs so. Raises Corrupt, StoreUnavailable as well."""
        if manifest is None:
            raise Untrusted(
                f"this is a store, where nobody signs by an identity, and {name} is to be signed by "
                f"{vouching.signatory}",
                where=self.url,
                safe="nothing was installed",
                next="give the address of a place where the model is published",
            )
        tag = releasetags.of_version(manifest.model, manifest.version)
        try:
            bundle = self._small(tag, SIGNATURE, None, MAX_BUNDLE)
        except NotFound:
            bundle = None
        vouching.check(bundle, name, manifest.files, self.url)

    def bring_plain(
        self, manifest: PublishedManifest, landing: Landing, progress: Progress | None = None
    ) -> Brought:
        """The files of a published version. Raises as `bring`."""
        release = self._release(releasetags.of_version(manifest.model, manifest.version))
        return plainly.bring(_Parts(self._host, self._store, release), manifest, landing, progress)

    def _small(self, tag: str, name: str, size: int | None, most: int) -> bytes:
        """An asset that says what others are, of `size` bytes if that is known. Raises NotFound."""
        if self._store is not None:
            key = _key(tag, name)
            size = self._store.head(key).size if size is None else size
            _check_size(size, most, self.url)
            return self._store.get_range(key, 0, size)
        release = self._release(tag)
        asset = release.asset(name)
        if asset is None:
            raise NotFound(name, where=self.url)
        size = asset.size if size is None else size
        _check_size(size, most, self.url)
        return _joined(self._host.read(release, asset, 0, size), size)

    def _release(self, tag: str) -> HostedRelease:
        if self._store is not None:
            return HostedRelease(tag=tag, draft=False)
        found = self._host.find(tag)
        if found is None or found.draft:
            raise NotFound(tag, where=self.url)
        return found


class _Parts:
    """A plainly.Plain: the assets of a release."""

    def __init__(self, host: ReleaseHost, store: ObjectStore | None, release: HostedRelease) -> None:
        self._host = host
        self._store = store
        self._release = release

    @property
    def url(self) -> str:
        return self._host.url

    def ranges(self, asset: PublishedAsset, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        if self._store is not None:
            try:
                return self._store.get_ranges(_key(self._release.tag, asset.name), ranges)
            except NotFound as e:
                raise self._gone(asset) from e
            except Corrupt as e:
                raise plainly.damaged(asset.name, self.url) from e
        there = self._release.asset(asset.name)
        if there is None:
            raise self._gone(asset)
        return [
            _joined(self._host.read(self._release, there, start, length), length) for start, length in ranges
        ]

    def _gone(self, asset: PublishedAsset) -> Missing:
        name = self._release.tag.replace("@v", "@", 1)
        return Missing(
            f"{asset.name} is not at {self._release.tag} any more: somebody deleted it",
            where=self.url,
            safe="nothing was installed",
            next=f"ask who publishes it; if that is you, rote publish {name} TARGET sends it again",
        )


def at(address: str | ObjectStore, base: str = ".") -> Origin:
    """What lies at an address: a folder, a bucket (`s3://…`, `https://…`), or a forge (`github:owner/repo`). Raises
    UsageError, StoreUnavailable (no such folder), MissingExtra."""
    if not isinstance(address, str):
        return Origin(BucketHost(address, writes=False), address)
    name = targetnames.parsed(address)
    if name.kind == targetnames.HUB:
        return Origin(_hub(name.address))
    if name.kind in targetnames.FORGES:
        # A forge's adapter loads what speaks to the web.
        from rote.adapters.forges import opening, talk

        patience = talk.Patience(deadline=PATIENCE.deadline)
        return Origin(opening.host(address, clock=SystemClock(), environ=os.environ, patience=patience))
    with _needed("this address", "obstore", "bucket"):
        opened = stores.at(address, base=base)
    # A folder is there or not. Whoever serves a copy that is here should not wait long for a newer one.
    store = RetryingStore(opened, SystemClock(), PATIENCE) if "://" in opened.url else opened
    return Origin(BucketHost(store, writes=False), store)


@contextmanager
def _needed(what: str, package: str, extra: str) -> Iterator[None]:
    """In the small install, a package that is not there is named."""
    try:
        yield
    except ModuleNotFoundError as e:
        if e.name != package:
            raise
        raise MissingExtra(
            f"reading {what} needs the package {package}", next=f'pip install "rote-client[{extra}]"'
        ) from e


def _hub(repo: str) -> ReleaseHost:
    # huggingface_hub takes its time to load, and is there in few installs.
    from rote.adapters.targets import hub

    return hub.host(repo, os.environ)


def canonical(address: str | ObjectStore, base: str = ".") -> str:
    """One spelling for each place. Raises UsageError."""
    if not isinstance(address, str):
        return address.url
    name = targetnames.parsed(address)
    if name.kind == targetnames.HUB:
        return f"{targetnames.HUB}:{name.address}"
    if name.kind in targetnames.FORGES:
        from rote.adapters.forges import address as forge  # as above

        return forge.parse(address).text
    return stores.canonical(address, base)


def _key(tag: str, name: str) -> str:
    model, version = releasetags.parse(tag)
    return f"models/{model}/published/{version}/{name}"


def _joined(parts: Iterator[bytes], size: int) -> bytes:
    """Not more than was asked for, whatever comes."""
    found = bytearray()
    for part in parts:
        found += part
        if len(found) > size:
            break
    return bytes(found[: size + 1])


def _not_it(why: str, where: str) -> Corrupt:
    return Corrupt(
        f"this manifest is not one to trust: {why}",
        where=where,
        safe="nothing was installed",
        next="ask who publishes it; if that is you, delete it there, then publish the version again",
    )


def _check_size(size: int, most: int, where: str) -> None:
    if not 0 <= size <= most:
        raise Corrupt(f"a manifest or signature of {size:,} bytes is larger than any is", where=where)
