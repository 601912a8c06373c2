"""A version at the Hugging Face Hub, as people type it, and the application that follows it there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from place import Place

from rote.client import Model
from rote.errors import Missing
from rote.releases import Hub as Releases
from servers.hub import TOKEN, Hub

PIPELINE = """\
stages:
  train:
    cmd: cp weights model.bin && echo '{"acc":0.9}' > metrics.json
    deps: [weights]
    outs: [model.bin]
    metrics: [metrics.json]
models:
  m:
    files: [model.bin, labels.txt]
    publish: ['hf:owner/name']
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub(tmp_path / "hub") as server:
        # Here for the application; `rote` gets them with each call.
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("HF_TOKEN", "")
        # Read from the environment once, when it was loaded: not the token of whoever runs this.
        monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no token"))
        yield server
        assert server.wrong == []


def test_from_promote_to_the_application_and_back(place: Place, hub: Hub, tmp_path: Path) -> None:
    env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "hf")}
    place.write("rote.yaml", PIPELINE)
    place.write("weights", b"one" * 1000)
    place.write("labels.txt", "a\nb\n")
    place.commit()
    place.rote("run")
    place.rote("release", "m")
    told = place.rote("promote", "m@1.0.0", "prod", **env)
    assert f"published m@1.0.0 at {hub.url}/owner/name/tree/main/models/m/published/1.0.0" in told.err
    assert "prod there names 1.0.0 (move 1)" in told.err
    assert "Xet" not in told.err
    assert list(hub.tags) == ["m@v1.0.0"]
    first = hub.commits[hub.branches["main"]]["README.md"]
    page = hub.blobs[first.oid].decode()
    assert page.startswith(place.rote("model", "card", "m@1.0.0").out)
    assert "# m 1.0.0" in page
    commits = len(hub.commits)
    assert "published already at hf:owner/name" in place.rote("publish", "m@prod", **env).out
    assert len(hub.commits) == commits

    model = Model("hf:owner/name", "m", cache=tmp_path / "app")
    assert (model.path() / "model.bin").read_bytes() == b"one" * 1000
    hub.forget()
    assert not model.refresh()
    assert len(hub.requests()) == 1

    place.write("weights", b"two" * 1000)
    place.rote("run")
    place.rote("release", "m", "--promote", "prod", **env)
    assert model.refresh()
    assert (model.path() / "model.bin").read_bytes() == b"two" * 1000
    place.rote("rollback", "m", **env)
    assert model.refresh()
    assert model.version == "1.0.0"
    assert {r.token for r in hub.requests(of="files")} <= {""}

    refused = place.rote("publish", "m@1.0.0", "hf:owner/other", code=1, **env)
    assert "no such repository" in refused.err
    assert TOKEN not in refused.err


def test_two_calls_without_a_project(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights" * 100)
    there = Releases("owner", "name", token=TOKEN)
    assert there.publish("digits@v1.0.0", [tmp_path / "model.onnx"]).created
    assert not there.publish("digits@v1.0.0", [tmp_path / "model.onnx"]).created
    Releases("owner", "name").download("digits@v1.0.0", to=tmp_path / "out")
    assert (tmp_path / "out" / "model.onnx").read_bytes() == b"weights" * 100
    with pytest.raises(Missing):
        Releases("owner", "name").download("digits@v1.0.1", to=tmp_path / "out")
