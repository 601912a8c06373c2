"""The example page, in a real browser: it runs a published model by itself, and follows what is published."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import blake3
import numpy as np
import onnxruntime
import pytest
from apps import Published, always, seeded
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from place import Place
from playwright.sync_api import expect

from servers.packages import folder as package

PAGE = Path(__file__).parents[2] / "examples" / "apps" / "page"
RUNTIME = ("onnxruntime-web", "1.30.0")
CHANNEL = "/models/digits/aliases/prod"
WAIT = 60_000.0
"""Milliseconds that the page may take for anything."""


class Handler(SimpleHTTPRequestHandler):
    """Hands out a folder, to pages of other hosts as well; what stands in `instead` is sent in place of a file."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012  # as the class it comes from has it
        "": "application/octet-stream", ".html": "text/html", ".css": "text/css", ".js": "text/javascript",
        ".mjs": "text/javascript", ".wasm": "application/wasm",
    }  # fmt: skip

    def __init__(self, *args: Any, host: Host, **rest: Any) -> None:
        self.host = host
        super().__init__(*args, **rest)

    def do_GET(self) -> None:
        self.host.asked.append(self.path)
        with self.host.held:
            self.answer()

    def answer(self) -> None:
        body = self.host.instead.get(self.path)
        if body is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        if self.path.endswith(
            ".html"
        ):  # these tests write it twice within a second, which is as fine as a date is told
            self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *args: object) -> None:
        pass


class Host:
    """A web server over a folder."""

    def __init__(self, folder: Path) -> None:
        self.instead: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.held = threading.Lock()  # by whoever changes several things that are to be seen together
        handler = partial(Handler, host=self, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Site:
    """The page, laid out as its README says, on one host, and what is published on another."""

    def __init__(self, folder: Path, published: Published, browser: Any) -> None:
        self.published = published
        self.release = Host(published.folder)
        shutil.copytree(PAGE, folder)
        runtime = package(*RUNTIME) / "dist"
        (folder / "vendor").mkdir()
        for file in (
            runtime / "ort.wasm.min.mjs",
            *runtime.glob("ort-wasm-simd-threaded.m*"),
            runtime / "ort-wasm-simd-threaded.wasm",
        ):
            shutil.copy(file, folder / "vendor")
        self.index = folder / "index.html"
        self.configure()
        self.host = Host(folder)
        self.context = browser.new_context(viewport={"width": 900, "height": 700})
        self.errors: list[str] = []
        self.page = self.open()

    def configure(self, keys: str = "", every: str = "0.2") -> None:
        text = (PAGE / "index.html").read_text()
        for was, now in (
            ('data-from="."', f'data-from="{self.release.url}"'),
            ('data-every="300"', f'data-every="{every}"'),
            ('data-keys=""', f'data-keys="{keys}"'),
        ):
            assert was in text
            text = text.replace(was, now)
        self.index.write_text(text)

    def open(self) -> Any:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "console", lambda said: self.errors.append(said.text) if "Content Security" in said.text else None
        )
        page.goto(f"{self.host.url}/index.html")
        return page

    def answers(self, version: str) -> None:
        """Wait until this version has answered."""
        expect(self.page.locator("#by")).to_have_text(version, timeout=WAIT)

    def says(self, text: str) -> str:
        """Wait until the page's last line has this in it."""
        expect(self.page.locator("#status")).to_contain_text(text, timeout=WAIT)
        return str(self.page.inner_text("#status"))

    def sends(self, instead: dict[str, bytes], text: str) -> str:
        """Send this in place of what is published: then the page says so, as soon as it is opened."""
        self.release.instead = instead
        self.page.reload()
        return self.says(text)

    def rolls_back_within_the_same_second(self) -> None:
        """Roll back so soon that a server that dates its files by the second has nothing newer to tell."""
        channel = self.published.folder / CHANNEL[1:]
        date = int(channel.stat().st_mtime)
        changing = channel.stat().st_mtime_ns
        with self.release.held:
            self.published.rollback()
            assert channel.stat().st_mtime_ns != changing
            os.utime(channel, (date, date))

    def close(self) -> None:
        self.context.close()
        self.host.close()
        self.release.close()


@pytest.fixture
def published(place: Place) -> Published:
    found = Published(place)
    found.release("1.0.0", seeded(1))
    return found


@pytest.fixture
def site(published: Published, tmp_path: Path, chromium: Any) -> Iterator[Site]:
    found = Site(tmp_path / "site", published, chromium)
    yield found
    found.close()
    assert found.errors == []


