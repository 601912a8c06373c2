"""Real processes. Fifos and pipes order them; no test waits for time to pass."""

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

from rote.adapters.executors.local import LocalExecutor, LocalProcess
from rote.errors import StageFailed
from rote.ports import Exit

LONG = 60


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


class Heard:
    def __init__(self) -> None:
        self.data = b""
        self.first = threading.Event()

    def __call__(self, data: bytes) -> None:
        self.data += data
        self.first.set()


def run(executor: LocalExecutor, *cmd: str, cwd: Path | str = "/", **env: str) -> tuple[Exit, bytes]:
    heard = Heard()
    done = executor.start(cmd, cwd=str(cwd), env={"PATH": os.environ["PATH"], **env}, output=heard).wait()
    return done, heard.data


def start(executor: LocalExecutor, cmd: str, cwd: Path) -> tuple[LocalProcess, Heard]:
    """Start a command and wait until it has said something."""
    heard = Heard()
    process = executor.start([cmd], cwd=str(cwd), env={"PATH": os.environ["PATH"]}, output=heard)
    assert heard.first.wait(LONG)
    return process, heard


def ended(fifo: int) -> bool:
    """Whether everybody who had this fifo open for writing is gone, or goes within a long time."""
    ready, _, _ = select.select([fifo], [], [], LONG)
    return bool(ready) and os.read(fifo, 1) == b""


@pytest.fixture
def life(tmp_path: Path) -> Iterator[int]:
    """The reading end of a fifo that processes open for writing: its end tells that they are gone."""
    os.mkfifo(tmp_path / "life")
    descriptor = os.open(tmp_path / "life", os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("cmd", "code"), [("true", 0), ("exit 3", 3), ("no-such-command-here", 127), ("(", 2)]
)
def test_exit_codes(executor: LocalExecutor, cmd: str, code: int) -> None:
    assert run(executor, cmd)[0].code == code


def test_a_signal_is_a_negative_code(executor: LocalExecutor) -> None:
    done, _ = run(executor, "kill -9 $$")
    assert (done.code, done.stopped) == (-9, False)


def test_lines_run_one_after_the_other_until_one_fails(executor: LocalExecutor) -> None:
    done, heard = run(executor, "echo one; x=1", "echo two$x", "exit 7", "echo never")
    assert done.code == 7
    assert heard == b"one\ntwo\n"


def test_both_streams_in_the_order_they_were_written(executor: LocalExecutor) -> None:
    expected = b"".join(b"out %d\nerr %d\n" % (n, n) for n in range(300))
    _, heard = run(executor, "i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done")
    assert heard == expected


def test_output_that_is_huge_and_binary(executor: LocalExecutor) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 40_000 + b'no line feed')"
    done, heard = run(executor, f'{sys.executable} -c "{code}"')
    assert done.code == 0
    assert heard == bytes(range(256)) * 40_000 + b"no line feed"


def test_the_folder_and_the_environment(executor: LocalExecutor, tmp_path: Path) -> None:
    _, heard = run(executor, 'pwd; echo "$GREETING"; env | grep -c HOME', cwd=tmp_path, GREETING="hi 'x'")
    assert heard == f"{os.path.realpath(tmp_path)}\nhi 'x'\n0\n".encode()


def test_standard_input_is_empty(executor: LocalExecutor) -> None:
    assert run(executor, "cat; echo end")[1] == b"end\n"


def test_no_descriptor_of_ours_leaks(executor: LocalExecutor) -> None:
    _, heard = run(executor, f"{sys.executable} -c 'import os; print(sorted(os.listdir(\"/dev/fd\")))'")
    descriptors = {int(name) for name in eval(heard)}
    assert len(descriptors - {0, 1, 2}) <= 1  # listing a folder takes one itself


def test_a_folder_that_is_not_there(executor: LocalExecutor, tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="not there"):
        run(executor, "true", cwd=tmp_path / "gone")


