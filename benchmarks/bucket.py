"""A real S3 server (Ceph RGW on loopback) for a round, some milliseconds away, and a plain copy to and from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from delay import road
from limits import files_below
from rounds import Setting, quiet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from servers import rgw, sharing

MEMORY = 10 << 30
"""Of the server, which keeps its objects there: a round's. Only what is stored is taken."""
AT_ONCE = 16
"""Requests of the plain copy under way."""


@dataclass
class Bucket:
    """The bucket `rote`, empty at first, at `endpoint`."""

    endpoint: str
    environment: dict[str, str]

    def url(self, name: str) -> str:
        """The address of a store in it."""
        return f"s3://rote/{name}?endpoint={self.endpoint}"

    def client(self, prefix: str | None = None) -> S3Store:
        """A client that is not rote's."""
        return S3Store(
            "rote", prefix=prefix, endpoint=self.endpoint, region="us-east-1", virtual_hosted_style_request=False,
            access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
        )  # fmt: skip

    def stored(self, name: str) -> int:
        """Bytes below a prefix."""
        return sum(meta["size"] for batch in obstore.list(self.client(), f"{name}/") for meta in batch)

    def dvc_remote(self, setting: Setting, project: Path) -> None:
        """Let a DVC project push to it."""
        dvc = setting.dvc_s3()
        quiet([dvc, "remote", "add", "-d", "s3", "s3://rote/dvc"], project)
        quiet([dvc, "remote", "modify", "s3", "endpointurl", self.endpoint], project)

    def put_all(self, folder: Path) -> None:
        """Every file as an object, some at once."""
        client, cut = self.client("plain"), len(str(folder)) + 1

        def put(path: str) -> Any:
            return obstore.put(client, path[cut:], Path(path))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(put, files_below(folder)))

    def get_all(self, folder: Path) -> None:
        """Every object as a file, some at once."""
        client = self.client("plain")

        def get(key: str) -> None:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as file:
                file.writelines(obstore.get(client, key).stream(min_chunk_size=8 << 20))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(get, [meta["path"] for batch in obstore.list(client) for meta in batch]))


@contextmanager
def bucket(place: Path, ms: float) -> Iterator[Bucket]:
    """A new server, so many milliseconds farther away than it is."""
    (place / "rgw").mkdir()
    told = rgw.start(place / "rgw", MEMORY)
    try:
        environment = {
            "AWS_ACCESS_KEY_ID": told["key"],
            "AWS_SECRET_ACCESS_KEY": told["secret"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "ROTE_CACHE": str(place / "read-cache"),
            "XDG_STATE_HOME": str(place / "state"),
        }
        os.environ.update({k: v for k, v in environment.items() if k.startswith("AWS")})
        import boto3

        boto3.client("s3", endpoint_url=told["endpoint"]).create_bucket(Bucket="rote")
        with road(told["endpoint"], ms) as endpoint:
            yield Bucket(endpoint, environment)
    finally:
        sharing.end(told["pids"])
