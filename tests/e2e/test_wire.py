"""What commands ask of a real S3 server, counted on the way to it: docs/cost.md holds there, too."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from place import Place

from servers.fixtures import Bucket
from servers.proxy import Proxy

PIPELINE = """
stages:
  a: {cmd: cp in a, deps: [in], outs: [a]}
  b: {cmd: tr x y < a > b, deps: [a], outs: [b]}
  c: {cmd: "cat b && echo '{\\"accuracy\\": 0.9}' > metrics.json", deps: [b], metrics: [metrics.json]}
"""


class Wire:
    """A project whose store is behind a proxy that counts."""

    def __init__(self, place: Place, proxy: Proxy, bucket: Bucket, state: Path) -> None:
        self.place = place
        self.proxy = proxy
        self.env = {**bucket.env, "XDG_STATE_HOME": str(state), "ROTE_CACHE": str(state / "cache")}
        self.store = Bucket(proxy.url, bucket.key, bucket.secret).url()
        self.sent = 0
        """Bytes of the last command's bodies."""
        place.rote("init", "--store", self.store, **self.env)

    def asks(self, *command: str, place: Place | None = None) -> list[str]:
        """The requests of a command, as method and kind of object, in the order in which they came."""
        self.proxy.reset()
        (place or self.place).rote(*command, **self.env)
        log = self.proxy.reset()
        self.sent = log.uploaded
        prefix = self.store.partition("?")[0].removeprefix("s3:/")
        return [f"{asked.method} {asked.path.removeprefix(prefix).split('/')[1]}" for asked in log.asked]

    def forget(self) -> None:
        """Empty the user's read cache."""
        shutil.rmtree(self.env["ROTE_CACHE"], ignore_errors=True)

    def clone(self, name: str) -> Place:
        """A fresh clone of everything that is in git."""
        self.place.commit()
        root = self.place.root.parent / name
        self.place.git("clone", "-q", str(self.place.root), str(root))
        return Place(root)


@pytest.fixture
def wire(bare: Place, rgw: Bucket, tmp_path: Path) -> Iterator[Wire]:
    with Proxy(rgw.endpoint) as proxy:
        yield Wire(bare, proxy, rgw, tmp_path / "state")


def test_data_on_the_wire(wire: Wire) -> None:
    chance = random.Random(1)
    content = 0
    for number in range(1000):
        data = chance.randbytes(400)
        content += len(data)
        wire.place.write(f"data/{number // 100}/{number}", data)

    assert wire.asks("add", "data") == [
        *["GET rote.json", "PUT txns", "PUT packs", "GET data"],
        *["PUT snapshots", "PUT data", "PUT txns", "PUT data"],
    ]
    assert content < wire.sent < content + 100 * 1000
    assert wire.asks("status") == []
    assert wire.asks("add", "data") == ["GET data"]

    clone = wire.clone("clone")
    assert wire.asks("checkout", place=clone) == ["GET data", "GET snapshots", "GET packs", "GET packs"]
    assert wire.asks("checkout", place=clone) == []
    assert wire.asks("cat", "data/3/333") == [], "the read cache has it"
    wire.forget()
    assert wire.asks("cat", "data/3/333") == ["GET snapshots", "GET packs", "GET packs"]

    wire.place.write("data/new", b"one file more")
    asked = wire.asks("add", "data")
    assert Counter(request.split()[0] for request in asked) == {"GET": 6, "HEAD": 1, "PUT": 7}
    assert "GET snapshots" not in asked, "the read cache has it"
    assert wire.sent < 100_000


def test_a_pipeline_on_the_wire(wire: Wire) -> None:
    place = wire.place
    place.write("rote.yaml", place.read("rote.yaml") + PIPELINE)
    place.write("in", "x" * 1000)
    place.write(".gitignore", place.read(".gitignore") + "/a\n/b\n")

    asked = Counter(request.split()[0] for request in wire.asks("run"))
    assert asked["PUT"] <= 25
    assert set(asked) <= {"GET", "HEAD", "PUT"}
    assert wire.asks("run") == ["GET results"] * 3 + ["GET runs"]

    clone = wire.clone("clone")
    wire.forget()
    asked = Counter(wire.asks("run", place=clone))
    assert asked == {"GET results": 3, "GET runs": 1, "GET snapshots": 2, "GET packs": 4}
    assert wire.asks("run", place=wire.clone("with-cache")) == ["GET results"] * 3 + ["GET runs"]
