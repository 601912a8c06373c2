"""A process that is killed in the middle of a checkout leaves each file old or new, and the next one finishes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rote.adapters.stores.folder import FolderStore
from rote.adapters.worktree import Workspace
from rote.ports import Silence
from rote.services.data.data import Data
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.store.founding import found
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock

COUNT = 60
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_checkout_killed import open_data

class Fatal:
    left = int(sys.argv[4])
    def start(self, what, total=None, unit=""): pass
    def step(self, amount=1): pass
    def done(self): pass
    def say(self, line): pass

def trace(event, args):
    if event in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir") and sys.argv[2] in str(args[0]):
        Fatal.left -= 1
        if Fatal.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

data = open_data(sys.argv[2], sys.argv[3])
sys.addaudithook(trace)
data.checkout()
"""


def open_data(root: str, store_at: str, seed: int = 0) -> Data:
    store = FolderStore(store_at)
    clock = StillClock(seed=seed)
    info = found(store, clock)
    return Data(
        Workspace(root),
        snapshots=lambda: Snapshots(store),
        transactions=lambda: Transactions(store, clock, "me@here"),
        roots=lambda: Roots(store),
        writer=lambda write: SnapshotWriter(store, write, info=info),
        clock=clock,
        by="me@here",
        progress=Silence(),
    )


def tree(version: str) -> dict[str, bytes]:
    files = {f"{i % 7}/{i}": f"{version} {i}".encode() for i in range(COUNT)}
    files |= {f"{version}/only/{i}": b"here" for i in range(10)}
    return files | {"same": b"same"}


def lay(root: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (root / "d" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "d" / path).write_bytes(data)


def content(root: Path) -> dict[str, bytes]:
    return {
        p.relative_to(root / "d").as_posix(): p.read_bytes() for p in (root / "d").rglob("*") if p.is_file()
    }


@pytest.mark.parametrize("steps", [3, 20, 60, 80, 100, 130, 160, 200])
@pytest.mark.parametrize("there", [True, False], ids=["changed", "absent"])
def test_killed(steps: int, there: bool, tmp_path: Path) -> None:
    store, root = str(tmp_path / "store"), tmp_path / "p"
    root.mkdir()
    data = open_data(str(root), store)
    lay(root, tree("new"))
    new = data.add(["d"])[0].ref
    pointer = (root / "d.rote").read_bytes()
    Workspace(str(root)).delete("d")
    if there:
        lay(root, tree("old"))
        open_data(str(root), store, seed=1).add(["d"])
        (root / "d.rote").write_bytes(pointer)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, here, str(root), store, str(steps)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL)
    if there:
        for path, data_there in content(root).items():
            assert data_there in (tree("old").get(path), tree("new").get(path)), path
        assert content(root)["same"] == b"same"
    else:
        assert not (root / "d").exists() or content(root) == tree("new")
    # Neither old nor new files are local changes: no force is needed to finish.
    again = open_data(str(root), store, seed=2)
    again.checkout()
    assert content(root) == tree("new")
    assert again.identify("d", fresh=True).id == new.id
    assert not list((root / ".rote/cache/staging").iterdir())


def test_the_kills_come_in_the_middle(tmp_path: Path) -> None:
    """The counts above are apt: a kill can leave old and new files side by side."""
    store, root = str(tmp_path / "store"), tmp_path / "p"
    root.mkdir()
    lay(root, tree("new"))
    open_data(str(root), store).add(["d"])
    pointer = (root / "d.rote").read_bytes()
    Workspace(str(root)).delete("d")
    lay(root, tree("old"))
    open_data(str(root), store, seed=1).add(["d"])
    (root / "d.rote").write_bytes(pointer)
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, here, str(root), store, "130"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    left = set(content(root).values())
    assert any(data.startswith(b"old") for data in left)
    assert any(data.startswith(b"new") for data in left)
