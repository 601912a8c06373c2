"""Real DVC and rote side by side: the same project, the same change, the same steps."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from place import Place

from dvc_scenes import CHANGES, DVC, STEP, Dvc, content, expected, founded, lay
from rote.laws.pipeline.graph import needs
from rote.wiring import config

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="session")
def executable() -> str:
    """DVC in an environment of its own, which is made once a machine."""
    cache = Path(os.environ.get("BENCH_CACHE") or Path(tempfile.gettempdir()) / "bench")
    venv = cache / f"dvc-{DVC}"
    if not (venv / ".done").exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([venv / "bin/python", "-m", "pip", "install", "-q", f"dvc=={DVC}"], check=True)
        (venv / ".done").touch()
    return str(venv / "bin/dvc")


def copied(base: Path, name: str) -> Path:
    to = base.parent / name.replace(" ", "-")
    shutil.copytree(base, to, symlinks=True)
    return to / "project"


def steps(place: Place) -> list[str]:
    ran = place.root.parent / "ran-by-rote"
    ran.unlink(missing_ok=True)
    place.rote("run", RAN=str(ran))
    return sorted(ran.read_text().split()) if ran.exists() else []


@pytest.mark.timeout(1800)
def test_the_same_graph_the_same_steps_the_same_outs(tmp_path: Path, executable: str) -> None:
    dvc = founded(tmp_path / "base/project", executable)
    told = expected(dvc, lambda name: copied(tmp_path / "base", name))
    here = config.load(str(dvc.root)).stages
    assert {name: sorted(needed) for name, needed in needs(here).items()} == told["graph"]
    for name, files in CHANGES.items():
        place = Place(copied(tmp_path / "base", f"{name} of rote"))
        assert steps(place) == [], name
        lay(place.root, files)
        assert steps(place) == told["ran"][name], name
        assert content(place.root) == told["after"][name], name


@pytest.mark.timeout(900)
def test_links_into_the_cache_and_what_dvc_thinks_afterwards(tmp_path: Path, executable: str) -> None:
    """With `cache.type symlink` the outs are links, and DVC still finds nothing changed after rote ran."""
    dvc = founded(tmp_path / "base/project", executable)
    dvc("config", "cache.type", "symlink")
    dvc("checkout", "--relink", "-q")
    before = content(dvc.root)
    place = Place(dvc.root)
    assert steps(place) == []
    assert content(dvc.root) == before
    assert "up to date" in dvc("status")
    assert dvc.repro() == []
    lay(dvc.root, CHANGES["a whole params file"])
    assert steps(place) == ["history"]
    shutil.rmtree(dvc.root / ".rote")
    assert Dvc(dvc.root, executable).repro() == ["history"]


@pytest.mark.timeout(900)
def test_options_are_written_as_dvc_is_told_to(tmp_path: Path, executable: str) -> None:
    """`[parsing]`: the same command, so nothing runs again; nor after the project was taken over for good."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    dvc = Dvc(root, executable)
    dvc("init", "-q")
    dvc("config", "parsing.bool", "boolean_optional")
    dvc("config", "parsing.list", "append")
    lay(
        root,
        {
            "step.sh": STEP,
            "params.yaml": "t: {deep: true, in: {slow: false}, tags: [a, 'b c'], none: [], nul: null, f: 1.0, e: 1e-5}\n",
            "dvc.yaml": "stages: {s: {cmd: 'sh step.sh s echo ${t} > s.txt', deps: [step.sh], outs: [s.txt]}}\n",
        },
    )
    assert dvc.repro() == ["s"]
    before = content(root)
    place = Place(root)
    assert steps(place) == []
    place.rote("import", "dvc")
    assert steps(place) == []
    place.rote("run", "--force")
    assert content(root, lambda name: name == "rote.yaml") == before
