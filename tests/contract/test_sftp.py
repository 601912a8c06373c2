"""The store on a share keeps the contract over a real SSH server, in single-writer mode; what lies there then is a store
in a folder."""

from __future__ import annotations

import os
import uuid

import pytest

from rote.adapters.stores import address
from rote.adapters.stores.folder import FolderStore
from rote.errors import NotFound
from rote.ports import Abilities
from rote.testing.store_contract import StoreContract

ONE_WRITER = Abilities(create=True, replace=False)


class TestOverSsh(StoreContract):
    conditional_delete = False
    several_writers = False

    @pytest.fixture(autouse=True)
    def _sshd(self, sshd):
        self.sshd, self.folder = sshd, "t" + uuid.uuid4().hex[:12]

    def raw(self):
        return FolderStore(f"{self.sshd['root']}/{self.folder}/p")

    def make(self, place):
        url = f"sftp://team-box{self.sshd['root']}/{self.folder}/p"
        env = {**os.environ, "ROTE_SSH": self.sshd["ssh"]}
        return address.at(url, environ=env, abilities=lambda: ONE_WRITER)

    def again(self, store, place):
        return self.make(place)

    def raw_put(self, store, place, key, data):
        self.raw().create(key, data)

    def raw_get(self, store, place, key):
        try:
            return self.raw().get(key).data
        except NotFound:
            return None
