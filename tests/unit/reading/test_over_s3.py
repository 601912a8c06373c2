"""Reading from a bucket: through the user's cache, and in processes that were forked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from treebench import many

import rote
from rote.errors import RoteError


@pytest.fixture
def bucketed(moto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with its store in a bucket, `data` saved there, and a cache of its own."""
    for name, value in {**moto.env, "ROTE_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "project"
    root.mkdir()
    rote.init(str(root), store=moto.url())
    for path, data in many(300, 3000).items():
        (root / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "data" / path).write_bytes(data)
    rote.open(str(root)).add(str(root / "data"))
    shutil.rmtree(root / "data")
    monkeypatch.chdir(root)
    return root


def empty_the_bucket(moto, root: Path) -> None:
    prefix = rote.open(str(root)).settings()[0].value.split("?")[0].removeprefix("s3://rote/")
    client = moto.client()
    listed = client.list_objects_v2(Bucket="rote", Prefix=prefix)["Contents"]
    gone = [o["Key"] for o in listed if "/packs/" in o["Key"] or "/snapshots/" in o["Key"]]
    assert gone
    client.delete_objects(Bucket="rote", Delete={"Objects": [{"Key": key} for key in gone]})


def test_what_was_read_is_not_fetched_again(bucketed: Path, moto) -> None:
    files = many(300, 3000)
    assert {s.path: s.data for s in rote.dataset("data").shuffled(1)} == files
    empty_the_bucket(moto, bucketed)
    assert {s.path: s.data for s in rote.dataset("data").shuffled(2)} == files
    rote.open(".").checkout("data")
    assert (bucketed / "data/000/000007.bin").read_bytes() == files["000/000007.bin"]
    shutil.rmtree(bucketed.parent / "cache")
    with pytest.raises(RoteError):
        list(rote.dataset("data"))


def test_no_cache_when_its_size_is_nothing(bucketed: Path) -> None:
    (bucketed / "rote.local.yaml").write_text("cache: {size: 0}\n")
    assert len(list(rote.dataset("data"))) == 300
    assert not (bucketed.parent / "cache").exists()
    assert rote.open(".").settings()[1].value == "off"


def test_a_cache_that_cannot_be_written_is_said_by_the_command(bucketed: Path) -> None:
    (bucketed.parent / "cache").write_bytes(b"in the way")
    done = subprocess.run(
        [sys.executable, "-m", "rote", "checkout"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the read cache cannot be written") == 1
    assert (bucketed / "data/000/000007.bin").is_file()


FORKED = """
import os, rote
samples = rote.dataset("data")
samples[0]
if os.fork() == 0:
    try:
        list(samples.shuffled(1))
    except rote.RoteError as e:
        print(*e.lines(), sep="\\n", flush=True)
    try:
        rote.dataset("data")[0]
    except rote.RoteError as e:
        print("as well", flush=True)
    os._exit(0)
os.wait()
"""


def test_a_forked_process_is_told_instead_of_hanging(bucketed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED], check=False, capture_output=True, text=True, timeout=60
    )
    assert "this process was forked from one that has a connection to the store" in done.stdout
    assert 'multiprocessing_context="forkserver"' in done.stdout
    assert done.stdout.endswith("as well\n"), done.stdout + done.stderr
