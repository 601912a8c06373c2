"""Stages that go on from a model, or from their own earlier result."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from place import Place

from rote.services.runs.warming import same_project

YAML = """
stages:
  train:
    cmd: 'python train.py'
    deps: [train.py, data.txt, "model:m@prod", {previous: build/model.txt}]
    outs: [build/model.txt]
  tail: {cmd: 'cp build/model.txt tail.txt', deps: [build/model.txt], outs: [tail.txt]}
models:
  m: {files: [build/model.txt]}
"""
TRAIN = """
import os, pathlib
data = pathlib.Path("data.txt").read_text().strip()
def began(variable, path):
    folder = os.environ[variable]
    place = pathlib.Path(folder, path)
    return place.read_text() if folder and place.exists() else "-"
was = began("ROTE_PREVIOUS", "build/model.txt")
model = "".join(sorted(p.name for p in pathlib.Path(os.environ["ROTE_MODELS"] or "none").rglob("*.txt")))
pathlib.Path("build/model.txt").write_text(f"{was}>{data}")
pathlib.Path("began.txt").write_text(f"{was} {model}")
"""


@pytest.fixture
def warm(place: Place) -> Place:
    place.write("rote.yaml", YAML)
    place.write("train.py", TRAIN)
    place.write("data.txt", "a")
    return place


def trained(place: Place, *args: str) -> str:
    found = place.rote("run", *args, "--json").json["stages"]
    return next(s["outcome"] for s in found if s["stage"] == "train")


def model(place: Place) -> str:
    return (place.root / "build/model.txt").read_text()


def test_new_data_goes_on_and_the_same_data_is_a_hit(warm: Place) -> None:
    assert trained(warm) == "done"
    assert model(warm) == "->a"
    assert trained(warm) == "hit", "its own result is no reason for another"
    warm.write("data.txt", "b")
    assert trained(warm) == "done"
    assert model(warm) == "->a>b"
    assert trained(warm) == "hit"
    warm.write("data.txt", "c")
    assert trained(warm) == "done"
    assert model(warm) == "->a>b>c"
    warm.write("data.txt", "b")
    assert trained(warm) == "hit", "older data is the older result"
    assert model(warm) == "->a>b"


def test_a_release_alone_starts_nothing_and_new_data_takes_it(warm: Place) -> None:
    trained(warm)
    warm.rote("release", "m")
    warm.rote("promote", "m@1.0.0", "prod")
    assert trained(warm) == "hit"
    warm.write("data.txt", "b")
    why = warm.rote("plan").out
    assert "start model:m@prod changed: nothing -> 1.0.0" in why
    assert trained(warm) == "done"
    assert (warm.root / "began.txt").read_text() == "->a model.txt"


def test_cold_begins_from_nothing(warm: Place) -> None:
    trained(warm)
    warm.write("data.txt", "b")
    assert trained(warm, "--cold") == "done"
    assert model(warm) == "->b"
    assert trained(warm) == "hit", "what was begun cold stays so"


def test_force_takes_the_start_that_it_had(warm: Place) -> None:
    for data in "abc":
        warm.write("data.txt", data)
        trained(warm)
    warm.write("data.txt", "b")
    assert trained(warm, "--force") == "done"
    assert model(warm) == "->a>b"


def test_a_fresh_clone_goes_on_and_hits_as_well(warm: Place, tmp_path: Path) -> None:
    """Nothing of it is known to this machine alone."""
    warm.write("rote.yaml", f"store: {tmp_path / 'store'}\n{YAML}")
    warm.rote("init")
    warm.git("remote", "add", "origin", "git@example.org:team/p.git")
    trained(warm)
    other = Place(tmp_path / "other")
    for name in ("rote.yaml", "train.py", "data.txt"):
        shutil.copy(warm.root / name, other.root / name)
    other.git("init", "-q", ".")
    other.git("remote", "add", "origin", "https://user@example.org/team/p")
    assert trained(other) == "hit"
    other.write("data.txt", "b")
    assert trained(other) == "done"
    assert model(other) == "->a>b"
    warm.write("data.txt", "b")
    assert trained(warm) == "hit"


def test_show_follows_the_chain(warm: Place) -> None:
    for data in "abc":
        warm.write("data.txt", data)
        trained(warm)
    told = warm.rote("show", "last").out.split("warm starts\n")[1].splitlines()
    assert len(told) == 3
    assert "build/model.txt of run" in told[0]
    assert "nothing instead of 'build/model.txt'" in told[2]
    trained(warm, "--force", "tail")
    assert "warm starts" in warm.rote("show", "last").out


def test_a_failed_stage_begins_again_as_it_did(warm: Place) -> None:
    trained(warm)
    warm.write("data.txt", "b")
    warm.write("train.py", "import sys; sys.exit(3)")
    warm.rote("run", code=1)
    warm.write("train.py", TRAIN)
    assert trained(warm) == "done"
    assert model(warm) == "->a>b"


@pytest.mark.parametrize(
    ("dep", "said"),
    [
        ("model:m", "is no version of a model: it names no version"),
        ("model:m@1.x", "is no version of a model"),
        ("{previous: build/modell.txt}", "did you mean 'build/model.txt'?"),
        ("{before: build/model.txt}", "expected a path, model:NAME@ALIAS, or previous: OUT"),
        ("{previous: [a]}", "expected text (a path), found a list"),
    ],
)
def test_what_cannot_be_meant(warm: Place, dep: str, said: str) -> None:
    warm.write("rote.yaml", YAML.replace('"model:m@prod"', dep))
    told = warm.rote("plan", code=2).err
    assert said in told
    assert "rote.yaml:5" in told


def test_a_version_that_is_named_must_be_there(warm: Place) -> None:
    warm.write("rote.yaml", YAML.replace("m@prod", "m@1.0.0"))
    assert "m@1.0.0 is not there" in warm.rote("run", code=1).out


def test_one_repository_has_one_name() -> None:
    urls = [
        "git@Example.org:team/p.git", "https://example.org/team/p", "https://user:x@example.org:443/team/p.git/",
        "ssh://git@example.org:22/team/p",
    ]  # fmt: skip
    assert {same_project(url) for url in urls} == {"example.org/team/p"}
    assert same_project("/home/me/p") == "/home/me/p"
    assert same_project("file:///home/me/p.git") == "/home/me/p"


def test_an_audit_begins_where_the_result_did(warm: Place) -> None:
    trained(warm)
    warm.rote("release", "m", "--promote", "prod")
    warm.write("data.txt", "b")
    trained(warm)
    assert model(warm) == "->a>b"
    told = warm.rote("why", "train").out
    assert "start model:m@prod: 1.0.0 (" in told
    assert "start previous:build/model.txt: " in told
    assert "2 stages made the same again" in warm.rote("audit").out
    assert trained(warm) == "hit"
