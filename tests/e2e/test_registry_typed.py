"""The registry as people and CI type it: derived numbers, git tags, data taken back, remarks, deletion."""

from __future__ import annotations

import json

import pytest
from place import Place, Typed

PIPELINE = """\
stages:
  train:
    cmd: grep lr params.yaml | cat train.sh data/images/a - > model.bin && echo '{"acc":0.9}' > metrics.json
    deps: [train.sh, data/images]
    params: [lr]
    outs: [model.bin]
    metrics: [metrics.json]
models:
  m:
    files: [model.bin]
    signature: interface.json
"""


def interface(width: int) -> str:
    return json.dumps({"inputs": [{"name": "x", "type": "float32", "shape": [None, width]}], "outputs": []})


@pytest.fixture
def lab(place: Place) -> Place:
    return laid_out(Typed(place.root))


@pytest.fixture
def shell(place: Place) -> Place:
    """The same, in which each command is a process of its own."""
    return laid_out(place)


def laid_out(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE)
    place.write("train.sh", "# one\n")
    place.write("params.yaml", "lr: 0.1\nunused: 1\n")
    place.write("interface.json", interface(4))
    place.write(".gitignore", place.read(".gitignore") + "/model.bin\n/metrics.json\n")
    data(place, "one")
    return place


def data(place: Place, text: str) -> str:
    """New data, committed; the commit."""
    place.write("data/images/a", text + "\n")
    place.rote("add", "data")
    return place.commit(f"data {text}")


def released(place: Place, *options: str) -> str:
    place.rote("run")
    return place.rote("release", "m", *options).out


def test_auto_derives_the_number_and_says_why(lab: Place) -> None:
    released(lab, "--bump", "auto")
    data(lab, "two")
    told = released(lab, "--bump", "auto")
    assert "released m@1.0.1" in told
    assert "patch, held against 1.0.0: the data in data changed" in told
    lab.write("params.yaml", "lr: 0.2\nunused: 2\n")
    lab.commit()
    told = released(lab, "--bump", "auto")
    assert "released m@1.1.0" in told
    assert "minor, held against 1.0.1: params.yaml: lr was 0.1, is 0.2\n" in told  # and not the unused one
    lab.write("interface.json", interface(8))
    data(lab, "three")
    told = released(lab, "--bump", "auto")
    assert "released m@2.0.0" in told
    assert "the input x was float32[?, 4], is float32[?, 8]; the data in data changed" in told

    shown = lab.rote("model", "show", "m@2.0.0").out
    assert "major over 1.1.0: interface.json: the input x" in shown
    assert "x float32[?, 8]" in shown
    record = lab.rote("model", "show", "m@2.0.0", "--json").json
    pinned = next(line for line in lab.read("data.rote").splitlines() if line.startswith("snapshot: "))
    assert record["data"] == [{"path": "data", "snapshot": pinned.removeprefix("snapshot: ")}]
    assert record["environment"]["python"]

    differ = lab.rote("model", "diff", "m@1.0.1", "2.0.0").out
    assert "m@1.0.1 -> m@2.0.0: a major change" in differ
    assert "0 added, 0 removed, 1 changed" in differ
    assert "params.yaml: lr" in differ


def test_a_signature_that_is_not_there_or_no_json_is_refused(lab: Place) -> None:
    lab.write("interface.json", "{")
    lab.commit()
    lab.rote("run")
    assert "no JSON that could be a signature" in lab.rote("release", "m", code=1).err
    lab.write("rote.yaml", PIPELINE.replace("interface.json", "nowhere.json"))
    told = lab.rote("release", "m", code=1).err
    assert "git does not track it in the run's commit" in told
    assert "rote.yaml:9" in told
    lab.write("rote.yaml", PIPELINE.replace("interface.json", "../secret.json"))
    assert "rote.yaml:11" in lab.rote("release", "m", code=2).err


