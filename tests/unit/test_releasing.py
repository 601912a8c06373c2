"""From a run to a version: gates, numbers, files, and what is refused."""

from __future__ import annotations

import pickle
import threading

import msgspec
import pytest
from modelbench import Bench, model, noise

from rote.errors import BadName, ConfigError, Refused, UsageError
from rote.services.releases.releasing import GateRefused
from rote.words.pipeline import At, Gate
from rote.words.run import Commit

OUTS = {"build/model.onnx": noise(300_000), "metrics.json": b'{"accuracy": 0.95}'}


def content(bench, version):
    record = bench.snapshots.record(version.snapshot)
    return {e.path: b"".join(bench.snapshots.read(record, e.path)) for e in bench.snapshots.entries(record)}


def test_a_version_holds_the_files_and_where_they_come_from():
    bench = Bench()
    released = bench.release(OUTS, gates=["accuracy >= 0.9"], note="first")
    version = released.version
    assert released.created
    assert released.warnings == []
    assert (version.version, version.note, version.by, version.commit) == (
        "1.0.0",
        "first",
        "ada@lab",
        "c" * 40,
    )
    assert version.run == "20261121-110001-abcdef"
    assert version.metrics == {"metrics.json": {"accuracy": 0.95}}
    assert version.params == {"params.yaml": {"lr": 0.1}}
    assert [(f.path, f.size) for f in version.files] == [("metrics.json", 18), ("model.onnx", 300_000)]
    assert [v.passed for v in version.gates] == [True]
    assert bench.registry.get("digits", "1.0.0") == version
    assert content(bench, version) == {
        "model.onnx": OUTS["build/model.onnx"],
        "metrics.json": OUTS["metrics.json"],
    }


def test_no_byte_is_copied():
    bench = Bench()
    run = bench.run(OUTS)
    bench.store.reset()
    bench.releasing.release(model(list(OUTS)), run)
    assert bench.store.bytes["create"] + bench.store.bytes["replace"] < 20_000


def test_numbers():
    bench = Bench()
    numbers = []
    for n, how in enumerate(
        [{"bump": "minor"}, {"bump": "minor"}, {}, {"bump": "major"}, {"version": "2.1.0-rc.1"}, {}]
    ):
        numbers.append(bench.release({"m": noise(100, n)}, **how).version.version)
    assert numbers == ["1.0.0", "1.1.0", "1.1.1", "2.0.0", "2.1.0-rc.1", "2.1.0"]


def test_the_same_again_says_so_and_changes_nothing():
    bench = Bench()
    first = bench.release(OUTS)
    for how in ({}, {"bump": "minor"}, {"version": "1.0.0"}, {"version": "1.0.0", "note": "other"}):
        again = bench.release(OUTS, **how)
        assert not again.created
        assert again.version == first.version
    assert [v.version for v in bench.registry.versions("digits")] == ["1.0.0"]
    assert bench.release(OUTS, version="2.0.0").created


def test_the_same_again_is_not_held_against_gates_of_today():
    bench = Bench()
    gates = ["accuracy >= prod.accuracy"]
    bench.release({"m": b"1"}, gates=gates, metrics={"accuracy": 0.90}, version="1.0.0", promote="prod")
    bench.release({"m": b"2"}, gates=gates, metrics={"accuracy": 0.95}, version="1.1.0", promote="prod")
    again = bench.release({"m": b"1"}, gates=gates, metrics={"accuracy": 0.90}, version="1.0.0")
    assert not again.created
    assert again.verdicts[0].why == "nobody holds prod yet"


def test_a_version_never_changes():
    bench = Bench()
    bench.release({"m": b"1"}, version="1.0.0")
    with pytest.raises(Refused) as caught:
        bench.release({"m": b"2"}, version="1.0.0")
    assert "digits@1.0.0 exists with other files, from run 20261121-110001-abcdef" in str(caught.value)
    assert "--bump patch" in caught.value.next
    assert content(bench, bench.registry.get("digits", "1.0.0")) == {"m": b"1"}


