"""An application at real servers: what goes over the wire is counted, and what is refused there is told."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from forge_contract import client
from modelbench import Bench, noise, tree
from targetbench import Published

from rote.adapters.stores import address as stores
from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.retry import Patience
from rote.adapters.targets.bucket import BucketHost
from rote.client import Model, hosts
from rote.errors import Corrupt, Missing, RoteError, StoreUnavailable
from rote.services.publishing import delivering, publishing
from rote.services.publishing.publishing import Stored, content_of
from rote.words.publication import MANIFEST
from servers.fixtures import Bucket
from servers.forge import told

SIZE = 20 << 20
CHANGE = SIZE // 20
NET = noise(SIZE)
ONE = {"m": {"net": NET, "labels": b"one"}}
TWO = {"m": {"net": NET[: 9 << 20] + noise(CHANGE, 1) + NET[(9 << 20) + CHANGE :], "labels": b"two"}}
THREE = {"m": {"net": noise(300_000, 2), "labels": b"three"}}


def published(bench: Bench, host) -> None:
    """Bring what prod names, and its channel, to a target, as `rote promote` does."""
    service = publishing.Publishing(host)

    def manifest_of(number: str):
        version = bench.registry.get("digits", number)
        content = msgspec.structs.replace(content_of(version), commit=None)
        return service.publish(content, Stored(bench.snapshots, version.snapshot)).manifest

    delivering.Delivering(bench.registry, host, bench.sealing.seal).deliver("digits", "prod", manifest_of)


def served(model: Model):
    return tree(model.path() / "m")


class Web:
    """A folder behind a web server that knows ranges and etags and nothing else, as a CDN does; it counts."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.sent = 0
        self.more = threading.Condition()
        web = self

        class Answer(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with web.more:
                    web.asked.append((self.command, self.path))
                    web.more.notify_all()
                path = folder / self.path.lstrip("/").partition("?")[0]
                if not path.is_file():
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                data = path.read_bytes()
                etag = f'"{hashlib.md5(data).hexdigest()}"'
                wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
                size = len(data)
                if wanted:
                    start, end = int(wanted[1]), min(int(wanted[2] or size - 1), size - 1)
                    data = data[start : end + 1]
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
                else:
                    self.send_response(200)
                self.send_header("ETag", etag)
                self.send_header("Last-Modified", "Sat, 21 Nov 2026 11:00:00 GMT")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if self.command == "GET":
                    web.sent += len(data)
                    self.wfile.write(data)

            do_HEAD = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self) -> None:
        self.asked.clear()
        self.sent = 0

    def wait_for(self, count: int) -> None:
        """Until so many requests have come."""
        with self.more:
            assert self.more.wait_for(lambda: len(self.asked) >= count, 60)


@pytest.fixture
def web(tmp_path):
    (tmp_path / "www").mkdir()
    web = Web(tmp_path / "www")
    yield web
    web.server.shutdown()
    web.server.server_close()


@pytest.fixture
def bench(tmp_path):
    return Published(tmp_path / "keys")


class TestOverHttp:
    @pytest.fixture
    def host(self, web, tmp_path):
        return BucketHost(FolderStore(str(tmp_path / "www")))

    @pytest.fixture
    def model(self, bench, web, host, tmp_path):
        bench.release(ONE, promote="prod")
        published(bench, host)
        return Model(web.url, "digits", cache=tmp_path / "c", keys=bench.keys)

    def test_a_poll_is_one_request_and_no_byte(self, model, web, bench, tmp_path):
        assert served(model) == ONE["m"]
        for again in (model, Model(web.url, "digits", cache=tmp_path / "c", keys=bench.keys)):
            web.forget()
            assert not again.refresh()
            assert web.asked == [("HEAD", "/models/digits/aliases/prod")]
            assert web.sent == 0

    def test_5_percent_cost_8_percent_at_most(self, model, web, bench, host):
        model.path()
        bench.release(TWO, promote="prod")
        published(bench, host)
        web.forget()
        assert model.refresh()
        assert served(model) == TWO["m"]
        assert web.sent <= 0.08 * SIZE
        assert len(web.asked) <= 8

    def test_a_server_that_went_away(self, model, web, bench, host, tmp_path):
        model.path()
        web.server.shutdown()
        web.server.server_close()
        again = Model(web.url, "digits", cache=tmp_path / "c", keys=bench.keys)
        assert served(again) == ONE["m"]
        assert isinstance(again.problem, StoreUnavailable)


