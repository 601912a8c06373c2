"""npm packages of servers, installed once a machine into a cache folder outside of the repository."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path


def program(package: str, version: str, name: str) -> str:
    """The program `name` of an npm package, installed if it is not there yet (needs npm and a registry)."""
    return str(_installed(package, version, f".bin/{name}"))


def folder(package: str, version: str) -> Path:
    """Where an npm package lies, installed if it is not there yet (needs npm and a registry)."""
    return _installed(package, version, package)


def _installed(package: str, version: str, wanted: str) -> Path:
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        / "rote-tests"
        / f"{package}-{version}"
    )
    cache.mkdir(parents=True, exist_ok=True)
    found = cache / "node_modules" / wanted
    whole = cache / "whole"
    with open(cache / "lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists() or not whole.exists():
            done = subprocess.run(
                ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(cache), f"{package}@{version}"],
                capture_output=True, text=True, timeout=600, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr[-2000:]
            whole.touch()
    return found
