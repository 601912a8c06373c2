"""The core install stays light: at most 15 packages and 60 MB with everything they need, as the README says."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[2]


def core() -> dict[str, int]:
    """Every package that a core install brings -> its bytes on disk, rote's own included."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    sizes = {"rote": sum(p.stat().st_size for p in (ROOT / "src/rote").rglob("*.py"))}
    todo = [re.split(r"[^A-Za-z0-9_.-]", w)[0] for w in wanted]
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in sizes:
            continue
        dist = distribution(name)
        files = [Path(str(dist.locate_file(f))) for f in dist.files or []]
        sizes[name] = sum(f.stat().st_size for f in files if f.exists() and f.suffix != ".pyc")
        needed = [
            n
            for n in dist.requires or []
            if not any(m in n for m in ("extra ==", "sys_platform", "platform_sys"))
        ]
        todo += [re.split(r"[^A-Za-z0-9_.-]", need)[0] for need in needed]
    return sizes


def test_packages_and_size() -> None:
    sizes = core()
    assert len(sizes) <= 15, sorted(sizes)
    assert sum(sizes.values()) <= 60_000_000, sizes


def test_the_readme_says_both_figures() -> None:
    sizes = core()
    found = re.search(
        r"The\s+core\s+is\s+(\d+)\s+packages\s+and\s+(\d+)\s+MB", (ROOT / "README.md").read_text()
    )
    assert found is not None
    assert int(found[1]) == len(sizes)
    # A release of a dependency may differ a little from the one that was measured.
    assert abs(int(found[2]) - sum(sizes.values()) / 1e6) <= 8


def test_a_run_with_nothing_to_do_loads_little(tmp_path: Path) -> None:
    """What only other runs need, and what is slow to load, stays out of the run that is typed most."""
    (tmp_path / "rote.yaml").write_text("stages: {s: {cmd: echo 1 > o, outs: [o]}}\n")
    code = "import sys; from rote.__main__ import main; main()\nprint(*sorted(sys.modules), file=sys.stderr)"
    for _ in range(2):
        said = subprocess.run(
            [sys.executable, "-c", code, "run"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert "nothing to do" in said.stdout
    loaded = set(said.stderr.split())
    slow = {"hashlib", "logging", "random", "shutil", "sqlite3", "subprocess", "tempfile", "urllib.parse"}
    others = {
        "rote.adapters.executors.interpreter", "rote.adapters.vcs", "rote.laws.gates.expectations",
        "rote.laws.pipeline.strace", "rote.services.runs.taking", "rote.services.runs.warming", "rote.wiring.elsewhere",
    }  # fmt: skip
    assert all(find_spec(name) for name in others)
    assert "rote.services.runs.runner" in loaded
    assert not loaded & (slow | others)
