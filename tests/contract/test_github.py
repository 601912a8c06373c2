"""GitHub Releases pass the contract of ReleaseHost, at a server that GitHub's own description holds to account."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from forge_contract import ForgeContract

from rote.adapters.forges import blocks
from rote.ports.hosting import ReleaseHost
from servers.github import GitHub


class TestGitHub(ForgeContract):
    server_class = GitHub

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

    differing: ClassVar = {"digests": False}


class TestImmutable(TestGitHub):
    """A repository in which a release cannot be changed once it is public."""

    differing: ClassVar = {"immutable": True}
