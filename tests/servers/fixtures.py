"""Fixtures for the servers; tests/conftest.py takes them in. A test that asks for one has it running.

Where a Debian package is missing, root installs it; for anybody else the tests that need it are not run, and the
summary says which package they miss.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from servers import apache as apache_server
from servers import azurite as azurite_server
from servers import chromium as chromium_program
from servers import moto as moto_server
from servers import nginx as nginx_server
from servers import rgw as rgw_server
from servers import s3rver as s3rver_server
from servers import sshd as sshd_server
from servers import strace as strace_program
from servers.forge import Forge
from servers.github import GitHub
from servers.gitlab import GitLab
from servers.sharing import shared

DEBIAN = {
    "rgw": rgw_server, "nginx": nginx_server, "apache": apache_server, "sshd": sshd_server, "strace": strace_program,
    "chromium": chromium_program,
}  # fmt: skip
"""Fixture -> the module that knows its Debian packages."""


@dataclass
class Bucket:
    """A bucket of an S3 server."""

    endpoint: str
    key: str
    secret: str
    name: str = "rote"

    def url(self, prefix: str | None = None) -> str:
        """The address of a store in it, of its own if no prefix is named."""
        return f"s3://{self.name}/{prefix or 't' + uuid.uuid4().hex[:12]}?endpoint={self.endpoint}"

    @property
    def env(self) -> dict[str, str]:
        """What a vendor's tools would find in the environment."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret}

    def client(self) -> Any:
        """A client that is not ours."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3", endpoint_url=self.endpoint, aws_access_key_id=self.key, aws_secret_access_key=self.secret,
            region_name="us-east-1", config=Config(retries={"max_attempts": 3}),
        )  # fmt: skip


def common(factory: pytest.TempPathFactory) -> Path:
    """The folder that all workers of a run have in common."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "servers"


def made(told: dict[str, Any]) -> Bucket:
    bucket = Bucket(told["endpoint"], told["key"], told["secret"])
    client = bucket.client()
    if "rote" not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
        try:
            client.create_bucket(Bucket="rote")
        except client.exceptions.BucketAlreadyOwnedByYou:
            pass  # another worker did
    return bucket


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket on a real S3 server."""
    with shared(common(tmp_path_factory), "rgw", rgw_server.start) as told:
        yield made(told)


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket with AWS's semantics."""
    with shared(common(tmp_path_factory), "moto", moto_server.start) as told:
        yield made(told)


@pytest.fixture(scope="session")
def s3rver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """A bucket on a server that ignores conditions."""
    with shared(common(tmp_path_factory), "s3rver", s3rver_server.start) as told:
        yield Bucket(told["endpoint"], told["key"], told["secret"])


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Azure Blob Storage."""
    with shared(common(tmp_path_factory), "azurite", azurite_server.start) as told:
        yield told


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A public web server."""
    with shared(common(tmp_path_factory), "nginx", nginx_server.start) as told:
        yield told


@pytest.fixture(scope="session")
def apache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A WebDAV server."""
    with shared(common(tmp_path_factory), "apache", apache_server.start) as told:
        yield told


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """An SSH server."""
    with shared(common(tmp_path_factory), "sshd", sshd_server.start) as told:
        yield told


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A browser, as Playwright drives one; each test makes itself a context. Not for longer than a module: as long as it
    is there, nobody else in this thread can run an event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root it has no sandbox; it must not ask the world for anything.
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(executable_path=chromium_program.program(), args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def strace() -> str:
    """The program that traces stages."""
    return "strace"


LEFT_OUT = pytest.StashKey[dict[str, int]]()


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Install what the tests to be run need, or take out those that cannot run here."""
    wanted = {name for item in items for name in getattr(item, "fixturenames", ())}
    left: dict[str, int] = {}
    for name, server in DEBIAN.items():
        if name not in wanted or not server.missing():
            continue
        if os.getuid() == 0 and _installed(config, server.PACKAGES) and not server.missing():
            continue
        without = [item for item in items if name in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=without)
        items[:] = [item for item in items if item not in without]
        left[" ".join(server.PACKAGES)] = len(without)
    config.stash[LEFT_OUT] = left


def say_left_out(config: pytest.Config, write: Any) -> None:
    """Say at the end what was not run."""
    for packages, count in config.stash.get(LEFT_OUT, {}).items():
        write(f"NOT RUN: {count} tests need more: apt-get install --no-install-recommends {packages}")


def _installed(config: pytest.Config, packages: tuple[str, ...]) -> bool:
    import fcntl
    import tempfile

    with open(Path(tempfile.gettempdir()) / "rote-tests-apt.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers collect at once
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(command, env=env, capture_output=True, timeout=600, check=False)
            if done.returncode != 0:
                return False
    return True


@pytest.fixture(params=[GitHub, GitLab], ids=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Forge]:
    """A server of each forge, which nobody may have asked what its vendor's description does not know."""
    yield from _sound(request.param(tmp_path / "forge"))


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Forge]:
    """The one of GitHub alone."""
    yield from _sound(GitHub(tmp_path / "forge"))


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[Forge]:
    """The one of GitLab alone."""
    yield from _sound(GitLab(tmp_path / "forge"))


def _sound(forge: Forge) -> Iterator[Forge]:
    with forge as server:
        yield server
        assert server.wrong == []
