"""The stage key, its exact bytes, and what becomes of params that JSON cannot say."""

from __future__ import annotations

import datetime
import json
import math

import pytest
from blake3 import blake3

from rote.laws.pipeline.stagekey import chosen, env_digest, inputs, plain
from rote.words.ids import SnapshotId
from rote.words.pipeline import Out, Param, Stage

STAGE = Stage(
    name="train",
    cmd=("python train.py",),
    deps=("data", "train.py"),
    params=(Param("params.yaml", "train.lr"), Param("params.yaml", "")),
    outs=(Out("model"), Out("m.json", "metrics")),
    env=("MODE", "GONE"),
    wdir="sub",
)
DEPS = {"data": SnapshotId("a" * 64), "train.py": SnapshotId("b" * 64)}


def test_the_exact_bytes() -> None:
    """Computed here from docs/format.md, 7.1, with nothing of ours but the inputs."""
    values = {"params.yaml": {"train": {"lr": 0.5}}}
    key = inputs(STAGE, DEPS, chosen(STAGE, values), {"MODE": "fast", "OTHER": "x"}).key()
    mode = blake3(b"fast", derive_key_context="rote 1 env").hexdigest()
    told = {
        "format": 1,
        "cmd": ["python train.py"],
        "wdir": "sub",
        "deps": {"data": "a" * 64, "train.py": "b" * 64},
        "params": {"params.yaml": {"": {"train": {"lr": 0.5}}, "train.lr": 0.5}},
        "env": {"MODE": mode, "GONE": None},
        "outs": {"m.json": "metrics", "model": "out"},
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
    assert key == blake3(text, derive_key_context="rote 1 stage").hexdigest()
    assert key == "215a8bffddded22f10a5d0daa116a691f8405ce4e78e54e5b219814fabb052be"


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (math.nan, {"$float": "nan"}),
        (-math.inf, {"$float": "-inf"}),
        (2**64, {"$int": "18446744073709551616"}),
        (2**64 - 1, 2**64 - 1),
        (-(2**63) - 1, {"$int": "-9223372036854775809"}),
        (datetime.date(2026, 11, 21), {"$date": "2026-11-21"}),
        (datetime.datetime(2026, 11, 21, 1, 2, 3), {"$datetime": "2026-11-21T01:02:03"}),
        (datetime.time(1, 2, 3), {"$time": "01:02:03"}),
        (b"\x00\xff", {"$bytes": "00ff"}),
        ({1: "a", "1": "b"}, {"$map": [["1", "b"], [1, "a"]]}),
        ({"$int": "1"}, {"$map": [["$int", "1"]]}),
        ({"a": [(1, None), True, "x", 1.5]}, {"a": [[1, None], True, "x", 1.5]}),
    ],
)
def test_the_form_of_a_value(value: object, form: object) -> None:
    assert plain(value) == form


def test_a_value_that_has_no_form() -> None:
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_a_variable_that_is_not_text() -> None:
    """The environment of a process is bytes; what is no UTF-8 comes as lone surrogates."""
    assert env_digest("\udcff") == blake3(b"\xff", derive_key_context="rote 1 env").hexdigest()
    assert inputs(STAGE, DEPS, {}, {"MODE": "\udcff"}).env_shown == {"MODE": "?"}


def test_values_are_shown_unless_they_are_secret() -> None:
    stage = Stage(name="a", cmd=("x",), env=("MODE", "DB_PASSWORD", "URL"))
    shown = inputs(stage, {}, {}, {"MODE": "m", "DB_PASSWORD": "p", "URL": "https://u:hunter2@h/"}).env_shown
    assert shown["MODE"] == "m"
    assert shown["DB_PASSWORD"] == "***"
    assert "hunter2" not in shown["URL"]
