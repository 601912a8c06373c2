"""Processes that leave the process group of their stage. They are ended with it all the same, where they can be found."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rote.adapters.executors.census import MARK, Census, end, remains
from rote.adapters.executors.local import LocalExecutor
from rote.ports import Exit

LONG = 60
FOUND = Census().works
"""Whether this system shows the environment of processes. Where it does not, docs/runs.md says what is ended."""

DAEMON = """
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
life = os.open('life', os.O_WRONLY)
null = os.open(os.devnull, os.O_RDWR)
for n in (0, 1, 2): os.dup2(null, n)
os.closerange(life + 1, 200)
open('ready', 'w').close()
open('never').read()
"""
"""A daemon by the book: two forks, a session of its own, no descriptor of its parents."""


CHAIN = """
import os, time
if os.fork(): os._exit(0)
os.setsid()
life = os.open('life', os.O_WRONLY)
for n in (0, 1, 2): os.close(n)
until = time.monotonic() + 30
told = 0
while time.monotonic() < until:
    if os.fork(): os._exit(0)
    told += 1
    if told == 20: open('ready', 'w').close()
"""
"""A process that is another one at every moment: it forks, and ends itself. It gives up after half a minute."""


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    executor = LocalExecutor()
    yield executor
    executor.close()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("life", "ready", "never"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "daemon.py").write_text(DAEMON)
    return tmp_path


@pytest.fixture
def life(place: Path) -> Iterator[int]:
    descriptor = os.open(place / "life", os.O_RDONLY | os.O_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def ended(fifo: int, patience: float = LONG) -> bool:
    ready, _, _ = select.select([fifo], [], [], patience)
    return bool(ready) and os.read(fifo, 1) == b""


def run(executor: LocalExecutor, cmd: str, place: Path) -> Exit:
    env = {"PATH": os.environ["PATH"]}
    return executor.start([cmd], cwd=str(place), env=env, output=lambda data: None).wait()


def release(place: Path, life: int) -> None:
    """Let the daemon go where rote cannot end it."""
    os.close(os.open(place / "never", os.O_WRONLY))
    assert ended(life)


@pytest.mark.parametrize("command", [f"{sys.executable} daemon.py", f"setsid -f {sys.executable} daemon.py"])
def test_a_daemon_ends_with_its_stage(executor: LocalExecutor, place: Path, life: int, command: str) -> None:
    if not FOUND:
        command = f"{sys.executable} daemon.py"
    done = run(executor, f"{command}; read x < ready; exit 0", place)
    assert (done.code, done.left) == (0, False)
    if FOUND:
        assert ended(life, 0)  # it is gone when the stage is over, not some time later
    else:
        release(place, life)


def test_one_that_forks_on_and_on_ends_with_its_stage(
    executor: LocalExecutor, place: Path, life: int
) -> None:
    """A look at all processes does not find it: each is gone before its turn comes."""
    (place / "chain.py").write_text(CHAIN)
    done = run(executor, f"{sys.executable} chain.py; read x < ready; exit 0", place)
    assert (done.code, done.left) == (0, False)
    assert ended(life, 0 if FOUND else LONG)


def test_two_of_them_at_once(executor: LocalExecutor, place: Path, life: int) -> None:
    (place / "chain.py").write_text(CHAIN.replace("told == 20", "told == -1"))
    done = run(executor, f"{sys.executable} chain.py; {sys.executable} chain.py; exit 3", place)
    assert (done.code, done.left) == (3, False)
    assert ended(life, 0 if FOUND else LONG)


def test_what_was_made_before_the_first_process_is_not_looked_at() -> None:
    """A short stage costs a look at what is newer than its first process, not at all processes of the machine. What
    cannot be told so, because the numbers may have begun anew, is looked for everywhere."""
    if not FOUND:
        return  # a stage is its process group there
    census = Census()
    env, mark = census.marked({})
    while True:  # three in the order of their numbers, and some way to the largest
        older, first, newer = made = [subprocess.Popen(["/bin/sleep", "600"], env=env) for _ in range(3)]
        if older.pid < first.pid < newer.pid < int(Path("/proc/sys/kernel/pid_max").read_text()) - 5000:
            break
        for each in made:
            each.kill()
            each.wait()
    late = time.monotonic() + 3600  # never too long ago
    assert census.kill(mark, 0, first.pid, late) is False  # dead, but not yet reaped by us
    assert newer.wait() == -signal.SIGKILL
    assert (older.poll(), first.poll()) == (None, None)
    assert census.kill(mark, 0, first.pid, late - 1e9) is False
    assert older.wait() == first.wait() == -signal.SIGKILL
    assert census.kill(mark, LONG, first.pid, late)


def test_two_stages_at_once_end_only_their_own(executor: LocalExecutor, place: Path, life: int) -> None:
    env = {"PATH": os.environ["PATH"]}
    (place / "go").write_text("")
    longer = f"{sys.executable} daemon.py; read x < ready; echo up; read x < never"
    heard: list[bytes] = []
    up, say = os.pipe()

    def output(data: bytes) -> None:
        heard.append(data)
        os.write(say, b"!")

    first = executor.start([longer], cwd=str(place), env=env, output=output)
    assert os.read(up, 1) == b"!"
    assert run(executor, "true", place).code == 0
    assert not ended(life, 0)
    first.stop(0)
    first.wait()
    if FOUND:
        assert ended(life, 0)
    else:
        release(place, life)
    os.close(up)
    os.close(say)


def test_who_clears_the_environment_is_not_waited_for(executor: LocalExecutor, place: Path) -> None:
    escape = f"env -i {sys.executable} daemon.py; read x < ready; exit 0"
    life = os.open(place / "life", os.O_RDONLY | os.O_NONBLOCK)
    assert run(executor, escape, place).code == 0
    assert not ended(life, 0)
    release(place, life)
    os.close(life)


def test_the_mark_of_the_outer_stage_stays() -> None:
    outer, inner = Census(), Census()
    env, mark = outer.marked({"A": "b"})
    assert env["A"] == "b"
    nested, own = inner.marked(env)
    assert mark in nested[MARK].encode()
    assert own in nested[MARK].encode()
    assert inner.token.encode() in own


PARENT = """
import os, sys
from rote.adapters.executors.local import LocalExecutor
executor = LocalExecutor()
executor.start([sys.argv[1]], cwd=sys.argv[2], env=dict(os.environ), output=lambda data: print("up", flush=True))
print(executor.token, flush=True)
sys.stdin.read()
"""


def killed(place: Path, command: str, *, guard: bool = False) -> str:
    """Start a stage, kill the process that started it, and with `guard` the guard first. The executor's token."""
    src = str(Path(__file__).parents[3] / "src")
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, command, str(place)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": src},
    )  # fmt: skip
    assert parent.stdout is not None
    told = sorted([parent.stdout.readline().strip().decode(), parent.stdout.readline().strip().decode()])
    assert told[1] == "up"
    if guard:
        for pid in guards(parent.pid):
            os.kill(pid, signal.SIGKILL)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert parent.stdin is not None
    parent.stdin.close()
    parent.stdout.close()
    return told[0]


