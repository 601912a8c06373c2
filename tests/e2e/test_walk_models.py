"""Walks from run to application, off the paths that people mean to take."""

from __future__ import annotations

from pathlib import Path

import pytest
from place import Place

import rote
from rote.adapters.worktree.workspace import Workspace
from rote.errors import RoteError

PIPELINE = """\
stages:
  train:
    cmd: cp weights model && echo '{"acc":0.9}' > metrics.json
    deps: [weights]
    outs: [model]
    metrics: [metrics.json]
models:
  m:
    files: [model, labels.txt]
"""


@pytest.fixture
def trained(place: Place) -> Place:
    place.write("rote.yaml", PIPELINE)
    place.write("weights", "1\n")
    place.write("labels.txt", "a\nb\n")
    place.git("add", "rote.yaml", "weights", ".gitignore")
    place.git("commit", "-q", "-m", "without the labels")
    place.rote("run")
    return place


def test_a_file_that_came_to_git_too_late_and_the_way_out(trained: Place) -> None:
    told = trained.rote("release", "m", code=1)
    assert "labels.txt" in told.err
    assert "git add labels.txt" in told.err
    assert "rote run --force" in told.err
    trained.commit("the labels, too")
    trained.rote("run", "--force")
    assert "m@1.0.0" in trained.rote("release", "m").out


def test_data_whose_pointer_could_not_be_written_still_counts_as_changed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("data/a", "one\n")
    place.rote("add", "data")
    place.write("data/a", "two, and saved nowhere that anybody would find\n")

    def refuse(*_: object) -> bool:
        raise RoteError("cannot write 'data.rote'")

    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "write_pointer", refuse)
        with pytest.raises(RoteError):
            rote.open(str(place.root)).add(str(place.root / "data"))
    assert "changed" in place.rote("status").out
    assert "two" in Path(place.root / "data/a").read_text()
    place.rote("add", "data")
    assert "unchanged" in place.rote("status").out


def test_unchanged_data_that_a_store_did_not_have_is_said_to_be_stored(place: Place, tmp_path: Path) -> None:
    place.write("data/a", "one\n")
    assert "saved" in place.rote("add", "data").out
    assert "store" not in place.rote("add", "data").out
    place.write("rote.yaml", f"store: {tmp_path / 'other'}\n")
    place.rote("init")
    told = place.rote("add", "data").out
    assert "unchanged" in told
    assert "this store did not have it yet" in told
    assert "stored again" in place.rote("add", "--force", "data").out
