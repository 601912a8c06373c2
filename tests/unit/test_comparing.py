from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rote.errors import UsageError
from rote.services.runs.comparing import compare
from rote.words.ids import Digest, RunId, SnapshotId, TxnId
from rote.words.run import Commit, Host, Run, StageOutcome
from rote.words.snapshot import SnapshotRef


def ref(letter: str) -> SnapshotRef:
    return SnapshotRef(id=SnapshotId(Digest(letter * 64)), txn=TxnId("t"), files=1, size=1)


def run(**rest: Any) -> Run:
    fields: dict[str, Any] = {
        "state": "finished",
        "began": "2026",
        "by": "a@b",
        "command": "rote run",
        **rest,
    }
    return Run(id=RunId("20261121-104434-1f09ab"), **fields)


BASE = run(
    commit=Commit(id="c0ffee", branch="main"),
    params={"p.yaml": {"train": {"lr": 0.1, "depth": 3}}, "q.yaml": {"seed": 1}},
    metrics={"m.json": {"accuracy": 0.9}},
    host=Host(
        name="mill",
        system="Linux",
        machine="x86",
        cpus=2,
        python="3.11",
        packages={"numpy": "1", "torch": "2"},
    ),
    stages=[StageOutcome(stage="train", outcome="done", outs={"model": ref("a")})],
)


def differences(*runs: Run) -> dict[str, list[Any]]:
    return {row.key: row.values for row in compare(runs).rows}


def test_equal_runs_do_not_differ() -> None:
    assert compare([BASE, BASE]).rows == []
    assert compare([BASE]).rows == []
    every = compare([BASE, BASE], equal=True)
    assert every.runs == [BASE.id, BASE.id]
    assert all(row.equal for row in every.rows)
    assert [row.values for row in every.rows if row.key == "params.train.lr"] == [[0.1, 0.1]]


def test_what_differs_in_order() -> None:
    other = msgspec.structs.replace(
        BASE,
        state="failed",
        commit=Commit(id="beef", branch="main", dirty=True),
        params={"p.yaml": {"train": {"lr": 0.2}, "new": "x"}, "q.yaml": {"seed": 1}},
        metrics={},
        host=msgspec.structs.replace(BASE.host, packages={"numpy": "1", "torch": "3"}),
        stages=[StageOutcome(stage="train", outcome="failed", outs={"model": ref("b")})],
        tags={"owner": "x"},
    )
    assert differences(BASE, other) == {
        "state": ["finished", "failed"],
        "commit": ["c0ffee", "beef"],
        "dirty": [False, True],
        "tags.owner": [None, "x"],
        "params.train.lr": [0.1, 0.2],
        "params.train.depth": [3, None],
        "params.new": [None, "x"],
        "metrics.accuracy": [0.9, None],
        "stages.train": ["done", "failed"],
        "outs.model": ["a" * 12, "b" * 12],
        "packages.torch": ["2", "3"],
    }
    assert list(differences(BASE, other))[3:6] == ["tags.owner", "params.train.lr", "params.train.depth"]


def test_a_key_in_several_files_is_told_with_its_file() -> None:
    a, b = (
        run(metrics={"x.json": {"loss": 1}, "y.json": {"loss": 2}}),
        run(metrics={"x.json": {"loss": 1}, "y.json": {"loss": 3}}),
    )
    assert differences(a, b) == {"metrics.y.json:loss": [2, 3]}


def test_kinds_matter_but_not_those_of_numbers() -> None:
    assert differences(run(params={"p": {"a": 1}}), run(params={"p": {"a": 1.0}})) == {}
    assert differences(run(params={"p": {"a": 1}}), run(params={"p": {"a": True}})) == {"params.a": [1, True]}
    assert differences(run(params={"p": {"a": 1}}), run(params={"p": {"a": "1"}})) == {"params.a": [1, "1"]}


def test_three_runs() -> None:
    a, b, c = (run(tags={"t": t}) for t in ("x", "x", "y"))
    assert differences(a, b, c) == {"tags.t": ["x", "x", "y"]}


def test_nothing_to_compare() -> None:
    with pytest.raises(UsageError):
        compare([])
