"""GitLab Releases, with their files in the package registry, pass the contract of ReleaseHost."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from forge_contract import ForgeContract

from rote.adapters.forges import blocks
from rote.adapters.forges.packages import package_of
from rote.ports.hosting import ReleaseHost
from servers.gitlab import GitLab


class TestGitLab(ForgeContract):
    server_class = GitLab

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

    differing: ClassVar = {"direct": True, "duplicates": False}
