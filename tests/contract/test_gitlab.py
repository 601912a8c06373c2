"""GitLab Releases, with their files in the package registry, pass the contract of ReleaseHost."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.forges import address, blocks, tokens
from rote.forges.gitlab import GitLabHost
from rote.forges.packages import package_of
from rote.hosting import ReleaseHost
from rote.testing.clock import StillClock
from rote.testing.host_contract import HostContract
from servers.gitlab import GitLab


def hosted(server: GitLab, token: str | None = "glpat-writer") -> GitLabHost:
    at = address.parse(server.address)
    return GitLabHost(at, clock=StillClock(), environ={}, token=tokens.given(at, token) if token else None)


class TestGitLab(HostContract):
    drafts = True
    exact_moves = False

    @pytest.fixture(autouse=True)
    def server(self, tmp_path: Path):
        with GitLab(tmp_path / "gitlab") as server:
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
        files = self.forge.files_of(*package_of(tag))
        file = next(f for f in files if f["file_name"] == name)
        if data is None:
            files.remove(file)
        else:
            file["at"].write_bytes(data)

    def raw_channel(self, host: ReleaseHost, place: Path, model: str, alias: str, data: bytes) -> None:
        self.forge.release(f"{model}@{alias}")["description"] = blocks.framed(model, alias, data)


class TestObjectStorage(TestGitLab):
    """As at gitlab.com: downloads are led to where the files lie; here the same file is not taken twice either."""

    def make(self, place: Path) -> ReleaseHost:
        self.forge.direct = True
        self.forge.duplicates = False
        return hosted(self.forge)