def test_the_page_answers_as_the_model_does_and_follows_it(site: Site) -> None:
    page = site.page
    site.answers("1.0.0")
    box = page.locator("#board").bounding_box()
    for x, y in ((3, 1), (4, 1), (4, 2), (4, 5), (0, 0), (7, 7)):
        page.mouse.move(box["x"] + (x + 0.5) * box["width"] / 8, box["y"] + (y + 0.5) * box["height"] / 8)
        page.mouse.down()
        page.mouse.up()
    check(site, seeded(1))
    site.published.release("1.1.0", seeded(2))
    site.answers("1.1.0")
    check(site, seeded(2))
    assert "up to date" in site.says("up to date")
    site.rolls_back_within_the_same_second()
    site.answers("1.0.0")
    check(site, seeded(1))
    page.click("#clear")
    expect(page.locator("#digit")).to_have_text("–", timeout=WAIT)
    assert not [path for path in site.host.asked if "models/" in path], (
        "all of the model came from where it was published"
    )


def check(site: Site, model: bytes) -> None:
    """What the page shows is what the same model says of the same drawing elsewhere."""
    drawn = site.page.evaluate(
        "Array.from(document.querySelectorAll('#board b'), (b) => Number(b.style.opacity))"
    )
    assert sum(drawn) > 6
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["probability"], {"image": np.array([drawn], dtype=np.float32)})
    expect(site.page.locator("#digit")).to_have_text(str(expected[0].argmax()), timeout=WAIT)
    expect(site.page.locator("#bars output")).to_have_text(
        [f"{value:.3f}" for value in expected[0]], timeout=WAIT
    )


def test_nothing_that_was_tampered_with_is_used(site: Site) -> None:
    site.answers("1.0.0")
    before = (site.published.folder / CHANNEL[1:]).read_bytes()
    model = "/models/digits/published/1.1.0/build/model.onnx"
    if not (site.published.folder / "models/digits/published/1.0.0/build/model.onnx").exists():
        model = "/models/digits/published/1.1.0/model.onnx"
    site.release.instead[model] = always(7)
    site.published.release("1.1.0", always(3))
    assert "going on with 1.0.0" in site.says("is not what the manifest names")
    site.sends({model: always(3) + b"x" * 1000}, "is longer than it may be")
    manifest = "/models/digits/published/1.1.0/rote-manifest.json"
    other = (site.published.folder / manifest[1:]).read_bytes().replace(b"1.1.0", b"1.0.0")
    site.sends({manifest: other}, "the manifest is not what the channel names")
    site.sends({CHANNEL: before}, "an older state (1, after 2) is shown")
    site.sends({CHANNEL: before[:-10] + b"000000000\n"}, "the channel is damaged")
    site.sends({CHANNEL: b"x" * 5000}, "is longer than it may be")
    site.sends({CHANNEL: forged(before, seq=9, model="other")}, "the channel of another model")
    site.sends({CHANNEL: forged(before, seq=2)}, "move 2 says something else now")
    site.answers("1.0.0")
    site.sends({}, "up to date")
    site.answers("1.1.0")


def forged(document: bytes, **changes: object) -> bytes:
    """The document with other content, and a check line that fits."""
    content = json.loads(document.split(b"\n")[0]) | changes
    return with_check_line(canonical(content))


def test_offline_and_after_a_restart_the_page_goes_on(site: Site) -> None:
    site.answers("1.0.0")
    site.page.close()
    site.release.instead = {CHANNEL: b""}
    site.release.asked.clear()
    site.page = site.open()
    site.answers("1.0.0")
    assert "going on with 1.0.0" in site.says("the channel is damaged")
    assert set(site.release.asked) == {CHANNEL}, "what was there already was not asked for"


def test_without_any_model_the_page_says_so(site: Site) -> None:
    site.page.close()
    site.context.clear_cookies()
    site.index.write_text(site.index.read_text().replace('data-model="digits"', 'data-model="letters"'))
    site.page = site.open()
    site.says("there is no model yet: models/letters/aliases/prod: 404")


