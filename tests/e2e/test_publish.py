"""Publishing as people do it: to folders and buckets, by promoting, cut anywhere, and made public."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from place import Place

from rote.client import Model
from rote.errors import Untrusted
from rote.laws.publishing import manifests
from rote.words.encoding import digest_of, with_check
from servers.fixtures import Bucket
from servers.sharing import free_port

PIPELINE = """\
stages:
  train:
    cmd: mkdir -p words && cp weights model.bin && cp weights 'words/a b.txt' && echo '{"acc":0.9,"slices":{"a":0.8}}' > metrics.json
    deps: [weights]
    outs: [model.bin, words]
    metrics: [metrics.json]
models:
  m:
    files: [model.bin, words, labels.txt]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a version."""
    place = Place(tmp_path_factory.mktemp("made") / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init")
    place.write("rote.yaml", PIPELINE)
    place.write("weights", os.urandom(400_000))
    place.write("labels.txt", "a\nb\n")
    place.commit()
    place.rote("run")
    place.rote("release", "m", "--note", "The *first* one.")
    return place.root


@pytest.fixture
def released(made: Path, tmp_path: Path) -> Place:
    shutil.copytree(made, tmp_path / "project")
    return Place(tmp_path / "project")


def again(place: Place, *more: str) -> None:
    """Another version."""
    place.write("weights", os.urandom(400_000))
    place.rote("run")
    place.rote("release", "m", *more)


def published(folder: Path, version: str = "1.0.0") -> dict[str, bytes]:
    """The files of a version, as its manifest names them: verified."""
    below = folder / "models/m/published" / version
    manifest = manifests.decoded((below / "rote-manifest.json").read_bytes(), str(below))
    found = {f.path: b"".join((below / a.name).read_bytes() for a in f.assets) for f in manifest.files}
    assert {f.path: f.digest for f in manifest.files} == {
        path: digest_of(data) for path, data in found.items()
    }
    return found


def channel(folder: Path, alias: str = "prod") -> Any:
    return json.loads((folder / "models/m/aliases" / alias).read_text().rpartition("\nblake3:")[0])


def test_to_a_folder_and_again(released: Place, tmp_path: Path) -> None:
    site = tmp_path / "site"
    told = released.rote("publish", "m@1.0.0", str(site))
    assert "published m@1.0.0" in told.out
    assert published(site).keys() == {"labels.txt", "model.bin", "words/a b.txt"}
    assert published(site)["model.bin"] == (released.root / "weights").read_bytes()
    notes = (site / "models/m/published/1.0.0/rote-notes.md").read_text()
    assert "The *first* one." in notes
    assert "| acc | 0.9 |" in notes
    assert all(p.stat().st_mode & 0o004 for p in site.rglob("*"))
    before = {p: p.stat().st_mtime_ns for p in site.rglob("*")}
    assert "published already" in released.rote("publish", "m@1.0.0", str(site)).out
    assert {p: p.stat().st_mtime_ns for p in site.rglob("*")} == before


def test_the_targets_of_rote_yaml_follow_promote_and_rollback(released: Place, tmp_path: Path) -> None:
    one, two = released.root / "site", tmp_path / "two"
    released.write("rote.yaml", PIPELINE + f"    publish: [site, {two}]\n")
    told = released.rote("promote", "m@1.0.0", "prod")
    assert "prod points at m@1.0.0" in told.out
    assert told.err.count("published m@1.0.0") == 2
    again(released, "--promote", "prod")
    for folder in (one, two):
        assert (channel(folder)["version"], channel(folder)["seq"]) == ("1.0.1", 2)
        assert published(folder, "1.0.1")["model.bin"] == (released.root / "weights").read_bytes()
    released.rote("rollback", "m")
    for folder in (one, two):
        assert (channel(folder)["version"], channel(folder)["seq"]) == ("1.0.0", 3)
        manifest = (folder / "models/m/published/1.0.0/rote-manifest.json").read_bytes()
        assert channel(folder)["manifest"] == {"size": len(manifest), "digest": digest_of(manifest)}
    outcomes = released.rote("publish", "m@prod", "--json").json
    assert [o["channel"]["moved"] for o in outcomes] == [False, False]
    assert (released.root / "rote.yaml").exists()
    sub = released.write("sub/x").parent
    assert "published already" in released.rote("publish", "m@1.0.0", cwd=sub).out  # `site` is the project's


def test_a_target_that_is_away_is_named_and_the_others_are_served(released: Place, tmp_path: Path) -> None:
    away = f"s3://rote/x?endpoint=http://127.0.0.1:{free_port()}"
    env = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"}
    site = tmp_path / "site"
    released.write("rote.yaml", PIPELINE + f"    publish: ['{away}', '{site}']\n")
    told = released.rote("promote", "m@1.0.0", "prod", code=1, **env)
    assert "prod points at m@1.0.0 in the store" in told.err
    assert "127.0.0.1" in told.err
    assert "1 of 2 targets have it" in told.err
    assert env["AWS_SECRET_ACCESS_KEY"] not in told.err + told.out
    assert channel(site)["version"] == "1.0.0"
    assert "prod -> 1.0.0" in released.rote("models").out
    released.write("rote.yaml", PIPELINE + f"    publish: ['{tmp_path / 'back'}', '{site}']\n")
    told = released.rote("publish", "m@prod")
    assert channel(tmp_path / "back")["version"] == "1.0.0"


def test_what_is_refused_and_what_is_said(released: Place, tmp_path: Path) -> None:
    site = str(tmp_path / "site")
    for args, code, words in [
        (["m@1.0.0"], 2, ["nobody said where m is published", "models.m.publish"]),
        (["m@9.9.9", site], 1, ["no version 9.9.9", "1.0.0"]),
        (["m@prod", site], 1, ["nobody holds m@prod", "rote promote m@VERSION prod"]),
        (["n@1.0.0", site], 1, ["no model 'n'"]),
        (["m", site], 2, ["not MODEL@VERSION"]),
        (["m@1.0.0", "gitbub:a/b"], 2, ["no target of the kind 'gitbub'", "did you mean github:a/b?"]),
        (["m@1.0.0", "ftp://x/y"], 2, ["no store for addresses of ftp://"]),
        (["m@1.0.0", "https://example.org/x"], 2, ["can only be read"]),
        (["m@1.0.0", ""], 2, ["not the address of a target"]),
        (
            ["m@1.0.0", ".rote/store"],
            1,
            ["a store lies there", "nothing was written", ".rote/store/published"],
        ),
        (["m@1.0.0", site, "--alias", "prod"], 1, ["nobody holds m@prod"]),
    ]:
        told = released.rote("publish", *args, code=code)
        for word in words:
            assert word in told.err, (args, told.err)
    assert not (tmp_path / "site").exists()
    released.rote("promote", "m@1.0.0", "prod")
    again(released)
    told = released.rote("publish", "m@1.0.1", site, "--alias", "prod", code=1)
    assert "m@prod names 1.0.0, not 1.0.1" in told.err
    assert "published m@1.0.0" in released.rote("publish", "m@1.0.0", ".rote/store/published").out
    assert released.rote("store", "check", "--read-data").out.count("all is sound")


def test_other_files_under_one_number(released: Place, tmp_path: Path) -> None:
    site = str(tmp_path / "site")
    released.rote("publish", "m@1.0.0", site)
    other = Place(tmp_path / "other")
    other.git("init", "-q", "-b", "main", ".")
    other.rote("init")
    for name in ("rote.yaml", "labels.txt"):
        other.write(name, released.read(name))
    other.write("weights", b"other")
    other.commit()
    other.rote("run")
    other.rote("release", "m", "--promote", "prod")
    told = other.rote("publish", "m@1.0.0", site, code=1)
    assert "with other files; a version never changes" in told.err
    assert "--bump patch" in told.err
    assert published(tmp_path / "site")["model.bin"] == (released.root / "weights").read_bytes()


def test_a_damaged_target_is_mended_or_told(released: Place, tmp_path: Path) -> None:
    site = tmp_path / "site"
    released.rote("publish", "m@1.0.0", str(site))
    below = site / "models/m/published/1.0.0"
    (below / "labels.txt").unlink()
    assert "had lost labels.txt: sent again" in released.rote("publish", "m@1.0.0", str(site)).out
    (below / "model.bin").chmod(0o644)
    (below / "model.bin").write_bytes(b"short")
    told = released.rote("publish", "m@1.0.0", str(site), code=1)
    assert "model.bin of m@1.0.0 has 5 bytes there" in told.err
    (below / "model.bin").unlink()
    released.rote("publish", "m@1.0.0", str(site))
    assert published(site)["model.bin"] == (released.root / "weights").read_bytes()


def test_killed_and_typed_again(released: Place, tmp_path: Path) -> None:
    """Killed while files are being written, at other moments each time; what a reader finds is nothing or whole."""
    site = tmp_path / "site"
    for n in range(60):
        released.write(f"words.d/{n:02}.bin", os.urandom(50_000))
    released.write("rote.yaml", PIPELINE.replace("labels.txt]", "labels.txt, words.d]"))
    released.commit()
    released.rote("run", "--force")
    released.rote("release", "m", "--version", "2.0.0")
    below = site / "models/m/published/2.0.0"
    for count in (1, 10, 30, 55):
        process = released.start("publish", "m@2.0.0", str(site))
        while process.poll() is None:
            if below.exists() and sum(1 for _ in below.rglob("*.bin")) >= count:
                process.send_signal(signal.SIGKILL)
                process.wait()
        if process.returncode == 0:
            break
        assert not (below / "rote-manifest.json").exists() or published(site, "2.0.0")
    released.rote("publish", "m@2.0.0", str(site))
    assert len(published(site, "2.0.0")) == 63


def test_a_full_disk(released: Place) -> None:
    """No room for the copy that waits to be sent: told, with what helps; nothing is public."""
    site = released.root / "site"
    told = released.rote("publish", "m@1.0.0", "/dev/null/site", code=1)
    assert "/dev/null" in told.err
    assert not site.exists()


def keys_of(bucket: Bucket, prefix: str) -> dict[str, int]:
    pages = bucket.client().get_paginator("list_objects_v2").paginate(Bucket=bucket.name, Prefix=prefix + "/")
    return {
        o["Key"].removeprefix(prefix + "/"): o["Size"] for page in pages for o in page.get("Contents", [])
    }


def test_to_a_bucket_that_is_then_public(released: Place, rgw: Bucket) -> None:
    """A stranger reads what is published, and nothing else, once the policy is applied; applying it again is nothing."""
    url = rgw.url("public-site")
    private = rgw.url("private-site")
    released.rote("promote", "m@1.0.0", "prod")
    released.rote("publish", "m@prod", private, **rgw.env)
    told = released.rote("publish", "m@prod", url, **rgw.env)
    assert "published m@1.0.0" in told.out
    assert {"models/m/aliases/prod", "models/m/published/1.0.0/words/a=20b.txt"} <= keys_of(
        rgw, "public-site"
    ).keys()

    def got(path: str) -> bytes | int:
        try:
            with urllib.request.urlopen(f"{rgw.endpoint}/{rgw.name}/{path}", timeout=60) as reply:
                return bytes(reply.read())
        except urllib.error.HTTPError as e:
            return e.code

    manifest = "models/m/published/1.0.0/rote-manifest.json"
    assert got(f"public-site/{manifest}") == 403
    shown = released.rote("publish", "m@prod", url, "--public-policy", "show").out
    assert "arn:aws:s3:::rote/public-site/models/*" in shown
    assert got(f"public-site/{manifest}") == 403
    rgw.client().put_bucket_policy(Bucket=rgw.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Sid": "Mine", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::rote/mine/*"}]}))  # fmt: skip
    told = released.rote("publish", "m@prod", url, "--public-policy", "apply", **rgw.env)
    assert "everybody may read what is published there from now on" in told.out
    assert isinstance(got(f"public-site/{manifest}"), bytes)
    assert isinstance(got("public-site/models/m/published/1.0.0/words/a=20b.txt"), bytes)
    assert got(f"private-site/{manifest}") == 403
    assert got("?list-type=2") == 403
    kept = json.loads(rgw.client().get_bucket_policy(Bucket=rgw.name)["Policy"])["Statement"]
    assert [s["Sid"] for s in kept] == ["Mine", "RotePublishedPublicSite"]
    assert "and so may pages of other hosts" in told.out
    page = urllib.request.Request(
        f"{rgw.endpoint}/{rgw.name}/public-site/{manifest}", headers={"Origin": "https://page.example.org"}
    )
    with urllib.request.urlopen(page, timeout=60) as reply:
        assert reply.headers["Access-Control-Allow-Origin"] in ("*", "https://page.example.org")
        assert "ETag" in reply.headers["Access-Control-Expose-Headers"]
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    leave = urllib.request.Request(page.full_url, headers={**page.headers, **asked}, method="OPTIONS")
    with urllib.request.urlopen(leave, timeout=60) as reply:
        assert "GET" in reply.headers["Access-Control-Allow-Methods"]
    told = released.rote("publish", "m@prod", url, "--public-policy", "apply", **rgw.env)
    assert "everybody may read it already" in told.out
    assert "pages of other hosts may read it already" in told.out
    wrong = {**rgw.env, "AWS_SECRET_ACCESS_KEY": "wrong-secret-of-mine"}
    told = released.rote("publish", "m@prod", url, code=1, **wrong)
    assert "wrong-secret-of-mine" not in told.err


def test_a_policy_on_aws_as_it_answers(released: Place, moto: Bucket) -> None:
    url = moto.url("site")
    told = released.rote("publish", "m@1.0.0", url, "--public-policy", "apply", **moto.env)
    assert "from now on" in told.out
    policy = json.loads(moto.client().get_bucket_policy(Bucket=moto.name)["Policy"])
    assert policy["Statement"][0]["Resource"][0] == "arn:aws:s3:::rote/site/models/*"
    rules = moto.client().get_bucket_cors(Bucket=moto.name)["CORSRules"]
    assert [(r["AllowedOrigins"], r["AllowedMethods"]) for r in rules] == [(["*"], ["GET", "HEAD"])]
    mine = {"AllowedOrigins": ["https://mine.example.org"], "AllowedMethods": ["PUT"]}
    moto.client().put_bucket_cors(Bucket=moto.name, CORSConfiguration={"CORSRules": [mine]})
    released.rote("publish", "m@1.0.0", url, "--public-policy", "apply", **moto.env)
    rules = moto.client().get_bucket_cors(Bucket=moto.name)["CORSRules"]
    assert [r["AllowedMethods"] for r in rules] == [["PUT"], ["GET", "HEAD"]]
    assert "already" in released.rote("publish", "m@1.0.0", url, "--public-policy", "apply", **moto.env).out


@pytest.mark.parametrize(
    ("target", "word"),
    [("gs://b/p", "gcloud storage buckets"), ("az://b/p?account=me", "az storage container")],
)  # fmt: skip
def test_what_makes_other_targets_public(released: Place, target: str, word: str) -> None:
    assert word in released.rote("publish", "m@1.0.0", target, "--public-policy", "show").out
    assert not (released.root / "site").exists()


def test_a_hostile_version_is_no_path(released: Place, tmp_path: Path) -> None:
    for name in ("../x@1.0.0", "m@1.0.0/../..", "m@../x"):
        assert released.rote("publish", name, str(tmp_path / "site"), code=2).err
    assert not (tmp_path / "site").exists()


def test_an_application_follows_a_target_and_trusts_only_the_key(released: Place, tmp_path: Path) -> None:
    """Signed where it is published: the document there has a manifest, so that it is signed anew."""
    key = released.rote("key", "create", "mine", "--json").json["public"]
    site = tmp_path / "site"
    released.write("rote.yaml", PIPELINE + f"    publish: ['{site}']\n    keys: ['{key}']\n")
    released.rote("promote", "m@1.0.0", "prod")
    model = Model(str(site), "m", alias="prod", cache=tmp_path / "cache", keys=[key])
    assert (model.path() / "model.bin").read_bytes() == (released.root / "weights").read_bytes()
    again(released, "--promote", "prod")
    assert model.refresh()
    assert (model.path() / "model.bin").read_bytes() == (released.root / "weights").read_bytes()
    released.rote("rollback", "m")
    assert model.refresh()
    assert model.version == "1.0.0"
    where = site / "models/m/aliases/prod"
    forged = json.loads(where.read_bytes().rpartition(b"\nblake3:")[0]) | {"version": "1.0.1", "seq": 4}
    where.chmod(0o644)
    where.write_bytes(with_check(forged))
    with pytest.raises(Untrusted):
        model.refresh()
    assert model.version == "1.0.0"
    other = released.rote("key", "create", "other", "--json").json["public"]
    told = released.rote("promote", "m@1.0.1", "prod", code=1, ROTE_KEYS=str(tmp_path / "no-keys"))
    assert "secret is not on this machine" in told.err
    assert other != key