def guards(parent: int) -> list[int]:
    """The guard of a process: its child by that name."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if int(stat[1]) == parent and b"rote-guard" in line:
            found.append(int(pid))
    return found


@pytest.mark.parametrize("script", [DAEMON, CHAIN], ids=["daemon", "chain"])
def test_what_left_its_group_does_not_outlive_a_killed_rote(place: Path, life: int, script: str) -> None:
    (place / "daemon.py").write_text(script)
    killed(place, f"{sys.executable} daemon.py; read x < ready; echo up; read x < never")
    if FOUND:
        assert ended(life)
    elif script == DAEMON:
        release(place, life)


def test_what_outlives_rote_and_its_guard_is_found_by_the_token(place: Path, life: int) -> None:
    token = killed(place, f"{sys.executable} daemon.py; read x < ready; echo up; read x < never", guard=FOUND)
    if FOUND:
        assert not ended(life, 0)
        assert any("daemon.py" in line for line in remains(token).values())
        assert end(token)
        assert ended(life, 0)
    else:
        release(place, life)
    assert remains(token) == {}


@pytest.mark.parametrize("token", ["", ".*", "0" * 15, "0" * 16 + "=", "PATH", "g" * 16])
def test_what_is_no_token_ends_nothing(token: str, executor: LocalExecutor, place: Path) -> None:
    heard: list[bytes] = []
    up, say = os.pipe()

    def output(data: bytes) -> None:
        heard.append(data)
        os.write(say, b"!")

    env = {"PATH": os.environ["PATH"]}
    process = executor.start(["echo up; read x < never"], cwd=str(place), env=env, output=output)
    assert os.read(up, 1) == b"!"
    assert remains(token) == {}
    assert end(token)
    os.close(os.open(place / "never", os.O_WRONLY))
    assert not process.wait().code < 0
    os.close(up)
    os.close(say)


def test_nobody_ends_what_it_is_part_of(monkeypatch: pytest.MonkeyPatch, executor: LocalExecutor) -> None:
    """A stage may run rote, in the tree in which a rote was killed whose stage it is."""
    monkeypatch.setenv(MARK, f"{executor.token}.00000000")
    assert remains(executor.token) == {}
    assert end(executor.token)
