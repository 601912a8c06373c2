"""The cloud store keeps the contract where conditional deletes are honoured, as on AWS."""

from __future__ import annotations

import pytest
from s3_contract import S3Contract

from rote.adapters.clock import SystemClock
from rote.adapters.stores.retry import RetryingStore


class TestOnMoto(S3Contract):
    @pytest.fixture
    def bucket(self, moto):
        return moto

    def again(self, store, place):
        """moto answers 500 to a read of what is just being replaced; who reads asks again, as every command does."""
        return RetryingStore(self.make(place), SystemClock())
