"""Running pipelines: real processes, a real working tree, a store in memory unless said otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from runbench import Bench, outcomes, stage

from rote.adapters.stores.folder import FolderStore
from rote.services.store.founding import found
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "project")
    yield bench
    bench.executor.close()


CHAIN = """\
  one:
    cmd: cat in.txt > one.txt; echo said one
    deps: [in.txt]
    outs: [one.txt]
  two:
    cmd: cat one.txt one.txt > two.txt
    deps: [one.txt]
    outs: [two.txt]
"""


def test_a_chain_runs_then_hits_then_runs_only_what_must(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    first = bench.run()
    assert outcomes(first) == {"one": "done", "two": "done"}
    assert (first.ok, first.recorded, first.run.state) == (True, True, "finished")
    assert bench.read("two.txt") == "aa"
    assert bench.log(first, "one") == b"said one\n"
    assert [s.why for s in first.stages] == ["it has no result yet"] * 2

    again = bench.run()
    assert outcomes(again) == {"one": "hit", "two": "hit"}
    assert (again.recorded, again.run.id, bench.described) == (False, first.run.id, 1)

    bench.write("in.txt", "b")
    third = bench.run()
    assert bench.read("two.txt") == "bb"
    assert stage(third, "one").why == "dep in.txt changed"
    assert third.recorded

    bench.write("in.txt", "a")
    back = bench.run()
    assert outcomes(back) == {"one": "hit", "two": "hit"}
    assert bench.read("two.txt") == "aa"
    assert (back.recorded, back.run.id) == (False, first.run.id)


def test_a_stage_that_makes_the_same_again_stops_the_change_there(bench: Bench) -> None:
    bench.stages(CHAIN.replace("cat in.txt >", "head -c 1 in.txt >"))
    bench.write("in.txt", "a")
    bench.run()
    bench.write("in.txt", "ab")
    assert outcomes(bench.run()) == {"one": "done", "two": "hit"}


def test_what_was_run_elsewhere_is_brought(bench: Bench, tmp_path: Path) -> None:
    bench.stages(CHAIN.replace("one.txt; echo", "one.txt; chmod +x one.txt; echo"))
    bench.write("in.txt", "a")
    first = bench.run()
    other = Bench(tmp_path / "other", bench.store, seed=1)
    other.write("rote.yaml", bench.read("rote.yaml"))
    other.write("in.txt", "a")
    assert other.verdicts() == {"one": "hit", "two": "hit"}
    outcome = other.run()
    assert outcomes(outcome) == {"one": "hit", "two": "hit"}
    assert (outcome.recorded, outcome.run.id) == (False, first.run.id)
    assert other.read("two.txt") == "aa"
    assert os.access(other.root / "one.txt", os.X_OK)
    other.executor.close()


def test_hits_of_several_runs_are_recorded_once(bench: Bench) -> None:
    bench.stages("  a: {cmd: cat x > a, deps: [x], outs: [a]}\n  b: {cmd: cat y > b, deps: [y], outs: [b]}\n")
    for x, y in (("1", "1"), ("2", "2")):
        bench.write("x", x)
        bench.write("y", y)
        bench.run()
    bench.write("x", "1")
    mixed = bench.run()
    assert outcomes(mixed) == {"a": "hit", "b": "hit"}
    assert mixed.recorded
    again = bench.run()
    assert (again.recorded, again.run.id) == (False, mixed.run.id)


def test_a_changed_out_is_made_right_again_and_the_change_is_kept_aside(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    bench.run()
    bench.write("one.txt", "by hand")
    assert outcomes(bench.run()) == {"one": "hit", "two": "hit"}
    assert bench.read("one.txt") == "a"
    assert [p.read_text() for p in (bench.root / ".rote/aside").rglob("one.txt")] == ["by hand"]


def test_an_out_in_the_way_is_deleted_only_if_it_is_saved(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: test ! -e out && cat in > out\n    deps: [in]\n    outs: [out]\n")
    bench.write("in", "1")
    bench.write("out", "precious")
    assert bench.run().ok
    assert [p.read_text() for p in (bench.root / ".rote/aside").rglob("out")] == ["precious"]
    bench.write("in", "2")
    assert bench.run().ok
    assert len(list((bench.root / ".rote/aside").rglob("out"))) == 1


def test_exit_0_without_an_out(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: echo hi > one\n    outs: [one, dir/two]\n")
    for _ in range(2):
        outcome = bench.run()
        assert outcome.run.state == "failed"
        assert "'dir/two'" in stage(outcome, "a").why
        assert stage(outcome, "a").exit_code == 0
        assert not bench.exists("one")


def test_a_failing_stage_leaves_no_result_and_its_outs_are_put_aside(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: echo half > dir/out; echo because >&2; exit 3\n    outs: [dir/out]\n")
    outcome = bench.run()
    failed = stage(outcome, "a")
    assert (failed.outcome, failed.exit_code, outcome.ok) == ("failed", 3, False)
    assert "exit code 3" in failed.why
    assert "because" in failed.why
    assert not bench.exists("dir/out")
    assert bench.read(f".rote/aside/{outcome.run.id}/a/dir/out") == "half\n"
    assert bench.runs.get(outcome.run.id).state == "failed"
    assert failed.key is not None
    assert bench.results.get(failed.key) is None
    assert outcomes(bench.run()) == {"a": "failed"}


PARTS = """\
  bad:
    cmd: exit 1
    outs: [bad]
  after:
    cmd: cp bad after
    deps: [bad]
    outs: [after]
  last:
    cmd: cp after last
    deps: [after]
    outs: [last]
  good:
    cmd: echo > good
    outs: [good]
