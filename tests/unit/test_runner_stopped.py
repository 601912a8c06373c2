"""Ctrl-C, TERM and kill -9 while stages run, in a process of their own. Fifos order everything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from runbench import Bench

from rote.adapters.stores.folder import FolderStore
from rote.services.store.founding import found
from rote.testing.clock import StillClock

LONG = 60
HERE = Path(__file__).parent

PARENT = """
import sys
import threading
from pathlib import Path
from runbench import Bench, outcomes
from rote.errors import Stopped
from rote.adapters.stores.folder import FolderStore
bench = Bench(Path(sys.argv[1]), FolderStore(sys.argv[2]), seed=7)
def say(line):
    print(line, flush=True)
    if "again" in line and len(sys.argv) > 3:
        open(sys.argv[3])  # a fifo: as with a store that does not answer, only a signal wakes who waits here
bench.told.say = say
try:
    outcome = bench.run(jobs=2)
except Stopped:
    print("given up", flush=True)
    sys.exit(130)
print("outcome", outcome.run.state, *sorted(outcomes(outcome).items()), flush=True)
"""

DEAF = "trap '' TERM INT HUP; exec 9> life; echo half > deaf; echo up > up; while :; do read x < never; done"
# A shell may miss a signal that comes just before it blocks; `sigwait` cannot.
LISTENS = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
life = os.open("life", os.O_WRONLY)
open("out", "w").write("half\\n")
open("up", "w").write("up\\n")
signal.sigwait([signal.SIGTERM])
open("saved", "w").close()
"""


class Running:
    """A run in another process, and two fifos: `up` says that a stage has begun, the end of `life` that all are gone."""

    def __init__(self, root: Path, store: Path, stages: str, *, stuck: bool = False) -> None:
        """`stuck`: after the second signal it waits for what never comes."""
        self.root = root
        root.mkdir()
        for name in ("never", "up", "life"):
            os.mkfifo(root / name)
        self.life = os.open(root / "life", os.O_RDONLY | os.O_NONBLOCK)
        (root / "rote.yaml").write_text("stages:\n" + stages)
        paths = [str(HERE), str(HERE.parents[1] / "src")]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, str(root), str(store), *([str(root / "never")] if stuck else [])],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip

    def up(self) -> None:
        assert (self.root / "up").read_text() == "up\n"

    def line(self, beginning: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(beginning):
                return line
        raise AssertionError(f"it never said {beginning}")

    def gone(self) -> bool:
        ready, _, _ = select.select([self.life], [], [], LONG)
        return bool(ready) and os.read(self.life, 1) == b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        os.close(self.life)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    found(FolderStore(str(tmp_path / "store")), StillClock())
    return tmp_path / "store"


def begin(tmp_path: Path, store: Path, stages: str) -> Iterator[Running]:
    running = Running(tmp_path / "project", store, stages)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def listening(tmp_path: Path, store: Path) -> Iterator[Running]:
    (tmp_path / "listens.py").write_text(LISTENS)
    yield from begin(
        tmp_path,
        store,
        f"  a:\n    cmd: {sys.executable} ../listens.py\n    outs: [out]\n  b: {{cmd: cp out b, deps: [out], outs: [b]}}\n",
    )


@pytest.fixture
def deaf(tmp_path: Path, store: Path) -> Iterator[Running]:
    yield from begin(tmp_path, store, f'  a:\n    cmd: "{DEAF}"\n    outs: [deaf]\n')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_asks(listening: Running, store: Path, number: int) -> None:
    listening.up()
    listening.process.send_signal(number)
    assert listening.line("outcome") == "outcome stopped ('a', 'stopped') ('b', 'stopped')\n"
    assert listening.process.wait(LONG) == 0
    assert listening.gone()
    assert (listening.root / "saved").exists()
    assert not (listening.root / "out").exists()
    assert [p.read_text() for p in (listening.root / ".rote/aside").rglob("out")] == ["half\n"]
    bench = Bench(listening.root, FolderStore(str(store)), seed=9)
    run = bench.runs.get(bench.runs.resolve("last"))
    assert run.state == "stopped"
    assert list(bench.store.list("results/")) == []


def test_the_second_signal_kills(deaf: Running) -> None:
    deaf.up()
    deaf.process.send_signal(signal.SIGINT)
    deaf.line("SIGINT: the stages are told to end")
    deaf.process.send_signal(signal.SIGINT)
    assert deaf.line("outcome").startswith("outcome stopped")
    assert deaf.gone()
    assert not (deaf.root / "deaf").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_the_third_signal_ends_rote_itself(tmp_path: Path, store: Path, number: signal.Signals) -> None:
    running = Running(tmp_path / "project", store, f'  a:\n    cmd: "{DEAF}"\n    outs: [deaf]\n', stuck=True)
    try:
        running.up()
        running.process.send_signal(number)
        running.line(f"{number.name}: the stages are told to end; once more kills them")
        running.process.send_signal(number)
        running.line(f"{number.name} again: the stages are killed; once more ends rote")
        running.process.send_signal(number)
        assert running.line("given up")
        assert running.process.wait(LONG) == 130
        assert running.gone()
    finally:
        running.close()
    bench = Bench(running.root, FolderStore(str(store)), seed=9)
    assert bench.runs.get(bench.runs.resolve("last")).state == "running", "as after kill -9"
    (running.root / "rote.yaml").write_text("stages:\n  a: {cmd: echo whole > deaf, outs: [deaf]}\n")
    assert bench.run().ok
    assert bench.read("deaf") == "whole\n"
    bench.executor.close()


def test_kill_9_of_rote_takes_the_stages_along_and_leaves_nothing_that_looks_complete(
    deaf: Running, store: Path
) -> None:
    deaf.up()
    deaf.process.kill()
    deaf.process.wait()
    assert deaf.gone()
    assert (deaf.root / "deaf").read_text() == "half\n"
    (deaf.root / "rote.yaml").write_text(
        "stages:\n  a: {cmd: 'test ! -e deaf && echo whole > deaf', outs: [deaf]}\n"
    )
    bench = Bench(deaf.root, FolderStore(str(store)), seed=9)
    assert bench.verdicts() == {"a": "run"}
    assert bench.run().ok
    assert bench.read("deaf") == "whole\n"
    assert [p.read_text() for p in (deaf.root / ".rote/aside").rglob("deaf")] == ["half\n"]
    bench.executor.close()


def test_handlers_are_put_back(tmp_path: Path) -> None:
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    bench = Bench(tmp_path / "project")
    bench.stages("  a: {cmd: echo > a, outs: [a]}\n")
    bench.run()
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before
    bench.executor.close()


def test_outside_of_the_main_thread_signals_are_left_alone(tmp_path: Path) -> None:
    """An application that runs pipelines in threads keeps its own handlers."""
    bench = Bench(tmp_path / "project")
    seen = []
    bench.stages("  a: {cmd: echo > a, outs: [a]}\n")
    describe = bench._describe

    def look(values):  # type: ignore[no-untyped-def]  # called while the run is under way
        seen.append(signal.getsignal(signal.SIGINT))
        return describe(values)

    bench._describe = look  # type: ignore[method-assign]
    thread = threading.Thread(target=bench.run)
    before = signal.getsignal(signal.SIGINT)
    thread.start()
    thread.join()
    assert seen == [before]
    bench.run(force=True)
    assert seen[1] != before
    bench.executor.close()
