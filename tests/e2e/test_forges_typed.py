"""Publishing at forges and downloading from them, typed by a user; and an application that follows a release there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from place import Place

import rote.client
from servers.forge import Request


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "work")


def where(server) -> tuple[str, str]:
    """(command, repository)"""
    return server.kind, server.address.partition(":")[2]


def test_there_and_back(forge, place):
    kind, repo = where(forge)
    (place.root / "model.onnx").write_bytes(b"model" * 1000)
    (place.root / "labels.txt").write_text("a\n")
    told = place.rote(
        kind, "publish", repo, "v1.0.0", "model.onnx", "labels.txt", "--title", "First", **forge.login
    )
    assert "published 'v1.0.0': 2 files" in told.out
    assert forge.url in told.out
    assert (
        "was published already"
        in place.rote(kind, "publish", repo, "v1.0.0", "model.onnx", "labels.txt", **forge.login).out
    )
    (place.root / "labels.txt").write_text("b\n")
    refused = place.rote(kind, "publish", repo, "v1.0.0", "model.onnx", "labels.txt", code=1, **forge.login)
    assert "does not change" in refused.err
    assert "next:" in refused.err
    told = place.rote(kind, "download", repo, "--to", "out")
    assert "2 files written" in told.out
    assert (place.root / "out" / "labels.txt").read_text() == "a\n"
    assert "all here already" in place.rote(kind, "download", repo, "v1.0.0", "labels.txt", "--to", "out").out
    (place.root / "out" / "labels.txt").write_text("mine")
    assert "in the way" in place.rote(kind, "download", repo, "v1.0.0", "--to", "out", code=1).err
    place.rote(kind, "download", repo, "v1.0.0", "--to", "out", "--overwrite")
    made = place.rote(kind, "download", repo, "latest", "--to", "other", "--json").json
    assert made["files"] == ["labels.txt", "model.onnx"]
    assert (
        "did you mean 'labels.txt'" in place.rote(kind, "download", repo, "v1.0.0", "label.txt", code=1).err
    )
    assert "there is no release 'v9'" in place.rote(kind, "download", repo, "v9", code=1).err


def test_what_was_downloaded_is_verified_later_without_a_network(forge, place):
    """A release of any files, some of them, and a version of a model that names its origin no more than its files."""
    kind, repo = where(forge)
    (place.root / "model.onnx").write_bytes(b"model" * 1000)
    (place.root / "labels.txt").write_text("a\n")
    for tag in ("v1.0.0", "digits@v1.0.0"):
        place.rote(kind, "publish", repo, tag, "model.onnx", "labels.txt", **forge.login)
    place.rote(kind, "download", repo, "v1.0.0", "--to", "out")
    place.rote(kind, "download", repo, "digits@v1.0.0", "labels.txt", "--to", "some")
    asked = len(forge.asked)
    told = place.rote("verify", "out")
    assert "2 files here, 5,002 bytes, every one read" in told.out
    assert "out (v1.0.0): nothing is broken" in told.out
    told = place.rote("verify", "some")
    assert "not downloaded: model.onnx" in told.out
    assert "some (digits@1.0.0): nothing is broken" in told.out
    (place.root / "some" / "labels.txt").write_text("b\n")
    assert "labels.txt is not what it was" in place.rote("verify", "some", code=1).err
    (place.root / "out" / "labels.txt").unlink()
    assert "labels.txt is not there" in place.rote("verify", "out", code=1).err
    assert len(forge.asked) == asked


def test_what_is_said_of_a_token_that_is_missing_or_wrong(forge, place):
    kind, repo = where(forge)
    (place.root / "f").write_text("x")
    told = place.rote(kind, "publish", repo, "v1", "f", code=1)
    assert "needs a token" in told.err
    assert "export" in told.err
    name = "GH_ENTERPRISE_TOKEN" if kind == "github" else "GITLAB_TOKEN"
    told = place.rote(kind, "publish", repo, "v1", "f", code=1, **{**forge.login, name: "canary-token"})
    assert f"does not accept the token (from {name})" in told.err
    assert "canary-token" not in told.err + told.out
    assert place.rote(kind, "publish", repo, "v1;rm -rf ~", "f", code=2, **forge.login).err.startswith(
        "rote: not a tag"
    )
    assert place.rote(kind, "publish", "nothing", "v1", "f", code=2).err.startswith(
        f"rote: {kind} knows a repository by"
    )


def test_a_token_for_another_server_is_not_sent(forge, place):
    """As it would be if a stranger's rote.yaml named the server."""
    kind, repo = where(forge)
    (place.root / "f").write_text("x")
    tokens = dict.fromkeys(
        ("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITLAB_TOKEN", "CI_JOB_TOKEN"), "canary-token"
    )
    place.rote(kind, "publish", repo, "v1", "f", code=1, **tokens)
    place.rote(kind, "download", repo, "v1", code=1, **tokens)
    assert not any(request.token for request in forge.asked)


