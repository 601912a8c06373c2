"""The cloud store keeps the contract where conditional deletes are honoured, as on AWS."""

from __future__ import annotations

import pytest
from s3_contract import S3Contract


class TestOnMoto(S3Contract):
    @pytest.fixture
    def bucket(self, moto):
        return moto
