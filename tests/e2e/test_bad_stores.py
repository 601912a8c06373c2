"""What goes wrong around stores and the folders beside them: each ends with what happened, what is safe, what to type."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from blake3 import blake3
from place import Place, Told

from servers.canned import canned
from servers.fixtures import Bucket

KILLED = Path(__file__).parents[1] / "fault/killed_rote.py"


@contextmanager
def spoiled(place: Path, how: str) -> Iterator[None]:
    """A folder that cannot be written to: there is a file in its place; or, where we may mount one, a disk that is full or
    read-only (elsewhere a folder without rights, or the file again)."""
    if how == "a file":
        place.write_text("not a folder")
        yield
        return
    place.mkdir()
    options = "size=4k,nr_inodes=2" if how == "full" else "size=4k,ro"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tiny", str(place)]
    mounted = (
        sys.platform == "linux" and not subprocess.run(mount, capture_output=True, check=False).returncode
    )
    if not mounted:
        place.chmod(0o500)
    try:
        yield
    finally:
        place.chmod(0o700) if not mounted else subprocess.run(["umount", str(place)], check=True)


def says(told: Told, *words: str) -> None:
    for word in (*words, "safe:", "next:"):
        assert word in told.err, f"{word!r} is not in:\n{told.err}"


@pytest.mark.parametrize("how", ["a file", "read-only", "full"])
def test_a_read_cache_that_cannot_be_written(bare: Place, moto: Bucket, tmp_path: Path, how: str) -> None:
    """It is no failure: it is said once, and everything is read from the store."""
    bare.rote("init", "--store", moto.url(), **moto.env)
    content = os.urandom(300_000)
    bare.write("data/a.bin", content)
    bare.rote("add", "data", **moto.env)
    (bare.root / "data/a.bin").unlink()
    with spoiled(tmp_path / "cache", how):
        told = bare.rote("checkout", ROTE_CACHE=str(tmp_path / "cache/c"), **moto.env)
    if os.geteuid() == 0 or how == "a file":
        assert told.err.count("the read cache cannot be written") == 1
    assert (bare.root / "data/a.bin").read_bytes() == content


@pytest.mark.parametrize("how", ["read-only", "full"])
def test_a_project_whose_own_cache_cannot_be_written(place: Place, how: str) -> None:
    if os.geteuid() != 0:
        how = "read-only"  # without a disk of one's own
    place.write("data/a.txt", "a")
    place.rote("add", "data")
    place.write("data/b.txt", "b")
    before = place.files("data")
    cache = place.root / ".rote/cache"
    cache.rename(place.root.parent / "cache before")
    with spoiled(cache, how):
        assert "changed" in place.rote("status").out
        says(place.rote("add", "data", code=1), ".rote/cache")
        if how == "full":
            says(place.rote("runs", code=1), "every run is in the store", ".rote/cache")
        else:
            assert "no runs" in place.rote("runs").out
        assert place.rote("store", "check", "--read-data").out.endswith("all is sound\n")
    cache.rmdir()
    assert place.files("data") == before
    place.rote("add", "data")
    assert "unchanged" in place.rote("status").out
    assert place.rote("store", "check", "--read-data").out.endswith("all is sound\n")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as on a disk that was mounted to look at; where we may not mount, without the right to write."""
    bound = ["mount", "--bind", str(folder), str(folder)]
    mounted = (
        sys.platform == "linux" and not subprocess.run(bound, capture_output=True, check=False).returncode
    )
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    else:
        for path in folders:
            path.chmod(0o500)
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)
        else:
            for path in folders:
                path.chmod(0o700)


def test_a_project_that_may_only_be_looked_at(place: Place, tmp_path: Path) -> None:
    """A colleague's, or one on a disk that was mounted to look at: whatever only asks has its answer."""
    place.write("data/a.txt", "a")
    place.write(
        "rote.yaml",
        """stages:
  a: {cmd: "cp data/a.txt out; echo '{\\"x\\": 1}' > m.json", deps: [data], outs: [out], metrics: [m.json]}
models:
  m: {files: [out]}
""",
    )
    place.rote("add", "data")
    place.commit()
    place.rote("run")
    place.rote("release", "m", "--promote", "prod")
    before = place.files(".rote/store")
    with read_only(place.root / ".rote"):
        for question, answer in {
            "status": "nothing to do", "plan": "hit", "why a": "made by run", "runs": "finished",
            "runs --where metrics.x>0": "finished", "show last": "finished", "compare last last": "do not differ",
            "diff": "no difference", "ps": "no run", "ls data": "a.txt", "cat data/a.txt": "a", "models": "prod -> 1.0.0",
            "store stats --quick": "packs", "store check": "all is sound", "gc": "garbage", "verify m@prod": "metrics",
        }.items():  # fmt: skip
            assert answer in place.rote(*question.split()).out, question
        assert place.rote("sql", "select count(*) n from runs", "--json").json == [{"n": 1}]
        place.rote("fetch", "m@prod", "--to", str(tmp_path / "fetched"))
        assert (tmp_path / "fetched/out").read_text() == "a"
        if not os.access(place.root / ".rote", os.W_OK):
            for change in ("run", "add data", "checkout"):
                says(place.rote(*change.split(), code=1), ".rote/lock")
    assert place.files(".rote/store") == before
    assert "nothing to do" in place.rote("run").out


