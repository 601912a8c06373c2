"""The chain from data to files: it holds, and each link is found when it is the broken one."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from chains import FILES, commit, copied, forge, git, laid, project, released

from rote.adapters.stores.folder import FolderStore
from rote.errors import Corrupt, Missing, UsageError
from rote.laws.models import links
from scenes import lay


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return released(laid(tmp_path_factory.mktemp("chain") / "project"))


@pytest.fixture
def root(whole, tmp_path):
    return copied(whole, tmp_path / "project")


def verify(root, what="digits@1.0.0", **how):
    return project(root, 9).models.verify(what, **how)


def assert_broken(found, link, *words):
    assert (found.broken, [n for n in words if n not in found.why]) == (link, []), found
    after = found.links[links.CHAIN.index(link) + 1 :]
    assert {each.state for each in after} <= {links.AFTER}


def told(found, name):
    return next(link for link in found.links if link.name == name)


def test_a_whole_chain(root):
    found = verify(root)
    assert found.broken is None
    assert found.whole, found
    assert [link.name for link in found.links] == list(links.CHAIN)
    assert told(found, "code").told[0].endswith(": code, train.txt")
    assert "needs.lock as committed" in told(found, "environment").told[0]
    assert told(found, "files").told[1:] == [
        "labels.txt: labels.txt of the commit",
        "build/model.txt: left by stage train",
    ] or sorted(told(found, "files").told[1:]) == [
        "build/model.txt: left by stage train",
        "labels.txt: labels.txt of the commit",
    ]
    assert verify(root, read_data=True).whole


def test_by_alias_and_by_a_name_that_is_not_there(root):
    project(root, 5).models.promote("digits@1.0.0", "prod")
    assert verify(root, "digits@prod").whole
    with pytest.raises(Missing):
        verify(root, "digits@2.0.0")
    with pytest.raises(UsageError, match="no MODEL@VERSION"):
        verify(root, "digits")


def test_the_working_tree_does_not_matter(root):
    lay(root, {"train.txt": "another recipe\n", "params.yaml": "lr: 7\n", "data/0.txt": "changed\n"})
    shutil.rmtree(root / "work")
    assert verify(root).whole


def test_a_later_commit_does_not_matter(root):
    lay(root, {"train.txt": "another recipe\n"})
    commit(root)
    assert verify(root).whole


def test_data_that_is_gone(root):
    store = FolderStore(str(root / ".rote/store"))
    for meta in list(store.list("data/")):
        store.delete(meta.key)
        id = meta.key.rpartition("/")[2]
        for record in list(store.list(f"snapshots/{id[:2]}/{id}/")):
            store.delete(record.key)
    assert_broken(verify(root), "data", "data", "does not hold")


def test_data_that_is_rotten_is_found_when_it_is_read(root):
    pin = next(p for p in (root / "data.rote").read_text().splitlines() if p.startswith("snapshot"))
    snapshots = project(root, 8)._w.snapshots
    record = snapshots.record(snapshots.find(pin.split()[1]))
    path = root / ".rote/store" / "packs" / record.packs[0]
    assert path.exists()
    body = bytearray(path.read_bytes())
    body[40] ^= 1
    path.chmod(0o644)
    path.write_bytes(body)
    found = verify(root, read_data=True)
    assert_broken(found, "data", "data")
    path.unlink()
    assert_broken(verify(root), "data", "data")


def test_a_pointer_that_was_not_committed(tmp_path):
    root = laid(tmp_path / "project")
    lay(root / "data", {"2.txt": "line 2\n"})
    project(root, 3).add(str(root / "data"))
    released(root, 4)
    assert_broken(verify(root), "data", "stage sort read data", "has")


def test_data_without_a_pointer_in_git(tmp_path):
    root = laid(tmp_path / "project")
    git(root, "rm", "-q", "--cached", "data.rote")
    git(root, "commit", "-q", "-m", "forgotten")
    released(root)
    assert_broken(verify(root), "data", "its commit has no pointer to it")


def test_data_that_dvc_pins_is_left_open(tmp_path):
    root = laid(tmp_path / "project")
    git(root, "rm", "-q", "--cached", "data.rote")
    lay(root, {"data.dvc": "outs:\n- path: data\n"})
    git(root, "add", "data.dvc")
    git(root, "commit", "-q", "-m", "of DVC")
    (root / "data.rote").unlink()
    released(root)
    found = verify(root)
    assert found.broken is None
    assert told(found, "data").left == ["data is pinned by DVC, whose files are not looked into"]


def test_code_that_was_not_committed(tmp_path):
    root = laid(tmp_path / "project")
    lay(root, {"train.txt": "a better recipe\n"})
    released(root)
    assert_broken(verify(root), "code", "train.txt as stage train read it is not what commit")


def test_changes_that_no_stage_read_do_not_matter(tmp_path):
    root = laid(tmp_path / "project")
    lay(root, {"notes.txt": "changed\n"})
    released(root)
    found = verify(root)
    assert found.whole
    assert "other files had uncommitted changes" in told(found, "code").told[0]


def test_a_file_in_a_folder_of_code_that_git_does_not_have(tmp_path):
    root = laid(tmp_path / "project")
    lay(root, {"code/more.txt": "c\n"})
    released(root)
    assert_broken(verify(root), "code", "code as stage sort read it")


def test_params_that_were_not_committed(tmp_path):
    root = laid(tmp_path / "project")
    lay(root, {"params.yaml": "lr: 0.2\n"})
    released(root)
    assert_broken(verify(root), "code", "'lr' = '0.2'", "says otherwise")


def test_params_that_were_overridden_are_told(tmp_path):
    root = released(laid(tmp_path / "project"), set=["lr=0.3"])
    found = verify(root)
    assert found.whole
    assert "params as committed, but for lr=0.3" in told(found, "code").told


def test_a_history_that_is_gone_leaves_the_code_open(root):
    shutil.rmtree(root / ".git")
    git(root, "init", "-q")
    commit(root)
    found = verify(root)
    assert found.broken is None
    assert not found.whole
    assert "is not in this repository" in told(found, "code").left[0]


def test_a_lock_file_that_was_not_committed(tmp_path):
    root = laid(tmp_path / "project")
    lay(root, {"needs.lock": "numpy==2.1\n"})
    released(root)
    assert_broken(verify(root), "environment", "needs.lock")


def test_a_variable_that_was_altered(whole, tmp_path, monkeypatch):
    monkeypatch.setenv("MODE", "fast")
    root = released(laid(tmp_path / "project"))
    assert verify(root).whole

    def change(body):
        if body["stage"] == "train":
            body["inputs"]["env_shown"]["MODE"] = "slow"

    forge(root, "results/", change)
    assert_broken(verify(root), "environment", "MODE")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["inputs"].update(cmd=["echo other"]),
        lambda body: body["inputs"]["outs"].update(more="out"),
        lambda body: body["inputs"].update(wdir="elsewhere"),
    ],
    ids=["command", "outs", "folder"],
)
def test_a_result_that_was_altered(root, change):
    forge(root, "results/", lambda body: body["stage"] == "train" and change(body))
    assert_broken(verify(root), "stages", "train")


def test_a_result_that_is_gone(root):
    forge(root, "results/", lambda body: False)
    store = FolderStore(str(root / ".rote/store"))
    for meta in list(store.list("results/")):
        store.delete(meta.key)
    found = verify(root)
    assert_broken(found, "stages", "the result of stage sort is gone")
    assert "rote gc --undo" in found.next


def test_a_run_that_is_gone(root):
    store = FolderStore(str(root / ".rote/store"))
    for meta in list(store.list("runs/")):
        if meta.key.endswith("/record"):
            store.delete(meta.key)
    assert_broken(verify(root), "stages", "is gone")


def test_an_out_that_was_exchanged_between_two_stages(root):
    other = {}

    def note(body):
        other.update({path: ref for path, ref in body["outs"].items() if path == "build/model.txt"})
        return False

    forge(root, "results/", note)

    def change(body):
        if "work/all.txt" in body["outs"]:
            body["outs"]["work/all.txt"] = other["build/model.txt"]

    forge(root, "results/", change)
    assert_broken(verify(root), "stages", "sort", "work/all.txt")

    def agree(body):
        for stage in body["stages"]:
            if stage["stage"] == "sort":
                stage["outs"]["work/all.txt"] = other["build/model.txt"]

    forge(root, "runs/", agree)
    assert_broken(verify(root), "stages", "stage train read work as the snapshot")


def test_data_and_environment_in_the_record_of_the_version(root):
    def change(body):
        body["data"][0]["snapshot"] = "ab" * 32

    forge(root, "models/digits/versions/", change)
    assert_broken(verify(root), "data", "the version says that data was the snapshot abababababab")


def test_an_environment_that_was_altered(root):
    forge(root, "models/digits/versions/", lambda body: body["environment"].update(python="3.13.0"))
    assert_broken(verify(root), "environment", "another Python")


def test_metrics_that_were_embellished(root):
    better = {"metrics.json": {"accuracy": 0.99}}
    forge(root, "models/digits/versions/", lambda body: body.update(metrics=better))
    assert_broken(verify(root), "metrics", "not those of its run")
    forge(root, "runs/", lambda body: body.update(metrics=better))
    assert_broken(verify(root), "metrics", "metrics.json says something else")


def test_a_gate_that_was_not_passed(root):
    def change(body):
        body["gates"][0]["passed"] = False

    forge(root, "models/digits/versions/", change)
    assert_broken(verify(root), "metrics", "accuracy >= 0.5")


def test_files_that_no_stage_made(tmp_path):
    root = released(laid(tmp_path / "project"))
    lay(root, {"train.txt": "another recipe\n", "code/order.txt": "z\n"})
    commit(root)
    assert project(root, 4).run().ok
    project(root, 5).models.release("digits", run="last")
    second = {}

    def note(body):
        if body["version"] == "1.0.1":
            second.update(body)
        return False

    forge(root, "models/digits/versions/", note)

    def change(body):
        if body["version"] == "1.0.0":
            body.update(snapshot=second["snapshot"], files=second["files"])

    forge(root, "models/digits/versions/", change)
    assert_broken(verify(root), "files", "build/model.txt is neither what a stage")


def test_a_list_of_files_that_was_altered(root):
    forge(root, "models/digits/versions/", lambda body: body["files"][0].update(size=7))
    assert_broken(verify(root), "files", "not those of its snapshot")


def test_a_stage_that_does_not_give_the_same_twice_is_told(tmp_path):
    pipeline = FILES["rote.yaml"].replace(
        "cksum < work/all.txt", "echo $RANDOM$$ | cat - work/all.txt | cksum"
    )
    root = released(laid(tmp_path / "project", FILES | {"rote.yaml": pipeline}))
    assert project(root, 5).run("train", force=True).ok
    found = verify(root)
    assert found.broken is None
    assert "does not give the same twice" in told(found, "stages").left[0]


def test_a_stage_beside_the_model_does_not_matter(tmp_path):
    more = FILES["rote.yaml"].replace(
        "models:", "  aside:\n    cmd: echo x > aside.txt\n    outs: [aside.txt]\nmodels:"
    )
    root = released(laid(tmp_path / "project", FILES | {"rote.yaml": more}))
    store = FolderStore(str(root / ".rote/store"))

    def drop(body):
        if body["stage"] == "aside":
            store.delete(f"results/{body['key'][:2]}/{body['key']}")
        return False

    forge(root, "results/", drop)
    assert verify(root).whole


def test_a_version_without_a_run(root):
    forge(root, "models/digits/versions/", lambda body: body.update(run=None, commit=None))
    found = verify(root)
    assert found.broken is None
    assert not found.whole


def test_a_fetched_folder(root, tmp_path, monkeypatch):
    project(root, 5).models.fetch("digits@1.0.0", str(tmp_path / "got"))
    found = verify(root, str(tmp_path / "got"))
    assert found.whole
    assert (found.model, found.version) == ("digits", "1.0.0")
    (tmp_path / "got/labels.txt").write_text("zero\ntwo\n")
    broken = verify(root, str(tmp_path / "got"))
    assert_broken(broken, "files", "labels.txt is not what it was")
    assert broken.next.startswith("rote fetch digits@1.0.0 --to DIR")
    (tmp_path / "got/labels.txt").unlink()
    assert_broken(verify(root, str(tmp_path / "got")), "files", "labels.txt is not there")
    with pytest.raises(UsageError, match="nothing says"):
        verify(root, str(tmp_path))


def test_a_fetched_folder_far_from_its_project(root, tmp_path, monkeypatch):
    import rote

    project(root, 5).models.fetch("digits@1.0.0", str(tmp_path / "got"))
    shutil.rmtree(root)
    monkeypatch.chdir(tmp_path)
    found = rote.verify("got")
    assert found.broken is None
    assert told(found, "files").state == "ok"
    assert told(found, "code").left == ["there is no project here whose store knows the version"]
    assert "digits@1.0.0" in found.what
    assert re.fullmatch(
        "the manifest says: made by the run [0-9]{8}-[0-9]{6}-[0-9a-f]{6}", *told(found, "stages").told
    )
    assert any(line.startswith("the manifest says: commit ") for line in told(found, "code").told)
    assert any("gates passed" in line for line in told(found, "metrics").told)
    (tmp_path / "got/more.txt").write_text("")
    assert "not of the version: more.txt" in told(rote.verify("got"), "files").told
    manifest = tmp_path / "got/.rote-fetch"
    manifest.write_bytes(manifest.read_bytes().replace(b"labels", b"babels"))
    with pytest.raises(rote.RoteError, match="manifest is damaged"):
        rote.verify("got")


def test_a_manifest_that_lies_about_its_origin(root, tmp_path, monkeypatch):
    """Found where the store is at hand; elsewhere it is what is said, fit to be shown."""
    import rote

    project(root, 5).models.publish("digits@1.0.0", str(tmp_path / "site"))
    below = tmp_path / "site/models/digits/published/1.0.0"
    assert verify(root, str(below)).whole
    manifest = below / "rote-manifest.json"
    body = json.loads(manifest.read_bytes())
    body["commit"] = "x\x1b[2J" * 99
    body["origin"]["metrics"] = {"m.json": {"acc": 1.0}}
    manifest.chmod(0o644)
    manifest.write_text(json.dumps(body))
    with pytest.raises(Corrupt, match="says otherwise than the store of this project: commit, metrics"):
        verify(root, str(below))
    monkeypatch.chdir(tmp_path)
    said = "".join(told(rote.verify(str(below)), "code").told)
    assert "\x1b" not in said
    assert len(said) < 2000
    body["origin"] = ["no origin"]
    manifest.write_text(json.dumps(body))
    with pytest.raises(Corrupt, match="manifest cannot be read"):
        rote.verify(str(below))


def test_an_applications_cache(root, tmp_path):
    from rote.client import Model

    project(root, 5).models.promote("digits@1.0.0", "prod")
    path = Model(str(root / ".rote/store"), "digits", cache=tmp_path / "cache").path()
    assert verify(root, str(tmp_path / "cache")).whole
    target = path / "labels.txt"
    target.chmod(0o644)
    target.write_text("x")
    assert_broken(verify(root, str(tmp_path / "cache")), "files", "labels.txt")


def stamped(tmp_path):
    """A project whose stage makes a model file that gets a stamp."""
    (tmp_path / "made").mkdir()
    body = b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}   '
    lay(tmp_path, {"made/recipe": len(body).to_bytes(8, "little") + body + b"1234"})
    pipeline = FILES["rote.yaml"].replace(
        "cksum < work/all.txt > build/model.txt", "cp train.bin build/net.safetensors"
    )
    pipeline = pipeline.replace("build/model.txt", "build/net.safetensors").replace(
        "    gates:", "    stamp: true\n    gates:"
    )
    files = FILES | {"train.bin": (tmp_path / "made/recipe").read_bytes(), "rote.yaml": pipeline}
    return released(laid(tmp_path / "project", files))


def test_a_stamped_version(tmp_path, monkeypatch):
    import rote

    root = stamped(tmp_path)
    found = verify(root)
    assert found.whole, found
    assert "build/net.safetensors: left by stage train" in told(found, "files").told
    project(root, 5).models.fetch("digits@1.0.0", str(tmp_path / "got"))
    file = tmp_path / "got/build/net.safetensors"
    assert verify(root, str(file)).whole
    whole = file.read_bytes()
    monkeypatch.chdir(tmp_path)
    alone = rote.verify(str(file))
    assert told(alone, "files").told == ["it carries the stamp of digits@1.0.0, and is what the stamp says"]
    assert told(alone, "data").state == "open"
    file.write_bytes(whole[:-1] + b"5")
    assert_broken(rote.verify(str(file)), "files", "not what the stamp says")
    assert verify(root, str(file)).why == "it says that it is of digits@1.0.0, which has no such file"
    file.write_bytes((tmp_path / "made/recipe").read_bytes())
    with pytest.raises(UsageError, match="carries no stamp"):
        verify(root, str(file))
    file.write_bytes(b"nothing at all")
    with pytest.raises(rote.RoteError, match="no sound safetensors"):
        verify(root, str(file))


def test_a_stamp_that_the_version_does_not_tell(tmp_path):
    root = stamped(tmp_path)

    def change(body):
        body["stamped"]["files"]["build/net.safetensors"] = "ab" * 32

    forge(root, "models/digits/versions/", change)
    assert_broken(verify(root), "files", "does not carry the stamp of digits@1.0.0")


def test_a_published_folder(root, tmp_path, monkeypatch):
    import rote

    project(root, 5).models.publish("digits@1.0.0", str(tmp_path / "shop"))
    there = tmp_path / "shop/models/digits/published/1.0.0"
    assert (there / "rote-manifest.json").exists()
    found = verify(root, str(there))
    assert found.whole
    assert (found.model, found.version) == ("digits", "1.0.0")
    monkeypatch.chdir(tmp_path)
    alone = rote.verify(str(there))
    assert (alone.broken, told(alone, "files").state) == (None, "ok")
    (there / "labels.txt").write_text("zero\ntwo\n")
    assert_broken(rote.verify(str(there)), "files", "labels.txt is not what it was")
    manifest = there / "rote-manifest.json"
    whole = manifest.read_text()
    manifest.write_text(whole.replace("labels.txt", "../../etc"))
    with pytest.raises(rote.RoteError):
        rote.verify(str(there))
    manifest.write_text(whole.replace('"size":', '"size":1', 1))
    assert_broken(rote.verify(str(there)), "files")
    manifest.write_text("[" * 5000)
    with pytest.raises(rote.RoteError, match="cannot be read"):
        rote.verify(str(there))


def test_the_command(root, tmp_path, monkeypatch, capsys):
    from rote.cli import run as cli

    monkeypatch.chdir(root)
    assert cli(["verify", "digits@1.0.0"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out if line[0] != " "][:-1] == [[name, "ok"] for name in links.CHAIN]
    assert out[-1] == "digits@1.0.0: verified"
    git(root, "checkout", "-q", "--orphan", "other")
    shutil.rmtree(root / ".git/refs/heads", ignore_errors=True)
    forge(root, "models/digits/versions/", lambda body: body.update(metrics={}))
    assert cli(["verify", "digits@1.0.0"]) == 1
    said = capsys.readouterr()
    assert "metrics      BROKEN  the metrics of the version are not those of its run" in said.out
    assert "files        not looked at" in said.out
    assert "digits@1.0.0: the link metrics is broken" in said.err
    assert cli(["verify", "digits@1.0.0", "--json"]) == 1
    project(root, 5).models.fetch("digits@1.0.0", str(tmp_path / "got"))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert cli(["verify", "got"]) == 0
    out = capsys.readouterr().out
    assert "open    the manifest says: data, snapshot" in out
    assert out.count("not looked at: there is no project here") == 1
    assert cli(["verify", "got", "--strict"]) == 1
    assert "not verified completely: data, code, environment, stages, metrics" in capsys.readouterr().err
    assert cli(["verify", "digits@1.0.0"]) == 2
    assert cli(["verify", "nothing"]) == 2
    assert "no MODEL@VERSION" in capsys.readouterr().err
