"""Memory does not grow with the size of what is published: to a folder, and to a bucket."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from place import ROTE, Place

from servers.fixtures import Bucket

SIZE = 256 << 20
BAR = 160 << 20
"""Bytes of memory of the process's own; the pages of mapped files are the system's to take back."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A project with a version that has one large file."""
    place = Place(tmp_path_factory.mktemp("large") / "project")
    place.git("init", "-q", "-b", "main", ".")
    place.rote("init")
    place.write(
        "rote.yaml",
        "stages:\n  s: {cmd: cp weights model, deps: [weights], outs: [model]}\nmodels:\n  m: {files: [model]}\n",
    )
    place.write("weights", os.urandom(SIZE))
    place.commit()
    place.rote("run", timeout=600)
    place.rote("release", "m", timeout=600)
    return place


def most(place: Place, target: str, **env: str) -> int:
    """The most memory of its own that `rote publish` had."""
    process = subprocess.Popen(
        [*ROTE, "publish", "m@1.0.0", target],
        cwd=place.root,
        env=place.environment(**env),
        stdout=subprocess.DEVNULL,
    )
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        peak = max(
            [
                peak,
                *(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon")),
            ]
        )
        os.sched_yield()
    assert process.wait(600) == 0
    return peak


@pytest.mark.heavy
def test_to_a_folder(large: Place, tmp_path: Path) -> None:
    assert 0 < most(large, str(tmp_path / "site")) < BAR
    assert (tmp_path / "site/models/m/published/1.0.0/model").stat().st_size == SIZE


@pytest.mark.heavy
def test_to_a_bucket(large: Place, moto: Bucket) -> None:
    assert 0 < most(large, moto.url("large"), **moto.env) < BAR