WORKER = """\
import os, sys
from rote.client import Model, hosts
url, cache, key = sys.argv[1:]
model = Model(url, "digits", cache=cache, keys=[key])
print(model.version, flush=True)
watch = model.watch(lambda model: print(model.version, flush=True), every=EVERY)
sys.stdin.read()
os._exit(0)
"""
EVERY = 0.25
WORKERS = 6


class TestManyProcesses:
    """The workers of one service: each a process that watches, all on one cache."""

    @pytest.fixture
    def service(self, bench, web, tmp_path):
        script = WORKER.replace("EVERY", str(EVERY))
        command = [sys.executable, "-c", script, web.url, str(tmp_path / "c"), *bench.keys]
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "user")}
        workers = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            for _ in range(WORKERS)
        ]
        yield workers
        for worker in workers:
            with worker:
                worker.kill()

    def ship(self, bench, host, outs):
        bench.release(outs, promote="prod")
        published(bench, host)

    def test_they_look_as_often_as_one_and_all_hear_of_it(self, bench, web, tmp_path, request):
        host = BucketHost(FolderStore(str(tmp_path / "www")))
        self.ship(bench, host, THREE)
        workers = request.getfixturevalue("service")
        assert [worker.stdout.readline() for worker in workers] == ["1.0.0\n"] * WORKERS
        began, started = time.monotonic(), len(web.asked)
        web.wait_for(started + 12)
        looked, seconds = len(web.asked) - started, time.monotonic() - began
        # From the end of a look to the next it takes at least 0.8 of what was asked for; one may have been due at once.
        assert looked <= seconds / (0.8 * EVERY) + 2, "each looks for itself"
        assert {method for method, _ in web.asked[started:]} == {"HEAD"}
        self.ship(bench, host, {"m": {"labels": b"four"}})
        assert [worker.stdout.readline() for worker in workers] == ["1.0.1\n"] * WORKERS
        # Whoever is killed, also in the middle of a look, leaves the others to it.
        for worker in workers[:-1]:
            worker.kill()
        self.ship(bench, host, {"m": {"labels": b"five"}})
        assert workers[-1].stdout.readline() == "1.0.2\n"


class TestAtABucket:
    """A server with AWS's semantics; readers and writers have the same credentials there."""

    @pytest.fixture
    def place(self, moto: Bucket, monkeypatch):
        for name, value in moto.env.items():
            monkeypatch.setenv(name, value)
        return moto.url("c" + uuid.uuid4().hex[:16])

    def test_from_the_first_version_to_the_next(self, bench, place, tmp_path):
        host = BucketHost(stores.at(place))
        bench.release(ONE, promote="prod")
        published(bench, host)
        model = Model(place, "digits", cache=tmp_path / "c", keys=bench.keys)
        assert served(model) == ONE["m"]
        assert not model.refresh()
        bench.release(TWO, promote="prod")
        published(bench, host)
        assert model.refresh()
        assert served(model) == TWO["m"]
        assert model.problem is None


