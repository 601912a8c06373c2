"""The hosts that need no server pass the contract of ReleaseHost."""

from __future__ import annotations

from pathlib import Path

from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.adapters.targets.bucket import BucketHost, channel_key
from rote.adapters.targets.memory import MemoryHost
from rote.errors import NotFound
from rote.laws.publishing.releasetags import parse
from rote.ports import ObjectStore
from rote.ports.hosting import ReleaseHost, Told
from rote.testing.host_contract import HostContract


class TestMemoryHost(HostContract):
    drafts = True

    def make(self, place: Path) -> ReleaseHost:
        return MemoryHost()

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return host

    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        assert isinstance(host, MemoryHost)
        if data is None:
            del host.bytes[tag, name]
        else:
            host.bytes[tag, name] = data

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        assert isinstance(host, MemoryHost)
        host.channels[model, alias] = Told(data, "planted")


def plant(store: ObjectStore, key: str, data: bytes | None) -> None:
    try:
        store.delete(key)
    except NotFound:
        pass
    if data is not None:
        store.create(key, data)


class BucketContract(HostContract):
    """A BucketHost over a store that `store` makes again and again at one place."""

    notes_for_all = False

    def store(self, place: Path) -> ObjectStore:
        raise NotImplementedError

    def make(self, place: Path) -> ReleaseHost:
        return BucketHost(self.store(place))

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return BucketHost(self.store(place))

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return BucketHost(self.store(place), writes=False)

    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        model, version = parse(tag)
        plant(self.store(place), f"models/{model}/published/{version}/{name}", data)

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        plant(self.store(place), channel_key(model, alias), data)


class TestFolder(BucketContract):
    def store(self, place: Path) -> ObjectStore:
        return FolderStore(str(place / "published"), create=True)


_STORES: dict[Path, MemoryStore] = {}


class TestMemoryBucket(BucketContract):
    def store(self, place: Path) -> ObjectStore:
        return _STORES.setdefault(place, MemoryStore())
