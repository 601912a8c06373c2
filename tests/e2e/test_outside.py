"""Data from a bucket, typed as a user would: fetched, followed, asked about with one request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from place import Place

from servers.fixtures import Bucket
from servers.proxy import CutReply, Proxy


def test_a_prefix_of_a_bucket_is_followed(place: Place, moto: Bucket) -> None:
    client, env = moto.client(), moto.env
    prefix = "raw of " + str(id(place))
    names = {"a.csv": b"a" * 100, "sub dir/ü.csv": b"u" * 300_000, "sub dir/b.csv": b"b"}
    for name, body in names.items():
        client.put_object(Bucket=moto.name, Key=f"{prefix}/{name}", Body=body)
    client.put_object(Bucket=moto.name, Key=f"{prefix}/sub dir/", Body=b"")  # as some tools mark a folder
    with Proxy(moto.endpoint) as proxy:
        url = f"s3://{moto.name}/{prefix.replace(' ', '%20')}/?endpoint={proxy.url}"
        told = place.rote("add", "--from", url, "data/raw", **env)
        assert "3 files" in told.out
        assert place.files("data/raw") == names
        said = place.read("data/raw.rote")
        assert f"source: s3://{moto.name}/{prefix.replace(' ', '%20')}" in said
        assert moto.secret not in said

        asked = len(proxy.log.asked)
        assert "unchanged" in place.rote("update", **env).out
        new = proxy.log.asked[asked:]
        assert [(r.method, r.lists) for r in new] == [("GET", True)]

        client.put_object(Bucket=moto.name, Key=f"{prefix}/a.csv", Body=b"other")
        client.delete_object(Bucket=moto.name, Key=f"{prefix}/sub dir/b.csv")
        told = place.rote("update", "data/raw", "--dry-run", **env)
        assert "1 changed, 1 gone; 5 bytes to fetch" in told.out
        asked = len(proxy.log.asked)
        told = place.rote("update", "data/raw", **env)
        assert "~ a.csv" in told.out
        assert "- sub dir/b.csv" in told.out
        assert [r.lists for r in proxy.log.asked[asked:]] == [True, False]
        assert place.files("data/raw") == {"a.csv": b"other", "sub dir/ü.csv": b"u" * 300_000}
        assert "all is sound" in place.rote("store", "check", "--read-data").out


def test_one_object_is_followed_over_a_cut(place: Place, moto: Bucket) -> None:
    client, env = moto.client(), moto.env
    key, body = f"one-{id(place)}.bin", bytes(range(256)) * 8192
    client.put_object(Bucket=moto.name, Key=key, Body=body)
    with Proxy(moto.endpoint) as proxy:
        cut = iter([CutReply(1 << 20)])
        proxy.plan = lambda asked: next(cut, None) if asked.method == "GET" else None
        url = f"s3://{moto.name}/{key}?endpoint={proxy.url}"
        place.rote("add", "--from", url, **env)
        assert (place.root / key).read_bytes() == body
        asked = len(proxy.log.asked)
        assert "unchanged" in place.rote("update", key, **env).out
        assert [r.method for r in proxy.log.asked[asked:]] == ["HEAD"]
        client.delete_object(Bucket=moto.name, Key=key)
        told = place.rote("update", code=1, **env)
        assert "nothing at this address" in told.err


def test_a_file_is_fetched_over_tls(place: Place, nginx: dict[str, Any]) -> None:
    (Path(nginx["www"]) / "table.csv").write_text("a,b\n")
    url = f"{nginx['tls']}/table.csv"
    told = place.rote("add", "--from", url, code=1)
    assert "certificate" in told.err
    place.rote("add", "--from", url, SSL_CERT_FILE=nginx["certificate"])
    assert place.read("table.csv") == "a,b\n"
    assert "unchanged" in place.rote("update", SSL_CERT_FILE=nginx["certificate"]).out
    assert "does not let us" in place.rote("add", "--from", f"{nginx['url']}/private/x", code=1).err


def test_the_list_of_a_source_lives_as_long_as_its_data(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in "abc":
        (outside / name).write_text(name)
    place.rote("add", "--from", str(outside), "data")
    (outside / "a").write_text("changed")
    place.rote("update")
    place.commit()
    place.rote("gc", "--yes", "--unpinned-data", "--grace", "0")
    for store in (place.root / ".rote/store", tmp_path / "copied"):
        place.rote("copy", "--to", str(tmp_path / "copied"))
        (outside / "b").write_text(f"changed for {store}")
        told = place.rote("--store", str(store), "update")
        assert "1 changed" in told.out, told.out
        assert "cannot be read" not in told.err
        assert "all is sound" in place.rote("--store", str(store), "store", "check", "--read-data").out


def test_what_a_bucket_refuses(place: Place, moto: Bucket) -> None:
    url = f"s3://{moto.name}/nothing-here?endpoint={moto.endpoint}"
    assert "nothing at this address" in place.rote("add", "--from", url, "x", code=1, **moto.env).err
    told = place.rote(
        "add", "--from", "s3://no-such-bucket-7/x?endpoint=" + moto.endpoint, "x", code=1, **moto.env
    )
    assert "next:" in told.err
    assert not (place.root / "x").exists()


@pytest.mark.parametrize(
    ("args", "code"),
    [(["add"], 2), (["add", "--from", "x", "--force", "y"], 2), (["add", "--from", "nix", "a", "b"], 2)],
)
def test_what_cannot_be_meant(place: Place, args: list[str], code: int) -> None:
    place.rote(*args, code=code)


def test_nothing_follows_anything(place: Place) -> None:
    assert "no data here follows a source" in place.rote("update").out
    assert place.rote("update", "--json").json == []
