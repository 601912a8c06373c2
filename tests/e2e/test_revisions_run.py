"""`rote run --rev`: a commit in a clean working tree; and a release that is made again from its tag."""

from __future__ import annotations

from pathlib import Path

from place import Place

PIPELINE = """\
stages:
  prepare:
    cmd: cat data/* helper.txt > all.txt
    deps: [data, helper.txt]
    outs: [all.txt]
  train:
    cmd: cksum < all.txt > model.bin; cat params.yaml >> model.bin; echo '{"accuracy":0.9}' > metrics.json
    deps: [all.txt]
    params: [lr]
    outs: [model.bin]
    metrics: [metrics.json]
models:
  digits: {files: [model.bin]}
"""


def world(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE)
    place.write("params.yaml", "lr: 0.1\n")
    place.write("helper.txt", "first\n")
    place.write("data/a", "a\n")
    place.write(".gitignore", ".rote\n/all.txt\n/model.bin\n/metrics.json\n")
    place.rote("add", "data")
    place.commit("one")
    return place


def later(place: Place) -> None:
    """The project goes on: other data, code and params, and something that is not committed."""
    place.write("data/b", "b\n")
    place.rote("add", "data")
    place.write("helper.txt", "second\n")
    place.write("params.yaml", "lr: 0.2\n")
    place.commit("two")
    place.write("helper.txt", "not committed\n")
    place.write("stray", "not tracked\n")


def test_a_release_is_made_again_from_its_tag(place: Place) -> None:
    world(place)
    place.rote("run")
    place.rote("release", "digits")
    place.git("tag", "digits@v1.0.0")
    released = place.read("model.bin")
    later(place)
    place.git("checkout", "-q", "helper.txt")
    place.rote("run")
    assert place.read("model.bin") != released

    place.git("checkout", "-q", "digits@v1.0.0")
    place.rote("checkout")
    told = place.rote("run")
    assert "nothing to do, 0 done, 2 hits" in told.out
    assert place.read("model.bin") == released
    again = place.rote("run", "--force")
    assert again.out.count("the same as in run") == 2
    assert "difference" not in again.out
    assert place.read("model.bin") == released
    assert "was released already" in place.rote("release", "digits").out


def test_what_differs_is_named(place: Place) -> None:
    world(place)
    place.write("noise", "1\n")
    loud = PIPELINE.replace(
        "cksum < all.txt > model.bin;",
        "mkdir -p m; cp noise m/x; cp all.txt m/y; cksum < all.txt > model.bin;",
    )
    loud = loud.replace("outs: [model.bin]", "outs: [model.bin, m]").replace(
        '"accuracy":0.9', "\"accuracy\":'$(cat noise)'"
    )
    place.write("rote.yaml", loud)
    place.rote("run")
    first = place.rote("show", "last", "--json").json["id"]
    place.write("noise", "2\n")  # a shell reads it, so nobody saw
    told = place.rote("run", "--force")
    assert "prepare: done in" in told.out
    assert f"the same as in run {first}" in told.out
    assert f"3 differences from run {first}" in told.out
    assert "m/x differs" in told.err
    assert "metrics.json:accuracy differs: 1 -> 2" in told.err
    train = place.rote("show", "last", "--json").json["stages"][1]
    assert train["compared"]["run"] == first
    assert {d["name"] for d in train["compared"]["first"]} == {"m/x", "metrics.json", "metrics.json:accuracy"}
    # Without --force nothing is compared, and nothing is said.
    place.write("params.yaml", "lr: 0.3\n")
    place.rote("run")
    assert "compared" not in place.rote("show", "last", "--json").json["stages"][1]


def test_a_revision_is_run_beside_the_working_tree(place: Place) -> None:
    world(place)
    later(place)
    before = place.files(), place.git("status", "--short")
    mine = {name: data for name, data in before[0].items() if not name.startswith(".rote/")}
    told = place.rote("run", "--rev", "HEAD~1")
    assert "2 done" in told.out
    now = {name: data for name, data in place.files().items() if not name.startswith((".rote/", ".git/"))}
    assert now == {name: data for name, data in mine.items() if not name.startswith(".git/")}
    assert place.git("status", "--short") == before[1]
    assert len(place.git("worktree", "list").splitlines()) == 1
    run = place.rote("show", "last", "--json").json
    assert run["commit"]["id"] == place.git("rev-parse", "HEAD~1").strip()
    assert (run["commit"]["dirty"], run["commit"]["branch"]) == (False, None)
    assert run["asked"]["rev"] == run["commit"]["id"]
    assert run["params"] == {"params.yaml": {"lr": 0.1}}
    assert "nothing to do" in place.rote("run", "--rev", "HEAD~1").out
    # What was made there is a hit here.
    place.git("stash", "-q")
    place.git("checkout", "-q", "HEAD~1")
    place.rote("checkout")
    assert "nothing to do" in place.rote("run").out


def test_one_that_fails_stays_to_be_looked_at_and_is_gone_on_with(place: Place) -> None:
    world(place)
    place.write(
        "rote.yaml",
        PIPELINE.replace("cksum <", "test -e /tmp/never-there && cksum <").replace(
            "; cat params", " && cat params"
        ),
    )
    place.commit("broken")
    told = place.rote("run", "--rev", "main", code=1)
    assert "stays in .rote/revs/" in told.err
    [left] = [p for p in (place.root / ".rote/revs").iterdir() if p.is_dir()]
    assert (left / "all.txt").exists()
    again = place.rote("resume", "last", code=1)
    assert "prepare: hit" in again.out
    assert place.rote("show", "last", "--json").json["asked"]["rev"] == place.git("rev-parse", "main").strip()
    # A tree that was left dirty is clean again the next time.
    (left / "helper.txt").write_text("somebody was here\n")
    (left / "stray").write_text("and there\n")
    again = place.rote("run", "--rev", "main", code=1)
    assert "prepare: hit" in again.out
    assert not (left / "stray").exists()


def test_a_target_in_a_subfolder_of_the_repository(bare: Place) -> None:
    inner = Place(bare.root / "ml")
    inner.rote("init", "--store", str(bare.root / "store"))
    bare.write(".gitignore", "store\n")
    world_here = world(inner)
    told = world_here.rote("run", "--rev", "HEAD", "model.bin", "--smoke")
    assert "2 done" in told.out
    assert not (inner.root / "model.bin").exists()


def test_what_cannot_be_run(place: Place) -> None:
    place.write("README", "no pipeline yet\n")
    place.git("add", "README")
    place.git("commit", "-q", "-m", "none")
    world(place)
    told = place.rote("run", "--rev", "nowhere", code=1)
    assert "no revision 'nowhere'" in told.err
    told = place.rote("run", "--rev", "HEAD~1", code=2)
    assert "has no rote.yaml" in told.err
    assert "later revision" in told.err
    assert place.rote("run", "--rev", "--force", code=None).code != 0


def test_without_git(tmp_path: Path) -> None:
    place = Place(tmp_path / "plain")
    place.rote("init")
    assert "no git repository" in place.rote("run", "--rev", "HEAD", code=2).err


def test_no_hook_of_the_repository_is_run(place: Place) -> None:
    world(place)
    hook = place.write(".git/hooks/post-checkout", "#!/bin/sh\ntouch hook-was-run\n")
    hook.chmod(0o755)
    place.rote("run", "--rev", "HEAD")
    assert not list(place.root.rglob("hook-was-run"))
