"""The store in memory keeps the contract."""

from __future__ import annotations

from rote.adapters.stores.memory import MemoryStore
from rote.ports import Found
from rote.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    def make(self, place):
        return MemoryStore()

    def again(self, store, place):
        return store

    def raw_put(self, store, place, key, data):
        store._objects[key] = Found(data, "planted")

    def raw_get(self, store, place, key):
        found = store._objects.get(key)
        return None if found is None else found.data
