"""Forges in trouble, forges that lie, and lines that break: what is published is whole or not there, what is downloaded is
what was published, and a token goes nowhere else."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import logging
import os
import random
import re
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rote.adapters.forges import opening
from rote.adapters.forges.talk import Patience
from rote.adapters.landing.loose import gathered
from rote.adapters.landing.shelf import FolderShelf
from rote.errors import (
    Changed,
    Conflict,
    Corrupt,
    Missing,
    NotFound,
    Refused,
    RoteError,
    StoreUnavailable,
    Unsaved,
)
from rote.laws.publishing import manifests
from rote.ports.hosting import Told
from rote.ports.loose import LooseFile
from rote.services.publishing.bundles import Bundles
from rote.services.publishing.downloads import Downloads
from rote.testing.clock import START, StillClock
from rote.testing.host_contract.parts import sending
from servers.forge import Answer, Request, told
from servers.github import GitHub
from servers.gitlab import GitLab


class Client:
    """A user of one server, with a clock that only waiting moves."""

    def __init__(self, server, token="", **more) -> None:
        self.clock = StillClock()
        self.host = opening.host(
            server.address, clock=self.clock, environ={}, token=token or server.token, **more
        )

    def publish(self, tag, files, **more):
        return Bundles(self.host, threads=2).publish(tag, gathered(files), **more)

    def download(self, tag, to, names=(), overwrite=False):
        return Downloads(self.host, threads=2).download(
            tag, FolderShelf(str(to), overwrite=overwrite), str(to), names
        )


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "mine"
    (folder / "vocabulary").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(random.Random(1).randbytes(3_000_000))
    (folder / "labels.txt").write_bytes(b"a\nb\n")
    (folder / "empty").write_bytes(b"")
    (folder / "vocabulary" / "words.txt").write_bytes(b"words")
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    return [folder / name for name in ("model.onnx", "labels.txt", "empty", "vocabulary", "run.sh")]


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and ".rote-download" not in p.parts
    }


def same(files, folder: Path) -> bool:
    return tree(folder) == tree(files[0].parent)


def sent(server) -> int:
    """Uploads that came."""
    return sum(server.uploads(r.method, r.path) for r in server.requests())


def once(what):
    """A trouble that comes one time, where `what` says so."""
    state = {"left": 1}

    def trouble(request: Request, *rest):
        found = what(request, *rest) if state["left"] else None
        state["left"] -= found is not None
        return found

    trouble.left = lambda: state["left"]
    return trouble


# ---- the everyday --------------------------------------------------------------------------------------------------


def test_there_and_back(forge, files, tmp_path):
    user = Client(forge)
    made = user.publish("v1.0.0", files, notes="what is new")
    assert (made.created, made.sent, made.bytes) == (True, 5, 3_000_019)
    forge.forget()
    again = user.publish("v1.0.0", files)
    assert (again.created, again.sent, again.bytes) == (False, 0, 0)
    assert {r.method for r in forge.requests()} == {"GET"}
    got = user.download("latest", tmp_path / "to")
    assert (got.tag, got.written, got.bytes, got.unverified) == ("v1.0.0", 5, 3_000_019, [])
    assert same(files, tmp_path / "to")
    assert os.access(tmp_path / "to" / "run.sh", os.X_OK)
    assert not os.access(tmp_path / "to" / "labels.txt", os.X_OK)
    forge.forget()
    assert user.download("v1.0.0", tmp_path / "to").written == 0
    assert (
        sum(len(r.path) > 0 for r in forge.requests(of="files")) <= 1
    )  # the list of files, and none of them


def test_the_public_needs_no_token_and_few_requests(github, files, tmp_path):
    Client(github).publish("v1.0.0", files)
    reader = Client(github, token="ghp_reader")
    reader.host = opening.host(github.address, clock=StillClock(), environ={})
    github.forget()
    reader.download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")
    assert [r.path for r in github.requests() if "/api/" in r.path] == [
        "/api/v3/repos/owner/repo/releases/tags/v1.0.0"
    ]


@pytest.mark.parametrize("largest", [999_999, 1_000_000, 1_500_000, 2_999_999])
def test_large_files_are_split_and_joined(forge, files, tmp_path, largest):
    Client(forge, largest=largest).publish("v1.0.0", files)
    names = {asset.name for asset in Client(forge).host.find("v1.0.0").assets}
    parts = {f"model.onnx.{n:03d}" for n in range(1, -(-3_000_000 // largest) + 1)}
    assert parts < names
    assert "model.onnx" not in names
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


def test_a_version_of_a_model_has_a_manifest_that_applications_follow(forge, files):
    user = Client(forge)
    user.publish("digits@v1.0.0", files)
    names = {asset.name for asset in user.host.find("digits@v1.0.0").assets}
    assert "rote-manifest.json" in names
    assert "rote-files.json" not in names
    user.publish("nightly/2026-11-21", files)
    assert user.host.find("nightly/2026-11-21").asset("rote-files.json")


def test_an_application_reads_what_is_new_of_a_file_that_was_published_without_a_project(forge, tmp_path):
    """The manifest tells the chunks: they are the file, and most are those of the version before."""
    model = tmp_path / "model.bin"
    data = random.Random(2).randbytes(6_000_000)
    found = []
    for n, body in enumerate((data, data[:3_000_000] + b"a little more" + data[3_000_000:])):
        model.write_bytes(body)
        user = Client(forge)
        user.publish(f"digits@v1.0.{n}", [model])
        release = user.host.find(f"digits@v1.0.{n}")
        raw = b"".join(user.host.read(release, release.asset("rote-manifest.json")))
        [file] = manifests.decoded(raw, "here").files
        at = 0
        for digest, length in file.chunks:
            assert blake3(body[at : at + length]).hexdigest() == digest
            at += length
        assert at == len(body)
        found.append(dict(file.chunks))
    new = sum(length for digest, length in found[1].items() if digest not in found[0])
    assert new <= 2 << 20


def test_other_files_under_the_same_tag_are_refused(forge, files, tmp_path):
    user = Client(forge)
    user.publish("v1.0.0", files)
    before = user.host.find("v1.0.0")
    for change in (
        lambda: files[1].write_bytes(b"a\nc\n"),
        lambda: files[1].write_bytes(b""),
        files.pop,
    ):
        change()
        with pytest.raises(Refused, match="other files"):
            user.publish("v1.0.0", files)
    assert user.host.find("v1.0.0") == before


def test_an_unfinished_attempt_with_other_bytes_is_refused_until_fresh(forge, files, tmp_path):
    user = Client(forge)
    draft = user.host.begin("v1.0.0", title="", notes="")
    user.host.send(draft, sending("labels.txt", b"another"))
    with pytest.raises(Refused, match="unfinished"):
        user.publish("v1.0.0", files)
    assert user.host.find("v1.0.0").draft
    user.publish("v1.0.0", files, fresh=True)
    user.download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


def test_what_somebody_deleted_is_named_and_comes_back(forge, files, tmp_path):
    user = Client(forge)
    user.publish("v1.0.0", files)
    release = user.host.find("v1.0.0")
    user.host.drop(release, release.asset("model.onnx"))
    with pytest.raises(Missing, match=r"model\.onnx"):
        user.download("v1.0.0", tmp_path / "to")
    assert tree(tmp_path / "to") == {} if (tmp_path / "to").exists() else True
    healed = user.publish("v1.0.0", files)
    assert (healed.created, healed.sent, healed.bytes) == (False, 1, 3_000_000)
    user.download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


def test_two_at_once_make_one_release(forge, files, tmp_path):
    def publish(n: int) -> bool:
        return Client(forge).publish("v1.0.0", files).created

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(publish, range(4)))
    assert any(made)
    assert [r["tag_name"] for r in forge.releases] == ["v1.0.0"]
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


# ---- lines that break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 1_000_000, 2_999_999])
def test_a_line_that_breaks_in_an_upload(forge, files, tmp_path, at):
    def hold(request: Request) -> int | None:
        return at if "model.onnx" in request.path + request.query.get("name", "") else None

    forge.hold_upload = once(hold)
    Client(forge).publish("v1.0.0", files)
    assert forge.hold_upload.left() == 0
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")
    assert sorted(a.name for a in Client(forge).host.find("v1.0.0").assets) == sorted(
        ["model.onnx", "labels.txt", "empty", "vocabulary__words.txt", "run.sh", "rote-files.json"]
    )


def test_every_answer_may_be_lost_once(forge, files, tmp_path):
    """Each request of a publication is done, and its answer lost: one after the other."""
    Client(forge).publish("count", files)
    for n in range(len(forge.requests())):
        forge.forget()
        seen = {"n": -1}

        def lose(request: Request, answer: Answer, seen=seen, n=n) -> Answer | None:
            if request.server == "interface":
                seen["n"] += 1
            return Answer(answer.status, cut=-1) if seen["n"] == n and request.server == "interface" else None

        forge.after = [lose]
        made = Client(forge).publish(f"v{n}", files)
        forge.after = []
        assert len([r for r in forge.releases if r["tag_name"] == f"v{n}"]) == 1
        Client(forge).download(f"v{n}", tmp_path / f"to{n}")
        assert same(files, tmp_path / f"to{n}")
        assert made.tag == f"v{n}"


def test_every_request_may_fail_for_a_while(forge, files, tmp_path):
    """502, 503 and 504 for each request of a publication and a download, before and after it is done."""
    chance = random.Random(5)

    def before(request: Request) -> Answer | None:
        return told(chance.choice([500, 502, 503, 504]), {"message": "x"}) if chance.random() < 0.2 else None

    def after(request: Request, answer: Answer) -> Answer | None:
        return told(chance.choice([502, 504]), {"message": "x"}) if chance.random() < 0.1 else None

    forge.before, forge.after = [before], [after]
    done, said = 0, set()
    for n in range(6):
        user = Client(forge)
        for _ in range(10):  # what may not be repeated blindly ends, and the same command goes on
            try:
                user.publish(f"v{n}", files)
                user.download(f"v{n}", tmp_path / f"to{n}")
                done += 1
                break
            except StoreUnavailable as e:
                said.add(e.next)
    assert done == 6
    assert all("goes on where it was" in next for next in said)
    assert sorted(r["tag_name"] for r in forge.releases) == [f"v{n}" for n in range(6)]
    assert all(same(files, tmp_path / f"to{n}") for n in range(6))


@pytest.mark.parametrize("every", [100_000, 700_000])
def test_a_download_goes_on_where_the_line_broke(forge, files, tmp_path, every):
    Client(forge).publish("v1.0.0", files)
    if isinstance(forge, GitLab):
        forge.direct = True
    forge.forget()
    forge.after = [
        lambda request, answer: (
            Answer(answer.status, answer.body, answer.headers, cut=every)
            if isinstance(answer.body, Path)
            else None
        )
    ]
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")
    ranges = [
        r.headers["range"] for r in forge.requests(of="files") if "2999999" in r.headers.get("range", "")
    ]
    assert [int(re.search(r"\d+", r)[0]) for r in ranges] == list(range(0, 3_000_000, every))


def test_a_download_that_was_killed_goes_on(forge, files, tmp_path):
    Client(forge).publish("v1.0.0", files)
    to = tmp_path / "to"
    if isinstance(forge, GitLab):
        forge.direct = True
    forge.after = [
        lambda request, answer: (
            Answer(answer.status, answer.body, answer.headers, cut=1_000_000)
            if isinstance(answer.body, Path)
            else None
        )
    ]
    stop = {"n": 0}

    def dead(request: Request) -> Answer | None:
        """After the first part of the model nothing is served any more."""
        stop["n"] += request.server == "files" and "2999999" in request.headers.get("range", "")
        return told(401, {"message": "gone"}) if stop["n"] > 1 else None

    forge.before = [dead]
    with pytest.raises(Refused):
        Client(forge).download("v1.0.0", to, ["model.onnx"])
    assert not to.exists() or tree(to) == {}
    forge.before, forge.after = [], []
    forge.forget()
    Client(forge).download("v1.0.0", to)
    assert same(files, to)
    first = [r.headers["range"] for r in forge.asked if "2999999" in r.headers.get("range", "")]
    assert set(first) == {"bytes=1000000-2999999"}


def test_what_was_left_by_an_attempt_and_is_wrong_is_thrown_away(forge, files, tmp_path):
    Client(forge).publish("v1.0.0", files)
    to = tmp_path / "to"
    shelf = FolderShelf(str(to))
    described = Downloads(Client(forge).host).described(Client(forge).host.find("v1.0.0"))
    for file in described.files:
        slot = shelf.slot(file)
        slot.write(b"rubbish")
        slot.close()
    Client(forge).download("v1.0.0", to)
    assert same(files, to)


# ---- limits --------------------------------------------------------------------------------------------------------


def limited(status, headers, message="x", times=1):
    left = {"n": times}

    def trouble(request: Request) -> Answer | None:
        if left["n"] == 0:
            return None
        left["n"] -= 1
        return told(status, {"message": message}, **headers)

    return trouble


DATE = {"Date": "Sat, 21 Nov 2026 11:00:00 GMT"}


@pytest.mark.parametrize(
    ("status", "headers", "message", "least"),
    [
        (429, {"Retry-After": "7"}, "x", 7),
        (403, {"Retry-After": "61"}, "You have exceeded a secondary rate limit.", 61),
        (503, {"Retry-After": "30"}, "x", 30),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) + 100), **DATE}, "API rate limit exceeded", 100),
        (429, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(int(START) + 40), **DATE}, "x", 40),
        (429, {"Retry-After": "Sat, 21 Nov 2026 11:00:33 GMT", **DATE}, "x", 33),
        (403, {}, "You have exceeded a secondary rate limit and have been temporarily blocked", 60),
        (429, {}, "x", 60),
    ],
)  # fmt: skip
def test_a_limit_is_waited_for(forge, files, status, headers, message, least):
    user = Client(forge)
    forge.before = [limited(status, headers, message)]
    user.publish("v1.0.0", files)
    assert least <= user.clock.monotonic() <= least + 5


def test_the_clock_of_the_server_counts(forge, files):
    """Ours is ten years ahead: the limit ends in 100 seconds all the same."""
    user = Client(forge)
    user.clock._now += 10 * 365 * 86400
    forge.before = [
        limited(429, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(START) + 100), **DATE})
    ]
    user.publish("v1.0.0", files)
    assert 100 <= user.clock.monotonic() <= 105


def test_a_limit_that_is_too_long_is_told(forge, files, tmp_path):
    user = Client(forge)
    forge.before = [limited(403, {"Retry-After": "3000"}, "secondary rate limit", times=-1)]
    with pytest.raises(StoreUnavailable, match="50 more minutes") as e:
        user.publish("v1.0.0", files)
    assert e.value.retry_after == 3000
    assert user.clock.monotonic() == 0
    assert len(forge.requests()) == 1


def test_limits_again_and_again_end(forge, files):
    user = Client(forge)
    forge.before = [limited(429, {}, times=-1)]
    with pytest.raises(StoreUnavailable):
        user.publish("v1.0.0", files)
    assert 60 <= user.clock.monotonic() <= 300
    assert len(forge.requests()) <= 4


def test_nobody_there(tmp_path, files):
    with GitHub(tmp_path / "gone") as server:
        address = server.address
    clock = StillClock()
    host = opening.host(address, clock=clock, environ={}, token="ghp_writer")
    with pytest.raises(StoreUnavailable) as e:
        host.find("v1.0.0")
    assert not e.value.reached
    assert clock.monotonic() <= 10


# ---- hostile servers -----------------------------------------------------------------------------------------------


def test_the_token_stays_with_the_server_it_is_for(forge, files, tmp_path):
    if isinstance(forge, GitLab):
        forge.direct = True
    user = Client(forge)
    user.publish("v1.0.0", files)
    user.download("v1.0.0", tmp_path / "to")
    elsewhere = forge.requests(of="files")
    assert elsewhere
    assert not any(r.token for r in elsewhere)
    assert not any(forge.token in json.dumps(r.headers) + r.path for r in elsewhere)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    "where", ["elsewhere", "http://localhost:{port}", "https://evil.example", "//evil.example"]
)
def test_an_interface_that_leads_to_another_server_is_not_followed(forge, files, status, where):
    to = where.format(port=forge.url.rpartition(":")[2]) if where != "elsewhere" else forge.elsewhere
    forge.before = [lambda request: Answer(status, b"", {"Location": f"{to}/api/v3/x"})]
    user = Client(forge)
    for ask in (lambda: user.host.find("v1.0.0"), lambda: user.host.channel("m", "prod"), user.host.latest):
        with pytest.raises(Refused, match="another server"):
            ask()
    assert forge.requests(of="files") == []
    assert user.clock.monotonic() == 0


def test_a_repository_that_was_renamed_is_followed_at_the_same_server(github, files, tmp_path):
    Client(github).publish("v1.0.0", files)

    def renamed(request: Request) -> Answer | None:
        if "/repos/old/name" not in request.path:
            return None
        return Answer(301, b"", {"Location": github.url + request.path.replace("old/name", "owner/repo")})

    github.before = [renamed]
    host = opening.host(
        github.address.replace("owner/repo", "old/name"), clock=StillClock(), environ={}, token="ghp_reader"
    )
    assert host.find("v1.0.0").tag == "v1.0.0"


def test_a_loop_of_redirects_ends(forge):
    forge.before = [lambda request: Answer(302, b"", {"Location": request.path})]
    with pytest.raises(Refused, match="without end"):
        Client(forge).host.latest()
    assert len(forge.requests()) <= 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://192.0.2.1/x", "http://127.0.0.1.evil.example/x", "gopher://x", "javascript:1"]
)  # fmt: skip
def test_a_download_that_leads_to_a_place_without_tls_is_not_followed(github, files, tmp_path, location):
    Client(github).publish("v1.0.0", files)
    github.after = [
        lambda request, answer: Answer(302, b"", {"Location": location}) if answer.status == 302 else None
    ]
    with pytest.raises(Refused, match="not https"):
        Client(github).download("v1.0.0", tmp_path / "to")


def test_a_swapped_download_is_refused(forge, files, tmp_path):
    Client(forge).publish("v1.0.0", files)
    Client(forge).download("v1.0.0", tmp_path / "to", ["labels.txt"])

    def swap(request: Request, answer: Answer) -> Answer | None:
        if not isinstance(answer.body, Path) or answer.body.stat().st_size != 3_000_000:
            return None
        return Answer(answer.status, b"\0" * 3_000_000, answer.headers)

    forge.after = [swap]
    with pytest.raises(Corrupt, match="not what was published"):
        Client(forge).download("v1.0.0", tmp_path / "to")
    assert tree(tmp_path / "to") == {"labels.txt": b"a\nb\n"}
    forge.after = []
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


@pytest.mark.parametrize("size", [0, 1, 2_999_999])
def test_a_download_that_ends_early_is_refused(forge, files, tmp_path, size):
    Client(forge).publish("v1.0.0", files)

    def short(request: Request, answer: Answer) -> Answer | None:
        big = isinstance(answer.body, Path) and answer.body.stat().st_size == 3_000_000
        return Answer(answer.status, answer.body.read_bytes()[:size], answer.headers) if big else None

    forge.after = [short]
    with pytest.raises(Corrupt):
        Client(forge).download("v1.0.0", tmp_path / "to", ["model.onnx"])
    assert tree(tmp_path / "to") == {}


def test_a_download_without_end_is_left(forge, files, tmp_path):
    """More than the release says is not read, whatever comes."""
    Client(forge).publish("v1.0.0", files)

    def more(request: Request, answer: Answer) -> Answer | None:
        big = isinstance(answer.body, Path) and answer.body.stat().st_size == 3_000_000
        return Answer(200, answer.body.read_bytes() + b"\0" * 30_000_000, answer.headers) if big else None

    forge.after = [more]
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


def plant_manifest(forge, tag, change):
    """Publish something small, and put another list of files in its place: bytes and digest."""
    host = Client(forge).host
    release = host.find(tag)
    data = json.loads(b"".join(host.read(release, release.asset("rote-files.json"))))
    change(data)
    raw = json.dumps(data).encode()
    if isinstance(forge, GitHub):
        asset = next(a for a in forge.release(tag)["assets"] if a["name"] == "rote-files.json")
        forge.paths[asset["id"]].write_bytes(raw)
        asset["size"], asset["digest"] = len(raw), "sha256:" + hashlib.sha256(raw).hexdigest()
    else:
        file = next(f for f in forge.files_of("_releases", tag) if f["file_name"] == "rote-files.json")
        file["at"].write_bytes(raw)
        file["size"], file["file_sha256"] = len(raw), hashlib.sha256(raw).hexdigest()


def set_first(key, value):
    def change(data):
        data["files"][0][key] = value

    return change


def set_asset(key, value):
    def change(data):
        data["files"][0]["assets"][0][key] = value

    return change


HOSTILE = [
    *(set_first("path", path) for path in (
        "../evil", "/etc/evil", "a/../../evil", "C:evil", "a\\evil", "a\0b", "con", ".", "", "a/", "x" * 300, "..", "e\u0301",
    )),
    set_first("size", -1), set_first("size", 1 << 60), set_first("size", "3"), set_first("assets", []), set_first("digest", "x"),
    set_asset("size", -4), set_asset("size", 1 << 60), set_asset("sha256", "x" * 64), set_asset("name", ""),
    lambda data: data.update(tag="v2"), lambda data: data.update(files=data["files"] * 2), lambda data: data.clear(),
    lambda data: data["files"].reverse(),
    lambda data: data["files"].append({**data["files"][0], "path": data["files"][0]["path"].upper()}),
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_list_of_files_writes_nothing(github, files, tmp_path, change):
    Client(github).publish("v1.0.0", files)
    plant_manifest(github, "v1.0.0", change)
    to = tmp_path / "a" / "b" / "to"
    with pytest.raises(Corrupt):
        Client(github).download("v1.0.0", to)
    assert not (tmp_path / "a").exists() or tree(tmp_path / "a") == {}


def test_a_list_that_names_another_asset_brings_no_other_bytes(forge, files, tmp_path):
    Client(forge).publish("v1.0.0", files)
    plant_manifest(forge, "v1.0.0", set_asset("name", "nothing"))
    with pytest.raises(Missing, match="nothing"):
        Client(forge).download("v1.0.0", tmp_path / "to")


@pytest.mark.parametrize(
    "name", ["../evil", "a/b/../../../evil", "/etc/evil", "C:\\evil", "con", "a\nb", "rote-files.json/x/.."]
)
def test_hostile_names_of_a_release_that_was_made_by_hand(github, files, tmp_path, name):
    Client(github).publish("v1.0.0", files[1:2])
    release = github.release("v1.0.0")
    release["assets"] = [a for a in release["assets"] if a["name"] != "rote-files.json"]
    release["assets"][0]["name"] = name
    with pytest.raises(Corrupt):
        Client(github).download("v1.0.0", tmp_path / "a" / "to")
    assert not (tmp_path / "a").exists() or tree(tmp_path / "a") == {}


def test_a_release_that_was_made_by_hand(github, files, tmp_path):
    user = Client(github)
    draft = user.host.begin("v1.0.0", title="", notes="")
    user.host.send(draft, sending("model.bin", b"model"))
    user.host.finish(draft, notes="")
    assert user.download("v1.0.0", tmp_path / "to").unverified == []
    assert tree(tmp_path / "to") == {"model.bin": b"model"}
    release = github.release("v1.0.0")
    release["assets"][0]["digest"] = None
    assert user.download("v1.0.0", tmp_path / "other").unverified == ["model.bin"]
    model = tmp_path / "model.bin"
    model.write_bytes(b"MODEL")
    with pytest.raises(Refused):  # though GitHub tells no digest: its bytes are read
        user.publish("v1.0.0", [model])


JUNK = [
    b"", b"{", b"[]", b"null", b'"x"', b"[" * 100_000, b'{"id": "x"}', b'{"a":' * 50_000, b"\xff\xfe", b"<html>captive portal</html>",
    b'[{"id": 1}]', b'{"id":1,"tag_name":"v1.0.0","draft":false,"assets":[{"id":1,"name":"a","size":-1}]}',
    b'{"id":1,"tag_name":"v1.0.0","draft":"no","assets":[]}', b'{"id":1,"tag_name":"other","draft":false}',
]  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_answers_that_are_not_what_was_promised(forge, junk):
    forge.before = [lambda request: Answer(200, junk, {"Content-Type": "application/json"})]
    user = Client(forge)
    for ask in (lambda: user.host.find("v1.0.0"), user.host.latest, lambda: user.host.channel("m", "prod")):
        with pytest.raises((Corrupt, NotFound)) as e:
            found = ask()
            assert found is None or found.tag == "other"
            raise NotFound("nothing")
        assert "\x1b" not in "\n".join(e.value.lines())
    assert user.clock.monotonic() == 0


def test_an_answer_without_end_is_left(github, monkeypatch):
    monkeypatch.setattr("rote.adapters.forges.talk.LARGEST", 1 << 20)
    github.before = [lambda request: Answer(200, b" " * (3 << 20), {"Content-Type": "application/json"})]
    host = opening.host(github.address, clock=StillClock(), environ={}, token="ghp_reader")
    with pytest.raises(Corrupt, match="longer than"):
        host._talk.ask("GET", github.url + "/x", limit=1 << 20)


def test_the_token_is_shown_nowhere(forge, files, tmp_path, caplog):
    """Whatever a server says with it."""
    caplog.set_level(logging.DEBUG)
    secret = forge.token
    for status in (400, 401, 403, 404, 409, 418, 422, 429, 500):
        said = {
            "message": f"Bad token {secret}",
            "errors": [{"message": f"Bearer {secret}"}],
            "error": secret,
        }
        forge.before = [lambda request, status=status, said=said: told(status, said)]
        user = Client(forge)
        for act in (
            lambda user=user: user.publish("v1.0.0", files),
            lambda user=user: user.host.channel("m", "prod"),
            lambda user=user: user.host.move("m", "prod", b"{}", None),
        ):
            try:
                act()
            except RoteError as e:
                text = "\n".join(e.lines()) + repr(e) + repr(e.__cause__) + repr(e.__context__)
                assert secret not in text
    assert secret not in caplog.text
    assert secret not in repr(vars(user.host))


@pytest.mark.parametrize(
    ("kind", "token", "match"),
    [
        (GitHub, "ghp_bogus", "does not accept the token"), (GitHub, "ghp_reader", "may not do this"),
        (GitLab, "glpat-bogus", "does not accept the token"), (GitLab, "glpat-reader", "may not do this"),
    ],
)  # fmt: skip
def test_wrong_tokens(tmp_path, files, kind, token, match):
    with kind(tmp_path / "forge") as server, pytest.raises(Refused, match=match) as e:
        Client(server, token=token).publish("v1.0.0", files)
    assert e.value.next
    assert token not in "\n".join(e.value.lines())


def test_private_repositories(forge, files, tmp_path):
    Client(forge).publish("v1.0.0", files)
    forge.private = True
    Client(forge).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")
    nobody = opening.host(forge.address, clock=StillClock(), environ={})
    with pytest.raises((Refused, Missing), match="private"):
        Downloads(nobody).download("v1.0.0", FolderShelf(str(tmp_path / "no")), "no")
    with pytest.raises(Refused, match="needs a token"):
        nobody.begin("v2", title="", notes="")
    with pytest.raises(Refused, match="needs a token"):
        nobody.move("m", "prod", b"{}", None)


def certificate(folder: Path) -> ssl.SSLContext:
    """A server's certificate that nobody knows yet: `folder`/cert.pem makes it trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forge")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_over_tls(files, tmp_path, monkeypatch):
    server = GitHub(tmp_path / "forge")
    server.tls = certificate(tmp_path)
    with server:
        user = Client(server)
        with pytest.raises(StoreUnavailable, match="cannot prove who it is") as e:
            user.publish("v1.0.0", files)
        assert not e.value.retry
        assert user.clock.monotonic() == 0
        assert not any(request.token for request in server.asked)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        user = Client(server)
        user.publish("v1.0.0", files)
        with pytest.raises(Refused, match="not https"):  # from https to http, though it is this machine
            user.download("v1.0.0", tmp_path / "to", ["model.onnx"])
        assert server.requests(of="files") == []
        assert server.wrong == []