def test_a_store_of_a_newer_rote_is_refused_by_whoever_reads_it(place: Place) -> None:
    """Not taken for an empty or a damaged one: it may lay out everything otherwise."""
    place.write("data/a.txt", "a")
    place.rote("add", "data")
    (place.root / "data/a.txt").rename(place.root / "data/b.txt")
    founded = place.root / ".rote/store/rote.json"
    info = json.loads(founded.read_bytes().splitlines()[0])
    body = json.dumps({**info, "format": 2}, sort_keys=True, separators=(",", ":")).encode()
    founded.chmod(0o600)
    founded.write_bytes(body + b"\nblake3:" + blake3(body).hexdigest().encode() + b"\n")
    for command in (
        "runs",
        "checkout --force",
        "ls data",
        "models",
        "store check",
        "store stats",
        "gc",
        "run",
        "add data",
    ):
        says(
            place.rote(*command.split(), code=1),
            "this store has format 2; this rote reads up to 1",
            "upgrade rote",
        )
    founded.unlink()
    assert place.rote("cat", "data/a.txt").out == "a", "who only reads needs nothing of it"


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (200, "", ["rote.json is not what rote writes", "check the address"]),
        (404, "", ["knows nothing at this address", "check the bucket's name"]),
        (501, "NotImplemented", ["does not understand", "check the endpoint"]),
        (500, "", ["did not answer as it should", "check the endpoint"]),
    ],
)
def test_a_server_that_is_no_store(bare: Place, status: int, code: str, words: list[str]) -> None:
    """A web server that says the same to everything."""
    with canned(status, code) as server:
        told = bare.rote(
            "init", "--store", f"s3://b/x?endpoint={server}", code=1,
            AWS_ACCESS_KEY_ID="K", AWS_SECRET_ACCESS_KEY="S",
        )  # fmt: skip
    says(told, *words, "nothing was changed")
    assert not (bare.root / "rote.yaml").exists()


def test_a_server_that_speaks_something_else(bare: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                client.close()

        threading.Thread(target=greet, daemon=True).start()
        port = listener.getsockname()[1]
        for scheme in ("http", "https"):
            told = bare.rote(
                "init", "--store", f"s3://b/x?endpoint={scheme}://127.0.0.1:{port}", code=1,
                AWS_ACCESS_KEY_ID="K", AWS_SECRET_ACCESS_KEY="S",
            )  # fmt: skip
            says(told, "endpoint in the address", "nothing was changed")
        listener.shutdown(socket.SHUT_RDWR)


def interrupted(place: Place, number: int, sign: int, *args: str) -> Told:
    """`rote ARGS` with a signal before its step `number` that writes."""
    env = {**place.environment(), "SIGNAL": str(int(sign)), "STEPS": str(place.root.parent / "steps")}
    env["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, str(KILLED), str(number), *args],
        cwd=place.root, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Told(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_a_copy_that_is_interrupted(place: Place, tmp_path: Path, sign: int) -> None:
    """It is told what is safe; the same again sends what is missing, and nothing twice."""
    for n in range(4):
        place.write(f"data{n}/a.bin", os.urandom(50_000))
        place.rote("add", f"data{n}")
    target = str(tmp_path / "copy")
    assert interrupted(place, 0, sign, "copy", "--to", str(tmp_path / "whole")).code == 0
    steps = int((tmp_path / "steps").read_text())
    for number in (steps // 3, steps // 6):
        told = interrupted(place, number, sign, "copy", "--to", target)
        if sign == signal.SIGINT:
            assert told.code == 130
            says(told, "stopped", "not sent again")
        else:
            assert told.code == -signal.SIGKILL
    place.rote("copy", "--to", target)
    assert "all is sound" in place.rote("--store", target, "store", "check", "--read-data").out
    sizes = [
        sum(p.stat().st_size for p in Path(each).glob("packs/*/*")) for each in (target, tmp_path / "whole")
    ]
    assert sizes[0] <= sizes[1] + 2048, "no content twice: at most the nodes and another table of contents"


def test_a_store_that_is_a_copy_of_another(place: Place, tmp_path: Path) -> None:
    """Two folders with one id that went different ways: what this machine remembers of one is not believed of the other."""
    place.write("data/a.bin", os.urandom(200_000))
    subprocess.run(["cp", "-a", str(place.root / ".rote/store"), str(tmp_path / "twin")], check=True)
    place.rote("add", "data")
    place.rote("--store", str(tmp_path / "twin"), "add", "data")
    for store in (str(tmp_path / "twin"), ".rote/store"):
        told = place.rote("--store", store, "store", "check", "--read-data")
        assert told.out.endswith("all is sound\n"), told.out
        assert "1 snapshot" in told.out
