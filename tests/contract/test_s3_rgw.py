"""The cloud store keeps the contract on a real S3 server (Ceph's RGW, which deletes without looking)."""

from __future__ import annotations

import random

import pytest
from s3_contract import S3Contract

from rote.adapters.stores.cloud import store as cloud
from rote.errors import Conflict


class TestOnRgw(S3Contract):
    conditional_delete = False

    @pytest.fixture
    def bucket(self, rgw):
        return rgw

    def test_a_large_object_goes_in_parts_and_is_never_overwritten(self, store, place, monkeypatch):
        monkeypatch.setattr(cloud, "MULTIPART", 8 << 20)
        monkeypatch.setattr(cloud, "PART", 5 << 20)
        data = random.Random(1).randbytes((12 << 20) + 1)
        etag = store.create("packs/t/d", data)
        assert etag.endswith("-3")  # as S3 marks an object of three parts
        with pytest.raises(Conflict):
            store.create("packs/t/d", data[::-1])
        assert store.get("packs/t/d").data == data
        assert store.head("packs/t/d").etag == etag
        assert store.get_ranges("packs/t/d", [(5 << 20, 10), (0, 3)]) == [data[5 << 20 :][:10], data[:3]]
        newer = store.replace("packs/t/d", b"small", etag)
        with pytest.raises(Conflict):
            store.replace("packs/t/d", b"late", etag)
        assert store.head("packs/t/d").etag == newer
