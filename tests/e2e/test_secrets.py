"""Canaries in the environment, on command lines, in addresses, in tracebacks and in diffs: none is found anywhere."""

from __future__ import annotations

import subprocess

import zstandard
from place import ROTE, Place, Told

from servers.fixtures import Bucket

CANARY = "cAnArY7Qx9ZrW3kLmP5vT8bN2"
"""In every secret below; it is nowhere else, so whoever finds it has found a secret."""
ENV = {
    "DB_PASSWORD": f"{CANARY}-db",
    "SERVICE_TOKEN": f"{CANARY}-token",
    "OPENAI_API_KEY": f"sk-{CANARY}",
    "DATABASE_URL": f"postgres://ada:{CANARY}-pg@db.example.org/x",
    "AWS_SESSION_TOKEN": "",
}
PIPELINE = """
stages:
  leak:
    cmd: python leak.py --password {canary}-argv
    deps: [leak.py, data]
    outs: [out.txt]
  fail:
    cmd: python fail.py
    deps: [fail.py]
    outs: [never.txt]
""".replace("{canary}", CANARY)
LEAK = """
import os, sys
for name in ("DB_PASSWORD", "SERVICE_TOKEN", "OPENAI_API_KEY", "DATABASE_URL"):
    print(os.environ[name])
    print(f"curl -H 'Authorization: Bearer {os.environ[name]}' https://me:{os.environ[name]}@example.org/", file=sys.stderr)
print(*sys.argv)
open("out.txt", "w").write("fine")
"""
FAIL = """
import os, sys
def connect(url, password):
    raise ConnectionError(f"cannot connect to {url} with password={password}")
try:
    connect(os.environ["DATABASE_URL"], os.environ["DB_PASSWORD"])
except ConnectionError as e:
    sys.exit(f"trace back: {e!r}")
"""
ASKED = (
    ["runs", "--json"], ["show", "last", "--json"], ["logs", "last"], ["sql", "select * from runs, stages"],
    ["config"], ["--stats", "store", "check", "--read-data"],
)  # fmt: skip


def traced(place: Place, *args: str, **env: str) -> Told:
    """`rote --traceback ARGS`, which may show where in rote an error arose."""
    done = subprocess.run(
        [*ROTE, "--traceback", *args],
        cwd=place.root, env=place.environment(**env), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return Told(done.returncode, done.stdout, done.stderr)


def clean(told: Told) -> None:
    assert CANARY not in told.out + told.err, told.out + told.err


def unpacked(data: bytes) -> bytes:
    """A piece of a log as it is when unpacked; other objects as they are."""
    if data.startswith(b"ROTELIVE"):
        return zstandard.ZstdDecompressor().decompress(data[40:])
    return data


def kept_here(place: Place) -> None:
    """Nothing of rote's own on this machine holds one. The parsed pipeline is the user's rote.yaml in other bytes."""
    for path, data in place.files(".rote").items():
        assert path == "cache/pipeline.parsed" or CANARY.encode() not in unpacked(data), path


def played(place: Place, **env: str) -> None:
    """A run that tells its secrets and one that fails with them, and everything that can be asked afterwards."""
    place.git("remote", "add", "origin", f"https://ada:{CANARY}-git@example.org/x.git")
    place.write("leak.py", LEAK)
    place.write("fail.py", FAIL)
    place.write("data/a.txt", "a")
    place.write("rote.yaml", place.read("rote.yaml") + PIPELINE)
    clean(place.rote("add", "data", **env))
    place.commit()
    place.write("leak.py", LEAK + f"\nAWS_SECRET_ACCESS_KEY = '{CANARY}-in-a-diff'\n")
    clean(place.rote("run", "leak", **env))
    clean(place.rote("run", "fail", code=1, **env))
    for args in ASKED:
        clean(place.rote(*args, code=None, **env))
    clean(traced(place, "show", "nothing-like-it", **env))


def test_a_folder(place: Place) -> None:
    env = {**ENV, "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws"}
    played(place, **env)
    kept_here(place)


def test_a_bucket_with_credentials(bare: Place, rgw: Bucket) -> None:
    """The store's own secret is a canary too, as far as one can be: the server knows it."""
    url = rgw.url()
    env = {**ENV, **rgw.env}
    bare.rote("init", "--store", url, **env)
    played(bare, **env)
    client = rgw.client()
    prefix = url.split("?", maxsplit=1)[0].split("/")[3] + "/"
    seen = 0
    for found in client.list_objects_v2(Bucket=rgw.name, Prefix=prefix)["Contents"]:
        body = client.get_object(Bucket=rgw.name, Key=found["Key"])["Body"].read()
        assert CANARY.encode() not in unpacked(body), found["Key"]
        seen += 1
    assert seen > 10
    kept_here(bare)


def test_addresses_with_secrets_are_refused_without_repeating_them(place: Place) -> None:
    place.write("a.txt", "a")
    addresses = [
        f"s3://AKIAX:{CANARY}@bucket/x",
        f"s3://bucket/x?endpoint=https://me:{CANARY}@host",
        f"s3://bucket/x?secret={CANARY}",
        f"https://me:{CANARY}@example.org/store",
        f"az://box/x?account=a&sas={CANARY}",
        f"nothing://me:{CANARY}@host/x",
    ]
    for url in addresses:
        for told in (
            traced(place, "add", "a.txt", ROTE_STORE=url),
            place.rote("copy", "--to", url, code=None),
        ):
            assert told.code != 0, url
            clean(told)
    assert CANARY.encode() not in b"".join(place.files(".rote").values())


def test_what_a_server_and_its_client_say_is_not_repeated(place: Place) -> None:
    """Errors of the vendor's library may quote signed addresses and headers."""
    from servers.canned import canned

    env = {
        "AWS_ACCESS_KEY_ID": f"{CANARY}ID",
        "AWS_SECRET_ACCESS_KEY": f"{CANARY}-aws",
        "AWS_SESSION_TOKEN": f"{CANARY}-s",
    }
    place.write("a.txt", "a")
    for status, code in (
        (403, "AccessDenied"),
        (400, "InvalidArgument"),
        (404, "NoSuchUpload"),
    ):
        with canned(status, code, f"<Token>{CANARY}</Token>") as server:
            url = f"s3://b/x?endpoint={server}"
            for told in (
                place.rote("--store", url, "add", "a.txt", code=None, **env),
                traced(place, "--store", url, "store", "check", **env),
            ):
                assert told.code != 0
                clean(told)