def test_through_a_proxy(forge, files, tmp_path, monkeypatch):
    """Names in `no_proxy` go straight; the others through the proxy, with the whole address."""
    monkeypatch.setenv("http_proxy", forge.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    at = forge.address.replace("127.0.0.1", "localhost")
    host = opening.host(at.replace(forge.url.rpartition(":")[2], "1"), clock=StillClock(), environ={})
    assert host.latest() is None  # nobody is at port 1: the proxy answered
    assert {r.headers["host"] for r in forge.requests()} == {"localhost:1"}
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    forge.forget()
    Client(forge).publish("v1.0.0", files)
    assert {r.headers["host"] for r in forge.requests()} == {forge.url.removeprefix("http://")}


# ---- commits and tags ----------------------------------------------------------------------------------------------


def test_a_tag_that_was_moved_is_refused(forge, files):
    forge.commits.append("d" * 40)
    forge.tags["v1.0.0"] = forge.commits[0]
    with pytest.raises(Refused, match="is there already, at commit 'c0ffee"):
        Client(forge).publish("v1.0.0", files, commit="d" * 40)
    assert forge.releases == []
    Client(forge).publish("v1.0.0", files, commit=forge.commits[0][:12])
    assert forge.tags["v1.0.0"] == forge.commits[0]


def test_a_commit_that_was_not_pushed_is_refused(forge, files, caplog):
    with pytest.raises(Refused, match="has no commit") as e:
        Client(forge).publish("v1.0.0", files, commit="e" * 40)
    assert "git push" in e.value.next
    assert forge.releases == []
    Client(forge, any_commit=True).publish("v1.0.0", files, commit="e" * 40)
    assert forge.tags["v1.0.0"] == forge.commits[-1]
    assert "default branch" in caplog.text


def test_a_repository_without_a_commit(tmp_path, files):
    with GitLab(tmp_path / "forge") as server:
        server.commits.clear()
        with pytest.raises(Refused, match="no commit yet"):
            Client(server).publish("v1.0.0", files)


# ---- what only one of them does ------------------------------------------------------------------------------------


def test_an_upload_that_github_failed_in_half_is_cleaned_up(github, files, tmp_path):
    """502, and an asset in the state `starter` stays: GitHub says that it can be deleted."""

    def half(request: Request) -> Answer | None:
        if not github.uploads(request.method, request.path):
            return None
        release = github._by_id(int(request.names[6]))
        if not github._named(release, request.query["name"]):
            github._asset(release, request, "starter")
        return told(502, {"message": "Server Error"})

    github.before = [once(half)]
    Client(github).publish("v1.0.0", files)
    assert {a["state"] for a in github.release("v1.0.0")["assets"]} == {"uploaded"}
    Client(github).download("v1.0.0", tmp_path / "to")
    assert same(files, tmp_path / "to")


def test_an_upload_that_arrived_damaged_is_removed(github, files):
    def damage(request: Request, answer: Answer) -> Answer | None:
        if answer.status != 201 or "assets" not in request.path:
            return None
        said = json.loads(answer.body)
        return told(201, {**said, "digest": "sha256:" + "0" * 64})

    github.after = [damage]
    with pytest.raises(Corrupt, match="arrived damaged"):
        Client(github).publish("v1.0.0", files[1:2])
    assert github.release("v1.0.0")["assets"] == []
    assert github.release("v1.0.0")["draft"]


def test_of_several_drafts_the_oldest_is_gone_on_with(github, files, tmp_path):
    user = Client(github)
    first = user.host.begin("v1.0.0", title="", notes="")
    for _ in range(3):
        github.releases.append({**json.loads(json.dumps(github.release("v1.0.0"))), "id": github.next()})
    user.publish("v1.0.0", files)
    assert [str(r["id"]) for r in github.releases if not r["draft"]] == [first.key]


def test_many_releases_and_assets_are_paged(github, tmp_path):
    user = Client(github)
    for n in range(120):
        user.host.begin(f"d{n}", title="", notes="")
    assert user.host.find("d0").draft
    for n in range(130):
        (tmp_path / f"f{n:03d}").write_bytes(str(n).encode())
    user.publish("v1.0.0", sorted(tmp_path.glob("f???")))
    assert len(user.host.find("v1.0.0").assets) == 131


def test_an_immutable_release_is_not_repaired_but_told(github, files):
    github.immutable = True
    user = Client(github)
    user.publish("v1.0.0", files)
    github.release("v1.0.0")["assets"].pop(0)
    with pytest.raises(Refused, match="immutable"):
        user.publish("v1.0.0", files)


def test_a_look_at_a_channel_that_has_not_moved_is_one_request_without_a_body(forge):
    host = Client(forge).host
    host.move("m", "prod", b'{"seq":1}\n', None)
    reader = opening.host(forge.address, clock=StillClock(), environ={})
    told_ = reader.channel("m", "prod")
    forge.forget()
    for client in (reader, opening.host(forge.address, clock=StillClock(), environ={})):
        assert client.channel("m", "prod", told_.etag) is None
    assert len(forge.requests()) == 2
    assert all(r.headers["if-none-match"].startswith('W/"') for r in forge.requests())


def test_a_release_whose_other_words_changed_is_the_same_channel(github):
    host = Client(github).host
    host.move("m", "prod", b'{"seq":1}\n', None)
    told_ = host.channel("m", "prod")
    github.release("m@prod")["name"] = "another title"
    github.forget()
    assert host.channel("m", "prod", told_.etag) is None  # answered with 200, and compared
    assert host.channel("m", "prod", told_.etag) is None  # answered with 304 again
    first, second = (r.headers["if-none-match"] for r in github.requests())
    assert first != second


def test_a_channel_somebody_edited_is_corrupt_and_nobody_overwrites_it(forge):
    host = Client(forge).host
    first = host.move("m", "prod", b'{"seq":1}\n', None)
    where = forge.release("m@prod")
    where["body" if isinstance(forge, GitHub) else "description"] = "I tidied this up"
    with pytest.raises(Corrupt, match="no channel document"):
        host.channel("m", "prod")
    with pytest.raises(Corrupt):
        host.move("m", "prod", b'{"seq":2}\n', first)


def test_a_move_that_another_overwrote_is_a_conflict(forge):
    """The other one came between the change and the look at it."""
    host = Client(forge).host
    first = host.move("m", "prod", b'{"seq":1}\n', None)
    key = "body" if isinstance(forge, GitHub) else "description"

    def race(request: Request, answer: Answer) -> None:
        if request.method in ("PATCH", "PUT"):
            forge.release("m@prod")[key] = forge.release("m@prod")[key].replace('"seq":2', '"seq":3')

    forge.after = [race]
    with pytest.raises(Conflict):
        host.move("m", "prod", b'{"seq":2}\n', Told(first.data, first.etag))


# ---- the folder ----------------------------------------------------------------------------------------------------


def test_files_of_the_users_own_are_not_overwritten(forge, files, tmp_path):
    user = Client(forge)
    user.publish("v1", files)
    to = tmp_path / "to"
    to.mkdir()
    (to / "labels.txt").write_text("mine")
    with pytest.raises(Unsaved, match=r"labels\.txt"):
        user.download("v1", to)
    assert tree(to) == {"labels.txt": b"mine"}
    user.download("v1", to, overwrite=True)
    assert same(files, to)
    files[1].write_bytes(b"newer")
    user.publish("v2", files)
    user.download("v2", to)  # a download's file that nobody changed gives way
    assert same(files, to)
    (to / "model.onnx").write_bytes(b"mine")
    with pytest.raises(Unsaved):
        user.download("v1", to)


def test_links_in_the_folder_are_not_followed(forge, files, tmp_path):
    user = Client(forge)
    user.publish("v1", files)
    outside = tmp_path / "outside"
    outside.mkdir()
    to = tmp_path / "to"
    to.mkdir()
    (to / "vocabulary").symlink_to(outside)
    with pytest.raises(Unsaved, match="vocabulary"):
        user.download("v1", to)
    (to / "vocabulary").unlink()
    (to / "labels.txt").symlink_to(outside / "x")
    with pytest.raises(Unsaved, match="labels"):
        user.download("v1", to)
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [b"x" * 2_000_000, b"z" * 4_000_000, b"y" * 3_000_000, b""],
    ids=["shorter", "longer", "other", "empty"],
)
def test_a_file_that_changes_between_the_look_and_the_sending(forge, tmp_path, change):
    model = tmp_path / "model.bin"
    model.write_bytes(change)
    times = []

    def read(start: int):
        """The bytes of before for the digests, and then what is there."""
        times.append(start)
        return iter([b"x" * 3_000_000] if len(times) == 1 else [change[start:]])

    user = Client(forge)
    with pytest.raises(Changed):
        Bundles(user.host).publish("v1", [LooseFile(path="model.bin", size=3_000_000, read=read)])
    found = user.host.find("v1")
    assert found.draft
    assert found.asset("model.bin") is None


def test_patience_may_be_short(forge):
    forge.before = [limited(502, {}, times=-1)]
    clock = StillClock()
    host = opening.host(forge.address, clock=clock, environ={}, patience=Patience(deadline=10))
    with pytest.raises(StoreUnavailable):
        host.find("v1")
    assert clock.monotonic() <= 10
