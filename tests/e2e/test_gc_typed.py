"""`rote gc`, as people type it."""

from __future__ import annotations

import pytest
from place import Place

PIPELINE = "stages:\n  make:\n    cmd: echo $WORD > out.txt\n    env: [WORD]\n    outs: [out.txt]\nmodels:\n  toy: { files: [out.txt] }\n"
NOW = ("--grace", "0")


@pytest.fixture
def toy(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE)
    with (place.root / ".gitignore").open("a") as out:
        out.write("out.txt\n")
    place.commit("a toy")
    return place


def stored(place: Place) -> int:
    return sum(
        place.rote("store", "stats", "--json").json["kinds"][k]["size"] for k in ("packs", "snapshots")
    )


def test_the_default_is_a_report(toy: Place) -> None:
    toy.write("d/a", "one")
    toy.rote("add", "d")
    before = toy.files(".rote/store")
    for options in ([], ["--dry-run"]):
        told = toy.rote("gc", "--unpinned-data", "--keep-last", "0", *NOW, *options)
        assert "nothing was changed; `--yes`" in told.out
    assert toy.files(".rote/store") == before
    assert toy.rote("gc", "--json").json["done"] is False


def test_runs_go_by_rule_come_back_and_go_for_good(toy: Place) -> None:
    for word in ("a", "b", "c"):
        toy.rote("run", WORD=word)
    toy.rote("tag", "last~2", "keep=me")
    told = toy.rote("gc", "--keep-last", "1", *NOW, "--yes")
    assert told.out.count("goes: run ") == 1
    assert told.out.count("goes: result of stage make") == 1
    assert "it is tagged" in told.out
    assert len(toy.rote("runs", "--json").json) == 2
    assert "2 roots came back" in toy.rote("gc", "--undo").out
    assert len(toy.rote("runs", "--json").json) == 3
    assert toy.rote("run", "--json", WORD="b").json["stages"][0]["outcome"] == "hit"
    toy.rote("gc", "--keep-last", "1", *NOW, "--yes")
    size = stored(toy)
    gone = toy.rote("gc", *NOW, "--yes")
    assert "gone for good: run " in gone.out
    assert stored(toy) < size
    assert "nothing lay in the trash" in toy.rote("gc", "--undo").out
    assert "all is sound" in toy.rote("store", "check", "--read-data").out
    assert toy.rote("run", "--json", WORD="b").json["stages"][0]["outcome"] == "done"
    assert toy.rote("run", "--json", WORD="a").json["stages"][0]["outcome"] == "hit"


def test_data_of_every_commit_of_every_branch_and_tag_stays(toy: Place) -> None:
    for branch, text in (("one", "1"), ("two", "2")):
        toy.git("checkout", "-q", "-b", branch)
        toy.write("d/a", text)
        toy.rote("add", "d")
        toy.commit(text)
    toy.write("d/a", "3, then amended away")
    toy.rote("add", "d")
    toy.write("d/a", "4")
    toy.rote("add", "d")
    toy.commit("4")
    toy.git("tag", "v4")
    toy.git("checkout", "-q", "--detach", "main")
    told = toy.rote("gc", "--unpinned-data", *NOW, "--yes")
    assert told.out.count("goes: data d") == 1
    toy.rote("gc", *NOW, "--yes")
    for rev, text in (("one", "1"), ("two~1", "2"), ("v4", "4")):
        assert toy.rote("cat", "d/a", "--rev", rev).out == text


def test_data_of_another_repository_stays_until_it_is_forgotten(toy: Place) -> None:
    toy.git("remote", "add", "origin", "https://example.org/one.git")
    toy.write("d/a", "1")
    toy.rote("add", "d")
    toy.git("remote", "set-url", "origin", "https://example.org/two.git")
    (toy.root / "d.rote").unlink()
    told = toy.rote("gc", "--unpinned-data", *NOW, "--yes")
    assert "stays: 1 root: it is of the repository https://example.org/one.git" in told.out
    told = toy.rote("gc", "--forget-repository", "https://example.org/one.git", *NOW, "--yes")
    assert "goes: data d" in told.out


def test_a_version_is_forgotten_only_when_no_alias_names_it(toy: Place) -> None:
    toy.rote("run", WORD="a")
    toy.rote("release", "toy", "--promote", "prod")
    told = toy.rote("gc", "--forget-version", "toy@1.0.0", "--yes", code=1)
    assert "prod names it" in told.err
    toy.rote("run", WORD="b")
    toy.rote("release", "toy", "--promote", "prod")
    assert "goes: version toy@1.0.0" in toy.rote("gc", "--forget-version", "toy@1.0.0", "--yes").out
    assert "1.0.0" not in toy.rote("models", "toy").out
    assert "version toy@1.0.0" in toy.rote("gc", "--undo").out
    toy.rote("fetch", "toy@1.0.0", "--to", "old")
    assert toy.read("old/out.txt") == "a\n"


def test_a_shallow_clone_does_not_judge_data(toy: Place) -> None:
    toy.commit("another")
    toy.git("clone", "-q", "--depth", "1", f"file://{toy.root}", str(toy.root.parent / "clone"))
    clone = Place(toy.root.parent / "clone")
    clone.rote("status", code=None)
    told = clone.rote("--store", str(toy.root / ".rote" / "store"), "gc", "--unpinned-data", code=1)
    assert "git fetch --unshallow" in told.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dry-run", "--yes"], "exclude each other"),
        (["--undo", "--keep-last", "3"], "no other option"),
        (["--keep-last", "-1"], "-1"),
        (["--forget-version", "toy"], "not MODEL@VERSION"),
        (["--forget-version", "toy@x"], "x"),
    ],
)
def test_bad_options(toy: Place, options: list[str], said: str) -> None:
    assert said in toy.rote("gc", *options, code=2).err
