"""An application that is killed at a real system call of an update: strace ends the process as it enters the call."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from modelbench import noise, tree
from targetbench import Published

from rote.adapters.stores.folder import FolderStore
from rote.client import Model
from rote.testing.faults import Fault, FaultyStore

NET = noise(1 << 20)
ONE = {"m": {"net": NET, "labels": b"one", "kept": b"kept"}}
TWO = {"m": {"net": NET[: 1 << 19] + noise(2000, 1) + NET[1 << 19 :], "labels": b"two", "kept": b"kept"}}
CALLS = (
    "mkdir", "write", "fsync", "fchmod", "link", "rename", "unlink", "unlinkat", "rmdir", "flock", "close",
)  # fmt: skip
"""What changes something, and `close`, which comes after most of it. A call that the system has under another name on
another machine is simply not met."""
MANY = frozenset(["close"])
"""The interpreter's own start makes so many of these that only the last ones are of the update."""
VICTIM = """\
import sys
from rote.client import Model
model = Model(sys.argv[1], "digits", cache=sys.argv[2], keys=sys.argv[3:])
assert model.refresh()
"""


@pytest.fixture
def world(tmp_path):
    """A folder where 1.0.0 and then 1.0.1 were published, and a cache with 1.0.0."""
    bench = Published(tmp_path / "keys", target=FolderStore(str(tmp_path / "target")))
    bench.ship(ONE)
    Model(str(tmp_path / "target"), "digits", cache=tmp_path / "one", keys=bench.keys).path()
    bench.ship(TWO)
    return tmp_path, bench.keys


def killed(world, cache: Path, call: str, number: int) -> bool:
    """Whether the update was ended at its `number`th such call; otherwise it came to its end."""
    root, keys = world
    shutil.copytree(root / "one", cache)
    argv = [
        "strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e",
        f"inject={call}:signal=KILL:when={number}", sys.executable, "-c", VICTIM, str(root / "target"), str(cache), *keys,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(root)}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, timeout=240)
    if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return True
    assert done.returncode == 0, done.stderr
    return False


def look(world, cache: Path) -> bytes:
    """What an application finds that starts now, first without and then with the place; which version it was."""
    root, keys = world
    away = FaultyStore(FolderStore(str(root / "target")), lambda n, kind, key: Fault.UNAVAILABLE)
    model = Model(away, "digits", cache=cache, keys=keys)
    found = tree(model.path() / "m")
    assert found in (ONE["m"], TWO["m"])
    again = Model(str(root / "target"), "digits", cache=cache, keys=keys)
    again.refresh()
    assert tree(again.path() / "m") == TWO["m"]
    assert again.problem is None
    return found["labels"]


def walk(world, calls, numbers) -> tuple[set[bytes], int]:
    """Which versions were found, and at how many calls it was killed."""
    root, _ = world
    seen: set[bytes] = set()
    count = 0
    for call in calls:
        for number in numbers(call):
            cache = root / f"{call}-{number}"
            over = not killed(world, cache, call, number)
            seen.add(look(world, cache))
            shutil.rmtree(cache)
            if over:
                break
            count += 1
    return seen, count


@pytest.mark.parametrize("call", ["fsync", "rename", "link"])
def test_killed_at_the_calls_that_decide(world, call):
    assert walk(world, [call], lambda call: (1, 2, 5))[0] <= {b"one", b"two"}


@pytest.mark.heavy
def test_killed_at_every_call_that_changes_something(world):
    found, count = walk(world, [call for call in CALLS if call not in MANY], lambda call: range(1, 10_000))
    assert found == {b"one", b"two"}
    assert count > 25
    print(f"killed at {count} calls")


@pytest.mark.heavy
def test_killed_at_closes(world):
    found, count = walk(world, ["close"], lambda call: range(1, 10_000, 3))
    assert found == {b"one", b"two"}
    print(f"killed at {count} closes")
