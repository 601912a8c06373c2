"""Where a version comes from: the stages behind its files, the data under pointers, and what is gone."""

from __future__ import annotations

import msgspec
import pytest
from modelbench import Bench

from rote.errors import Missing
from rote.laws.pipeline.stagekey import Inputs
from rote.services.releases.provenance import Provenance
from rote.words.pointer import Pointer
from rote.words.result import Found, Result
from rote.words.run import Commit, Host, Run, StageOutcome
from rote.words.version import DataUsed, Version

HOST = Host(name="lab", system="Linux", machine="x86_64", cpus=4, python="3.12.1", packages={"numpy": "2.1"})


class World:
    """A run with results in memory, and pointers."""

    def __init__(self):
        self.bench = Bench()
        self.results, self.outcomes, self.runs = {}, [], {}
        self.here, self.commits = {}, {}
        self.provenance = Provenance(
            self, self, self.bench.snapshots, self.pointers, lambda path: path == "dvc/set"
        )

    def get(self, id):
        """A result by its slot, or a run by its id."""
        if id.startswith("2026"):
            if id not in self.runs:
                raise Missing(f"there is no run {id}")
            return self.runs[id]
        return self.results.get(id)

    def pointers(self, rev):
        if rev is None:
            return self.here
        if rev not in self.commits:
            raise Missing("no such commit")
        return self.commits[rev]

    def stage(self, name, deps, outs, *, key=None, frozen=False, **inputs):
        refs = {path: self.bench.save(files) for path, files in outs.items()}
        key = None if frozen else key or name.ljust(64, "0")
        self.outcomes.append(
            StageOutcome(stage=name, outcome="frozen" if frozen else "done", key=key, outs=refs)
        )
        found = inputs.pop("found", None)
        made = Inputs(cmd=("run " + name,), deps={path: ref.id for path, ref in deps.items()}, **inputs)
        if not frozen:
            self.results[key] = Result(stage=name, key=key, outs=refs, run="20261121-110000-abcdef", seconds=1.0,
                                       made="", found=found, inputs=msgspec.to_builtins(made))  # fmt: skip
        return refs

    def run(self, **commit):
        return Run(id="20261121-110000-abcdef", state="finished", began="", by="ada@lab", command="rote run", host=HOST,
                   stages=self.outcomes, commit=Commit(**{"id": "c" * 40, **commit}))  # fmt: skip

    def pin(self, path, files, rev=None):
        ref = self.bench.save(files)
        pointers = self.here if rev is None else self.commits.setdefault(rev, {})
        pointers[path] = Pointer(snapshot=ref.id, files=ref.files, size=ref.size, single=ref.single)
        return ref


@pytest.fixture
def world():
    return World()


def test_only_the_stages_behind_the_files_count(world):
    data, plots = world.pin("data", {"a": b"1"}), world.pin("plots", {"b": b"2"})
    script = world.bench.save(b"code")
    made = world.stage("prepare", {"data": data, "prepare.py": script}, {"clean": {"x": b"x"}})
    world.stage("train", {"clean": made["clean"]}, {"model": b"m"}, params={"params.yaml": {"lr": 0.1}},
                locks={"uv.lock": "f" * 64}, found=Found(files={"helper.py": "e" * 64}))  # fmt: skip
    world.stage("draw", {"plots": plots}, {"plot.svg": b"p"}, params={"params.yaml": {"dpi": 9}})
    origin = world.provenance.of_run(world.run(), ["model"])
    assert origin.data == [DataUsed("data", data.id)]
    assert origin.ingredients.code == {"prepare.py": str(script.id), "helper.py": "e" * 64}
    assert origin.ingredients.params == {"params.yaml": {"lr": 0.1}}
    assert set(origin.ingredients.commands) == {"prepare", "train"}
    assert origin.environment.locks == {"uv.lock": "f" * 64}
    assert (origin.environment.python, origin.environment.packages) == ("3.12.1", {"numpy": "2.1"})
    every = world.provenance.of_run(world.run(), ["no such file"])
    assert {used.path for used in every.data} == {"data", "plots"}


@pytest.mark.parametrize("inner", ["train", "train/deep", "one.csv"])
def test_a_part_of_data_is_told_as_the_data(world, inner):
    files = {"train/a": b"1", "train/deep/b": b"2", "one.csv": b"3", "train.txt": b"4"}
    whole = world.pin("data", files)
    below = {
        name.removeprefix(inner + "/"): data for name, data in files.items() if name.startswith(inner + "/")
    }
    part = world.bench.save(below or files[inner])
    world.stage("train", {f"data/{inner}": part}, {"model": b"m"})
    origin = world.provenance.of_run(world.run(), ["model"])
    assert origin.data == [DataUsed("data", whole.id)]


def test_data_that_was_not_what_its_pointer_says_is_told_as_it_was(world):
    world.pin("data", {"a": b"1"})
    other = world.bench.save({"a": b"changed, and not added"})
    world.stage("train", {"data": other}, {"model": b"m"})
    assert world.provenance.of_run(world.run(), ["model"]).data == [DataUsed("data", other.id)]


def test_a_folder_with_data_in_it_is_data(world):
    world.pin("all/one", {"a": b"1"})
    both = world.bench.save({"one/a": b"1", "readme": b""})
    world.stage("train", {"all": both}, {"model": b"m"})
    assert world.provenance.of_run(world.run(), ["model"]).data == [DataUsed("all", both.id)]


def test_the_pointers_of_the_commit_go_before_those_of_the_tree(world):
    old = world.pin("data", {"a": b"1"}, rev="c" * 40)
    world.pin("data", {"a": b"2"})
    world.stage("train", {"data": old}, {"model": b"m"})
    assert world.provenance.of_run(world.run(), ["model"]).data == [DataUsed("data", old.id)]


def test_what_another_tool_pins_is_data_too(world):
    ref = world.bench.save({"a": b"1"})
    world.stage("train", {"dvc/set": ref}, {"model": b"m"})
    assert world.provenance.of_run(world.run(), ["model"]).data == [DataUsed("dvc/set", ref.id)]


def test_a_frozen_stage_counts_as_what_it_left(world):
    made = world.stage("old", {}, {"vectors": b"v"}, frozen=True)
    world.stage("train", {"vectors": made["vectors"]}, {"model": b"m"})
    found = world.provenance.of_run(world.run(), ["model"]).ingredients
    assert found.unknown == []
    assert found.code == {"vectors": str(made["vectors"].id)}


def test_what_is_gone_is_said(world):
    world.stage("train", {}, {"model": b"m"})
    world.results.clear()
    assert (
        "what stage train was made of is not known"
        in world.provenance.of_run(world.run(), ["model"]).ingredients.unknown[0]
    )
    version = Version(model="m", version="1.0.0", snapshot=world.bench.save(b"m"), files=[], run="20261121-110000-abcdef",
                      commit=None, released="", by="", data=[DataUsed("data", "a" * 64)])  # fmt: skip
    found = world.provenance.of_version(version, ["model"])
    assert found.data == {"data": "a" * 64}
    assert "the run of 1.0.0 is not in the store any more" in found.unknown[0]