HOSTILE = [
    "m@v1.0.0`touch${IFS}pwned`", "m#$(touch${IFS}pwned)", "m@v1.0.0;touch", "m#prod|id", "m@v1.2", "m@v1.0.0+build", "m#",
    "m@v1.0.0&&id", "m#'", 'm#"', "m@v0x1.0.0",
]  # fmt: skip
NONE_OF_OURS = [
    "v1.0.0",
    "other@v1.0.0",
    "m/x@v1.0.0",
    "m@prod",
    "m@deprecated",
    "--force@v1.0.0",
    "\N{SNOWMAN}@v1.0.0",
]


def test_tags_release_and_promote_once_and_hostile_ones_do_nothing(shell: Place) -> None:
    lab = shell
    lab.rote("run")
    first = lab.git("rev-parse", "HEAD").strip()
    for tag in ["m@v1.0.0", "m#prod", *NONE_OF_OURS, *HOSTILE]:
        lab.git("update-ref", f"refs/tags/{tag}", first)
    before = sorted(path.name for path in lab.root.iterdir())
    told = lab.rote("release", "--from-tags", "--json", code=1).json
    states = {found["tag"]: found["state"] for found in told}
    assert states["m@v1.0.0"] == states["m#prod"] == "done"
    assert {states[tag] for tag in HOSTILE} == {"failed"}
    assert {states.get(tag, "left") for tag in NONE_OF_OURS} == {"left"}
    assert [m["aliases"] for m in lab.rote("models", "--json").json] == [{"prod": "1.0.0"}]
    assert sorted(path.name for path in lab.root.iterdir()) == before
    shown = lab.rote("release", "--from-tags", code=1).out
    assert shown.replace("\n", "").isprintable()
    for tag in HOSTILE:
        lab.git("update-ref", "-d", f"refs/tags/{tag}")
    again = lab.rote("release", "--from-tags", "m", "--json").json
    assert {found["state"] for found in again} == {"there", "left"}
    assert len(lab.rote("model", "history", "m", "--json").json) == 1


def test_a_rollback_by_hand_is_not_undone_by_the_next_walk(lab: Place) -> None:
    released(lab)
    lab.rote("promote", "m@1.0.0", "prod")
    data(lab, "two")
    lab.rote("run")
    lab.git("tag", "m@v1.1.0")
    lab.git("tag", "-a", "-m", "ship it", "m#prod#1")
    assert "would  point prod at m@1.1.0" in lab.rote("release", "--from-tags", "--dry-run").out
    assert "done  prod points at m@1.1.0" in lab.rote("release", "--from-tags").out
    lab.rote("rollback", "m")
    assert "was followed before: move 2 of m@prod, to 1.1.0\n" in lab.rote("release", "--from-tags").out
    lab.git("tag", "m@v1.1.1")
    told = lab.rote("release", "--from-tags").out
    assert "move 2 of m@prod, to 1.1.0; another tag, such as m#prod#2, moves it to 1.1.1" in told
    lab.git("tag", "-d", "m@v1.1.1")
    assert lab.rote("models", "--json").json[0]["aliases"] == {"prod": "1.0.0"}
    lab.git("tag", "m#prod#2")
    assert "prod points at m@1.1.0" in lab.rote("release", "--from-tags").out
    # Where it was already when the tag came, a rollback afterwards stays as well.
    lab.git("tag", "m#prod#3")
    lab.rote("release", "--from-tags")
    lab.rote("rollback", "m")
    lab.rote("release", "--from-tags")
    assert lab.rote("models", "--json").json[0]["aliases"] == {"prod": "1.0.0"}


