"""The host in a bucket keeps the contract on S3 servers: one with AWS's semantics, and a real one."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from rote.adapters.clock import SystemClock
from rote.adapters.stores import address
from rote.adapters.stores.retry import RetryingStore
from rote.adapters.targets.bucket import BucketHost, channel_key
from rote.laws.publishing.releasetags import parse
from rote.ports import Abilities
from rote.ports.hosting import ReleaseHost
from rote.testing.host_contract import HostContract
from servers.fixtures import Bucket


class OnS3(HostContract):
    """Subclasses have a fixture `bucket`."""

    notes_for_all = False

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.prefix = "h" + uuid.uuid4().hex[:16]

    def opened(self, writes: bool) -> ReleaseHost:
        store = address.at(
            self.bucket.url(self.prefix), environ=self.bucket.env, abilities=lambda: Abilities(delete=False)
        )
        return BucketHost(RetryingStore(store, SystemClock()), writes=writes)

    def make(self, place: Path) -> ReleaseHost:
        return self.opened(True)

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return self.opened(True)

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return self.opened(False)

    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        model, version = parse(tag)
        self._raw(f"models/{model}/published/{version}/{name}", data)

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        self._raw(channel_key(model, alias), data)

    def _raw(self, key: str, data: bytes | None) -> None:
        where = {"Bucket": self.bucket.name, "Key": f"{self.prefix}/{key}"}
        if data is None:
            self.bucket.client().delete_object(**where)
        else:
            self.bucket.client().put_object(**where, Body=data)


class TestOnMoto(OnS3):
    @pytest.fixture
    def bucket(self, moto: Bucket) -> Bucket:
        return moto


class TestOnRgw(OnS3):
    @pytest.fixture
    def bucket(self, rgw: Bucket) -> Bucket:
        return rgw