"""


def test_a_failure_ends_the_run(bench: Bench) -> None:
    bench.stages(PARTS)
    outcome = bench.run()
    assert outcomes(outcome) == {"bad": "failed", "after": "blocked", "last": "blocked", "good": "blocked"}
    assert stage(outcome, "after").why == "needs bad"
    assert stage(outcome, "good").why == "not started after bad failed"


def test_keep_going(bench: Bench) -> None:
    bench.stages(PARTS)
    outcome = bench.run(keep_going=True)
    assert outcomes(outcome) == {"bad": "failed", "after": "blocked", "last": "blocked", "good": "done"}
    assert not outcome.ok


def test_independent_stages_run_at_once(bench: Bench) -> None:
    """Each waits for the other through a fifo: one after the other they would never end."""
    os.mkfifo(bench.root / "ab")
    os.mkfifo(bench.root / "ba")
    bench.stages(
        "  a: {cmd: echo > ab; read x < ba; echo > a, outs: [a]}\n  b: {cmd: read x < ab; echo > ba; echo > b, outs: [b]}\n"
        "  c: {cmd: cat a b > c, deps: [a, b], outs: [c]}\n"
    )
    assert outcomes(bench.run(jobs=2)) == {"a": "done", "b": "done", "c": "done"}


def test_many_stages_at_once_on_a_folder(tmp_path: Path) -> None:
    store = FolderStore(str(tmp_path / "store"))
    found(store, StillClock())
    bench = Bench(tmp_path / "project", store)
    names = [f"s{n}" for n in range(40)]
    bench.stages("".join(f"  {n}: {{cmd: echo {n} > {n}.txt, deps: [in], outs: [{n}.txt]}}\n" for n in names))
    bench.write("in", "x")
    assert set(outcomes(bench.run(jobs=4)).values()) == {"done"}
    for name in names:
        (bench.root / f"{name}.txt").unlink()
    assert set(outcomes(bench.run(jobs=4)).values()) == {"hit"}
    assert [bench.read(f"{n}.txt") for n in names] == [f"{n}\n" for n in names]
    bench.executor.close()


def test_only_what_the_target_needs(bench: Bench) -> None:
    bench.stages(CHAIN + "  three: {cmd: echo > three, outs: [three]}\n")
    bench.write("in.txt", "a")
    assert outcomes(bench.run("two.txt")) == {"one": "done", "two": "done"}
    assert outcomes(bench.run("one")) == {"one": "hit"}


def test_two_machines_race_for_one_result(bench: Bench, tmp_path: Path) -> None:
    """The second finishes while the first is at work. What is there stays; the loser keeps what it built upon."""
    bench.stages("  a: {cmd: echo > up; cat gate > a, outs: [a]}\n  b: {cmd: cp a b, deps: [a], outs: [b]}\n")
    import threading

    for root in ("project", "other"):
        (tmp_path / root).mkdir(exist_ok=True)
        os.mkfifo(tmp_path / root / "gate")
        os.mkfifo(tmp_path / root / "up")
    other = Bench(tmp_path / "other", bench.store, seed=1)
    other.write("rote.yaml", bench.read("rote.yaml"))
    ended = {}
    thread = threading.Thread(target=lambda: ended.update(first=bench.run()))
    thread.start()
    (bench.root / "up").read_text()  # the first has looked for a result, found none, and is at work

    opener = threading.Thread(
        target=lambda: [(other.root / "up").read_text(), (other.root / "gate").write_text("theirs")]
    )
    opener.start()
    second = other.run()
    opener.join()
    assert outcomes(second) == {"a": "done", "b": "done"}
    (bench.root / "gate").write_text("ours")
    thread.join()
    first = ended["first"]
    assert first.ok
    assert f"run {second.run.id} made the same result" in stage(first, "a").why
    assert bench.read("b") == "ours"
    assert bench.snapshots.record(stage(first, "a").outs["a"]).size == len("ours")
    again = bench.run()
    assert outcomes(again) == {"a": "hit", "b": "hit"}
    assert bench.read("b") == "theirs"
    other.executor.close()


def test_a_dep_that_is_not_there(bench: Bench) -> None:
    bench.stages(CHAIN)
    outcome = bench.run()
    assert outcomes(outcome) == {"one": "failed", "two": "blocked"}
    assert "the dep 'in.txt' is not there" in stage(outcome, "one").why
    assert "rote.yaml:2" in stage(outcome, "one").why
    assert bench.verdicts() == {"one": "blocked", "two": "blocked"}


def test_a_dep_that_changes_while_the_stage_runs(bench: Bench) -> None:
    """The command may have read either: its outs are kept, but not as the result of either."""
    bench.stages("  a: {cmd: cat in > out; echo new > in, deps: [in], outs: [out]}\n")
    bench.write("in", "old\n")
    outcome = bench.run()
    assert outcome.ok
    assert "in was changed meanwhile" in stage(outcome, "a").why
    assert bench.read("out") == "old\n"
    assert stage(outcome, "a").outs
    bench.write("in", "old\n")
    assert bench.verdicts() == {"a": "run"}


def test_a_params_file_that_changes_while_the_stage_runs(bench: Bench) -> None:
    bench.stages("  a: {cmd: 'echo lr: 2 > params.yaml; echo > out', params: [lr], outs: [out]}\n")
    bench.write("params.yaml", "lr: 1\n")
    assert "params.yaml was changed meanwhile" in stage(bench.run(), "a").why
    bench.write("params.yaml", "lr: 1\n")
    assert bench.verdicts() == {"a": "run"}


def test_a_folder_as_dep_and_out(bench: Bench) -> None:
    bench.stages(
        "  a: {cmd: mkdir d; cp -r src/* d/, deps: [src], outs: [d]}\n  b: {cmd: cat d/x > x, deps: [d/x], outs: [x]}\n"
    )
    bench.write("src/x", "1")
    bench.write("src/y", "1")
    assert bench.run().ok
    bench.write("src/y", "2")
    assert bench.verdicts() == {"a": "run", "b": "run?"}
    assert outcomes(bench.run()) == {"a": "done", "b": "hit"}
    bench.write("d/extra", "by hand")
    outcome = bench.run()
    assert outcomes(outcome) == {"a": "hit", "b": "hit"}
    assert not bench.exists("d/extra")


def test_wdir(bench: Bench) -> None:
    bench.stages(
        "  a:\n    wdir: sub\n    cmd: cat in > out; pwd > where\n    deps: [in]\n    outs: [out, where]\n"
    )
    bench.write("sub/in", "x")
    assert bench.run().ok
    assert bench.read("sub/out") == "x"
    assert bench.read("sub/where").strip() == os.path.realpath(bench.root / "sub")


def test_several_commands(bench: Bench) -> None:
    bench.stages("  a:\n    cmd:\n      - echo 1 > out\n      - echo 2 >> out\n    outs: [out]\n")
    bench.run()
    assert bench.read("out") == "1\n2\n"


def test_declared_variables_are_in_the_key(bench: Bench) -> None:
    bench.stages("  a: {cmd: 'echo $MODE > out', env: [MODE], outs: [out]}\n")
    for mode, expected in ((None, "done"), ("x", "done"), ("x", "hit"), ("", "done"), (None, "hit")):
        bench.environment.pop("MODE", None)
        if mode is not None:
            bench.environment["MODE"] = mode
        bench.environment["OTHER"] = f"{mode}"
        assert outcomes(bench.run()) == {"a": expected}
        assert bench.read("out") == f"{mode or ''}\n"


def test_a_secret_variable_is_in_the_key_but_not_in_the_store(bench: Bench) -> None:
    bench.stages("  a: {cmd: 'echo > out', env: [API_TOKEN], outs: [out]}\n")
    bench.environment["API_TOKEN"] = "hunter2-hunter2"
    bench.run()
    for meta in bench.store.list(""):
        assert b"hunter2" not in bench.store.get(meta.key).data
    bench.environment["API_TOKEN"] = "another-secret"
    assert [str(c) for c in bench.why("a").changes] == ["env API_TOKEN changed: *** -> ***"]


def test_params_and_overrides(bench: Bench) -> None:
    bench.stages("  a: {cmd: cat params.yaml > out, params: [train.lr], outs: [out]}\n")
    bench.write("params.yaml", "train: {lr: 0.1, other: 1}\n")
    bench.run()
    bench.write("params.yaml", "train: {lr: 0.1, other: 2}\n")
    assert outcomes(bench.run()) == {"a": "hit"}
    outcome = bench.run(set=("train.lr=0.2",))
    assert outcomes(outcome) == {"a": "done"}
    assert "0.2" in bench.read("out")
    assert stage(outcome, "a").why == "param params.yaml:train.lr changed: 0.1 -> 0.2"
    assert outcome.run.params == {"params.yaml": {"train": {"lr": 0.2, "other": 2}}}
    assert outcomes(bench.run()) == {"a": "hit"}


def test_a_params_file_that_a_stage_makes(bench: Bench) -> None:
    bench.stages(
        "  a: {cmd: 'echo lr: $(cat in) > p.yaml', deps: [in], outs: [p.yaml]}\n"
        "  b: {cmd: cat p.yaml > out, params: [{p.yaml: [lr]}], outs: [out]}\n"
    )
    bench.write("in", "1")
    assert bench.run().ok
    bench.write("in", "2")
    outcome = bench.run()
    assert stage(outcome, "b").why == "param p.yaml:lr changed: 1 -> 2"
    assert bench.read("out") == "lr: 2\n"
    bench.write("in", "1")
    assert outcomes(bench.run()) == {"a": "hit", "b": "hit"}
    assert bench.read("out") == "lr: 1\n"


def test_frozen(bench: Bench) -> None:
    bench.stages(CHAIN.replace("    outs: [one.txt]", "    outs: [one.txt]\n    frozen: true"))
    bench.write("in.txt", "a")
    outcome = bench.run()
    assert outcomes(outcome) == {"one": "failed", "two": "blocked"}
    assert bench.verdicts() == {"one": "blocked", "two": "blocked"}
    bench.write("one.txt", "mine")
    assert bench.verdicts() == {"one": "frozen", "two": "run"}
    assert outcomes(bench.run()) == {"one": "frozen", "two": "done"}
    assert bench.read("two.txt") == "minemine"
    assert not bench.run().recorded


def test_frozen_outs_are_brought_if_they_are_gone(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    bench.run()
    bench.stages(CHAIN.replace("    outs: [one.txt]", "    outs: [one.txt]\n    frozen: true"))
    bench.write("in.txt", "changed")
    (bench.root / "one.txt").unlink()
    assert bench.verdicts()["one"] == "frozen"
    assert outcomes(bench.run()) == {"one": "frozen", "two": "hit"}
    assert bench.read("one.txt") == "a"


def test_always_changed(bench: Bench) -> None:
    bench.stages("  a: {cmd: 'cat count > out; echo x >> count', outs: [out], always_changed: true}\n")
    bench.write("count", "x\n")
    bench.run()
    assert bench.verdicts() == {"a": "run"}
    outcome = bench.run()
    assert outcomes(outcome) == {"a": "done"}
    assert outcome.recorded
    assert bench.read("out") == "x\nx\n"


def test_force_replaces_the_result(bench: Bench) -> None:
    bench.stages("  a: {cmd: 'cat count > out; echo x >> count', outs: [out]}\n")
    bench.write("count", "x\n")
    bench.run()
    forced = bench.run(force=True)
    assert stage(forced, "a").why == "forced"
    (bench.root / "out").unlink()
    assert outcomes(bench.run()) == {"a": "hit"}
    assert bench.read("out") == "x\nx\n"


METRICS = "  a:\n    cmd: cp m.txt m.json\n    deps: [m.txt]\n    metrics: [m.json]\n"


def test_metrics_are_read_and_recorded_also_of_hits(bench: Bench) -> None:
    bench.stages(METRICS + "  b: {cmd: cat in > b, deps: [in], outs: [b]}\n")
    bench.write("m.txt", '{"accuracy": 0.97, "per": {"0": 1, "1": 2.5}}')
    bench.write("in", "1")
    expected = {"m.json": {"accuracy": 0.97, "per": {"0": 1, "1": 2.5}}}
    assert bench.run().run.metrics == expected
    bench.write("in", "2")
    outcome = bench.run()
    assert outcomes(outcome) == {"a": "hit", "b": "done"}
    assert bench.runs.get(outcome.run.id).metrics == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", ["m.json"]),
        ('{"a": {"b": "good"}}', ["m.json: a.b", "text 'good'"]),
        ('{"a": true}', ["m.json: a", "truth value"]),
        ('{"a": [1]}', ["m.json: a", "list"]),
        ('{"a": null}', ["m.json: a", "nothing"]),
        ('{"a": NaN}', ["m.json"]),
        ("{bad", ["m.json"]),
    ],
)
def test_a_metrics_file_that_is_no_mapping_of_numbers(bench: Bench, text: str, words: list[str]) -> None:
    bench.stages(METRICS)
    bench.write("m.txt", text)
    outcome = bench.run()
    assert outcomes(outcome) == {"a": "failed"}
    for word in words:
        assert word in stage(outcome, "a").why
    assert not bench.exists("m.json")


def test_a_hit_whose_snapshot_is_gone_is_a_miss(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    bench.run()
    (bench.root / "one.txt").unlink()
    for meta in list(bench.store.list("snapshots/")):
        bench.store.delete(meta.key)
    outcome = bench.run()
    assert outcomes(outcome)["one"] == "done"
    assert bench.read("one.txt") == "a"


def test_why_names_what_changed(bench: Bench) -> None:
    bench.stages(
        "  a:\n    cmd: cat in > out\n    deps: [in]\n    params: [lr]\n    env: [MODE]\n    outs: [out]\n"
    )
    bench.write("in", "1")
    bench.write("params.yaml", "lr: 1\n")
    assert bench.why("a").decision.why == ["it has no result yet"]
    run = bench.run().run
    known = bench.why("a")
    assert (known.decision.verdict, known.decision.run, known.changes) == ("hit", run.id, [])
    bench.write("in", "2")
    bench.write("params.yaml", "lr: 1.0\n")
    bench.environment["MODE"] = "fast"
    bench.write(
        "rote.yaml",
        bench.read("rote.yaml").replace("cat in", "cat  in").replace("deps: [in]", "deps: [in, rote.yaml]"),
    )
    found = bench.why("a")
    assert found.compared_with == run.id
    assert [str(c) for c in found.changes] == [
        "the command changed",
        "dep in changed",
        "dep rote.yaml is new",
        "param params.yaml:lr changed: 1 -> 1.0",
        "env MODE changed: not set -> fast",
    ]


def test_plan_changes_nothing(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    before = {m.key for m in bench.store.list("")}
    assert bench.verdicts() == {"one": "run", "two": "run?"}
    assert bench.verdicts(force=True) == {"one": "run", "two": "run"}
    assert {m.key for m in bench.store.list("")} == before
    assert not bench.exists("one.txt")


def test_requests_when_nothing_is_to_be_done(tmp_path: Path) -> None:
    """One GET a result, and one of the run that did it: nothing else, and nothing is written."""
    first = Bench(tmp_path / "project")
    first.stages(CHAIN)
    first.write("in.txt", "a")
    first.run()
    counting = CountingStore(first.store)
    second = Bench(tmp_path / "project", counting, seed=1)
    counting.reset()
    assert not second.run().recorded
    assert dict(counting.requests) == {"get": 3}
    first.executor.close()
    second.executor.close()


def test_requests_of_a_stage(tmp_path: Path) -> None:
    """Beyond the first stage of a transaction: a pack, a snapshot record, a root and its settling."""
    first = Bench(tmp_path / "project")
    counting = CountingStore(first.store)
    bench = Bench(tmp_path / "project", counting, seed=1)
    bench.stages("  a: {cmd: echo > a, outs: [a]}\n")
    counting.reset()
    assert bench.run().ok
    writes = [(kind, key.split("/")[0]) for kind, key in counting.journal if kind in ("create", "replace")]
    assert sorted(writes) == sorted(
        [
            ("create", "runs"),  # begun
            ("create", "txns"), ("create", "packs"), ("create", "snapshots"), ("create", "results"),
            ("replace", "txns"), ("replace", "results"),
            ("create", "txns"), ("replace", "runs"), ("replace", "txns"), ("replace", "runs"),  # finished
        ]
    )  # fmt: skip
    first.executor.close()
    bench.executor.close()


def test_forced_is_compared_with_what_was_there(bench: Bench) -> None:
    bench.stages(
        CHAIN
        + "  three:\n    cmd: date +%N > three.txt; mkdir -p d; cp two.txt d/same; date +%N > d/other\n    deps: [two.txt]\n    outs: [three.txt, d]\n"
    )
    bench.write("in.txt", "a")
    first = bench.run()
    forced = bench.run(force=True)
    assert outcomes(forced) == {"one": "done", "two": "done", "three": "done"}
    one, two, three = (stage(forced, name).compared for name in ("one", "two", "three"))
    assert one
    assert two
    assert three
    assert (one.run, one.differing, one.first) == (first.run.id, 0, [])
    assert two.differing == 0
    assert sorted(d.name for d in three.first) == ["d/other", "three.txt"]
    assert [line for line in bench.told.lines if "in run" in line] == [
        f"one: made the same as in run {first.run.id}",
        f"two: made the same as in run {first.run.id}",
        f"three: made something else than in run {first.run.id}: {three.first[0].name} differs; {three.first[1].name} differs",
    ]
    assert bench.runs.get(forced.run.id).stages[2].compared == three
    # What is compared with is what is in force; so the next time it is what was made just now.
    again = stage(bench.run(force=True), "three").compared
    assert again
    assert again.run == forced.run.id


def test_what_has_no_result_yet_is_compared_with_nothing(bench: Bench) -> None:
    bench.stages(CHAIN)
    bench.write("in.txt", "a")
    assert not stage(bench.run(force=True), "one").compared
    assert not any("in run" in line for line in bench.told.lines)


def test_a_failure_is_told_at_the_end_and_before_that_only_while_others_go_on(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: echo why it failed; exit 3\n  b:\n    cmd: 'true'\n")
    outcome = bench.run()
    assert "why it failed" in stage(outcome, "a").why
    assert not any("failed" in line for line in bench.told.lines)
    bench.run(keep_going=True)
    assert [line for line in bench.told.lines if "failed" in line] == ["a: failed: exit code 3"]


def test_who_reads_the_log_of_a_run_is_told_all_of_a_failure_there(bench: Bench) -> None:
    bench.stages("  a:\n    cmd: echo why it failed; exit 3\n")
    bench.followed = True
    bench.run()
    assert "a: failed: exit code 3\n  | why it failed" in bench.told.lines
