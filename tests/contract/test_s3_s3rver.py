"""A server that ignores every condition (s3rver, from npm): the probe finds it out, and a single writer may use it."""

from __future__ import annotations

import pytest
from place import Place

from rote.adapters.stores import address
from rote.errors import Conflict, Unsupported
from rote.ports import Abilities
from rote.services.store.probe import probe
from rote.testing.clock import StillClock

pytestmark = pytest.mark.heavy  # installing the server takes half a minute


def test_a_listing_out_of_order_is_sorted(s3rver):
    store = address.at(
        s3rver.url(), environ=s3rver.env, abilities=lambda: Abilities(create=False, replace=False)
    )
    made = ["a,b", "a-b/c", "a.b", "a/b", "a0", "A/z", "a=b", "Z"]
    for key in made:
        store.create(key, b"")
    assert [m.key for m in store.list("")] == sorted(made)
    assert [m.key for m in store.list("a", "a.b")] == ["a/b", "a0", "a=b"]


def test_a_single_writer_is_kept_from_overwriting(s3rver):
    store = address.at(
        s3rver.url(), environ=s3rver.env, abilities=lambda: Abilities(create=False, replace=False)
    )
    etag = store.create("a", b"1")
    with pytest.raises(Conflict):
        store.create("a", b"2")
    newer = store.replace("a", b"2", etag)
    with pytest.raises(Conflict):
        store.replace("a", b"3", etag)
    with pytest.raises(Unsupported):
        store.delete("a", newer)
    assert store.get("a").data == b"2"


def test_the_probe_finds_it_out(s3rver):
    trusting = Abilities(delete=True)
    url = s3rver.url()
    found = probe(lambda: address.at(url, environ=s3rver.env, abilities=lambda: trusting), StillClock())
    assert not found.abilities.create
    assert not found.abilities.replace
    assert not found.abilities.delete
    assert not found.abilities.shared
    assert "single-writer mode" in (found.warning() or "")


def test_one_writer_uses_it_and_is_told(bare: Place, s3rver):
    env = s3rver.env
    told = bare.rote("init", "--store", s3rver.url(), **env)
    assert "single-writer mode" in told.out
    bare.write("data/a.txt", "a\n")
    told = bare.rote("add", "data", **env)
    assert told.err.count("single-writer mode") == 1
    assert "single-writer mode" not in bare.rote("status", **env).err
    told = bare.rote("gc", code=1, **env)
    assert "refused" in told.err
    assert bare.rote("store", "probe", code=1, **env).out.count("no ") >= 2
    assert bare.rote("store", "check", "--read-data", **env).out.endswith("all is sound\n")
