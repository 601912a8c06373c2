"""Good pipelines: what each key means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rote.errors import ConfigError
from rote.wiring import config
from rote.wiring.config import params, pipelines
from rote.wiring.config.parsed import Parsed
from rote.words.pipeline import At, Gate, Out, Param, Pipeline

WHOLE = """\
store: s3://bucket/prefix
stages:
  prepare:
    cmd: python prepare.py
    deps: [prepare.py, ./data/raw/]
    outs:
      - data/clean
  train:
    cmd:
      - python train.py --home $HOME
      - echo \\${DONE}
    desc: Trains.
    deps:
      - train.py
      - data/clean
    params:
      - train.lr
      - other.toml:a.b
      - nested.json:
          - x
          - y
      - whole.yaml:
    outs:
      - model.onnx: {cache: true, desc: the model}
    metrics:
      - metrics.json: {cache: false}
    plots:
      - plots/loss.csv: {x: step, y: loss}
    env: [CUDA_VISIBLE_DEVICES]
    frozen: false
    always_changed: true
gates:
  - accuracy >= 0.95
models:
  digits:
    files: [model.onnx, labels.txt]
    gates: [loss < 1]
    desc: Digits.
"""


def test_the_whole_of_it() -> None:
    pipeline = pipelines.read(WHOLE)
    assert pipeline.store == "s3://bucket/prefix"
    assert list(pipeline.stages) == ["prepare", "train"]
    train = pipeline.stages["train"]
    assert pipeline.stages["prepare"].deps == ("prepare.py", "data/raw")
    assert train.cmd == ("python train.py --home $HOME", "echo ${DONE}")
    assert train.params == (
        Param("params.yaml", "train.lr"),
        Param("other.toml", "a.b"),
        Param("nested.json", "x"),
        Param("nested.json", "y"),
        Param("whole.yaml", ""),
    )
    assert train.outs == (Out("model.onnx"), Out("metrics.json", "metrics"), Out("plots/loss.csv", "plots"))
    assert train.env == ("CUDA_VISIBLE_DEVICES",)
    assert (train.frozen, train.always_changed, train.wdir, train.desc) == (False, True, ".", "Trains.")
    assert train.at == At("rote.yaml", 8, "stages.train")
    assert pipeline.gates == (Gate("accuracy >= 0.95", At("rote.yaml", 33, "gates[0]")),)
    model = pipeline.models["digits"]
    assert model.files == ("model.onnx", "labels.txt")
    assert [gate.text for gate in model.gates] == ["accuracy >= 0.95", "loss < 1"]
    assert params.files_of(pipeline) == ["params.yaml", "other.toml", "nested.json", "whole.yaml"]


def test_paths_of_a_stage_begin_at_its_wdir() -> None:
    stage = pipelines.read(
        "stages:\n  a:\n    cmd: x\n    wdir: sub/dir\n    deps: [a, ../b]\n    outs: [c]\n    params: [p, '../q.json:r']\n"
    ).stages["a"]
    assert stage.wdir == "sub/dir"
    assert stage.deps == ("sub/dir/a", "sub/b")
    assert stage.outs == (Out("sub/dir/c"),)
    assert stage.params == (Param("sub/dir/params.yaml", "p"), Param("sub/q.json", "r"))


def test_anchors_and_merge_keys() -> None:
    pipeline = pipelines.read(
        "stages:\n  a: &a\n    cmd: x\n    deps: &d [p, q]\n  b:\n    <<: *a\n    cmd: y\n  c:\n    cmd: z\n    deps: *d\n"
    )
    assert pipeline.stages["b"].cmd == ("y",)
    assert [pipeline.stages[name].deps for name in "abc"] == [("p", "q")] * 3
    assert [pipeline.stages[name].at.line for name in "abc"] == [2, 5, 8]


@pytest.mark.parametrize(
    "text", ["", "# only a comment\n", "\ufeff", "---\n", "stages:\n", "stages: {}\ngates: []\n"]
)
def test_nothing_is_an_empty_pipeline(tmp_path: Path, text: str) -> None:
    assert config.load(str(tmp_path)) == Pipeline()
    (tmp_path / "rote.yaml").write_text(text)
    assert config.load(str(tmp_path)) == Pipeline()


def test_a_byte_order_mark_and_carriage_returns(tmp_path: Path) -> None:
    (tmp_path / "rote.yaml").write_bytes(b"\xef\xbb\xbfstages:\r\n  a:\r\n    cmd: x\r\n  b: {cmd: y}\r\n")
    stages = config.load(str(tmp_path)).stages
    assert stages["a"].cmd == ("x",)
    assert stages["b"].at.line == 4


def test_stage_names_are_text_as_written() -> None:
    assert list(pipelines.read("stages:\n  2024: {cmd: x}\n  on: {cmd: y}\n  1e3: {cmd: z}\n").stages) == [
        "2024",
        "on",
        "1e3",
    ]


class TestTheCache:
    def test_the_second_load_reads_no_yaml(self, tmp_path: Path) -> None:
        """The entry is proved to be used by putting another pipeline into it."""
        (tmp_path / ".rote").mkdir()
        (tmp_path / "rote.yaml").write_text(WHOLE)
        assert config.load(str(tmp_path)) == config.load(str(tmp_path)) == pipelines.read(WHOLE)
        planted = {"pipeline": Pipeline(store="planted"), "others": {}}
        Parsed(str(tmp_path / ".rote/cache")).put("pipeline", WHOLE.encode(), planted)
        assert config.load(str(tmp_path)).store == "planted"

    def test_an_edit_of_the_same_size_and_time_is_seen(self, tmp_path: Path) -> None:
        (tmp_path / ".rote").mkdir()
        path = tmp_path / "rote.yaml"
        path.write_text("store: a\n")
        before = path.stat()
        assert config.load(str(tmp_path)).store == "a"
        path.write_text("store: b\n")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert config.load(str(tmp_path)).store == "b"

    @pytest.mark.parametrize("damage", ["cut", "flip", "empty", "folder"])
    def test_a_damaged_entry_is_as_good_as_none(self, tmp_path: Path, damage: str) -> None:
        (tmp_path / ".rote").mkdir()
        (tmp_path / "rote.yaml").write_text(WHOLE)
        whole = config.load(str(tmp_path))
        [entry] = (tmp_path / ".rote/cache").iterdir()
        data = entry.read_bytes()
        if damage == "folder":
            entry.unlink()
            entry.mkdir()
        else:
            entry.write_bytes(
                {"cut": data[:-3], "flip": data[:-1] + bytes([data[-1] ^ 1]), "empty": b""}[damage]
            )
        assert config.load(str(tmp_path)) == whole

    def test_a_bad_file_is_not_remembered_and_no_folder_appears(self, tmp_path: Path) -> None:
        (tmp_path / "rote.yaml").write_text("store: a\n")
        config.load(str(tmp_path))
        assert [path.name for path in tmp_path.iterdir()] == ["rote.yaml"]
        (tmp_path / "rote.yaml").write_text("x: 1\n")
        (tmp_path / ".rote").mkdir()
        for _ in range(2):
            with pytest.raises(ConfigError, match="unknown key 'x'"):
                config.load(str(tmp_path))

    def test_a_thousand_stages_need_no_yaml_the_second_time(self, tmp_path: Path) -> None:
        import subprocess
        import sys

        (tmp_path / ".rote").mkdir()
        lines = [
            f"  s{i}: {{cmd: x {i}, deps: [in/{i}], outs: [out/{i}], params: [a.b]}}" for i in range(1000)
        ]
        (tmp_path / "rote.yaml").write_text("stages:\n" + "\n".join(lines))
        assert len(config.load(str(tmp_path)).stages) == 1000
        code = (
            "import sys; from rote.wiring import config; p = config.load(sys.argv[1]);"
            "print(len(p.stages), 'yaml' in sys.modules, 'rote.wiring.config.stages' in sys.modules)"
        )
        out = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert out.stdout.split() == ["1000", "False", "False"]


def test_params_of_stages_are_looked_up() -> None:
    pipeline = pipelines.read("stages:\n  a:\n    cmd: x\n    params: [train.lr, 'other.yaml:']\n")
    params.check(pipeline, {"params.yaml": {"train": {"lr": 1}}, "other.yaml": {}})
    params.check(pipeline, {})
    with pytest.raises(ConfigError) as caught:
        params.check(pipeline, {"params.yaml": {"train": {"lrate": 1}}})
    assert caught.value.lines() == [
        "rote.yaml:2: stages.a.params: params.yaml has no param 'train.lr'",
        "next: did you mean 'train.lrate'?",
    ]