# A shell may miss a signal that comes just before it blocks; `sigwait` cannot.
LISTENS = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("up", flush=True)
signal.sigwait([signal.SIGTERM])
open("saved", "w").write("all of it")
"""


def test_the_group_is_told_to_end_and_may_end_well(executor: LocalExecutor, tmp_path: Path) -> None:
    """A program that the shell waits for gets its time, although the shell is told as well."""
    (tmp_path / "program.py").write_text(LISTENS)
    process, _ = start(executor, f"{sys.executable} program.py; echo never > never", tmp_path)
    process.stop(grace=LONG)
    done = process.wait()
    assert done.stopped
    assert done.code != 0
    assert (tmp_path / "saved").read_text() == "all of it"
    assert not (tmp_path / "never").exists()


def test_one_of_several_lines_may_end_well_too(executor: LocalExecutor, tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "program.py").write_text(LISTENS)
    process = executor.start(
        ["true", f"{sys.executable} program.py; echo no > no", "echo no > no"],
        cwd=str(tmp_path),
        env={"PATH": os.environ["PATH"]},
        output=heard,
    )
    assert heard.first.wait(LONG)
    process.stop(grace=LONG)
    assert process.wait().stopped
    assert (tmp_path / "saved").exists()
    assert not (tmp_path / "no").exists()


DEAF = "trap '' TERM INT HUP; exec 9> life; echo up; while :; do read x < never; done"


def test_who_does_not_listen_is_killed_after_the_grace(
    executor: LocalExecutor, tmp_path: Path, life: int
) -> None:
    os.mkfifo(tmp_path / "never")
    process, _ = start(executor, DEAF, tmp_path)
    process.stop(grace=0.01)
    assert process.wait().code == -signal.SIGKILL
    assert ended(life)


def test_the_second_stop_kills_at_once(executor: LocalExecutor, tmp_path: Path, life: int) -> None:
    os.mkfifo(tmp_path / "never")
    process, _ = start(executor, DEAF, tmp_path)
    process.stop(grace=100 * LONG)
    process.stop(grace=100 * LONG)
    assert process.wait().stopped
    assert ended(life)
    process.stop()  # too late is no error


def test_grandchildren_are_killed_too(executor: LocalExecutor, tmp_path: Path, life: int) -> None:
    os.mkfifo(tmp_path / "never")
    process, _ = start(executor, f"(sh -c '{DEAF.replace(chr(39), chr(34))}') & wait", tmp_path)
    process.stop(grace=0)
    process.wait()
    assert ended(life)


def test_what_a_command_leaves_running_does_not_outlive_it(
    executor: LocalExecutor, tmp_path: Path, life: int
) -> None:
    os.mkfifo(tmp_path / "never")
    os.mkfifo(tmp_path / "ready")
    done, heard = run(
        executor,
        "sh -c 'exec 9> life; echo > ready; read x < never' & read x < ready; echo end",
        cwd=tmp_path,
    )
    assert done.code == 0
    assert heard == b"end\n"
    assert ended(life)


def test_an_error_in_taking_the_output_ends_the_command(
    executor: LocalExecutor, tmp_path: Path, life: int
) -> None:
    class Full(Exception):
        pass

    def full(data: bytes) -> None:
        raise Full

    os.mkfifo(tmp_path / "never")
    process = executor.start([DEAF], cwd=str(tmp_path), env={"PATH": os.environ["PATH"]}, output=full)
    with pytest.raises(Full):
        process.wait()
    assert ended(life)


PARENT = """
import os, sys, threading
from rote.adapters.executors.local import LocalExecutor
executor = LocalExecutor()
up = threading.Semaphore(0)
for _ in range(2):
    executor.start([sys.argv[1]], cwd=sys.argv[2], env=dict(os.environ), output=lambda data: up.release())
up.acquire(), up.acquire()
done = executor.start(["true"], cwd="/", env={}, output=print)
done.wait()
print("all up", flush=True)
sys.stdin.read()
"""


def test_stages_do_not_outlive_a_killed_rote(tmp_path: Path, life: int) -> None:
    os.mkfifo(tmp_path / "never")
    src = str(Path(__file__).parents[3] / "src")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, f"({DEAF}) & wait", str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": src},
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"all up\n"
    parent.kill()
    parent.wait()
    assert ended(life)
    assert parent.stdin is not None
    parent.stdin.close()
    parent.stdout.close()


def test_closing_ends_what_is_under_way(tmp_path: Path, life: int) -> None:
    os.mkfifo(tmp_path / "never")
    executor = LocalExecutor()
    process, _ = start(executor, DEAF, tmp_path)
    executor.close()
    assert process.wait().code == -signal.SIGKILL
    assert ended(life)


def test_many_at_once(executor: LocalExecutor) -> None:
    """Threads start and end stages together; each hears its own output and nothing else."""
    told: dict[int, bytes] = {}

    def one(number: int) -> None:
        for _ in range(5):
            told[number] = told.get(number, b"") + run(executor, f"echo {number}")[1]

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == {n: b"%d\n" % n * 5 for n in range(8)}
