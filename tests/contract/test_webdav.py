"""The store on a share keeps the contract on a real WebDAV server (Apache), in single-writer mode."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from rote.adapters.stores import address
from rote.ports import Abilities
from rote.testing.store_contract import StoreContract
from servers.apache import PASSWORD, USER

ENV = {"WEBDAV_USERNAME": USER, "WEBDAV_PASSWORD": PASSWORD}
ONE_WRITER = Abilities(create=False, replace=False)


class TestOnApache(StoreContract):
    conditional_delete = False
    several_writers = False

    @pytest.fixture(autouse=True)
    def _apache(self, apache):
        self.apache, self.folder = apache, "t" + uuid.uuid4().hex[:12]

    def raw(self, key):
        return Path(self.apache["root"]) / self.folder / "p" / key

    def make(self, place):
        url = f"webdav://{self.apache['host']}/{self.folder}/p?tls=false"
        return address.at(url, environ=ENV, abilities=lambda: ONE_WRITER)

    def again(self, store, place):
        return self.make(place)

    def raw_put(self, store, place, key, data):
        path = self.raw(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        for each in (path, *path.parents):  # as if the server had written it
            if each == Path(self.apache["root"]):
                break
            shutil.chown(each, Path(self.apache["root"]).owner(), Path(self.apache["root"]).group())

    def raw_get(self, store, place, key):
        path = self.raw(key)
        return path.read_bytes() if path.is_file() else None
