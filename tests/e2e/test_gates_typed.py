"""Gates by the real command: versions are compared on the same test, whatever happened to the data."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from place import Place, Typed

PIPELINE = f"""\
stages:
  train:
    cmd: mkdir -p build && cp rule build/model
    deps: [rule]
    outs: [build/model]
  evaluate:
    cmd: {sys.executable} evaluate.py
    deps: [build/model, test.csv, evaluate.py]
    params: [strictness]
    outs: [build/predictions.csv]
    metrics: [metrics.json]
models:
  m:
    files: [build/model]
    predictions: build/predictions.csv
    gates: [accuracy >= prod.accuracy - 0.01]
"""
# A model is a threshold: whatever is above it is a 1.
EVALUATE = """\
import csv, json, shared
limit = float(open("build/model").read())
rows = list(csv.DictReader(open("test.csv")))
said = [int(float(row["x"]) > limit) for row in rows]
with open("build/predictions.csv", "w") as out:
    out.write("id,label,prediction\\n")
    for row, answer in zip(rows, said):
        out.write(f"{row['id']},{row['label']},{answer}\\n")
right = [answer == int(row["label"]) for row, answer in zip(rows, said)]
slices = {name: {"accuracy": sum(r for r, row in zip(right, rows) if row["site"] == name) /
                 sum(row["site"] == name for row in rows)} for name in {row["site"] for row in rows}}
json.dump({"accuracy": sum(right) / len(right), "slices": slices}, open("metrics.json", "w"))
with open("calls.log", "a") as log:
    log.write("once\\n")
