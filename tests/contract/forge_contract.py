"""The contract of ReleaseHost at the servers of forges: who writes, who only reads, who else there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from rote.adapters.forges import opening
from rote.ports.hosting import ReleaseHost
from rote.testing.clock import StillClock
from rote.testing.host_contract import HostContract
from servers.forge import Forge


def client(server: Forge, token: str | None) -> ReleaseHost:
    """A client of the server, for which no time passes but by waiting."""
    return opening.host(server.address, clock=StillClock(), environ={}, token=token)


class ForgeContract(HostContract):
    """Subclasses name the server, and how it differs from one that was just set up."""

    drafts = True
    exact_moves = False
    server_class: ClassVar[type[Forge]]
    differing: ClassVar[dict[str, Any]] = {}
    """Attribute of the server -> its value."""

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path):
        with self.server_class(tmp_path / "forge") as server:
            self.forge: Any = server
            for name, value in self.differing.items():
                assert hasattr(server, name)
                setattr(server, name, value)
            yield
            assert server.wrong == []

    def make(self, place: Path) -> ReleaseHost:
        return client(self.forge, self.forge.token)

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return self.make(place)

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return client(self.forge, None)
