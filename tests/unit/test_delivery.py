"""Fetching into a folder of the user's: verified, in one step, incremental, and never over what is not its own."""

from __future__ import annotations

import os

import pytest
from modelbench import Bench, noise, tree

from rote.adapters.landing.folder import MANIFEST, Folder
from rote.errors import Corrupt, Missing, Unsaved
from rote.services.data.snapshots import Snapshots
from rote.services.models.delivery import Delivery
from rote.services.models.registry import Registry
from rote.testing.faults import Fault, FaultyStore

LARGE = noise(3 << 20)
ONE = {"net": LARGE, "sub": {"a": b"a", "b": b"b"}}
TWO = {"net": LARGE[: 2 << 20] + b"!" + LARGE[2 << 20 :], "sub": {"a": b"a", "c/d": b"d"}}
FLAT_ONE = {"net": ONE["net"], "sub/a": b"a", "sub/b": b"b"}
FLAT_TWO = {"net": TWO["net"], "sub/a": b"a", "sub/c/d": b"d"}


@pytest.fixture
def bench():
    made = Bench()
    made.release(ONE, promote="prod", version="1.0.0")
    made.release(TWO, version="2.0.0")
    made.store.reset()
    return made


def fetched(folder):
    found = tree(folder)
    found.pop(MANIFEST, None)
    return found


def test_into_a_new_folder(bench, tmp_path):
    done = bench.delivery.fetch("digits", "prod", str(tmp_path / "x" / "y"))
    assert (done.model, done.version, done.written, done.kept) == ("digits", "1.0.0", 3, 0)
    assert done.size == sum(len(data) for data in FLAT_ONE.values())
    assert fetched(tmp_path / "x" / "y") == FLAT_ONE
    assert os.listdir(tmp_path / "x") == ["y"]


def test_by_number_into_an_empty_folder(bench, tmp_path):
    bench.delivery.fetch("digits", "2.0.0", str(tmp_path))
    assert fetched(tmp_path) == FLAT_TWO


def test_again_reads_no_content(bench, tmp_path):
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    bench.store.reset()
    done = bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    assert (done.written, done.kept) == (0, 3)
    assert sum(bench.store.bytes.values()) < 10_000
    assert fetched(tmp_path / "m") == FLAT_ONE


def test_another_version_reads_changed_chunks_only(bench, tmp_path):
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    bench.store.reset()
    done = bench.delivery.fetch("digits", "2.0.0", str(tmp_path / "m"))
    assert (done.written, done.kept) == (2, 1)
    assert sum(bench.store.bytes.values()) < len(LARGE) // 2
    assert fetched(tmp_path / "m") == FLAT_TWO
    assert not (tmp_path / "m" / "sub" / "b").exists()
    assert os.listdir(tmp_path) == ["m"]


def test_beside_other_files(bench, tmp_path):
    (tmp_path / "m" / "sub").mkdir(parents=True)
    (tmp_path / "m" / "sub" / "mine").write_bytes(b"mine")
    (tmp_path / "m" / "sub" / "a").write_bytes(b"a")
    for version, flat in (("1.0.0", FLAT_ONE), ("2.0.0", FLAT_TWO), ("1.0.0", FLAT_ONE)):
        bench.delivery.fetch("digits", version, str(tmp_path / "m"))
        assert fetched(tmp_path / "m") == {**flat, "sub/mine": b"mine"}
    assert not (tmp_path / "m" / "sub" / "c").exists()
    assert os.listdir(tmp_path) == ["m"]


def test_where_one_stands(bench, tmp_path, monkeypatch):
    (tmp_path / "m").mkdir()
    monkeypatch.chdir(tmp_path / "m")
    for version, flat in (("1.0.0", FLAT_ONE), ("2.0.0", FLAT_TWO)):
        bench.delivery.fetch("digits", version, ".")
        assert fetched(tmp_path / "m") == flat
        assert sorted(os.listdir(".")) == sorted(os.listdir(tmp_path / "m"))


@pytest.mark.parametrize("first", [False, True])
def test_what_is_not_its_own_is_never_overwritten(bench, tmp_path, first):
    folder = tmp_path / "m"
    folder.mkdir()
    if first:
        bench.delivery.fetch("digits", "1.0.0", str(folder))
    (folder / "net").write_bytes(b"my own work")
    before = tree(folder)
    with pytest.raises(Unsaved) as caught:
        bench.delivery.fetch("digits", "2.0.0", str(folder))
    assert "in the way: net" in str(caught.value)
    assert caught.value.safe == "nothing in the folder was changed"
    assert tree(folder) == before
    assert os.listdir(tmp_path) == ["m"]


def test_a_changed_file_that_the_next_version_has_not_is_not_removed(bench, tmp_path):
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    (tmp_path / "m" / "sub" / "b").write_bytes(b"changed")
    with pytest.raises(Unsaved, match="sub/b"):
        bench.delivery.fetch("digits", "2.0.0", str(tmp_path / "m"))
    assert (tmp_path / "m" / "sub" / "b").read_bytes() == b"changed"


def test_a_file_that_was_deleted_comes_back(bench, tmp_path):
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    (tmp_path / "m" / "net").unlink()
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    assert fetched(tmp_path / "m") == FLAT_ONE


def test_nothing_is_written_through_links(bench, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_bytes(b"a")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "sub").symlink_to(outside)
    with pytest.raises(Unsaved, match="sub/a"):
        bench.delivery.fetch("digits", "1.0.0", str(folder))
    (folder / "sub").unlink()
    (outside / "net").write_bytes(ONE["net"])
    (folder / "net").symlink_to(outside / "net")
    with pytest.raises(Unsaved, match="net"):
        bench.delivery.fetch("digits", "1.0.0", str(folder))
    assert tree(outside) == {"a": b"a", "net": ONE["net"]}


def test_a_file_where_the_folder_should_be(bench, tmp_path):
    (tmp_path / "m").write_bytes(b"a file")
    with pytest.raises(Exception, match="cannot be used") as caught:
        bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    assert caught.value.exit_code == 1
    assert (tmp_path / "m").read_bytes() == b"a file"
    assert os.listdir(tmp_path) == ["m"]


def test_a_folder_where_a_file_should_be(bench, tmp_path):
    (tmp_path / "m" / "net").mkdir(parents=True)
    (tmp_path / "m" / "net" / "mine").write_bytes(b"mine")
    with pytest.raises(Unsaved, match="net"):
        bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    assert tree(tmp_path / "m") == {"net/mine": b"mine"}


def test_damage_in_the_store_changes_nothing(bench, tmp_path):
    bench.delivery.fetch("digits", "1.0.0", str(tmp_path / "m"))
    rot = FaultyStore(bench.inner, lambda n, kind, key: Fault.ROT if key.startswith("packs/") else None)
    registry = Registry(bench.store, bench.roots, bench.clock, "x")
    with pytest.raises(Corrupt):
        Delivery(registry, Snapshots(rot), Folder).fetch("digits", "2.0.0", str(tmp_path / "m"))
    assert fetched(tmp_path / "m") == FLAT_ONE
    assert os.listdir(tmp_path) == ["m"]


def test_what_is_not_there(bench, tmp_path):
    with pytest.raises(Missing):
        bench.delivery.fetch("digits", "9.0.0", str(tmp_path / "m"))
    assert os.listdir(tmp_path) == []