@pytest.mark.parametrize("cut", [0, 2, 5])
def test_killed_while_it_publishes(forge, place, cut):
    kind, repo = where(forge)
    chance = random.Random(3)
    names = [f"f{n}" for n in range(8)]
    for name in names:
        (place.root / name).write_bytes(chance.randbytes(200_000))
    reached, go = threading.Event(), threading.Event()
    seen = {"n": 0}

    def hold(request: Request) -> int | None:
        if request.query.get("name", request.names[-1]).startswith("f"):
            seen["n"] += 1
            if seen["n"] > cut:
                reached.set()
                go.wait(60)
        return None

    forge.hold_upload = hold
    process = place.start(kind, "publish", repo, "v1.0.0", *names, **forge.login)
    try:
        assert reached.wait(60)
        process.send_signal(signal.SIGKILL)
    finally:
        process.wait(60)
        go.set()
    forge.hold_upload = lambda request: None
    forge.forget()
    place.rote(kind, "publish", repo, "v1.0.0", *names, **forge.login)
    place.rote(kind, "download", repo, "v1.0.0", "--to", "out")
    for name in names:
        assert (place.root / "out" / name).read_bytes() == (place.root / name).read_bytes()
    assert len(forge.releases) == 1


MEMORY = """
import json, resource, sys
from rote.releases import Releases
releases = Releases(sys.argv[1], token=sys.argv[2], largest=int(sys.argv[4]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
releases.publish("v1.0.0", [sys.argv[3]])
releases.download("v1.0.0", "out")
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


@pytest.mark.parametrize("largest", [2 << 30, 50_000_000])
def test_memory_does_not_grow_with_a_file(forge, place, largest):
    with open(place.root / "large", "wb") as file:
        file.writelines(random.Random(n).randbytes(1 << 20) for n in range(160))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, forge.address, forge.token, "large", str(largest)],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) < 40_000  # KiB, of 160 MiB
    assert (place.root / "out" / "large").stat().st_size == 160 << 20


def test_a_full_disk_leaves_the_folder_as_it_was(forge, place):
    kind, repo = where(forge)
    (place.root / "model").write_bytes(b"x" * 3_000_000)
    (place.root / "small").write_bytes(b"x")
    place.rote(kind, "publish", repo, "v1", "model", "small", **forge.login)
    code = "import resource,sys; resource.setrlimit(resource.RLIMIT_FSIZE,(1000000,1000000)); import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from rote.__main__ import main; sys.argv[0]='rote'; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, kind, "download", repo, "v1", "--to", "out"],
        cwd=place.root, env=place.environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no space is left" in done.stderr
    assert [p.name for p in (place.root / "out").iterdir()] == [".rote-download"]
    place.rote(kind, "download", repo, "v1", "--to", "out")
    assert (place.root / "out" / "model").stat().st_size == 3_000_000


def test_an_application_follows_a_release(forge, place, monkeypatch):
    """From a project's release to the files of an application that has no token."""
    (place.root / "train.py").write_text(
        "import random,sys,os\nos.makedirs('out',exist_ok=True)\nn=int(open('n').read())\n"
        "open('out/model.bin','wb').write(random.Random(1).randbytes(3_000_000)+b'%d'%n)\n"
    )
    (place.root / "n").write_text("1")
    (place.root / "rote.yaml").write_text(
        "stages:\n  train:\n    cmd: python train.py\n    deps: [n, train.py]\n    outs: [out/model.bin]\n"
        f"models:\n  digits:\n    files: [out/model.bin]\n    publish: ['{forge.address}']\n"
    )
    place.git("init", "-q", ".")
    place.rote("init")
    place.git("add", "-A")
    place.git("commit", "-qm", "x")
    place.rote("run")
    place.rote("release", "digits")
    told = place.rote("promote", "digits@1.0.0", "prod", **forge.login)
    assert "digits@1.0.0" in told.out
    for name in [n for n in os.environ if n.startswith(("GH_", "GITHUB_", "GITLAB_", "CI_"))]:
        monkeypatch.delenv(name)
    model = rote.client.Model(forge.address, "digits", cache=place.root / "cache")
    assert model.version == "1.0.0"
    assert (model.path() / "model.bin").read_bytes() == (place.root / "out/model.bin").read_bytes()
    forge.forget()
    assert model.refresh() is False
    assert len(forge.asked) == 1
    (place.root / "n").write_text("2")
    place.rote("run")
    place.rote("release", "digits")
    place.rote("promote", "digits@1.0.1", "prod", **forge.login)
    assert model.refresh() is True
    assert model.version == "1.0.1"
    assert (model.path() / "model.bin").read_bytes() == (place.root / "out/model.bin").read_bytes()
    place.rote("rollback", "digits", **forge.login)
    assert model.refresh() is True
    assert model.version == "1.0.0"
    assert Path(model.path()).is_dir()
