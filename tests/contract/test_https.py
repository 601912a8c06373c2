"""Stores on a web server, to read: what a folder store wrote is served as it is, by nginx, over TLS."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import pytest
from place import Place

import rote.client
from rote.adapters.stores import address
from rote.adapters.stores.folder import FolderStore
from rote.errors import Corrupt, NotFound, StoreUnavailable, Unsupported, UsageError


@pytest.fixture
def site(nginx, monkeypatch):
    """A folder that is served, its address, and the certificate that makes it trusted."""
    name = uuid.uuid4().hex[:12]
    monkeypatch.setenv("SSL_CERT_FILE", nginx["certificate"])
    return Path(nginx["www"]) / name, f"{nginx['tls']}/{name}"


@pytest.fixture
def pair(site):
    """The same store, to write and to read."""
    folder, url = site
    return FolderStore(str(folder)), address.at(url)


def test_what_was_written_is_read(pair):
    write, read = pair
    for size in (0, 1, 4096, 5_000_001):
        data = random.Random(size).randbytes(size)
        write.create(f"a/{size}", data)
        found = read.get(f"a/{size}")
        assert found.data == data
        assert read.head(f"a/{size}").size == size
        assert read.head(f"a/{size}").etag == found.etag


def test_an_etag_changes_with_the_object(pair):
    write, read = pair
    etag = write.create("a", b"one")
    before = read.head("a").etag
    write.replace("a", b"other", etag)
    assert read.get("a").data == b"other"
    assert read.head("a").etag != before


def test_ranges_are_slices(pair):
    write, read = pair
    chance = random.Random(1)
    data = chance.randbytes(700_000)
    write.create("a", data)
    assert read.get_ranges("a", []) == []
    for _ in range(10):
        ranges = [(s, chance.randrange(len(data) - s)) for s in chance.sample(range(len(data)), 12)]
        assert read.get_ranges("a", ranges) == [data[s : s + n] for s, n in ranges]
    assert read.get_range("a", len(data), 0) == b""
    for bad in ((0, 700_001), (700_000, 1), (700_001, 0), (-1, 1), (0, -1), (2**70, 1)):
        with pytest.raises(Corrupt):
            read.get_range("a", *bad)


@pytest.mark.parametrize("key", ["a/b/c/d", "a/x", "x"])
def test_what_is_not_there_is_not_found(pair, key):
    write, read = pair
    write.create("a/b/c", b"data")
    for ask in (read.get, read.head, lambda k: read.get_range(k, 0, 1), lambda k: read.get_ranges(k, [])):
        with pytest.raises(NotFound) as caught:
            ask(key)
        assert caught.value.key == key


def test_it_is_only_read(pair):
    write, read = pair
    etag = write.create("a", b"data")
    for attempt in (
        lambda: read.create("b", b""),
        lambda: read.replace("a", b"", etag),
        lambda: read.delete("a"),
        lambda: read.delete("a", etag),
        lambda: list(read.list("")),
    ):
        with pytest.raises(Unsupported) as caught:
            attempt()
        assert caught.value.next
    assert write.get("a").data == b"data"


def test_a_certificate_that_nobody_vouches_for(nginx):
    with pytest.raises(StoreUnavailable) as caught:
        address.at(f"{nginx['tls']}/x", environ={}).get("a")
    assert "cannot be reached" in str(caught.value)


def test_what_is_not_public(nginx, monkeypatch):
    with pytest.raises(StoreUnavailable) as caught:
        address.at(f"{nginx['url']}/private").get("a")
    assert caught.value.next == "check that the address is public"
    assert not caught.value.retry


def test_plain_http_is_for_this_machine():
    with pytest.raises(UsageError) as caught:
        address.at("http://example.org/store")
    assert caught.value.next == "https://example.org"


def test_an_application_and_a_checkout_from_a_public_store(site, tmp_path: Path):
    folder, url = site
    place = Place(tmp_path / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init", "--store", str(folder))
    place.write("model.txt", "the model\n")
    place.write("data/a.txt", "a\n")
    place.rote("add", "data")
    with (place.root / "rote.yaml").open("a") as out:
        out.write("stages:\n  a:\n    cmd: cp data/a.txt out.txt\n    deps: [data]\n    outs: [out.txt]\n")
        out.write("models:\n  toy:\n    files: [out.txt]\n")
    with (place.root / ".gitignore").open("a") as out:
        out.write("/out.txt\n")
    place.commit("all")
    place.rote("run")
    place.rote("release", "toy", "--promote", "prod")

    model = rote.client.Model(url, "toy", cache=tmp_path / "app")
    assert (model.path() / "out.txt").read_text() == "a\n"
    assert not model.refresh()
    (place.root / "data/a.txt").unlink()
    place.rote("--store", url, "checkout", "data")
    assert place.read("data/a.txt") == "a\n"
    place.write("new.txt", "new\n")
    told = place.rote("--store", url, "add", "new.txt", code=1)
    assert "can only be read" in told.err