def test_a_commit_without_a_run_of_its_own_and_one_that_nobody_ran(lab: Place) -> None:
    lab.rote("run")
    lab.write("README.md", "words\n")
    lab.write("params.yaml", "lr: 0.1\nunused: 9\n")
    lab.commit("nothing that a stage reads")
    lab.git("tag", "m@v1.0.0")
    assert "released m@1.0.0" in lab.rote("release", "--from-tags").out  # the tree has these results
    lab.write("README.md", "more words\n")
    lab.commit("again")
    lab.git("tag", "m@v1.0.1")
    data(lab, "two")
    assert (
        "released m@1.0.1" in lab.rote("release", "--from-tags").out
    )  # elsewhere, but nothing it read differs
    lab.git("tag", "m@v2.0.0")
    told = lab.rote("release", "--from-tags", code=1).out
    assert "there is no finished run of commit" in told
    assert "git checkout" in told
    lab.write("train.sh", "# not committed\n")
    lab.rote("run")
    assert "had uncommitted changes" in lab.rote("release", "--from-tags", code=1).out
    lab.git("checkout", "train.sh")
    lab.rote("run", "-S", "lr=0.5")
    assert "was made with lr=0.5" in lab.rote("release", "--from-tags", code=1).out
    lab.rote("run")
    assert "released m@2.0.0" in lab.rote("release", "--from-tags").out


def test_a_moved_tag_a_deleted_number_and_one_taken_back(lab: Place) -> None:
    lab.rote("run")
    lab.git("tag", "m@v1.0.0")
    lab.rote("release", "--from-tags")
    data(lab, "two")
    lab.rote("run")
    lab.git("tag", "-f", "m@v1.0.0")
    told = lab.rote("release", "--from-tags", code=1).out
    assert "a version never changes" in told
    lab.git("tag", "-f", "m@v1.0.0", "HEAD~1")
    lab.git("tag", "m@v1.1.0")
    lab.rote("release", "--from-tags")
    lab.rote("model", "delete", "m@1.1.0", "--why", "it was a try")
    assert "m@1.1.0 was deleted" in lab.rote("release", "--from-tags").out
    lab.git("tag", "m@v1.0.0!")
    assert "deprecated m@1.0.0" in lab.rote("release", "--from-tags").out
    assert "DEPRECATED" in lab.rote("model", "list", "m").out
    assert "is deprecated" in lab.rote("release", "--from-tags").out
    assert "is deprecated, by" in lab.rote("promote", "m@1.0.0", "prod", code=1).err


def test_without_git_there_are_no_tags(lab: Place) -> None:
    (lab.root / ".git").rename(lab.root / "not-git")
    assert "no git repository" in lab.rote("release", "--from-tags", code=2).err


def test_gates_hold_for_tags_too(lab: Place) -> None:
    lab.write("rote.yaml", PIPELINE + "    gates: [acc >= 0.99]\n")
    lab.commit()
    lab.rote("run")
    lab.git("tag", "m@v1.0.0")
    told = lab.rote("release", "--from-tags", code=1).out
    assert "fails 1 of 1 gates" in told
    assert lab.rote("models").out.startswith("no models yet")


def test_a_reverted_data_commit_takes_the_model_back(lab: Place) -> None:
    released(lab, "--promote", "prod")
    lab.write("train.sh", "# better\n")
    lab.commit("better code")
    released(lab, "--bump", "auto", "--promote", "prod")
    data(lab, "bad")
    released(lab, "--bump", "auto", "--promote", "prod")
    at = "prod is at m@1.1.1"
    assert at in lab.rote("rollback", "m", "--to-commit", "HEAD").out
    lab.git("revert", "--no-edit", "HEAD")
    told = lab.rote("rollback", "m", "--to-commit", "HEAD").out
    assert "prod points again at m@1.1.0, made from the data of" in told
    assert "were others" not in told
    assert (
        "prod is at m@1.1.0" in lab.rote("rollback", "m", "--to-commit", "HEAD").out
    )  # as often as one likes
    (last, *_) = lab.rote("model", "history", "m", "--json").json
    assert last["why"].startswith("back to the data of ")
    # The code taken back as well: the version of exactly that.
    lab.git("revert", "--no-edit", "HEAD~2")
    assert "prod is at m@1.1.0" in lab.rote("rollback", "m", "--to-commit", "HEAD").out
    lab.rote("promote", "m@1.1.1", "prod")
    lab.rote("model", "deprecate", "m@1.1.0", "--why", "not that one")
    assert "prod points again at m@1.0.0" in lab.rote("rollback", "m", "--to-commit", "HEAD").out


