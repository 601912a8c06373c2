"""`rote run --rev`: a commit in a clean working tree; and a release that is made again from its tag."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
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


FINDER = """\
import sys
from importlib.util import spec_from_file_location
MAPPING = {"second": %r}
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in MAPPING:
            return spec_from_file_location(name, MAPPING[name] + "/__init__.py")
sys.meta_path.append(Finder)
"""
"""What an editable installation by setuptools puts beside installed packages, in short."""


def editable(place: Place, stage: str = "") -> None:
    """A project that is installed from its working tree, in both ways that are in use, in an environment inside it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=place.root, check=True)
    [packages] = place.root.glob(".venv/lib/python*/site-packages")
    (packages / "first.pth").write_text(f"{place.root}/src\n")
    (packages / "__editable___second_finder.py").write_text(FINDER % f"{place.root}/flat/second")
    (packages / "second.pth").write_text("import __editable___second_finder\n")
    code = "import first, second; open('out', 'w').write(first.A + second.B)"
    place.write(
        "rote.yaml", f'stages:\n  s:\n    cmd: .venv/bin/python -c "{stage}{code}"\n    outs: [out]\n'
    )
    place.write(".gitignore", ".rote\n.venv\n/out\n")
    place.write("src/first/__init__.py", "A = 'a'\n")
    place.write("flat/second/__init__.py", "B = 'b'\n")
    place.commit("one")
    place.write("src/first/__init__.py", "A = 'A'\n")
    place.write("flat/second/__init__.py", "B = 'B'\n")


@pytest.mark.parametrize("trace", ["python", "off"])
def test_what_is_installed_from_the_working_tree_is_that_of_the_commit(place: Place, trace: str) -> None:
    editable(place)
    place.write("rote.yaml", place.read("rote.yaml") + f"    trace: {trace}\n")
    place.git("commit", "-q", "-m", "traced", "rote.yaml")
    place.rote("run", "--rev", "HEAD")
    place.git("stash", "-q")
    assert "1 hit" in place.rote("run").out
    assert place.read("out") == "ab"


def test_a_trial_takes_its_own_code(place: Place) -> None:
    editable(place)
    place.rote("run", "--smoke")
    assert place.read(".rote/smoke/out") == "AB"
    place.write("src/first/__init__.py", "A = 'x'\n")
    assert "first/__init__.py, which it reads, changed" in place.rote("run", "--smoke").out
    assert place.read(".rote/smoke/out") == "xB"


def test_code_of_the_working_tree_is_no_code_of_the_commit(place: Place) -> None:
    editable(place, f"import sys; sys.path.insert(0, '{place.root}/src'); ")
    told = place.rote("run", "--rev", "HEAD", code=1)
    assert (
        f"it took code from your working tree, and not from the commit: {place.root}/src/first/__init__.py"
        in told.out
    )
    assert "git worktree remove --force .rote/revs/" in told.err
    place.git("stash", "-q")
    assert "1 done" in place.rote("run").out, "nothing was kept"


def test_submodules_are_there(place: Place, tmp_path: Path) -> None:
    for name in ("inner", "lib"):
        other = Place(tmp_path / name)
        other.git("init", "-q")
        other.write(f"{name}.txt", f"{name} 1\n")
        other.commit()
    Place(tmp_path / "lib").git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "inner"), "in"
    )
    Place(tmp_path / "lib").commit()
    place.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(tmp_path / "lib"), "vendor/lib"
    )
    place.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive")
    cmd = "cat vendor/lib/lib.txt vendor/lib/in/inner.txt > out"
    place.write("rote.yaml", f"stages:\n  s: {{cmd: {cmd}, deps: [vendor/lib], outs: [out]}}\n")
    place.write(".gitignore", ".rote\n/out\n")
    place.commit()
    place.rote("run")
    assert place.read("out") == "lib 1\ninner 1\n"
    told = place.rote("run", "--rev", "HEAD")
    assert "1 hit" in told.out, "the same content, and so the same key"
    mine = Place(place.root / "vendor/lib")
    mine.write("lib.txt", "lib 2\n")
    mine.commit()
    place.commit("two")
    assert "1 done" in place.rote("run", "--rev", "HEAD").out
    assert not list((place.root / ".rote/revs").glob("*/"))
    assert "1 hit" in place.rote("run", "--rev", "HEAD~1").out
    assert "1 done" in place.rote("run", "--smoke").out
    assert place.read(".rote/smoke/out") == "lib 2\ninner 1\n"
    # A clone without them says so, and one that lacks a commit says which.
    place.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Place(tmp_path / "clone")
    clone.rote("init", "--store", str(place.root / ".rote/store"))
    told = clone.rote("run", "--rev", "HEAD", code=1)
    assert "never initialized here: the submodules vendor/lib" in told.err
    clone.git("-c", "protocol.file.allow=always", "clone", "-q", str(tmp_path / "lib"), "vendor/lib")
    told = clone.rote("run", "--rev", "HEAD", code=1)
    assert "the submodule vendor/lib does not hold its commit" in told.err
