"""Stages that are tried again, run out of time, share a machine; real processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from runbench import Bench, outcomes, stage

from rote.ports import Capacity


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "project")
    yield bench
    bench.executor.close()


FLAKY = """\
  a:
    cmd: echo try; echo x >> tries; echo part > out; test $(grep -c x tries) -ge 3 || exit 75
    outs: [out]
    retries: {times: 2, backoff: 0}
"""


def test_a_failure_that_goes_away(bench: Bench) -> None:
    bench.stages(FLAKY)
    outcome = bench.run()
    done = stage(outcome, "a")
    assert (done.outcome, [t.exit_code for t in done.attempts]) == ("done", [75, 75])
    assert bench.log(outcome, "a").count(b"try") == 3
    assert b"attempt 3 of 3" in bench.log(outcome, "a")
    assert len(list((bench.root / ".rote/aside").rglob("out*"))) == 2
    assert outcomes(bench.run()) == {"a": "hit"}


def test_one_that_does_not(bench: Bench) -> None:
    bench.stages(FLAKY.replace("-ge 3", "-ge 9"))
    failed = stage(bench.run(), "a")
    assert (failed.outcome, failed.exit_code, len(failed.attempts)) == ("failed", 75, 2)
    assert failed.why.startswith("after 3 attempts: exit code 75")
    assert not bench.exists("out")


def test_one_that_nobody_called_transient(bench: Bench) -> None:
    bench.stages(FLAKY.replace("exit 75", "exit 1"))
    failed = stage(bench.run(), "a")
    assert (failed.outcome, failed.attempts) == ("failed", [])


def test_how_often_and_how_long_belong_to_no_key(bench: Bench) -> None:
    bench.stages("  a: {cmd: echo 1 > out, outs: [out]}\n")
    bench.run()
    bench.stages(
        "  a: {cmd: echo 1 > out, outs: [out], timeout: 1h, retries: 3, resources: {cpus: 0.1, memory: 1 MB}}\n"
    )
    assert outcomes(bench.run()) == {"a": "hit"}


def test_out_of_time(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: echo half > out; mkfifo f; read x < f\n    outs: [out]\n    timeout: 0.2\n")
    failed = stage(bench.run(), "a")
    assert failed.outcome == "failed"
    assert "its timeout" in failed.why
    assert not bench.exists("out")


def test_out_of_time_and_tried_again(bench: Bench) -> None:
    bench.stages(
        "  a:\n    cmd: test -e f && echo 1 > out && exit 0; mkfifo f; read x < f\n    outs: [out]\n"
        "    timeout: 5\n    retries: {times: 1, backoff: 0, on: [timeout]}\n"
    )
    done = stage(bench.run(), "a")
    assert (done.outcome, len(done.attempts)) == ("done", 1)
    assert "its timeout" in done.attempts[0].why


def test_each_has_gpus_of_its_own(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time, each waits until the other has told which GPU it has."""
    monkeypatch.setattr(
        bench.executor, "capacity", lambda: Capacity(cpus=8, memory=1 << 40, gpus=("4", "GPU-7"))
    )
    for fifo in ("p", "q"):
        os.mkfifo(bench.root / fifo)
    bench.stages(
        "  a: {cmd: 'echo $CUDA_VISIBLE_DEVICES > a; echo > p; read x < q', outs: [a], resources: {gpus: 1}}\n"
        "  b: {cmd: 'echo $CUDA_VISIBLE_DEVICES > b; read x < p; echo > q', outs: [b], resources: {gpus: 1}}\n"
        "  c: {cmd: 'echo $CUDA_VISIBLE_DEVICES > c', outs: [c], resources: {gpus: 2}}\n"
        "  d: {cmd: 'echo ${CUDA_VISIBLE_DEVICES-all} > d', outs: [d]}\n"
        "  e: {cmd: 'echo ${CUDA_VISIBLE_DEVICES-all} > e', outs: [e], resources: {gpus: 0}}\n".replace(
            "${", "\\${"
        )
    )
    assert bench.run(jobs=5).ok
    assert {bench.read("a"), bench.read("b")} == {"4\n", "GPU-7\n"}
    assert [bench.read(n) for n in "cde"] == ["4,GPU-7\n", "all\n", "\n"]


def test_those_that_do_not_fit_together_run_one_after_the_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.executor, "capacity", lambda: Capacity(cpus=2, memory=1 << 40))
    alone = "mkdir lock && rmdir lock && echo > {0}"
    bench.stages(
        "".join(
            f"  {n}: {{cmd: '{alone.format(n)}', outs: [{n}], resources: {{cpus: 1.5}}}}\n" for n in "abcdef"
        )
    )
    assert bench.run(jobs=6).ok


def test_what_does_not_fit_is_not_started(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.executor, "capacity", lambda: Capacity(cpus=2, memory=1 << 40))
    bench.stages("  a: {cmd: echo > a, outs: [a], resources: {cpus: 3}}\n")
    failed = stage(bench.run(), "a")
    assert "needs 3 CPUs, and this machine has 2" in failed.why
    assert not bench.exists("a")
