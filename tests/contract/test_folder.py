"""The folder store keeps the contract, also where the file system lacks something."""

from __future__ import annotations

import errno
import os

import pytest

from rote.adapters.stores.folder import FolderStore, listing
from rote.testing.store_contract import StoreContract


class TestFolderStore(StoreContract):
    def make(self, place):
        return FolderStore(str(place / "store"))

    def again(self, store, place):
        return FolderStore(str(place / "store"), create=False)

    def raw_put(self, store, place, key, data):
        path = place / "store" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_get(self, store, place, key):
        path = place / "store" / key
        return path.read_bytes() if path.is_file() else None


class TestWithoutHardLinks(TestFolderStore):
    """As on FAT and some network shares."""

    @pytest.fixture(autouse=True)
    def no_links(self, monkeypatch):
        def link(source, target, **rest):
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)

        monkeypatch.setattr(os, "link", link)


class TestWithWholeSeconds(TestFolderStore):
    """As on ext3 and HFS+."""

    @pytest.fixture(autouse=True)
    def whole_seconds(self, monkeypatch):
        utime, second = os.utime, 1_000_000_000
        monkeypatch.setattr(os, "utime", lambda f, ns: utime(f, ns=tuple(t // second * second for t in ns)))


class TestInSmallBatches(TestFolderStore):
    """As in a folder of more names than are held at once."""

    @pytest.fixture(autouse=True)
    def small_batches(self, monkeypatch):
        monkeypatch.setattr(listing, "BATCH", 3)
