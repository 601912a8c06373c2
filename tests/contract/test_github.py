"""GitHub Releases pass the contract of ReleaseHost, at a server that GitHub's own description holds to account."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.forges import address, blocks, tokens
from rote.forges.github import GitHubHost
from rote.hosting import ReleaseHost
from rote.testing.clock import StillClock
from rote.testing.host_contract import HostContract
from servers.github import GitHub


def hosted(server: GitHub, token: str | None = "ghp_writer") -> GitHubHost:
    at = address.parse(server.address)
    return GitHubHost(at, clock=StillClock(), environ={}, token=tokens.given(at, token) if token else None)


class TestGitHub(HostContract):
    drafts = True
    exact_moves = False

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path):
        with GitHub(tmp_path / "github") as server:
            self.forge = server
            yield
            assert server.wrong == []

    def make(self, place: Path) -> ReleaseHost:
        return hosted(self.forge)

    def again(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return hosted(self.forge)

    def public(self, host: ReleaseHost, place: Path) -> ReleaseHost:
        return hosted(self.forge, token=None)

    def raw_asset(self, host: ReleaseHost, place: Path, tag: str, name: str, data: bytes | None) -> None:
        release = self.forge.release(tag)
        asset = next(a for a in release["assets"] if a["name"] == name)
        if data is None:
            release["assets"].remove(asset)
        else:
            self.forge.paths[asset["id"]].write_bytes(data)

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        self.forge.release(f"{model}@{alias}")["body"] = blocks.framed(model, alias, data)


class TestGitHubOfOld(TestGitHub):
    """A server of before GitHub told digests."""

    def make(self, place: Path) -> ReleaseHost:
        self.forge.digests = False
        return hosted(self.forge)


class TestImmutable(TestGitHub):
    """A repository in which a release cannot be changed once it is public."""

    def make(self, place: Path) -> ReleaseHost:
        self.forge.immutable = True
        return hosted(self.forge)