def test_a_failing_gate_refuses_with_the_whole_table():
    bench = Bench()
    bench.release({"m": b"1"}, metrics={"accuracy": 0.97}, promote="prod")
    before = [m.key for m in bench.store.list("models/")]
    gates = ["accuracy >= 0.95", "accuracy >= prod.accuracy - 0.01", "loss < 1"]
    with pytest.raises(GateRefused) as caught:
        bench.release({"m": b"2"}, gates=gates, metrics={"accuracy": 0.955})
    table = [(v.gate, v.value, v.threshold, v.passed) for v in caught.value.verdicts]
    assert table == [
        ("accuracy >= 0.95", 0.955, 0.95, True),
        ("accuracy >= prod.accuracy - 0.01", 0.955, 0.96, False),
        ("loss < 1", None, 1.0, False),
    ]
    assert "fails 2 of 3 gates" in str(caught.value)
    assert caught.value.exit_code == 1
    assert [m.key for m in bench.store.list("models/")] == before


def test_gates_of_the_project_come_first():
    bench = Bench()
    run = bench.run({"m": b"1"})
    project = [Gate("accuracy > 0.1", At("rote.yaml", 3))]
    released = bench.releasing.release(model(["m"], ["accuracy > 0.2"]), run, gates=project)
    assert [v.gate for v in released.verdicts] == ["accuracy > 0.1", "accuracy > 0.2"]


def test_a_gate_on_prod_when_nobody_holds_it():
    released = Bench().release({"m": b"1"}, gates=["accuracy >= prod.accuracy - 0.01"])
    assert released.created
    assert released.verdicts[0].why == "nobody holds prod yet"


def test_any_alias_that_somebody_holds_counts():
    bench = Bench()
    bench.release({"m": b"1"}, metrics={"accuracy": 0.99}, promote="staging")
    with pytest.raises(GateRefused):
        bench.release({"m": b"2"}, gates=["accuracy >= staging.accuracy"], metrics={"accuracy": 0.9})


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"version": "1.0"}, BadName),
        ({"version": "1.0.0+x"}, BadName),
        ({"bump": "huge"}, UsageError),
        ({"version": "1.0.0", "bump": "minor"}, UsageError),
        ({"gates": ["accuracy"]}, ConfigError),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything(how, error):
    bench = Bench()
    with pytest.raises(error):
        bench.release({"m": b"1"}, **how)
    assert bench.registry.models() == []


@pytest.mark.parametrize("state", ["running", "failed", "stopped"])
def test_only_a_finished_run(state):
    bench = Bench()
    with pytest.raises(Refused, match=f"is {state}: only a finished run"):
        bench.releasing.release(model(["m"]), bench.run({"m": b"1"}, state=state))


def test_folders_and_what_is_below_them():
    bench = Bench()
    outs = {
        "out/words": {"a.txt": b"a", "b/c.txt": b"c"},
        "build/x/net": b"net",
        "build/x/y": {"z": b"z"},
        "build/w": b"w",
    }
    released = bench.release(outs, ["out/words/", "build/x"])
    assert content(bench, released.version) == {
        "words/a.txt": b"a", "words/b/c.txt": b"c", "x/net": b"net", "x/y/z": b"z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("files", "says", "hint"),
    [
        (["modle.onnx"], "'modle.onnx' is no out of run", "is it model.onnx?"),
        (["zzz"], "is no out of run", "the outs of the run: model.onnx, words, a/labels, b/Labels"),
        (["words/a.txt"], "words/a.txt is a part of the out words", "take the whole words"),
        (["a/labels", "b/Labels"], "would both be Labels", "rename one"),
        ([], "has no files", None),
    ],
)
def test_files_that_cannot_be_had(files, says, hint):
    bench = Bench()
    run = bench.run({"model.onnx": b"1", "words": {"a.txt": b"a"}, "a/labels": b"1", "b/Labels": b"2"})
    with pytest.raises(Refused) as caught:
        bench.releasing.release(model(files), run)
    assert says in str(caught.value)
    assert "rote.yaml:30" in str(caught.value)
    assert hint is None or hint in caught.value.next
    assert bench.registry.models() == []