"""


def examples(count: int, boundary: float, step: int = 37) -> str:
    """Rows whose label is 1 above the boundary."""
    rows = [(k, k * step % 100 / 100) for k in range(count)]
    lines = [f"{k},{x},{int(x > boundary)},{'day' if k % 3 else 'night'}" for k, x in rows]
    return "\n".join(["id,x,label,site", *lines]) + "\n"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one version, made once: each test takes a copy."""
    place = Typed(tmp_path_factory.mktemp("founded") / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init")
    place.write("rote.yaml", PIPELINE)
    place.write("params.yaml", "strictness: 1\n")
    place.write("evaluate.py", EVALUATE)
    place.write("shared.py", "")
    place.write("rule", "0.5\n")
    place.write("test.csv", examples(400, 0.5))
    place.write(".gitignore", "build/\nmetrics.json\ncalls.log\n__pycache__/\n.rote/\nrote.local.yaml\n")
    place.commit("first")
    place.rote("run")
    place.rote("release", "m", "--promote", "prod")
    return place.root.parent


@pytest.fixture
def project(founded: Path, tmp_path: Path) -> Place:
    shutil.copytree(founded, tmp_path / "copy", symlinks=True)
    return Typed(tmp_path / "copy" / "project")


def gates(place: Place, *texts: str) -> None:
    listed = ", ".join(f'"{text}"' for text in texts)
    place.write("rote.yaml", PIPELINE.replace("[accuracy >= prod.accuracy - 0.01]", f"[{listed}]"))


def changed(place: Place, rule: str, boundary: float | None = None) -> None:
    """Another model, and perhaps another test."""
    place.write("rule", rule)
    if boundary is not None:
        place.write("test.csv", examples(500, boundary))
    place.commit()
    place.rote("run")


def judged(place: Place, *options: str, code: int = 0) -> list[dict]:
    return place.rote("release", "m", "--dry-run", "--json", *options, code=code).json["verdicts"]


def test_on_the_same_test_nothing_is_done_again(project: Place) -> None:
    changed(project, "0.52\n")
    told = project.rote("release", "m", "--dry-run", "--json", code=1)
    assert "evaluating" not in told.err
    (verdict,) = told.json["verdicts"]
    assert verdict["gate"] == "accuracy >= prod.accuracy - 0.01"
    assert "0.98 is below 0.99" in verdict["why"]
    assert "again" not in told.out


def test_when_the_test_changed_the_version_is_evaluated_again(project: Place) -> None:
    # On the new test the boundary is at 0.7: the old model has 0.8 there, the new one 1.0.
    changed(project, "0.7\n", 0.7)
    before = project.files("build") | {"metrics": (project.root / "metrics.json").read_bytes()}
    told = project.rote("release", "m", "--dry-run", "--json")
    assert "evaluating m@1.0.0 as run" in told.err
    (verdict,) = told.json["verdicts"]
    assert (verdict["value"], verdict["threshold"]) == (1.0, 0.79)
    assert verdict["why"] == "m@1.0.0 was evaluated again, as the run was"
    assert verdict["evidence"] == {"against": "m@1.0.0", "evaluated": "again"}
    again = project.rote("release", "m", "--dry-run")
    assert "evaluating" not in again.err  # it is known now
    assert before == project.files("build") | {"metrics": (project.root / "metrics.json").read_bytes()}
    assert project.git("status", "--porcelain") == ""
    assert "nothing to do" in project.rote("run").out
    assert len(project.rote("runs", "--json").json) == 2  # that was no run
    assert "when it was released" not in project.rote("release", "m").out
    assert project.rote("release", "m").out.startswith("what the gates said when it was released:\ngate ")
    shown = project.rote("model", "show", "m@1.0.1", "--json").json
    assert shown["gates"][0]["evidence"]["evaluated"] == "again"


def test_a_version_that_only_looks_worse_is_not_promoted_past_a_better_one(project: Place) -> None:
    """The new test is easier. By recorded figures the new model would pass; on the same test it is worse."""
    changed(project, "0.6\n")  # accuracy 0.9, and prod has 1.0
    project.write("test.csv", examples(500, 0.5, step=1).replace("0.55", "0.45"))
    project.commit()
    project.rote("run")
    (verdict,) = judged(project, code=1)
    assert verdict["threshold"] == pytest.approx(0.98, abs=0.02)
    (recorded,) = judged(project, "--recorded", code=1)
    assert recorded["threshold"] == 0.99
    assert recorded["evidence"]["evaluated"] == "recorded"
    assert "counts with the figures it was released with" in recorded["why"]


def test_changed_code_and_params_are_another_test_too(project: Place) -> None:
    changes = {
        "evaluate.py": EVALUATE.replace("> limit", ">= limit"),
        "shared.py": "x = 1\n",
        "params.yaml": "strictness: 2\n",
    }
    for path, content in changes.items():
        project.write(path, content)
        changed(project, "0.505\n")
        assert "evaluating m@1.0.0" in project.rote("release", "m", "--dry-run").err
    changed(project, "0.506\n")
    assert (
        "evaluating m@1.0.0" not in project.rote("release", "m", "--dry-run").err
    )  # another model, the same test


def test_the_run_before_the_last_is_judged_as_it_was(project: Place) -> None:
    """The working tree has gone on: what the run read is taken from its commit."""
    changed(project, "0.7\n", 0.7)
    run = project.rote("runs", "--json", "--limit", "1").json[0]["id"]
    project.write("evaluate.py", "raise SystemExit('this is not the code of that run')\n")
    project.write("test.csv", "id,x,label,site\n")
    project.commit("gone on")
    (verdict,) = judged(project, "--run", run)
    assert verdict["threshold"] == 0.79
    project.write("evaluate.py", EVALUATE + "# uncommitted\n")
    project.rote("run", code=None)


def test_an_override_is_a_part_of_the_run(project: Place) -> None:
    project.write("rule", "0.7\n")
    project.write("test.csv", examples(500, 0.7))
    project.commit()
    project.rote("run", "-S", "strictness=3")
    assert judged(project)[0]["threshold"] == 0.79
    assert project.read("params.yaml") == "strictness: 1\n"


def test_uncommitted_code_that_changed_since_cannot_be_had_again(project: Place) -> None:
    project.write("rule", "0.7\n")
    project.write("test.csv", examples(500, 0.7))
    project.rote("run")
    project.write("test.csv", examples(600, 0.7))
    (verdict,) = judged(project, code=1)
    assert "m@1.0.0 cannot be evaluated as the run was" in verdict["why"]
    assert "that was no clean commit" in verdict["why"]
    assert judged(project, "--recorded")[0]["passed"]


def test_a_version_that_the_new_code_cannot_use_fails_and_says_what_it_said(project: Place) -> None:
    strict = 'text = open("build/model").read()\nif "=" not in text: raise SystemExit("this is no model")\nlimit = float(text[6:])'
    project.write("evaluate.py", EVALUATE.replace('limit = float(open("build/model").read())', strict))
    changed(project, "limit=0.5\n")
    told = project.rote("release", "m", code=1)
    assert "released with): evaluate: exit code 1" in told.out + told.err
    assert "this is no model" in told.out
    assert "no version was made" in told.err
    assert "m@1.0.1" in project.rote("release", "m", "--recorded").out


def test_a_version_whose_run_is_gone_is_evaluated_from_its_own_files(project: Place) -> None:
    first = project.rote("runs", "--json").json[0]["id"]
    changed(project, "0.7\n", 0.7)
    shutil.rmtree(project.root / ".rote/store/runs" / first)
    assert judged(project)[0]["threshold"] == 0.79


def test_slices_and_the_best_so_far_and_sizes(project: Place) -> None:
    gates(
        project, "slices.*.accuracy >= 0.9", "slices.*.accuracy >= prod.slices.*.accuracy - 0.05",
        "accuracy >= best(accuracy) - 0.05", "size() <= 1 kB", "size('model') <= size('model', of=prod) + 10 B",
    )  # fmt: skip
    changed(project, "0.7\n", 0.7)
    found = judged(project)
    assert all(v["passed"] for v in found)
    assert found[0]["why"].startswith("all 2, closest: ")
    assert found[2]["threshold"] == 0.75  # the best so far, on the new test
    changed(project, "0.2\n")
    assert [v["passed"] for v in judged(project, code=1)] == [False, False, False, True, True]


def test_statistical_tests(project: Place) -> None:
    gates(project, "better(accuracy, than=prod)", "not_worse(accuracy, than=prod, margin=0.05)", "better(f1)")
    changed(project, "0.7\n", 0.7)
    found = judged(project)
    assert [v["passed"] for v in found] == [True, True, True]
    assert (found[0]["value"], found[0]["threshold"]) == (1.0, 0.8)
    assert found[0]["evidence"] | {"p": 0} == {
        "against": "m@1.0.0", "evaluated": "again", "method": "mcnemar", "confidence": 0.95, "examples": 500,
        "better": 100, "worse": 0, "p": 0,
    }  # fmt: skip
    project.rote("release", "m", "--promote", "prod")
    changed(project, "0.71\n")
    found = judged(project, code=1)
    assert [v["passed"] for v in found] == [False, True, False]
    assert "500 examples, 0 better and 5 worse: p = 1, above 0.05" in found[0]["why"]


def test_predictions_that_cannot_be_used(project: Place) -> None:
    gates(project, "better(accuracy, than=prod)")
    project.write("evaluate.py", EVALUATE.replace('"id,label,prediction\\n"', '"id,label,guess\\n"'))
    changed(project, "0.52\n")
    (verdict,) = judged(project, code=1)
    assert (
        verdict["why"]
        == "build/predictions.csv of the run has no column 'prediction'; there are 'id', 'label', 'guess'"
    )
    text = (project.root / "rote.yaml").read_text()
    project.write(
        "rote.yaml",
        text.replace(
            "predictions: build/predictions.csv\n",
            "predictions: {path: build/predictions.csv, prediction: guess}\n",
        ),
    )
    assert "p = " in judged(project, code=1)[0]["why"]
    project.write("rote.yaml", text.replace("    predictions: build/predictions.csv\n", ""))
    assert "models.m.predictions: PATH" in judged(project, code=1)[0]["why"]
    project.write(
        "rote.yaml",
        text.replace("predictions: build/predictions.csv", "predictions: build/predictions.parquet"),
    )
    assert "predictions are CSV or JSON lines" in project.rote("release", "m", code=2).err


def test_figures_of_a_stage_that_makes_the_model_count_as_they_are(place: Place) -> None:
    place.write("rote.yaml", """\
stages:
  train:
    cmd: "cp rule model && echo '{\\"accuracy\\": '$(cat rule)'}' > metrics.json"
    deps: [rule, data]
    outs: [model]
    metrics: [metrics.json]
models: {m: {files: [model], gates: [accuracy >= prod.accuracy]}}
""")  # fmt: skip
    place.write("rule", "0.8\n")
    place.write("data", "1\n")
    place.rote("run")
    place.rote("release", "m", "--promote", "prod")
    place.write("rule", "0.7\n")
    place.write("data", "2\n")
    place.rote("run")
    told = place.rote("release", "m", code=1)
    assert "0.7 is below 0.8" in told.out
    assert "evaluating" not in told.err


def test_latency(project: Place) -> None:
    timed = EVALUATE.replace("id,label,prediction\\n", "id,label,prediction,seconds\\n").replace(
        "{answer}\\n", "{answer},{0.001 * (1 + int(row['id']) % 100) * limit}\\n"
    )
    gates(project, "latency(p95) <= 50 ms", "latency(max) > 70 ms", "latency(p50) <= latency(p50, of=prod)")
    project.write("evaluate.py", timed)
    changed(project, "0.25\n")
    told = project.rote("release", "m", "--dry-run", "--json", code=1)
    assert "measuring run" in told.err
    own, most, compared = told.json["verdicts"]
    assert (own["passed"], most["passed"]) == (True, False)
    assert (compared["value"], compared["threshold"]) == (pytest.approx(0.0125), pytest.approx(0.025))
    gates(project, "latency(p95) <= 23 ms")
    told = project.rote("release", "m", "--dry-run", "--json", code=1)
    (alone,) = told.json["verdicts"]
    assert (alone["value"], alone["why"]) == (pytest.approx(0.02375), "23.75 ms is above 23 ms")
    assert "measuring" not in told.err
    project.write("evaluate.py", EVALUATE)
    changed(project, "0.25\n")
    assert "has no column 'seconds'" in judged(project, code=1)[0]["why"]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_killed_while_a_version_is_evaluated(project: Place, tmp_path: Path, sign: signal.Signals) -> None:
    waits, running = tmp_path / "waits", tmp_path / "running"
    wait = f"""\
import os, time
if "rote-evaluate" in os.getcwd() and os.path.exists({str(waits)!r}):
    with open({str(running)!r} + ".new", "w") as out:
        out.write(str(os.getpid()))
    os.rename({str(running)!r} + ".new", {str(running)!r})
    time.sleep(600)
"""
    project.write("evaluate.py", wait + EVALUATE)
    changed(project, "0.7\n", 0.7)
    waits.touch()
    releasing = project.start("release", "m")
    until(running.exists)
    releasing.send_signal(sign)
    releasing.communicate(timeout=60)
    pid = int(running.read_text())
    until(lambda: not alive(pid))
    waits.unlink()
    assert [v["version"] for v in project.rote("models", "m", "--json").json] == ["1.0.0"]
    project.rote("store", "check", "--read-data")
    assert "m@1.0.1" in project.rote("release", "m").out


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_two_releases_at_once_evaluate_and_one_version_comes_of_it(project: Place) -> None:
    changed(project, "0.7\n", 0.7)
    both = [project.start("release", "m") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert [v["version"] for v in project.rote("models", "m", "--json").json] == ["1.0.1", "1.0.0"]


def test_hostile_texts_do_not_reach_the_terminal(project: Place) -> None:
    gates(project, "slices.*.accuracy >= 1.1", "better(accuracy)")
    project.write("evaluate.py", EVALUATE.replace('row["site"] == name', 'row["site"] == name.rstrip("\\x1b[31m")').replace(
        'for name in {row["site"] for row in rows}', 'for name in {row["site"] + "\\x1b[31m" for row in rows}'
    ).replace("{row['id']},", "\\x1b[2J{row['id']},"))  # fmt: skip
    changed(project, "0.51\n")
    told = project.rote("release", "m", "--dry-run", code=1)
    assert "\x1b" not in told.out + told.err
    assert "is below 1.1" in told.out


DVC = (
    PIPELINE.partition("models:")[0]
    .replace("    params: [strictness]\n", "")
    .replace("metrics: [metrics.json]", "metrics: [metrics.json: {cache: false}]")
)


def test_a_pipeline_in_dvc_yaml(project: Place) -> None:
    models = "models:" + PIPELINE.partition("models:")[2]
    project.write("rote.yaml", models)
    project.write("dvc.yaml", DVC)
    project.write("rule", "0.5\n")
    project.commit()
    project.rote("run")
    project.rote("release", "m", "--promote", "prod")
    changed(project, "0.52\n")
    assert "evaluating" not in project.rote("release", "m", "--dry-run", code=1).err
    changed(project, "0.7\n", 0.7)
    (verdict,) = judged(project)
    assert (verdict["threshold"], verdict["evidence"]["evaluated"]) == (0.79, "again")


def test_a_frozen_stage_is_not_done_again(project: Place) -> None:
    changed(project, "0.7\n", 0.7)
    text = project.read("rote.yaml")
    project.write("rote.yaml", text.replace("    params: [strictness]\n", "    frozen: true\n"))
    (verdict,) = judged(project)
    assert (verdict["threshold"], verdict["evidence"]["evaluated"]) == (0.99, "recorded")