def test_data_that_no_version_was_made_of(lab: Place) -> None:
    released(lab, "--promote", "prod")
    new = data(lab, "two")
    told = lab.rote("rollback", "m", "--to-commit", "HEAD", code=1).err
    assert f"no version of m was made from the data of 'HEAD' ({new[:12]})" in told
    assert "rote run, rote release m" in told
    released(lab)
    told = lab.rote("rollback", "m", "--to-commit", "HEAD", code=1).err
    assert "prod never named it" in told
    assert "rote promote m@1.0.1 prod" in told
    lab.rote("promote", "m@1.0.1", "prod")
    lab.rote("promote", "m@1.0.0", "prod")
    lab.rote("model", "deprecate", "m@1.0.1", "--why", "bad")
    assert "but is deprecated" in lab.rote("rollback", "m", "--to-commit", "HEAD", code=1).err
    assert lab.rote("models", "--json").json[0]["aliases"] == {"prod": "1.0.0"}


def test_remarks_deprecation_and_deletion_as_typed(lab: Place) -> None:
    released(lab, "--promote", "prod")
    for text in ("two", "three"):
        data(lab, text)
        released(lab, "--promote", "prod")
    lab.rote("model", "note", "m@1.0.1", "slow on old phones")
    assert lab.rote("model", "tag", "m@1.0.1", "owner=ann", "tier=1").out == "owner=ann\ntier=1\n"
    assert lab.rote("model", "tag", "m@1.0.1", "tier=").out == "owner=ann\n"
    told = lab.rote("model", "deprecate", "m@prod", "--why", "wrong", "--instead", "1.0.1").out
    fetched = lab.rote("fetch", "m@prod", "--to", "got").err
    assert "warning: m@1.0.2 is deprecated: wrong (instead: 1.0.1)" in fetched
    assert "m@1.0.2 is deprecated: wrong" in told
    assert "prod names it still: rote promote m@1.0.1 prod" in told
    assert "named by prod" in lab.rote("model", "show", "m@1.0.2").out
    assert lab.rote("model", "show", "m@1.0.0", "--json").json["aliases"] == []
    lab.rote("model", "deprecate", "m@1.0.1", "--why", "too slow")
    back = lab.rote("rollback", "m")
    assert "passed over m@1.0.1: it is deprecated: too slow" in back.err
    assert "prod points at m@1.0.0 again" in back.out
    assert lab.rote("model", "history", "m").out.splitlines()[1].endswith("back to move 1")
    assert (
        "rote promote m@1.0.1 staging, or rote model deprecate m@1.0.2 --undo"
        in lab.rote("promote", "m@1.0.2", "staging", code=1).err
    )
    undo = ("model", "deprecate", "m@1.0.2", "--undo")
    assert lab.rote(*undo).out == "m@1.0.2 is not deprecated any more\n"
    assert lab.rote(*undo).out == "m@1.0.2 is not deprecated\n"
    lab.rote("promote", "m@1.0.2", "staging")
    assert "prod names it" in lab.rote("model", "delete", "m@1.0.0", code=1).err
    assert "bring" in lab.rote("model", "delete", "m@1.0.1", "--why", "nobody uses it").out
    assert "was deleted by" in lab.rote("fetch", "m@1.0.1", "--to", "x", code=1).err
    assert "m@1.0.1 is there" in lab.rote("model", "delete", "m@1.0.1", "--undo").out
    shown = lab.rote("model", "show", "m@v1.0.1").out
    for text in ("DEPRECATED", "tag owner=ann", "slow on old phones"):
        assert text in shown
    assert "a remark is one line" in lab.rote("model", "note", "m@1.0.0", "a\nb", code=None).err
    assert lab.rote("store", "check").code == 0
    assert "say m@1.0.0 or m@prod; rote model list m" in lab.rote("model", "show", "m", code=2).err
    assert "say MODEL@1.0.0" in lab.rote("model", "diff", "1.0.0", "1.0.1", code=2).err
    card = lab.rote("model", "card", "m@1.0.0", "--to", "nowhere/README.md", code=2).err
    assert "there is no folder 'nowhere'" in card
    assert "mkdir -p nowhere" in card
