"""Two machines on one store compute nothing twice: real processes, real trees. Fifos order everything."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runbench import Bench, outcomes

from rote.adapters.clock import SystemClock
from rote.services.runs.joining import lease_key
from rote.services.runs.runrecord import RunOutcome
from rote.services.runs.runs import Runs
from rote.services.store import conditional
from rote.testing.faults import CountingStore
from rote.words.encoding import with_check, without_check
from rote.words.ids import RunId
from rote.words.run import Run
from rote.words.unfinished import FREE, HELD, Lease

STAGE = "  slow: {cmd: 'echo begun; echo up > $UP; read go < $GO; test \"$go\" = on && echo made > o', outs: [o]}\n"


class Pair:
    """Two benches on one store, whose stage `slow` says on `up` that it has begun and reads from `go` how it ends."""

    def __init__(self, root: Path) -> None:
        self.one = Bench(root / "one")
        self.two = Bench(root / "two", self.one.store, seed=1)
        for bench in (self.one, self.two):
            bench.stages(STAGE)
            for name in ("up", "go"):
                os.mkfifo(bench.root / name)
                bench.environment[name.upper()] = str(bench.root / name)

    def begin(self, bench: Bench, **options: Any) -> Callable[[], RunOutcome]:
        """Run in a thread; what is returned waits for the outcome."""
        found: list[RunOutcome] = []
        thread = threading.Thread(target=lambda: found.append(bench.run(**options)))
        thread.start()

        def outcome() -> RunOutcome:
            thread.join()
            return found[0]

        return outcome

    def begun(self, bench: Bench) -> None:
        """Wait until its stage has begun."""
        assert bench.read("up") == "up\n"

    def end(self, bench: Bench, how: str = "on") -> None:
        """Let its stage end: well, or badly."""
        (bench.root / "go").write_text(f"{how}\n")

    def lease(self) -> Lease | None:
        """The only lease in the store."""
        keys = [meta.key for meta in self.one.store.list("leases/")]
        found = conditional.look(self.one.store, keys[0]) if keys else None
        return without_check(found.data, Lease, keys[0]) if found else None

    def until(self, bench: Bench, words: str) -> None:
        """Wait until the bench has said something."""
        said = threading.Event()
        tell = bench.told.say

        def say(line: str) -> None:
            tell(line)
            if words in line:
                said.set()

        bench.told.say = say  # type: ignore[method-assign]
        if any(words in line for line in bench.told.lines):
            said.set()
        assert said.wait(60)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    made = Pair(tmp_path)
    yield made
    for bench in (made.one, made.two):
        bench.executor.close()


def held(pair: Pair) -> Lease:
    """The lease, once it is held."""
    for _ in range(6000):
        lease = pair.lease()
        if lease is not None and lease.state == HELD:
            return lease
        threading.Event().wait(0.01)
    raise AssertionError("no lease was taken")


def test_what_is_being_computed_is_waited_for(pair: Pair) -> None:
    pair.one.join()
    pair.two.join()
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    lease = held(pair)
    second = pair.begin(pair.two)
    pair.until(pair.two, f"slow: being computed by ada@lab in run {lease.run}")
    pair.end(pair.one)
    assert outcomes(first()) == {"slow": "done"}
    assert outcomes(second()) == {"slow": "hit"}
    assert pair.two.read("o") == "made\n"
    found = pair.lease()
    assert found is not None
    assert (found.state, found.stage) == (FREE, "slow")


def test_when_the_holder_fails_the_waiter_does_it(pair: Pair) -> None:
    pair.one.join()
    pair.two.join()
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    held(pair)
    second = pair.begin(pair.two)
    pair.until(pair.two, "waiting for it")
    pair.end(pair.one, "off")
    assert outcomes(first()) == {"slow": "failed"}
    pair.begun(pair.two)
    pair.end(pair.two)
    assert outcomes(second()) == {"slow": "done"}


def test_no_wait_fails_and_says_who(pair: Pair) -> None:
    pair.one.join()
    pair.two.join(wait=False)
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    lease = held(pair)
    outcome = pair.two.run()
    [stage] = outcome.stages
    assert (stage.outcome, outcome.ok) == ("failed", False)
    assert f"it is being computed by ada@lab in run {lease.run}" in stage.why
    pair.end(pair.one)
    assert first().ok


def test_who_attaches_sees_the_log(pair: Pair) -> None:
    seen = bytearray()
    pair.one.runs = Runs(  # its log goes out by a real clock
        pair.one.store,
        pair.one.roots,
        pair.one.transactions,
        SystemClock(),
        folder=str(pair.one.root / "logs"),
    )
    pair.one.join()

    def follow(run: RunId, stage: str) -> Iterator[bytes]:
        told = 0
        while told < len(b"begun\n"):
            text = b"".join(pair.two.runs.logs(run))
            yield text[told:]
            told = len(text)

    pair.two.join(attach=seen.extend, follow=follow)
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    held(pair)
    second = pair.begin(pair.two)
    pair.until(pair.two, "waiting for it")
    while b"begun" not in seen:
        threading.Event().wait(0.01)
    pair.end(pair.one)
    assert first().ok
    assert second().ok
    assert bytes(seen) == b"begun\n"


def plant(pair: Pair, run: str, state: str) -> None:
    """A lease that a machine which is gone has left, and the record of its run."""
    id = RunId(run)
    recorder = pair.one.runs.start(Run(id=id, state="running", began="", by="eve@far", command=""))
    recorder.close()
    if state != "running":
        recorder.finish(Run(id=id, state=state, began="", by="eve@far", command=""))
    inputs = pair.two._work({}).inputs(_pipeline(pair.two)["slow"], {})
    key = lease_key(inputs.key())
    lease = Lease(key=inputs.key(), stage="slow", state=HELD, by="eve@far", run=id, since="", nonce="1")
    pair.one.store.create(key, with_check(lease))


def _pipeline(bench: Bench) -> Any:
    from rote.wiring import config

    return config.load(str(bench.root)).stages


def test_a_holder_whose_run_is_over_is_not_waited_for(pair: Pair) -> None:
    plant(pair, "20261121-100000-abcdef", "stopped")
    pair.two.join()
    second = pair.begin(pair.two)
    pair.begun(pair.two)
    assert held(pair).by in ("ada@lab", "eve@far")
    pair.end(pair.two)
    assert outcomes(second()) == {"slow": "done"}
    assert not any("waiting" in line for line in pair.two.told.lines)


def test_a_holder_that_gives_no_sign_of_life_is_taken_over(pair: Pair) -> None:
    """By a clock that stands still and moves as one waits: no clock of another machine is asked."""
    plant(pair, "20261121-100000-abcdef", "running")
    pair.two.join(poll=10.0)
    assert pair.two.joining is not None
    pair.two.joining._clock = pair.two.clock
    second = pair.begin(pair.two)
    pair.begun(pair.two)
    pair.end(pair.two)
    assert outcomes(second()) == {"slow": "done"}
    lines = pair.two.told.lines
    assert any("being computed by eve@far" in line for line in lines)
    assert any("gives no sign of life any more: it is done here" in line for line in lines)


def test_of_two_that_begin_at_once_one_gives_way(pair: Pair) -> None:
    """Neither has seen the other; the second to take the lease ends its own stage and waits."""
    pair.one.join()
    pair.two.join(after=1.0)
    second = pair.begin(pair.two)
    pair.begun(pair.two)
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    held(pair)
    pair.until(pair.two, "waiting for it")
    pair.end(pair.one)
    assert outcomes(first()) == {"slow": "done"}
    assert outcomes(second()) == {"slow": "hit"}


def test_force_waits_for_nobody_and_takes_no_lease(pair: Pair) -> None:
    pair.one.join()
    pair.two.join()
    first = pair.begin(pair.one)
    pair.begun(pair.one)
    held(pair)
    second = pair.begin(pair.two, force=True)
    pair.begun(pair.two)
    pair.end(pair.one)
    pair.end(pair.two)
    assert first().ok
    assert outcomes(second()) == {"slow": "done"}


def test_a_short_stage_asks_once_and_takes_no_lease(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "project")
    counting = CountingStore(bench.store)
    other = Bench(tmp_path / "other", counting, seed=3)
    other.join(after=600.0)
    other.stages("  a: {cmd: echo a > a, outs: [a]}\n")
    assert other.run().ok
    asked = [kind for kind, key in counting.journal if key.startswith("leases/")]
    assert asked == ["get"]
    assert other.run().ok
    assert [kind for kind, key in counting.journal if key.startswith("leases/")] == ["get"]
    other.executor.close()


def test_a_store_that_tells_no_two_writers_apart_has_no_leases(tmp_path: Path) -> None:
    counting = CountingStore(Bench(tmp_path / "project").store)
    other = Bench(tmp_path / "other", counting, seed=3)
    other.join(able=lambda: False)
    other.stages("  a: {cmd: echo a > a, outs: [a]}\n")
    assert other.run().ok
    assert not [key for _, key in counting.journal if key.startswith("leases/")]
    other.executor.close()
