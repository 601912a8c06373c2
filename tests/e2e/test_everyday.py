"""What people do every day, as they type it."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest
from place import Place

PIPELINE = """\
stages:
  clean:
    cmd: sort data.txt > clean.txt
    deps: [data.txt]
    outs: [clean.txt]
  train:
    cmd: python train.py
    deps: [clean.txt, train.py]
    params: [train]
    outs: [model.txt]
    metrics: [metrics.json]
  note:
    cmd: echo $NOTE > note.txt
    env: [NOTE]
    outs: [note.txt]
gates:
  - accuracy >= 0.5
models:
  toy:
    files: [model.txt, train.py]
"""
TRAIN = """\
import json, re
text = open("params.yaml").read()
lr = float(re.search(r"lr: (\\S+)", text)[1])
open("model.txt", "w").write(f"lr {lr}, rows {len(open('clean.txt').readlines())}\\n")
json.dump({"accuracy": lr, "by": {"x": 1}}, open("metrics.json", "w"))
print("trained with", lr)
"""


@pytest.fixture
def toy(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE)
    place.write("train.py", TRAIN)
    place.write("params.yaml", "train:\n  lr: 0.7 # a comment\n  more: [1, 2]\n")
    place.write("data.txt", "b\na\n")
    with (place.root / ".gitignore").open("a") as out:
        out.write("clean.txt\nmodel.txt\nmetrics.json\nnote.txt\n")
    place.commit("a toy")
    return place


def outcomes(told: dict) -> dict[str, str]:
    return {s["stage"]: s["outcome"] for s in told["stages"]}


def run(place: Place, *args: str, code: int = 0, **env: str) -> dict[str, str]:
    return outcomes(place.rote("run", *args, "--json", code=code, **env).json)


DONE = dict.fromkeys(("clean", "train", "note"), "done")
HIT = dict.fromkeys(("clean", "train", "note"), "hit")


def test_only_what_must_run(toy: Place) -> None:
    assert run(toy) == DONE
    assert run(toy) == HIT
    toy.write("data.txt", "a\nb\n")
    assert run(toy) == {**HIT, "clean": "done"}, "clean.txt came out the same, so nothing after it runs"
    toy.write("data.txt", "a\nb\nc\n")
    assert run(toy) == {**DONE, "note": "hit"}
    assert toy.read("model.txt") == "lr 0.7, rows 3\n"
    assert run(toy, NOTE="hi") == {**HIT, "note": "done"}
    assert toy.read("note.txt") == "hi\n"


def test_hits_bring_outs_back(toy: Place) -> None:
    run(toy)
    before = toy.read("model.txt")
    for out in ("clean.txt", "model.txt", "metrics.json"):
        (toy.root / out).unlink()
    assert run(toy) == HIT
    assert toy.read("model.txt") == before


def test_another_working_tree_with_the_same_store_has_the_results(toy: Place) -> None:
    run(toy)
    other = Place(toy.root.parent / "other")
    other.git("clone", "-q", str(toy.root), ".")
    assert run(other, ROTE_STORE=str(toy.root / ".rote/store")) == HIT
    assert other.read("model.txt") == toy.read("model.txt")


def test_plan_and_why_name_what_changed(toy: Place) -> None:
    assert "3 of 3 stages would run" in toy.rote("plan").out
    run(toy)
    assert "nothing to do" in toy.rote("plan").out
    toy.write("params.yaml", "train:\n  lr: 0.8\n  more: [1, 2]\n")
    told = toy.rote("why", "train").out
    assert "train.lr" in told
    assert "0.7" in told
    assert "0.8" in told
    plan = {d["stage"]: d["verdict"] for d in toy.rote("plan", "--json").json["decisions"]}
    assert plan == {"clean": "hit", "train": "run", "note": "hit"}
    toy.write("train.py", TRAIN + "# more\n")
    assert "train.py" in toy.rote("why", "train").out
    toy.write("rote.yaml", PIPELINE.replace("sort data.txt", "sort -r data.txt"))
    told = toy.rote("why", "clean").out
    assert "sort -r data.txt" in told
    assert "sort data.txt" in told


def test_overrides_are_for_one_run(toy: Place) -> None:
    text = toy.read("params.yaml")
    told = toy.rote("run", "-S", "train.lr=0.25", "--json").json
    assert told["run"]["params"]["params.yaml"]["train"]["lr"] == 0.25
    assert toy.read("model.txt").startswith("lr 0.25")
    assert toy.read("params.yaml") == text
    assert told["run"]["overrides"] == ["train.lr=0.25"]
    assert run(toy)["train"] == "done"
    assert run(toy, "-S", "train.lr=0.25")["train"] == "hit"
    assert toy.read("model.txt").startswith("lr 0.25")


def test_runs_where_sort_columns_json_csv(toy: Place) -> None:
    for lr in ("0.7", "0.8", "0.9"):
        toy.rote("run", "-S", f"train.lr={lr}", "--tag", f"owner={'ab'[lr > '0.75']}")
    rows = toy.rote("runs", "--json").json
    assert len(rows) == 3
    found = toy.rote(
        "runs", "--where", "metrics.accuracy > 0.75 and (params.train.lr < 0.85 or tags.owner = 'z')",
        "--columns", "id,metrics.accuracy,tags.owner", "--json",
    ).json  # fmt: skip
    assert [r["metrics.accuracy"] for r in found] == [0.8]
    assert found[0]["tags.owner"] == "b"
    down = toy.rote("runs", "--sort", "-metrics.accuracy", "--columns", "metrics.accuracy", "--csv").out
    assert [r[0] for r in csv.reader(io.StringIO(down))] == ["metrics.accuracy", "0.9", "0.8", "0.7"]
    assert len(toy.rote("runs", "--limit", "1", "--json").json) == 1


def test_show_compare_logs_tag_sql(toy: Place) -> None:
    toy.rote("run")
    first = toy.rote("runs", "--json").json[0]["id"]
    toy.write("params.yaml", "train:\n  lr: 0.9\n  more: [1, 2]\n")
    toy.rote("run", "--tag", "owner=me")
    shown = toy.rote("show", "last", "--json").json
    assert shown["commit"]["dirty"]
    assert "lr: 0.9" in shown["commit"]["diff"]
    assert shown["metrics"]["metrics.json"]["by"]["x"] == 1
    assert shown["host"]["python"]
    assert shown["host"]["packages"]["click"]
    assert shown["command"].startswith("rote run")
    assert shown["tags"] == {"owner": "me"}
    assert "0.9" in toy.rote("show", "last").out
    told = toy.rote("compare", first, "last").out
    assert "train.lr" in told
    assert "accuracy" in told
    rows = {r["key"]: r["values"] for r in toy.rote("compare", "last~1", "last", "--json").json["rows"]}
    assert [0.7, 0.9] in rows.values()
    assert "trained with 0.9" in toy.rote("logs", "last").out
    assert toy.rote("logs", "last", "--stage", "train").out == "trained with 0.9\n"
    toy.rote("tag", first, "owner=you", "kept=yes")
    toy.rote("tag", first, "kept=")
    assert toy.rote("show", first, "--json").json["tags"] == {"owner": "you"}
    found = toy.rote(
        "sql", "SELECT run, value FROM metrics WHERE key = 'accuracy' ORDER BY value", "--json"
    ).json
    assert [r["value"] for r in found] == [0.7, 0.9]
    assert toy.rote("sql", "SELECT count(*) AS n FROM runs").out.split() == ["n", "2"]


def test_the_catalogue_is_a_cache(toy: Place) -> None:
    import shutil

    toy.rote("run")
    before = toy.rote("runs", "--json").json
    shutil.rmtree(toy.root / ".rote/cache")
    assert toy.rote("runs", "--json").json == before
    assert run(toy) == HIT
    for path in (toy.root / ".rote/cache").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rubbish")
    assert toy.rote("runs", "--json").json == before
    assert run(toy) == HIT


def test_release_gate_promote_rollback_fetch(toy: Place, tmp_path: Path) -> None:
    toy.rote("run")
    assert "accuracy >= 0.5" in toy.rote("release", "toy", "--promote", "prod").out
    toy.rote("run", "-S", "train.lr=0.1")
    told = toy.rote("release", "toy", code=1)
    assert "FAIL" in told.out + told.err
    toy.rote("run", "-S", "train.lr=0.9")
    toy.rote("release", "toy", "--bump", "minor", "--note", "better")
    toy.rote("promote", "toy@1.1.0", "prod", "--why", "trust me")
    assert "1.1.0" in toy.rote("models").out
    assert [v["version"] for v in toy.rote("models", "toy", "--json").json] == ["1.1.0", "1.0.0"]
    toy.rote("fetch", "toy@prod", "--to", str(tmp_path / "new"))
    assert (tmp_path / "new/model.txt").read_text() == "lr 0.9, rows 2\n"
    assert (tmp_path / "new/train.py").read_text() == TRAIN
    toy.rote("rollback", "toy")
    toy.rote("fetch", "toy@prod", "--to", str(tmp_path / "old"))
    assert (tmp_path / "old/model.txt").read_text() == "lr 0.7, rows 2\n"
    moves = toy.rote("models", "toy", "--history", "prod", "--json").json
    assert [(m["seq"], m["version"]) for m in moves] == [(3, "1.0.0"), (2, "1.1.0"), (1, "1.0.0")]
    assert "trust me" in toy.rote("models", "toy", "--history", "prod").out


def test_release_of_the_reported_run(toy: Place) -> None:
    """After a run that had nothing to do, the run with the same results is what a release means."""
    first = toy.rote("run", "--json").json["run"]["id"]
    toy.rote("run", "-S", "train.lr=0.9")
    again = toy.rote("run", "--json").json
    assert not again["recorded"]
    assert again["run"]["id"] == first
    released = toy.rote("release", "toy", "--json").json
    assert released["version"]["run"] == first


def test_keep_going_and_parallel(place: Place) -> None:
    place.write(
        "rote.yaml",
        "stages:\n  bad:\n    cmd: exit 4\n    outs: [bad.txt]\n"
        "  after:\n    cmd: cat bad.txt > after.txt\n    deps: [bad.txt]\n    outs: [after.txt]\n"
        "  good:\n    cmd: echo > good.txt\n    outs: [good.txt]\n",
    )
    assert run(place, "--keep-going", code=1) == {"bad": "failed", "after": "blocked", "good": "done"}
    place.write(
        "rote.yaml",
        "stages:\n"
        "  one:\n    cmd: echo 1 > there; read x < back; echo $x > one.txt\n    outs: [one.txt]\n"
        "  two:\n    cmd: read x < there; echo $x > back; echo $x > two.txt\n    outs: [two.txt]\n",
    )
    for fifo in ("there", "back"):
        os.mkfifo(place.root / fifo)
    assert run(place, "-j", "2") == {"one": "done", "two": "done"}, (
        "each waits for the other: they ran together"
    )


def test_frozen_and_always_changed(place: Place) -> None:
    text = (
        "stages:\n  a:\n    cmd: echo a >> log; echo > a.txt\n    outs: [a.txt]\n    always_changed: true\n"
    )
    place.write("rote.yaml", text)
    assert run(place) == {"a": "done"}
    assert run(place) == {"a": "done"}
    place.write("rote.yaml", text.replace("always_changed", "frozen").replace("echo a", "echo b"))
    assert run(place) == {"a": "frozen"}


def test_data_add_status_checkout_diff_ls_cat(place: Place, tmp_path: Path) -> None:
    place.write("data/a.txt", "one")
    place.write("data/sub/b.txt", "two")
    os.chmod(place.root / "data/a.txt", 0o755)
    place.rote("add", "data")
    assert place.read("data.rote").splitlines()[-2:] == ["files: 2", "bytes: 6"]
    assert "data" in place.git("status", "--porcelain")
    assert "data/a.txt" not in place.git("status", "--porcelain", "-uall")
    first = place.commit()
    assert "unchanged" in place.rote("add", "data").out
    place.rote("status", "--exit-code")
    place.write("data/a.txt", "one!")
    place.write("data/c.txt", "three")
    told = place.rote("status", code=0).out
    assert "a.txt" in told
    assert "c.txt" in told
    place.rote("status", "--exit-code", code=1)
    told = place.rote("diff", "--data").out
    assert "modified" in told
    assert "added" in told
    place.rote("add", "data")
    second = place.commit()
    changes = place.rote("diff", first, second, "--json").json["data"]
    assert [c["path"] for c in changes[0]["files"]["added"]] == ["c.txt"]
    assert place.rote("ls", "data").out.split() == ["a.txt", "c.txt", "sub/b.txt"]
    assert place.rote("ls", "data", "--rev", first).out.split() == ["a.txt", "sub/b.txt"]
    assert place.rote("ls", "data/sub").out.split() == ["sub/b.txt"]
    assert place.rote("cat", "data/a.txt").out == "one!"
    assert place.rote("cat", "data/a.txt", "--rev", first).out == "one"
    place.rote("checkout", "--rev", first)
    assert place.files("data") == {"a.txt": b"one", "sub/b.txt": b"two"}
    assert os.access(place.root / "data/a.txt", os.X_OK)
    place.rote("checkout")
    assert place.files("data") == {"a.txt": b"one!", "c.txt": b"three", "sub/b.txt": b"two"}
    told = place.rote("checkout").out
    assert "up to date" in told


def test_paths_are_relative_to_where_one_stands(place: Place) -> None:
    place.write("deep/data/a.txt", "one")
    place.rote("add", "data", cwd=place.root / "deep")
    assert (place.root / "deep/data.rote").exists()
    assert place.rote("cat", "data/a.txt", cwd=place.root / "deep").out == "one"
    assert place.rote("--cd", "deep", "ls", "data").out.split() == ["a.txt"]


def test_diff_of_params_and_metrics(toy: Place) -> None:
    toy.rote("run")
    toy.write("params.yaml", "train:\n  lr: 0.9\n  more: [1, 2]\n")
    toy.rote("run")
    found = toy.rote("diff", "--json").json
    assert [(c["key"], c["before"], c["after"]) for c in found["params"]["params.yaml"]] == [
        ("train.lr", 0.7, 0.9)
    ]
    assert ("accuracy", 0.7, 0.9) in [
        (c["key"], c["before"], c["after"]) for c in found["metrics"]["metrics.json"]
    ]
    assert "train.lr" in toy.rote("diff", "--params").out


def test_which_store(place: Place, tmp_path: Path) -> None:
    def told(*args: str, **env: str) -> tuple[str, str]:
        row = place.rote(*args, "config", "--json", **env).json[0]
        return row["value"], row["source"]

    assert told()[0] == str(place.root / ".rote/store")
    place.write("rote.yaml", "store: in-yaml\n")
    assert told()[0] == str(place.root / "in-yaml")
    assert "rote.yaml" in told()[1]
    place.write("rote.local.yaml", "store: in-local\n")
    assert told()[0] == str(place.root / "in-local")
    assert told(ROTE_STORE=str(tmp_path / "env"))[0] == str(tmp_path / "env")
    assert told("--store", str(tmp_path / "opt"), ROTE_STORE=str(tmp_path / "env"))[0] == str(
        tmp_path / "opt"
    )


def test_init_twice_and_with_a_store(bare: Place, tmp_path: Path) -> None:
    bare.rote("init", "--store", str(tmp_path / "shared"))
    assert (tmp_path / "shared/rote.json").exists()
    before = bare.files()
    bare.rote("init")
    bare.rote("init", "--store", str(tmp_path / "shared"))
    assert bare.files() == before
    bare.rote("init", "--store", str(tmp_path / "other"), code=2)


def test_store_stats_and_check(toy: Place) -> None:
    toy.rote("run")
    assert toy.rote("store", "stats", "--json").json["snapshots"] >= 3
    assert "packs" in toy.rote("store", "stats").out
    assert "sound" in toy.rote("store", "check", "--read-data").out


def test_schema_accepts_what_rote_accepts(toy: Place) -> None:
    import jsonschema
    import yaml

    schema = toy.rote("schema").json
    jsonschema.validate(yaml.safe_load(PIPELINE), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"stages": {"a": {"cmd": "x", "dep": []}}}, schema)


def test_help_and_version(place: Place) -> None:
    from rote.cli import COMMANDS

    told = place.rote("--help").out
    for command in COMMANDS:
        assert f"\n  {command} " in told
        assert place.rote(command, "--help").out.startswith("Usage: rote")
    assert place.rote("--version").out.startswith("rote ")


def test_secrets_stay_out_of_the_store(toy: Place) -> None:
    canary = "canary-0123456789abcdef"
    toy.write("train.py", TRAIN + "import os\nprint(os.environ['MY_API_TOKEN'])\n")
    toy.rote("run", "--tag", f"note={canary}", MY_API_TOKEN=canary)
    for path, content in toy.files(".rote/store").items():
        if "/record" in path:
            assert canary.encode() not in content, path
    assert canary not in toy.rote("logs", "last").out


def test_json_is_json_everywhere(toy: Place) -> None:
    toy.rote("run")
    toy.rote("release", "toy")
    for words in (
        ["status"], ["diff"], ["plan"], ["why", "train"], ["runs"], ["show", "last"], ["compare", "last", "last"],
        ["sql", "SELECT 1 AS one"], ["models"], ["models", "toy"], ["store", "stats"], ["store", "check"], ["config"],
    ):  # fmt: skip
        json.loads(toy.rote(*words, "--json").out)


def test_a_single_file_is_called_by_its_name(place: Place) -> None:
    place.write("words.txt", "one")
    place.rote("add", "words.txt")
    place.commit()
    place.write("words.txt", "three")
    for command in ("status", "diff"):
        assert "modified  words.txt (3 bytes -> 5 bytes)" in place.rote(command).out


def test_init_adds_the_store_to_a_rote_yaml_that_names_none(bare: Place, tmp_path: Path) -> None:
    bare.write("rote.yaml", "# mine\nstages:\n  a: {cmd: echo > a, outs: [a]} # kept")
    bare.rote("init", "--store", str(tmp_path / "shared"))
    assert bare.read("rote.yaml").startswith("# mine\nstore: ")
    assert bare.read("rote.yaml").endswith("# kept")
    assert bare.rote("config", "--json").json[0]["value"] == str(tmp_path / "shared")
    bare.rote("run")


def test_diff_before_the_first_commit(bare: Place) -> None:
    bare.rote("init")
    told = bare.rote("diff", code=None)
    assert "no commit yet" in told.err
    assert "git commit" in told.err
