"""Stages that use more than they may: time, memory. And what there is to be used."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rote.adapters.executors import capacity, memory
from rote.adapters.executors.census import Census, resident
from rote.adapters.executors.local import LocalExecutor
from rote.ports import Bounds, Exit

FOUND = Census().works
NEVER = "mkfifo never; read x < never"
HUNGRY = f"{sys.executable} -c \"b = bytearray(400 << 20); open('never').read()\""
SEVERAL = (
    f'{sys.executable} -c "import os\nfor _ in range(3):\n    if not os.fork(): break\n'
    "b = bytearray(120 << 20); open('never').read()\""
)


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


def run(executor: LocalExecutor, cmd: str, place: Path, bounds: Bounds) -> Exit:
    env = {"PATH": os.environ["PATH"]}
    return executor.start([cmd], cwd=str(place), env=env, output=lambda data: None, bounds=bounds).wait()


def test_out_of_time(executor: LocalExecutor, tmp_path: Path) -> None:
    done = run(executor, NEVER, tmp_path, Bounds(timeout=0.2, grace=60))
    assert (done.exceeded, done.stopped, done.code) == ("timeout", False, 143)


def test_out_of_time_and_deaf(executor: LocalExecutor, tmp_path: Path) -> None:
    done = run(executor, "trap '' TERM; mkfifo never; exec 3<>never; while :; do read x <&3; done", tmp_path,
               Bounds(timeout=0.2, grace=0.2))  # fmt: skip
    assert (done.exceeded, done.code) == ("timeout", -9)


def test_it_may_end_well_when_its_time_is_over(executor: LocalExecutor, tmp_path: Path) -> None:
    well = "trap 'echo saved > saved; exit 0' TERM; mkfifo never; exec 3<>never; read x <&3"
    done = run(executor, well, tmp_path, Bounds(timeout=0.2, grace=60))
    assert (done.exceeded, done.code) == ("timeout", 0)
    assert (tmp_path / "saved").exists()


def test_in_time(executor: LocalExecutor, tmp_path: Path) -> None:
    done = run(executor, "true", tmp_path, Bounds(timeout=600, memory=1 << 40))
    assert (done.exceeded, done.code) == ("", 0)


def test_time_without_end(executor: LocalExecutor, tmp_path: Path) -> None:
    assert run(executor, "true", tmp_path, Bounds(timeout=1e300)).code == 0


@pytest.mark.parametrize("command", [HUNGRY, SEVERAL], ids=["one process", "several together"])
def test_too_much_memory(executor: LocalExecutor, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "never")
    if not FOUND:
        assert "not enforced" in executor.unbounded(Bounds(memory=1))
        return
    assert executor.unbounded(Bounds(memory=1)) == ""
    done = run(executor, command, tmp_path, Bounds(memory=300 << 20))
    assert (done.exceeded, done.code) == ("memory", -9)
    assert done.peak > 300 << 20


def test_memory_that_is_shared_counts_once(executor: LocalExecutor, tmp_path: Path) -> None:
    """Four processes see the same 150 MB: together they have them once, not four times."""
    if not FOUND:
        return  # memory is not enforced there
    shared = (
        "import os\nb = bytearray(150 << 20)\nr, w = os.pipe()\n"
        "for _ in range(3):\n    if not os.fork(): os.close(w); os.read(r, 1); os._exit(0)\n"
        "os.close(r)\n"
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from rote.adapters.executors.census import Census, resident, MARK\n"
        "c = Census(); pids = c.of(os.environ[MARK].encode())\n"
        "whole, once = resident(pids, 1 << 50), resident(pids, 1)\n"
        "assert len(pids) >= 4 and whole > (550 << 20) and once < (400 << 20), (len(pids), whole, once)\n"
    )
    (tmp_path / "shared.py").write_text(shared)
    src = str(Path(__file__).parents[3] / "src")
    said: list[bytes] = []
    env = {"PATH": os.environ["PATH"]}
    command = f"{sys.executable} shared.py {src}"
    bounds = Bounds(memory=500 << 20)
    done = executor.start([command], cwd=str(tmp_path), env=env, output=said.append, bounds=bounds).wait()
    assert (done.exceeded, done.code) == ("", 0), b"".join(said).decode()


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident([2**22 + 1], 0) == 0


def test_kills_of_the_kernel_are_counted() -> None:
    assert memory.kernel_kills() >= 0


def test_what_the_kernel_killed_is_named(
    executor: LocalExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Provoking the kernel would hit others: only its counter is made up here."""
    counts = iter([3, 4])
    monkeypatch.setattr("rote.adapters.executors.local.kernel_kills", lambda: next(counts))
    done = run(executor, "kill -9 $$", tmp_path, Bounds())
    assert (done.exceeded, done.code) == ("machine", -9)


@pytest.mark.parametrize(
    ("named", "expected"),
    [("0,1", ("0", "1")), ("", ()), ("-1", ()), ("2,-1,3", ("2",)), ("GPU-8a, MIG-2", ("GPU-8a", "MIG-2")), ("NoDevFiles", ())],
)  # fmt: skip
def test_gpus_that_may_be_seen(named: str, expected: tuple[str, ...]) -> None:
    assert capacity.capacity({"CUDA_VISIBLE_DEVICES": named}).gpus == expected


def test_what_there_is(executor: LocalExecutor) -> None:
    there = executor.capacity()
    assert 0 < there.cpus <= (os.cpu_count() or 1)
    assert 0 < there.memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
