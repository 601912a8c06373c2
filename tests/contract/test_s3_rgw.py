"""The cloud store keeps the contract on a real S3 server (Ceph's RGW, which deletes without looking)."""

from __future__ import annotations

import pytest
from s3_contract import S3Contract


class TestOnRgw(S3Contract):
    conditional_delete = False

    @pytest.fixture
    def bucket(self, rgw):
        return rgw