@pytest.fixture
def forge(forge, tmp_path, monkeypatch):
    for name in [n for n in os.environ if n.endswith("_TOKEN") or n in ("GH_HOST", "GITLAB_HOST")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return forge


class TestAtAForge:
    @pytest.fixture
    def follow(self, bench, forge, tmp_path):
        bench.release(THREE, promote="prod")
        published(bench, client(forge, forge.token))
        forge.forget()
        return lambda cache="c", **rest: Model(
            forge.address, "digits", cache=tmp_path / cache, keys=bench.keys, **rest
        )

    def test_from_the_first_version_to_the_next_and_back(self, follow, forge, bench):
        model = follow()
        assert served(model) == THREE["m"]
        bench.release(ONE, promote="prod")
        published(bench, client(forge, forge.token))
        assert model.refresh()
        assert served(model) == ONE["m"]
        bench.registry.rollback("digits")
        published(bench, client(forge, forge.token))
        assert model.refresh()
        assert served(model) == THREE["m"]
        assert model.problem is None

    def test_a_poll_is_one_request_also_after_a_restart(self, follow, forge):
        model = follow()
        model.path()
        for again in (model, follow()):
            forge.forget()
            assert not again.refresh()
            assert len(forge.requests()) == 1
            assert forge.requests(of="files") == []

    def test_an_update_reads_what_is_new(self, follow, forge, bench):
        bench.release(ONE, promote="prod")
        published(bench, client(forge, forge.token))
        model = follow()
        model.path()
        bench.release(TWO, promote="prod")
        published(bench, client(forge, forge.token))
        sent = []

        def count(request, answer):
            body = answer.body
            size = len(body) if isinstance(body, bytes) else body.stat().st_size
            ranged = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
            if ranged and not isinstance(body, bytes):
                size = min(int(ranged[2] or size - 1), size - 1) - int(ranged[1]) + 1
            sent.append(size)

        forge.after.append(count)
        assert model.refresh()
        forge.after.clear()
        assert served(model) == TWO["m"]
        assert sum(sent) <= 0.08 * SIZE + 40_000, "what a forge says of a release comes on top"

    def test_an_asset_that_was_deleted_or_changed(self, follow, forge, bench):
        model = follow()
        model.path()
        bench.release(ONE, promote="prod")
        published(bench, client(forge, forge.token))
        model_before = served(model)

        def swapped(request, answer):
            body = answer.body
            if isinstance(body, Path) and body.stat().st_size == SIZE:
                other = forge.files / "swapped"
                other.write_bytes(NET[::-1])
                answer.body = other
            return answer

        forge.after.append(swapped)
        with pytest.raises(Corrupt, match="damaged, cut or swapped"):
            model.refresh()
        forge.after.clear()
        assert served(model) == model_before
        assert model.refresh()

    def test_a_manifest_that_was_deleted_comes_back(self, follow, forge, bench):
        model, writer = follow(), client(forge, forge.token)
        release = writer.find("digits@v1.0.0")
        writer.drop(release, release.asset(MANIFEST))
        with pytest.raises(Missing, match="not published here"):
            model.path()
        published(bench, writer)
        assert served(model) == THREE["m"]

    def test_nothing_was_published(self, follow, forge, bench, tmp_path):
        with pytest.raises(Missing, match="nobody holds letters@prod"):
            Model(forge.address, "letters", cache=tmp_path / "l", keys=bench.keys).path()

    def test_a_forge_in_trouble_leaves_what_is_in_use(self, follow, forge, monkeypatch):
        follow().path()
        monkeypatch.setattr("rote.wiring.origins.PATIENCE", Patience(deadline=0.1))
        forge.before.append(lambda request: told(503, {"message": "down"}))
        model = follow()
        assert served(model) == THREE["m"]
        assert isinstance(model.problem, StoreUnavailable)
        with pytest.raises(RoteError):
            follow(cache="fresh").path()
        forge.before.clear()

    def test_a_limit_that_is_used_up_is_known_to_all(self, follow, forge, monkeypatch, tmp_path, bench):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
        monkeypatch.setattr(hosts, "_HOSTS", {})
        model = follow()
        model.path()
        (tmp_path / "c" / "looked").unlink()  # it was long ago
        forge.before.append(lambda request: told(429, {"message": "later"}, **{"Retry-After": "900"}))
        waits = []
        for each in (model, Model(forge.address, "letters", cache=tmp_path / "l", keys=bench.keys)):
            forge.forget()
            watch = each.watch(lambda model: None, every=5)
            waits.append((watch._turn(), len(forge.requests())))
            watch.stop()
            hosts._HOSTS.clear()  # what comes next is another process
        forge.before.clear()
        (first, asked), (second, none) = waits
        assert (asked, none) == (1, 0)
        assert 800 < second <= first <= 900
