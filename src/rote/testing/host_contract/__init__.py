"""The contract of hosting.ReleaseHost as a test suite. A host passes with a test file of a few lines:

    class TestMyHost(HostContract):
        def make(self, place):                  # a new, empty host; `place` is an empty folder of the test's own
            return MyHost(...)

        def again(self, host, place):           # another client of the same host, which may write as well
            return MyHost(...)

        def public(self, host, place):          # a client that may only read; by default as `again`
            return MyHost(...)

        def raw_asset(self, host, place, tag, name, data):     # behind the port's back: other bytes; None: gone
            ...

        def raw_channel(self, host, place, model, alias, data):   # the same with a channel document
            ...

Whoever writes a host whose drafts are real says `drafts = True`. No subclass may override a test.
"""

from __future__ import annotations

from rote.testing.host_contract.assets import AssetClauses
from rote.testing.host_contract.channels import ChannelClauses
from rote.testing.host_contract.releases import ReleaseClauses


class HostContract(ReleaseClauses, AssetClauses, ChannelClauses):
    """All clauses of the contract."""

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith("test_") and hasattr(HostContract, name):
                raise TypeError(f"{cls.__name__} overrides {name}: the contract is the same for every host")
