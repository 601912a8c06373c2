"""Everything of test_network again, in front of a real S3 server that deletes without looking."""

from __future__ import annotations

import pytest
from test_network import *  # noqa: F403  # every test and fixture of it, but for the one below

from servers.fixtures import Bucket


@pytest.fixture
def server(rgw: Bucket) -> Bucket:
    """The server behind the network."""
    return rgw
