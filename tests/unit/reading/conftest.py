"""A project with data in its store, and no data in its working tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "snapshots")]

# The path above must be there first.
from readbench import CSV, big, images  # noqa: E402

import rote  # noqa: E402


def git(root: Path, *args: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *args], cwd=root, check=True, capture_output=True
    )


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: `data/images` (600 small files in 3 folders), `table.csv`, `big/` (a file of many chunks, an empty one);
    at the tag v1 the images are 10 fewer."""
    root = tmp_path_factory.mktemp("made") / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    rote.init(str(root))
    files = images()
    for number, (path, data) in enumerate(files.items()):
        if number >= 10:
            (root / "data/images" / path).parent.mkdir(parents=True, exist_ok=True)
            (root / "data/images" / path).write_bytes(data)
    (root / "table.csv").write_bytes(CSV)
    (root / "big").mkdir()
    (root / "big/noise.bin").write_bytes(big())
    (root / "big/empty.bin").write_bytes(b"")
    project = rote.open(str(root))
    add = [str(root / path) for path in ("data/images", "table.csv", "big")]
    project.add(*add)
    git(root, "add", "-A")
    git(root, "commit", "-qm", "one")
    git(root, "tag", "v1")
    git(root, "branch", "feature/more")
    for path, data in list(files.items())[:10]:
        (root / "data/images" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "data/images" / path).write_bytes(data)
    project.add(add[0])
    git(root, "commit", "-qam", "two")
    for path in ("data/images", "big"):
        shutil.rmtree(root / path)
    (root / "table.csv").unlink()
    return root


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project, as the current folder. Nothing in it may be changed."""
    monkeypatch.chdir(made)
    return made
