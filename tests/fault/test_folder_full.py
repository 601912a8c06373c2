"""A full disk: StoreFull, nothing left behind, everything committed before untouched, and it goes on with room."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILLER = Path(__file__).parent / "folder_filler.py"


@contextmanager
def tiny_disk(place: Path, options: str) -> Iterator[bool]:
    """A disk of its own at `place` if we may mount one; tells whether."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        yield False
        return
    mount = ["mount", "-t", "tmpfs", "-o", options, "tiny", place]
    mounted = subprocess.run(mount, capture_output=True, check=False)
    try:
        yield mounted.returncode == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", place], check=True, capture_output=True)


def fill(where: Path, *limit: str) -> None:
    ran = subprocess.run(
        [sys.executable, FILLER, where, *limit], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("ok")


@pytest.mark.parametrize("limit", ["1000", "65536"])
def test_no_file_may_grow(tmp_path: Path, limit: str) -> None:
    fill(tmp_path / "store", limit)


@pytest.mark.parametrize("options", ["size=1m", "size=8m,nr_inodes=40"])
def test_the_disk_is_full(tmp_path: Path, options: str) -> None:
    """A real full disk where we may mount one, of bytes and of inodes; elsewhere a limit of the process."""
    place = tmp_path / "disk"
    place.mkdir()
    with tiny_disk(place, options) as mounted:
        fill(place / "store", *([] if mounted else ["4096"]))