class Signed:
    """A project whose channels are signed, and what somebody can do who has its secrets."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.place = published.place
        self.keys: list[str] = []

    def key(self, doing: str) -> str:
        """Make the key `digits`, or another one in its place, and name it in rote.yaml; the public key."""
        public = str(json.loads(self.place.rote("key", doing, "digits", "--json").out)["public"])
        text = (self.place.root / "rote.yaml").read_text().partition("    keys:")[0]
        self.place.write("rote.yaml", f'{text}    keys: ["{public}"]\n')
        return public

    def secret(self) -> Ed25519PrivateKey:
        said = self.place.rote("key", "show", "digits", "--secret").out.strip()
        return Ed25519PrivateKey.from_private_bytes(b64decode(said.removeprefix("ed25519-secret:")))

    def document(self, secret: Ed25519PrivateKey, **changes: object) -> bytes:
        """What is published, changed and signed by this secret alone: by another signer than ours, from the text of
        docs/format.md, 10.8."""
        text = (self.published.folder / CHANNEL[1:]).read_bytes().split(b"\n")[0]
        content = json.loads(text) | changes
        content.pop("signatures", None)
        said = {**content, "snapshot": {k: v for k, v in content["snapshot"].items() if k != "txn"}}
        public = secret.public_key().public_bytes_raw()
        signature = {
            "key": blake3.blake3(public).hexdigest()[:16],
            "signature": b64encode(secret.sign(canonical(said))).decode(),
        }
        return with_check_line(canonical(content | {"signatures": [signature]}))


def canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def with_check_line(text: bytes) -> bytes:
    return text + b"\nblake3:" + blake3.blake3(text).hexdigest().encode() + b"\n"


NOBODY = "signed by nobody whom this page trusts"


def test_a_signed_channel_and_a_key_that_takes_the_place_of_another(site: Site) -> None:
    signed = Signed(site.published)
    site.answers("1.0.0")
    site.page.close()
    first = signed.key("create")
    stolen = signed.secret()
    site.configure(keys=first)
    site.page = site.open()
    site.says(NOBODY)
    site.published.release("1.1.0", seeded(2))
    site.answers("1.1.0")
    site.sends({CHANNEL: signed.document(stolen, seq=3, why='of "ünïcode"\t')}, "up to date")
    tampered = signed.document(stolen, seq=4, why="because").replace(b"because", b"Because").split(b"\n")[0]
    site.sends({CHANNEL: with_check_line(tampered)}, NOBODY)
    site.sends(
        {CHANNEL: signed.document(stolen, seq=4, keys=["ed25519:AAAA"])}, "not a public key: ed25519:AAAA"
    )
    site.sends({CHANNEL: signed.document(Ed25519PrivateKey.generate(), seq=4)}, NOBODY)

    # The owner's next key: the page learns of it from a document that both signed.
    site.release.instead = {}
    second = signed.key("rotate")
    for _ in range(2):  # past the number that the page has seen
        signed.place.rote("model", "renew", "digits")
    site.says("up to date")
    site.page.wait_for_function("(key) => JSON.stringify(localStorage).includes(key)", arg=second)
    forged = signed.document(stolen, seq=99)
    site.sends({CHANNEL: forged}, NOBODY)
    site.page.close()
    site.page = site.open()
    assert NOBODY in site.says("going on with 1.1.0"), "also after a restart"
    site.sends({}, "up to date")
    site.published.release("1.2.0", seeded(3))
    site.answers("1.2.0")

    # Shipped anew, with the next key, and with one that is not the owner's.
    for keys, told in (
        (second, "up to date"),
        (strangers(), NOBODY),
        ("ed25519:x", "not a public key: ed25519:x"),
    ):
        site.page.close()
        site.configure(keys=keys)
        site.page = site.open()
        site.says(told)
        site.answers("1.2.0")


def strangers() -> str:
    return "ed25519:" + b64encode(Ed25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


LENGTHS = [0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 2049, 3072, 4097, 7168, 31_744, 102_400]


def test_the_digest_that_the_page_computes_is_blake3(site: Site) -> None:
    found = site.page.evaluate(
        "async (lengths) => { const { blake3 } = await import('./blake3.js');"
        " return lengths.map((n) => blake3(Uint8Array.from({ length: n }, (_, i) => i % 251))); }",
        LENGTHS,
    )
    assert found == [blake3.blake3(bytes(i % 251 for i in range(n))).hexdigest() for n in LENGTHS]


def test_what_the_readme_says_to_copy_is_enough(tmp_path: Path) -> None:
    """The commands of the README that need no network, as they stand there."""
    readme = (PAGE.parent / "README.md").read_text()
    block = readme.split("```\n")[1].split("```")[0].replace("../../demo/public", str(tmp_path / "public"))
    (tmp_path / "public" / "models").mkdir(parents=True)
    (tmp_path / "node_modules").symlink_to(package(*RUNTIME).parent)
    (tmp_path / "page").symlink_to(PAGE)
    lines = [line.partition(" #")[0] for line in block.splitlines() if not line.startswith(("npm", "python"))]
    subprocess.run("set -e\n" + "\n".join(lines), shell=True, cwd=tmp_path, check=True)
    there = {path.relative_to(tmp_path / "site").as_posix() for path in (tmp_path / "site").rglob("*")}
    assert {"index.html", "page.js", "follow.js", "blake3.js", "page.css", "models", "vendor/ort.wasm.min.mjs",
            "vendor/ort-wasm-simd-threaded.wasm", "vendor/ort-wasm-simd-threaded.mjs"} <= there  # fmt: skip
