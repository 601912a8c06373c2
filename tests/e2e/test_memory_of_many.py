"""What commands have in memory for a tree of many files: docs/cost.md says so much a file, and a constant."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from place import ROTE, Place

FILES = 100_000
MB = 1_000_000

pytestmark = pytest.mark.heavy


# A child counts as its own what its parent had when it forked: the parent must be small.
MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
print(used.ru_maxrss)
os._exit(os.waitstatus_to_exitcode(status))
"""


def most(place: Place, *command: str) -> int:
    """Bytes that a command had resident at most."""
    done = subprocess.run(
        [sys.executable, "-u", "-c", MEASURE, *ROTE, *command], cwd=place.root, env=place.environment(),
        capture_output=True, check=True,
    )  # fmt: skip
    return int(done.stdout) * (1 if sys.platform == "darwin" else 1024)


def filled(folder: Path) -> None:
    noise = random.Random(1).randbytes(1 << 16)
    for number in range(FILES):
        if number % 1000 == 0:
            sub = folder / str(number // 1000)
            sub.mkdir(parents=True)
        (sub / f"{number:07}.bin").write_bytes(b"%d " % number + noise[number % 60000 :][:200])


def test_memory_follows_the_files(place: Place) -> None:
    data = place.root / "data"
    filled(data)
    a_file = 400
    assert most(place, "add", "data") < 150 * MB + a_file * FILES
    assert most(place, "status") < 60 * MB + a_file // 2 * FILES
    place.write("data/7/0007007.bin", "changed")
    assert most(place, "status") < 60 * MB + a_file // 2 * FILES
    assert most(place, "add", "data") < 80 * MB + a_file // 2 * FILES
    assert most(place, "cat", "data/7/0007007.bin") < 50 * MB
    shutil.rmtree(data)
    assert most(place, "checkout") < 120 * MB + a_file // 2 * FILES
    assert most(place, "status") < 60 * MB + a_file // 2 * FILES