class TestFilesThatGitTracks:
    COMMITS = {"c" * 40: {"labels.txt": b"0\n1\n", "conf/a": b"a", "conf/b/c": b"c", "other": b"x"}}  # noqa: RUF012

    def release(self, files, **commit):
        bench = Bench(commits=self.COMMITS)
        run = bench.run({"m": b"1", "conf/made": b"made"}, commit=Commit(**{"id": "c" * 40, **commit}))
        return content(bench, bench.releasing.release(model(files), run).version)

    def test_are_taken_from_the_runs_commit(self):
        assert self.release(["m", "labels.txt"]) == {"m": b"1", "labels.txt": b"0\n1\n"}

    def test_a_folder_of_both(self):
        assert self.release(["conf"]) == {"conf/a": b"a", "conf/b/c": b"c", "conf/made": b"made"}

    def test_changes_elsewhere_do_no_harm(self):
        diff = "diff --git a/other b/other\n--- a/other\n+++ b/other\n@@ -1 +1 @@\n-x\n+labels.txt\n"
        assert self.release(["labels.txt"], dirty=True, diff=diff) == {"labels.txt": b"0\n1\n"}

    @pytest.mark.parametrize(
        "how",
        [
            {"diff": "diff --git a/labels.txt b/labels.txt\n"},
            {"diff": "diff --git a/sub/project/labels.txt b/sub/project/labels.txt\n"},
            {"diff": 'diff --git "a/\\303\\244" "b/\\303\\244"\n'},
            {"diff": "diff --git a/other b/other\n", "diff_cut": True},
            {"diff": ""},
        ],
    )
    def test_uncommitted_changes_are_refused(self, how):
        with pytest.raises(Refused, match=r"labels.txt was not committed as it was in run"):
            self.release(["m", "labels.txt"], dirty=True, **how)

    def test_a_changed_file_in_a_folder_is_refused(self):
        with pytest.raises(Refused, match="conf was not committed"):
            self.release(["conf"], dirty=True, diff="diff --git a/conf/b/c b/conf/b/c\n")

    def test_without_a_commit(self):
        with pytest.raises(Refused, match="is no out of run"):
            self.release(["labels.txt"], id=None)


def test_pickles_are_told():
    bench = Bench()
    outs = {"model": {"weights.bin": pickle.dumps([1.0] * 1000), "net.pt": b"?", "net.onnx": b"\x08\x08"}}
    released = bench.release(outs)
    assert [w.split(" is a pickle")[0] for w in released.warnings] == ["model/net.pt", "model/weights.bin"]


def test_eight_who_release_at_once_get_eight_numbers():
    bench = Bench()
    runs = [bench.run({"m": b"%d" % n}) for n in range(8)]
    ready = threading.Barrier(8)
    released = []

    def release(run):
        ready.wait()
        released.append(bench.releasing.release(model(["m"]), run, bump="minor"))

    threads = [threading.Thread(target=release, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(r.created for r in released)
    assert sorted(r.version.version for r in released) == [f"1.{n}.0" for n in range(8)]
    assert {v.run for v in bench.registry.versions("digits")} == {run.id for run in runs}


def test_a_smoke_run_is_never_released():
    bench = Bench()
    run = msgspec.structs.replace(bench.run(OUTS), smoke=True)
    for how in ({}, {"version": "1.0.0"}, {"bump": "major"}):
        with pytest.raises(Refused, match="is a smoke run") as refused:
            bench.releasing.release(model(list(OUTS)), run, **how)
        assert refused.value.safe == "nothing was changed"
    assert bench.registry.numbers("digits") == []
