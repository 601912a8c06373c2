"""A writer that is killed at any system call leaves the store as it was, or as it was to be, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rote.adapters.stores.folder import FolderStore
from rote.errors import Conflict, NotFound

VICTIM = Path(__file__).parent / "folder_victim.py"
OLD, NEW = b"old" * 1000, b"new!" * 2000
BEFORE = {"kept/a": OLD, "kept/b/c": OLD, "at/x": OLD, "alone/in/here/x": OLD}
AFTER = {
    "create": {**BEFORE, "kept/new": NEW},
    "create_deep": {**BEFORE, "new/and/deep/x": NEW},
    "replace": {**BEFORE, "at/x": NEW},
    "delete": {k: v for k, v in BEFORE.items() if k != "alone/in/here/x"},
}


def content(store: FolderStore) -> dict[str, bytes]:
    return {meta.key: store.get(meta.key).data for meta in store.list("")}


@pytest.mark.parametrize("kind", AFTER)
def test_killed_at_each_step(tmp_path: Path, kind: str) -> None:
    ran = subprocess.run(
        [sys.executable, VICTIM, tmp_path, kind], capture_output=True, text=True, timeout=120, check=True
    )
    steps = ran.stdout.split()
    assert len(steps) >= 15, "the calls are no longer the ones that are watched"
    seen = []
    for step in steps:
        where = tmp_path / step
        store = FolderStore(str(where), create=False)
        found = content(store)
        assert found in (BEFORE, AFTER[kind]), step
        seen.append(found == AFTER[kind])
        finish(store, kind)
        assert content(store) == AFTER[kind], step
        assert os.listdir(where / "~tmp") == [], f"{step}: the dead writer's draft is swept"
    assert seen == sorted(seen), "once done, always done"
    assert seen[0] is False
    assert seen[-1] is True


def finish(store: FolderStore, kind: str) -> None:
    """What a next process does: the same again."""
    if kind.startswith("create"):
        key = "kept/new" if kind == "create" else "new/and/deep/x"
        try:
            store.create(key, NEW)
        except Conflict:
            assert store.get(key).data == NEW
    elif kind == "replace":
        store.replace("at/x", NEW, store.head("at/x").etag)
    else:
        try:
            store.delete("alone/in/here/x", store.head("alone/in/here/x").etag)
        except NotFound:
            pass
        store.create("z", b"")  # a write sweeps
        store.delete("z")
