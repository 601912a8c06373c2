"""Build the wheel of `rote-client`: of the package `rote`, the modules that an application can reach, and nothing else.

    python scripts/client_wheel.py DIST

The list of modules is not written down anywhere: it follows from what `rote.client` imports, at once or when needed.
docs/decisions/025 says why there is such a thing.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src"
BEGIN = ("rote", "rote.client")
"""What an application imports by name."""
NOT = (
    "rote.wiring.project",
    "rote.founded",
    "rote.checkmark",
    "rote.wiring.reaching",
    "rote.releases",
    "rote.wiring.verification",
    "rote.services.releases.verifying",
    "rote.wiring.config",
    "rote.wiring.parts",
    "rote.adapters.stores.shares",
)
"""What `rote` itself offers to projects, and file shares: not for devices."""
PYPROJECT = """\
[build-system]
requires = ["hatchling>=1.25"]
build-backend = "hatchling.build"

[project]
name = "rote-client"
description = "For applications: the newest good version of a model, as verified local files."
requires-python = ">=3.11"
license = "Apache-2.0"
license-files = ["LICENSE"]
version = "{version}"
dependencies = ["blake3>=1.0.4", "msgspec>=0.19"]

[project.optional-dependencies]
bucket = ["obstore>=0.12"]
hub = ["huggingface_hub>=1.0"]
sigstore = ["sigstore>=4"]
store = ["obstore>=0.12", "zstandard>=0.23"]

[tool.hatch.build.targets.wheel]
packages = ["rote"]
"""


MARK = "These files are a part of those of the package rote; install one of the two.\n"
"""A file of the wheel by which `import rote` sees that both are installed."""


def file_of(module: str) -> Path | None:
    """Where a module lies, or None if there is none of that name."""
    path = SRC / Path(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


def imported(path: Path) -> set[str]:
    """Every name below `rote` that a module imports, anywhere but for type checkers."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.partition(".")[0] == "rote"}


def modules() -> dict[str, Path]:
    """Every module that an application can reach, and its file."""
    found: dict[str, Path] = {}
    todo = [*BEGIN]
    while todo:
        name = todo.pop()
        path = file_of(name)
        if path is None or name in found or any(f"{name}.".startswith(f"{n}.") for n in NOT):
            continue
        found[name] = path
        parents = name.split(".")[:-1]
        todo += imported(path)
        todo += [".".join(parents[:n]) for n in range(1, len(parents) + 1)]
    return found


def main(out: Path) -> None:
    """Build the wheel into a folder."""
    version: dict[str, str] = {}
    exec((SRC / "rote" / "_version.py").read_text(), version)
    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        for path in modules().values():
            target = here / path.relative_to(SRC)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (here / "rote" / "rote-client").write_text(MARK)
        shutil.copyfile(ROOT / "LICENSE", here / "LICENSE")
        (here / "pyproject.toml").write_text(PYPROJECT.format(version=version["__version__"]))
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out.resolve())]
        subprocess.run(command, cwd=here, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
