"""Stores in buckets, as people use them: against a real S3 server, and with everything that can be wrong about one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from place import Place, Told

import rote.client
from servers.canned import canned
from servers.fixtures import Bucket
from servers.sharing import free_port

PIPELINE = """
stages:
  train:
    cmd: |
      sort data/a.txt > model.txt
      echo '{"accuracy": 0.9}' > metrics.json
    deps: [data]
    outs: [model.txt]
    metrics: [metrics.json]
gates:
  - accuracy >= 0.5
models:
  toy:
    files: [model.txt]
"""
HOSTILE = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"
"""A secret that must be seen nowhere."""


def mentions(told: Told, *words: str) -> None:
    for word in words:
        assert word in told.err, f"{word!r} is not in:\n{told.err}"


def test_from_a_bucket_to_a_clone_a_run_a_release_and_an_application(
    bare: Place, rgw: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, env = rgw.url(), rgw.env
    told = bare.rote("init", "--store", url, **env)
    assert url in told.out
    assert "Several machines may write" in told.out
    assert url in bare.read("rote.yaml")
    bare.write("rote.yaml", bare.read("rote.yaml") + PIPELINE)
    bare.write("data/a.txt", "b\na\n")
    bare.write("data/b/c.bin", bytes(range(256)) * 1000)
    bare.rote("add", "data", **env)
    with (bare.root / ".gitignore").open("a") as out:
        out.write("/model.txt\n/metrics.json\n")
    bare.commit("data in a bucket")

    clone = Place(tmp_path / "clone")
    clone.git("clone", "-q", str(bare.root), ".")
    clone.rote("checkout", **env)
    assert clone.files("data") == bare.files("data")
    clone.rote("run", **env)
    assert clone.read("model.txt") == "a\nb\n"
    assert [s["outcome"] for s in bare.rote("run", "--json", **env).json["stages"]] == ["hit"]
    assert bare.read("model.txt") == "a\nb\n"
    clone.rote("release", "toy", "--promote", "prod", **env)
    assert "toy" in bare.rote("models", **env).out
    assert len(bare.rote("runs", "--json", **env).json) == 1
    assert bare.rote("store", "check", "--read-data", **env).out.endswith("all is sound\n")

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    model = rote.client.Model(url, "toy", cache=tmp_path / "app")
    assert (model.path() / "model.txt").read_text() == "a\nb\n"
    assert not model.refresh()
    assert not [k for k in keys(rgw, url) if "/probe/" in k]


def keys(bucket: Bucket, url: str) -> list[str]:
    """Every key of a store, behind its back."""
    prefix = url.split("?", maxsplit=1)[0].split("/")[3] + "/"
    pages = bucket.client().get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix)
    return [o["Key"] for page in pages for o in page.get("Contents", [])]


def test_nothing_of_a_cloud_is_loaded_for_a_folder(place: Place) -> None:
    place.write("a.txt", "a")
    for command in (["--version"], ["status"], ["add", "a.txt"], ["store", "stats"]):
        code = (
            "import sys; from rote.__main__ import main; sys.argv[1:] = "
            f"{command!r}; main(); print('obstore' in sys.modules, file=sys.stderr)"
        )
        import subprocess
        import sys

        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=place.root,
            env=place.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stderr.splitlines()[-1] == "False", command


def test_init_again_and_probe(bare: Place, rgw: Bucket) -> None:
    url = rgw.url()
    bare.rote("init", "--store", url, **rgw.env)
    assert "Still" in bare.rote("init", "--store", url, **rgw.env).out
    found = bare.rote("store", "probe", "--json", **rgw.env).json
    assert {f["name"]: f["honoured"] for f in found["findings"]} == {
        "create": True, "replace": True, "delete": False, "reads": True, "lists": True,
    }  # fmt: skip
    told = bare.rote("init", "--store", rgw.url(), code=2, **rgw.env)
    mentions(told, "rote.yaml", "nothing was changed")


# what can be wrong


def refused(bare: Place, url: str, *words: str, code: int = 1, **env: str) -> None:
    """`rote init` says what is wrong, and leaves nothing behind."""
    told = bare.rote("init", "--store", url, code=code, **env)
    mentions(told, *words)
    assert "next:" in told.err
    assert HOSTILE not in told.err + told.out
    assert not (bare.root / "rote.yaml").exists()


def test_a_server_that_is_not_there(bare: Place, rgw: Bucket) -> None:
    url = f"s3://rote/x?endpoint=http://127.0.0.1:{free_port()}"
    refused(bare, url, "cannot be reached", "endpoint", "nothing was changed", **rgw.env)


def test_a_bucket_that_is_not_there(bare: Place, rgw: Bucket) -> None:
    url = rgw.url().replace("s3://rote/", "s3://no-such-bucket/")
    refused(bare, url, "no bucket no-such-bucket", **rgw.env)


@pytest.mark.parametrize(
    "env",
    [
        {"AWS_ACCESS_KEY_ID": "NOBODY", "AWS_SECRET_ACCESS_KEY": HOSTILE},
        {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": HOSTILE},
    ],
    ids=["an unknown key", "a wrong secret"],
)
def test_credentials_that_are_wrong(bare: Place, rgw: Bucket, env: dict[str, str]) -> None:
    refused(bare, rgw.url(), "does not accept these credentials", "AWS_ACCESS_KEY_ID", **env)


def test_no_credentials(bare: Place, rgw: Bucket) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    refused(bare, rgw.url(), "no credentials", "AWS_PROFILE", AWS_METADATA_ENDPOINT=nowhere)


@pytest.mark.parametrize(
    ("status", "code", "more", "words"),
    [
        (400, "ExpiredToken", "", ["expired", "AWS_"]),
        (403, "RequestTimeTooSkewed", "", ["clock"]),
        (403, "AccessDenied", "", ["do not allow", "docs/stores.md"]),
        (400, "AuthorizationHeaderMalformed", "<Region>eu-north-7</Region>", ["region", "region=eu-north-7"]),
        (301, "PermanentRedirect", "", ["region", "AWS_REGION"]),
        (405, "MethodNotAllowed", "", ["does not understand", "endpoint"]),
        (404, "NoSuchBucket", "", ["no bucket"]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_a_vendor_refuses(bare: Place, status: int, code: str, more: str, words: list[str]) -> None:
    with canned(status, code, f"{more}<AWSSecret>{HOSTILE}</AWSSecret>") as server:
        env = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": HOSTILE}
        refused(bare, f"s3://rote/x?endpoint={server}", *words, **env)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"s3://AKIA:{HOSTILE}@bucket/x", ["credentials do not belong", "docs/stores.md"]),
        (f"s3://bucket/x?secret_access_key={HOSTILE}", ["credentials do not belong"]),
        (f"s3://bucket/x?endpoint=https://me:{HOSTILE}@host", ["credentials do not belong"]),
        (f"az://box/x?sas={HOSTILE}", ["credentials do not belong"]),
        ("s3://bucket/x?endpont=https://host", ["endpont", "endpoint"]),
        ("s3://bucket/x?endpoint=host:9000", ["endpoint", "https://HOST"]),
        ("s3://bucket/x?path-style=perhaps", ["true or false"]),
        ("s3://bucket/../x", ["cannot lie at"]),
        ("s3://", ["not a bucket"]),
        ("az://box/x", ["storage account", "account=NAME"]),
        ("gcs://bucket/x", ["gs://"]),
        ("ftp://host/x", ["no store for addresses of ftp://"]),
        ("http://example.org/x", ["https://example.org"]),
        ("s3://bucket/x?profile=nobody", ["no AWS profile", "aws configure"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_addresses_that_cannot_be_meant(bare: Place, url: str, words: list[str]) -> None:
    refused(bare, url, *words, code=2)


def test_a_prefix_that_holds_something_else(bare: Place, rgw: Bucket) -> None:
    url = rgw.url()
    mine = url.split("?")[0].split("/")[3] + "/holiday.jpg"
    rgw.client().put_object(Bucket=rgw.name, Key=mine, Body=b"x")
    refused(bare, url, "holiday.jpg", "nothing was written", **rgw.env)
    assert keys(rgw, url) == [mine]


def test_a_store_that_is_not_there(bare: Place, rgw: Bucket) -> None:
    bare.rote("init", "--store", rgw.url(), **rgw.env)
    bare.write("a.txt", "a")
    told = bare.rote("--store", rgw.url(), "add", "a.txt", code=1, **rgw.env)
    mentions(told, "no store here", "rote init --store")


def test_two_stores_with_one_id(bare: Place, rgw: Bucket) -> None:
    """A bucket that was copied by hand, or half of it: what this machine remembers of the one is not believed of the
    other."""
    url, other = rgw.url(), rgw.url()
    bare.rote("init", "--store", url, **rgw.env)
    bare.write("data/a.bin", bytes(range(256)) * 2000)
    bare.rote("add", "data", **rgw.env)
    source = next(k for k in keys(rgw, url) if k.endswith("/rote.json"))
    body = rgw.client().get_object(Bucket=rgw.name, Key=source)["Body"].read()
    target = other.split("?")[0].split("/")[3] + "/rote.json"
    rgw.client().put_object(Bucket=rgw.name, Key=target, Body=body)
    bare.rote("--store", other, "add", "data", **rgw.env)
    assert bare.rote("--store", other, "store", "check", "--read-data", **rgw.env).out.endswith(
        "all is sound\n"
    )
    assert bare.rote("--store", other, "store", "stats", "--json", **rgw.env).json["snapshots"] == 1


def test_a_cache_that_cannot_be_written(bare: Place, rgw: Bucket) -> None:
    """The result of a probe cannot be kept: then it is found again."""
    bare.rote("init", "--store", rgw.url(), **rgw.env)
    kept = bare.root / ".rote/cache/probes.json"
    kept.unlink()
    kept.mkdir()
    bare.write("a.txt", "a")
    bare.rote("add", "a.txt", **rgw.env)
    assert kept.is_dir()


def test_nothing_of_the_credentials_is_kept(bare: Place, rgw: Bucket) -> None:
    url = rgw.url()
    env = {**rgw.env, "AWS_SESSION_TOKEN": ""}
    bare.rote("init", "--store", url, **env)
    bare.write(
        "rote.yaml",
        bare.read("rote.yaml") + "stages:\n  a:\n    cmd: env > out.txt; env\n    outs: [out.txt]\n",
    )
    secret = "SK-" + HOSTILE
    bare.rote("run", **env, MY_SECRET_TOKEN=secret)
    for path, data in bare.files(".rote").items():
        assert secret.encode() not in data, path
    assert json.dumps(bare.rote("show", "last", "--json", **env).json).count(secret) == 0
