"""Copying between stores, as it is typed: offline work pushed to the team's store, and what can go wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from place import Place

PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [images, train.py]
    outs: [model.txt]
    metrics: [metrics.json]
models:
  toy:
    files: [model.txt]
"""
TRAIN = """\
import json, os
names = sorted(os.listdir("images"))
open("model.txt", "w").write(",".join(names))
json.dump({"accuracy": len(names) / 10}, open("metrics.json", "w"))
print("saw", len(names))
"""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project that worked with the store in its own folder: two versions of data, two runs, a model in use."""
    place = Place(tmp_path_factory.mktemp("worked") / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init")
    place.write("rote.yaml", PIPELINE)
    place.write("train.py", TRAIN)
    for n in range(3):
        place.write(f"images/{n}.png", f"image {n}".encode() * 50)
    place.rote("add", "images")
    place.commit("first")
    place.rote("run")
    place.rote("release", "toy", "--version", "1.0.0")
    place.rote("promote", "toy@1.0.0", "prod")
    place.write("images/3.png", b"image 3" * 50)
    place.rote("add", "images")
    place.commit("second")
    place.rote("run")
    place.rote("release", "toy", "--version", "1.1.0")
    place.rote("promote", "toy@1.1.0", "prod")
    return place


@pytest.fixture
def offline(worked: Place, tmp_path: Path) -> Place:
    """That project, to be changed."""
    shutil.copytree(worked.root, tmp_path / "project")
    return Place(tmp_path / "project")


def clone(place: Place, to: str) -> Place:
    shutil.copytree(place.root / ".git", place.root.parent / to / ".git")
    other = Place(place.root.parent / to)
    other.git("checkout", "-q", "--", ".")
    return other


def objects(folder: Path) -> dict[str, int]:
    return {p.relative_to(folder).as_posix(): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


def test_offline_work_pushed_then_everything_is_a_hit(offline: Place) -> None:
    team = offline.root.parent / "team"
    told = offline.rote("copy", "--to", "../team")
    assert "(a new store)" in told.out
    assert "copied 2 runs, 2 results, 2 data roots, 2 models, 1 alias, 2 pieces of logs" in told.out
    offline.write("rote.yaml", "store: ../team\n" + PIPELINE)
    offline.commit("the team's store")
    assert "nothing to copy" in offline.rote("copy").out, "from .rote/store to the store that rote.yaml names"

    runs = offline.rote("--store", ".rote/store", "runs", "--json").out
    shutil.rmtree(offline.root / ".rote" / "store")
    assert {s["outcome"] for s in offline.rote("run", "--json").json["stages"]} == {"hit"}, (
        "with what was remembered"
    )
    assert offline.rote("ls", "images").out
    shutil.rmtree(offline.root / "images")
    offline.rote("checkout")
    shutil.rmtree(offline.root / ".rote")
    assert {s["outcome"] for s in offline.rote("run", "--json").json["stages"]} == {"hit"}
    assert offline.rote("runs", "--json").out == runs
    assert "is clean" in offline.rote("status").out or offline.rote("status", "--exit-code").code == 0

    fresh = clone(offline, "fresh")
    fresh.rote("checkout")
    assert fresh.files("images") == offline.files("images")
    assert {s["outcome"] for s in fresh.rote("run", "--json").json["stages"]} == {"hit"}
    assert fresh.read("model.txt") == "0.png,1.png,2.png,3.png"
    assert fresh.rote("logs", "last").out == "saw 4\n"
    fresh.rote("checkout", "--rev", "HEAD~2", "--force")
    assert len(fresh.files("images")) == 3
    fresh.rote("rollback", "toy")
    fresh.rote("fetch", "toy@prod", "--to", "got")
    assert fresh.read("got/model.txt") == "0.png,1.png,2.png"
    assert fresh.rote("store", "check", "--read-data").code == 0
    assert team.is_dir()


def test_again_sends_nothing_and_a_change_only_itself(offline: Place) -> None:
    offline.rote("copy", "--to", "../team")
    team = offline.root.parent / "team"
    before = objects(team)
    for _ in range(2):
        told = offline.rote("copy", "--to", "../team", "--json").json
        assert (told["sent"], told["size"], told["packs"]) == ({}, 0, 0)
        assert objects(team) == before
    offline.write("images/4.png", b"image 4" * 50)
    offline.rote("add", "images")
    told = offline.rote("copy", "--to", "../team", "--json").json
    assert (told["sent"], told["packs"]) == ({"data": 1}, 1)
    assert told["size"] < 2000


def test_selections(offline: Place) -> None:
    def kinds(name: str) -> set[str]:
        return {p.name for p in (offline.root.parent / name).iterdir()} & {
            "data",
            "runs",
            "results",
            "models",
        }

    offline.rote("copy", "images", "--to", "../a")
    assert kinds("a") == {"data"}
    offline.rote("copy", "runs", "--where", "metrics.accuracy > 0.35", "--to", "../b")
    assert kinds("b") == {"runs"}
    assert len(list((offline.root.parent / "b" / "runs").iterdir())) == 1
    offline.rote("copy", "models/toy", "results", "--to", "../c")
    assert kinds("c") == {"models", "results"}
    (offline.root / "sub").mkdir()
    offline.rote("copy", "../images", "--to", "../../d", cwd=offline.root / "sub")
    assert kinds("d") == {"data"}


def test_an_alias_moved_on_both_sides_is_named_and_left_alone(offline: Place) -> None:
    offline.rote("copy", "--to", "../team")
    offline.rote("rollback", "toy")
    offline.rote("--store", "../team", "promote", "toy@1.0.0", "prod")
    told = offline.rote("copy", "--to", "../team", code=1)
    assert (
        "left alone: models/toy/aliases/prod: it was moved on both sides: it names 1.0.0 here (move 3"
        in told.out
    )


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        ([], 2, "say which store to copy to"),
        (["--to", ".rote/store"], 2, "would copy the store to itself"),
        (["--to", ""], 2, "address is empty"),
        (["data", "--where", "state = 'failed'", "--to", "../x"], 2, "selects nothing without runs"),
        (["runs", "--where", "metrics.acuracy > 1", "--to", "../x"], 2, "did you mean metrics.accuracy?"),
        (["nothing-here", "--to", "../x"], 1, "nothing was ever added at nothing-here"),
        (["--from", "../nowhere", "--to", "../x"], 1, "nowhere"),
        (["--to", "."], 1, "this is not a store: it holds other things"),
        (["models/..", "--to", "../x"], 2, "not a valid model name"),
    ],
)
def test_bad_input(worked: Place, args: list[str], code: int, says: str) -> None:
    told = worked.rote("copy", *args, code=code)
    assert says in told.err
    assert "next:" in told.err


def test_a_store_and_its_copy_made_byte_by_byte(offline: Place) -> None:
    shutil.copytree(offline.root / ".rote" / "store", offline.root.parent / "clone")
    before = objects(offline.root.parent / "clone")
    told = offline.rote("copy", "--to", "../clone", code=2)
    assert "both stores have the id" in told.err
    assert "safe: nothing was changed" in told.err
    assert objects(offline.root.parent / "clone") == before


def rot(store: Path, where: str = "packs") -> None:
    """A flipped byte in the middle of every object below a folder of a store."""
    for path in (store / where).rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[len(data) // 3] ^= 0xFF
            path.chmod(0o644)
            path.write_bytes(data)


def test_a_rotten_store_repaired_from_its_mirror(offline: Place) -> None:
    offline.rote("copy", "--to", "../mirror")
    rot(offline.root / ".rote" / "store")
    told = offline.rote("store", "check", "--read-data", code=1)
    assert "rote add --force images" in told.out
    told = offline.rote("store", "check", "--read-data", "--repair", "--from", "../mirror")
    assert "from the other store" in told.out
    assert "all is sound" in told.out
    shutil.rmtree(offline.root / "images")
    offline.rote("checkout")
    assert {s["outcome"] for s in offline.rote("run", "--json").json["stages"]} == {"hit"}
    offline.rote("fetch", "toy@prod", "--to", "got")
    assert offline.rote("gc").code == 0
    assert offline.rote("store", "check", "--read-data", "--json").json["repaired"] is None


def test_repaired_from_the_working_tree_and_what_nobody_has_is_named(offline: Place) -> None:
    rot(offline.root / ".rote" / "store")
    told = offline.rote("store", "check", "--read-data", "--repair", code=1)
    assert "from images in the working tree" in told.out or "from what was left of it" in told.out
    assert "damaged: packs/" in told.out, "the first version of the images is nowhere any more"
    clean = clone(offline, "fresh")
    shutil.copytree(offline.root / ".rote", clean.root / ".rote")
    clean.rote("checkout")
    assert clean.files("images") == offline.files("images")
    offline.rote("add", "images", "new.txt", code=None)


def test_a_sample_says_which(offline: Place) -> None:
    told = offline.rote("store", "check", "--sample", "1%").out
    assert "read 1 pack of" in told
    assert "the sample of 20" in told
    one = offline.rote("store", "check", "--sample", "0.01", "--json").json
    assert one["read"][0] in told
    assert len(one["read"]) == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--sample", "0"], "a share is a number like 1%"),
        (["--sample", "x%"], "a share is a number like 1%"),
        (["--sample", "1%", "--read-data"], "a sample is a share of the packs"),
        (["--from", "../mirror"], "of use for a repair only"),
    ],
)
def test_bad_checks(worked: Place, args: list[str], says: str) -> None:
    assert says in worked.rote("store", "check", *args, code=2).err


def test_figures(offline: Place) -> None:
    told = offline.rote("store", "stats").out
    assert "sharing saves" in told
    assert "data   images" in told
    assert "the oldest: data images, model toy" in told
    found = offline.rote("store", "stats", "--json").json
    images = next(o for o in found["owners"] if o["name"] == "images")
    assert (images["snapshots"], images["logical"]) == (
        2,
        sum(len(f"image {n}" * 50) for n in (0, 1, 2, 0, 1, 2, 3)),
    )
    assert 0 < images["own"] <= images["stored"]
    assert found["unpacked"]["length"] <= found["logical"]
    assert {o["kind"] for o in found["owners"]} == {"data", "model", "run", "stage"}
    assert offline.rote("store", "stats", "--quick", "--json").json["unpacked"] is None
