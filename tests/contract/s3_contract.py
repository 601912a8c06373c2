"""The contract on S3 servers: where the store lies, and how to look behind its back."""

from __future__ import annotations

import uuid

import pytest

from rote.adapters.stores import address
from rote.ports import Abilities
from rote.testing.store_contract import StoreContract


class S3Contract(StoreContract):
    """Subclasses have a fixture `bucket`."""

    etags_repeat = True

    @pytest.fixture(autouse=True)
    def _bucket(self, bucket):
        self.bucket = bucket
        self.prefix = "t" + uuid.uuid4().hex[:16]

    def make(self, place):
        return address.at(
            self.bucket.url(self.prefix),
            environ=self.bucket.env,
            abilities=lambda: Abilities(delete=self.conditional_delete),
        )

    def again(self, store, place):
        return self.make(place)

    def raw_put(self, store, place, key, data):
        self.bucket.client().put_object(Bucket=self.bucket.name, Key=f"{self.prefix}/{key}", Body=data)

    def raw_get(self, store, place, key):
        client = self.bucket.client()
        try:
            return client.get_object(Bucket=self.bucket.name, Key=f"{self.prefix}/{key}")["Body"].read()
        except client.exceptions.NoSuchKey:
            return None
