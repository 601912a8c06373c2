"""A store on a WebDAV server and one over SSH, typed as a user would: one writer, and it is told so."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
from place import Place

from rote.adapters.stores import address
from rote.adapters.stores.folder import FolderStore
from rote.errors import Conflict, StoreUnavailable
from rote.ports import Abilities
from rote.services.store.probe import probe
from rote.testing.clock import StillClock
from servers.apache import PASSWORD, USER

PIPELINE = """
stages:
  train:
    cmd: sort data/a.txt > model.txt; echo '{"accuracy":0.9}' > metrics.json
    deps: [data]
    outs: [model.txt]
    metrics: [metrics.json]
models:
  toy:
    files: [model.txt]
"""


@pytest.fixture
def dav(apache: dict[str, Any]) -> tuple[str, dict[str, str]]:
    url = f"webdav://{apache['host']}/{uuid.uuid4().hex[:12]}/rote?tls=false"
    return url, {"WEBDAV_USERNAME": USER, "WEBDAV_PASSWORD": PASSWORD}


@pytest.fixture
def box(sshd: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return f"sftp://team-box{sshd['root']}/{uuid.uuid4().hex[:12]}/rote", {"ROTE_SSH": sshd["ssh"]}


@pytest.fixture(params=["dav", "box"])
def share(request: pytest.FixtureRequest) -> tuple[str, dict[str, str]]:
    found: tuple[str, dict[str, str]] = request.getfixturevalue(request.param)
    return found


def test_a_small_team_uses_it(bare: Place, tmp_path: Path, share: tuple[str, dict[str, str]]) -> None:
    url, env = share
    told = bare.rote("init", "--store", url, **env)
    assert "single-writer mode" in told.out
    bare.write("data/a.txt", "b\na\n")
    bare.write("data/big.bin", os.urandom(3_000_000))
    told = bare.rote("--stats", "add", "data", **env)
    assert told.err.count("single-writer mode") == 1
    bare.write("rote.yaml", bare.read("rote.yaml") + PIPELINE)
    bare.commit()
    bare.rote("run", **env)
    assert "hit" in bare.rote("plan", **env).out
    bare.rote("release", "toy", "--promote", "prod", **env)
    told = bare.rote("gc", code=1, **env)
    assert "refused" in told.err
    assert bare.rote("store", "probe", code=1, **env).out.count("no ") >= 2
    assert "all is sound" in bare.rote("store", "check", "--read-data", **env).out

    other = Place(tmp_path / "other")
    subprocess.run(["git", "clone", "-q", str(bare.root), str(other.root)], check=True)
    other.rote("checkout", **env)
    assert other.files("data") == bare.files("data")
    assert "accuracy" in other.rote("runs", "--columns", "metrics.accuracy", **env).out
    other.rote("fetch", "toy@prod", "--to", "m", **env)
    assert other.read("m/model.txt") == "a\nb\n"
    assert "single-writer" not in other.rote("status", **env).err
    copied = tmp_path / "folder"
    bare.rote("copy", "--to", str(copied), **env)
    assert FolderStore(str(copied), create=False).get("rote.json")
    for file in (*bare.root.rglob("*"), *tmp_path.glob("home/**/*")):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file


def test_what_lies_there_over_ssh_is_a_store_in_a_folder(
    bare: Place, box: tuple[str, dict[str, str]]
) -> None:
    url, env = box
    bare.rote("init", "--store", url, **env)
    bare.write("data/a.txt", "a\n")
    bare.rote("add", "data", **env)
    assert (
        "all is sound"
        in bare.rote("--store", url.partition("team-box")[2], "store", "check", "--read-data").out
    )


@pytest.mark.heavy
def test_an_add_that_is_killed_leaves_a_sound_store(bare: Place, share: tuple[str, dict[str, str]]) -> None:
    url, env = share
    bare.rote("init", "--store", url, **env)
    bare.write("data/a.txt", "a\n")
    bare.rote("add", "data", **env)
    for n in range(3):
        bare.write("data/big.bin", os.urandom(40_000_000))
        adding = bare.start("add", "data", **env)
        assert adding.stderr is not None
        os.set_blocking(adding.stderr.fileno(), True)
        try:
            adding.wait(0.4 + n / 4)  # somewhere on the way, or at its end: sound in any case
        except subprocess.TimeoutExpired:
            adding.send_signal(signal.SIGKILL)
        adding.communicate()
        assert "all is sound" in bare.rote("store", "check", **env).out
    bare.rote("add", "data", **env)
    assert "all is sound" in bare.rote("store", "check", "--read-data", **env).out


def test_a_wrong_password_is_told_without_it(bare: Place, dav: tuple[str, dict[str, str]]) -> None:
    url, _ = dav
    for env in ({"WEBDAV_USERNAME": USER, "WEBDAV_PASSWORD": "canary-9"}, {}):
        told = bare.rote("init", "--store", url, code=1, **env)
        assert "does not accept these credentials" in told.err
        assert "WEBDAV_USERNAME" in told.err
        assert "canary" not in told.out + told.err
    assert not (bare.root / "rote.yaml").exists()


def test_a_server_that_is_no_dav(bare: Place, nginx: dict[str, Any]) -> None:
    host = nginx["url"].partition("://")[2]
    told = bare.rote("init", "--store", f"webdav://{host}/x?tls=false", code=1)
    assert "WebDAV" in told.err


def test_where_nothing_answers(bare: Place) -> None:
    told = bare.rote("init", "--store", "webdav://127.0.0.1:1/x?tls=false", code=1)
    assert "cannot be reached" in told.err


@pytest.mark.parametrize(("change", "word"), [
    ("IdentityFile", "ermission denied"), ("UserKnownHostsFile", "erification failed"), ("Port", "refused"), ("HostName", "resolve"),
])  # fmt: skip
def test_what_ssh_says_is_told(
    bare: Place, tmp_path: Path, box: tuple[str, dict[str, str]], sshd: dict[str, Any], change: str, word: str
) -> None:
    url, _ = box
    (tmp_path / "known").write_text("")
    other = {"IdentityFile": f"{sshd['folder']}/stranger", "UserKnownHostsFile": str(tmp_path / "known"), "Port": "1",
             "HostName": "no-such-host.invalid"}[change]  # fmt: skip
    lines = Path(sshd["folder"], "config").read_text().splitlines()
    (tmp_path / "config").write_text(
        "\n".join(f"  {change} {other}" if change in line else line for line in lines) + "\n"
    )
    told = bare.rote("init", "--store", url, code=1, ROTE_SSH=f"ssh -F {tmp_path}/config")
    assert word in told.err
    assert "next:" in told.err
    assert not (bare.root / "rote.yaml").exists()


def test_no_ssh_at_all(bare: Place, box: tuple[str, dict[str, str]]) -> None:
    assert "cannot start" in bare.rote("init", "--store", box[0], code=1, ROTE_SSH="/nonexistent/ssh").err


def test_the_ssh_program_dies_and_is_started_again(box: tuple[str, dict[str, str]]) -> None:
    url, env = box
    store = address.at(url, environ={**os.environ, **env}, abilities=lambda: Abilities(replace=False))
    store.create("a", b"1")
    link = store._files._connection  # type: ignore[attr-defined]  # the only way to its process
    link._process.kill()
    link._process.wait()
    try:
        store.get("a")
    except StoreUnavailable:
        pass  # it was not noticed yet
    assert store.get("a").data == b"1"
    with pytest.raises(Conflict):
        store.create("a", b"2")


def test_the_probe_knows_what_a_share_cannot(
    share: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, env = share
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    found = probe(lambda: address.at(url), StillClock(), most=address.most(url))
    assert found.abilities == Abilities(create=url.startswith("sftp"), replace=False, delete=False)
    assert "single-writer" in (found.warning() or "")
