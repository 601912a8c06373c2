"""The cloud store keeps the contract on Azure Blob Storage (Azurite, Microsoft's own emulator, from npm)."""

from __future__ import annotations

import uuid

import obstore
import pytest
from obstore.store import AzureStore

from rote.adapters.stores import address
from rote.ports import Abilities
from rote.services.store.probe import probe
from rote.testing.clock import StillClock
from rote.testing.store_contract import StoreContract

pytestmark = pytest.mark.heavy  # installing the emulator takes half a minute


@pytest.fixture
def container(azurite, monkeypatch):
    """A new container, made as the vendor's tools do it."""
    import base64
    import hashlib
    import hmac
    import urllib.request
    from email.utils import formatdate

    name = "c" + uuid.uuid4().hex[:20]
    date = formatdate(usegmt=True)
    account = azurite["account"]
    signed = (
        f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-12-02\n"
        f"/{account}/{account}/{name}\nrestype:container"
    )
    mac = hmac.new(base64.b64decode(azurite["key"]), signed.encode(), hashlib.sha256).digest()
    request = urllib.request.Request(
        f"{azurite['endpoint']}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": "2021-12-02",
            "Authorization": f"SharedKey {account}:{base64.b64encode(mac).decode()}",
        },
    )
    urllib.request.urlopen(request, timeout=60).close()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite["key"])
    return name


class TestOnAzurite(StoreContract):
    conditional_delete = False  # with an account's key obstore signs no condition

    @pytest.fixture(autouse=True)
    def _azurite(self, azurite, container):
        self.azurite, self.container = azurite, container

    def raw(self):
        return AzureStore(
            self.container, prefix="p/q", account_name=self.azurite["account"], account_key=self.azurite["key"],
            endpoint=self.azurite["endpoint"], client_options={"allow_http": True},
        )  # fmt: skip

    def make(self, place):
        return address.at(
            f"az://{self.container}/p/q?account={self.azurite['account']}&endpoint={self.azurite['endpoint']}"
        )

    def again(self, store, place):
        return self.make(place)

    def raw_put(self, store, place, key, data):
        obstore.put(self.raw(), key, data)

    def raw_get(self, store, place, key):
        try:
            return bytes(obstore.get(self.raw(), key).bytes())
        except FileNotFoundError:
            return None

    def test_it_is_for_several_writers(self, place):
        url = self.make(place).url
        found = probe(lambda: address.at(url, abilities=lambda: Abilities(delete=True)), StillClock())
        assert found.abilities.shared
        assert list(self.make(place).list("")) == []
