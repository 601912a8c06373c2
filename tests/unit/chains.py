"""A small project in a git repository, with a released model: what tests of verifying and of cards begin with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from rote.adapters.stores.folder import FolderStore
from rote.services.store.founding import found
from rote.testing.clock import StillClock
from rote.wiring.project import Project
from rote.words.encoding import with_check, without_check
from rote.words.record import Root
from scenes import StillWiring, lay, opened

PIPELINE = """\
stages:
  sort:
    cmd: mkdir -p work && cat data/*.txt code/order.txt | sort > work/all.txt
    deps: [data, code]
    outs: [work/all.txt]
  train:
    cmd:
      - mkdir -p build && cksum < work/all.txt > build/model.txt
      - echo '{"accuracy":0.9}' > metrics.json
    deps: [work, train.txt]
    params: [lr]
    env: {vars: [MODE], locks: [needs.lock]}
    outs: [build/model.txt]
    metrics: [metrics.json]
models:
  digits:
    files: [build, labels.txt]
    gates: [accuracy >= 0.5]
"""
FILES: dict[str, str | bytes] = {
    "rote.yaml": PIPELINE,
    "params.yaml": "lr: 0.1\n",
    "code/order.txt": "b\na\n",
    "train.txt": "a recipe\n",
    "needs.lock": "numpy==2.0\n",
    "labels.txt": "zero\none\n",
    "notes.txt": "no stage reads this\n",
}


def git(root: Path, *args: str) -> str:
    who = ["-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *who, *args], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "a change")
    return git(root, "rev-parse", "HEAD")


def project(root: Path, seed: int = 0) -> Project:
    return opened(root, seed)


def laid(root: Path, files: dict[str, str | bytes] = FILES) -> Path:
    """A committed project with data, in which nothing has run yet."""
    (root / ".rote").mkdir(parents=True)
    lay(root, files)
    lay(root, {".gitignore": ".rote/\nwork/\nbuild/\nmetrics.json\n"})
    git(root, "init", "-q", "-b", "main")
    found(FolderStore(str(root / ".rote/store"), create=True), StillClock(seed=99))
    lay(root / "data", {"0.txt": "line 0\n", "1.txt": "line 1\n"})
    project(root).add(str(root / "data"))
    commit(root)
    return root


def released(root: Path, seed: int = 1, **how: Any) -> Path:
    """A run, and a version out of it."""
    outcome = project(root, seed).run(**how)
    assert outcome.ok, outcome.stages
    project(root, seed + 1).models.release("digits", run="last")
    return root


def copied(root: Path, to: Path) -> Path:
    shutil.copytree(root, to, symlinks=True)
    return to


def forge(root: Path, prefix: str, change: Any) -> None:
    """Change the bodies of the roots below a prefix behind everybody's back, each with a digest that fits."""
    store = FolderStore(str(root / ".rote/store"))
    for meta in list(store.list(prefix)):
        there = store.get(meta.key)
        record = without_check(there.data, Root, meta.key)
        if change(record.body) is not False:
            store.replace(meta.key, with_check(record), there.etag)


__all__ = ["StillWiring", "commit", "copied", "forge", "git", "laid", "project", "released"]
