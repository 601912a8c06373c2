"""Trainings that are cut in every way leave the same weights, bit by bit: the real command, real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from place import Place

HERE = Path(__file__).parent
TRAINER = HERE.parent / "unit" / "trainer.py"
EXAMPLE = HERE.parents[1] / "examples" / "checkpointed"
PIPELINE = """\
stages:
  train:
    cmd: {python} trainer.py mark 100 '[24, 47, 71]'
    deps: [trainer.py]
    outs: [model.json]
    metrics: [metrics.json]
    checkpoints: {{path: run/checkpoints, every: 0}}
"""


def project(root: Path, files: Callable[[Path], None]) -> Place:
    """A repository with a pipeline that trains."""
    place = Place(root)
    place.git("init", "-q")
    files(root)
    place.rote("init")
    place.git("add", "-A")
    place.git("commit", "-qm", "a training")
    return place


def clone(place: Place, root: Path) -> Place:
    """A machine that has never seen any of this: another clone, and the same store."""
    subprocess.run(["git", "clone", "-q", str(place.root), str(root)], env=place.environment(), check=True)
    other = Place(root)
    (root / "rote.local.yaml").write_text(f"store: {place.root / '.rote/store'}\n")
    return other


def plain(root: Path) -> None:
    shutil.copy(TRAINER, root / "trainer.py")
    (root / "rote.yaml").write_text(PIPELINE.format(python=sys.executable))


def killed(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the end; what it said."""
    out, err = process.communicate(timeout=120)
    return out + err


class TestPlain:
    """A trainer in plain Python, which says on a fifo where it is."""

    def cut(self, place: Place, how: Callable[[subprocess.Popen[bytes], int], None]) -> bytes:
        os.mkfifo(place.root / "up")
        process = place.start("run")
        step, pid = (place.root / "up").read_text().split()
        how(process, int(pid))
        (place.root / "up").unlink()
        return step.encode() + b" " + killed(process)

    def test_cut_in_every_way(self, tmp_path: Path) -> None:
        whole = project(tmp_path / "whole", plain)
        for step in (24, 47, 71):
            (whole.root / f"passed-{step}").touch()
        whole.rote("run")

        first = project(tmp_path / "first", plain)
        told = self.cut(first, lambda rote, pid: rote.send_signal(signal.SIGINT))
        assert told.startswith(b"24")
        told = self.cut(first, lambda rote, pid: os.killpg(os.getpgid(pid), signal.SIGKILL))
        assert told.startswith(b"47")
        assert b"train: starts from the checkpoint of step 24" in told
        told = self.cut(first, lambda rote, pid: rote.kill())
        assert told.startswith(b"71")
        assert b"train: starts from the checkpoint of step 40" in told

        other = clone(first, tmp_path / "other")
        for step in (47, 71):
            (other.root / f"passed-{step}").touch()
        done = other.rote("run")
        assert "train: starts from the checkpoint of step " in done.err
        for name in ("model.json", "metrics.json"):
            assert (other.root / name).read_bytes() == (whole.root / name).read_bytes()
        assert "train: hit" in first.rote("run").out or "1 hit" in first.rote("run").out
        assert (first.root / "model.json").read_bytes() == (whole.root / "model.json").read_bytes()

    def test_the_folder_stays_out_of_git(self, tmp_path: Path) -> None:
        place = project(tmp_path / "p", plain)
        self.cut(place, lambda rote, pid: rote.send_signal(signal.SIGINT))
        assert "checkpoints" not in place.git("status", "--porcelain", "-uall").replace("run/.gitignore", "")


@pytest.mark.heavy
class TestPyTorch:
    """examples/checkpointed: real digits, PyTorch on the CPU. Cut when its mark says that it is far enough."""

    def files(self, root: Path) -> None:
        shutil.copytree(EXAMPLE, root, dirs_exist_ok=True)

    def step(self, place: Place) -> int:
        try:
            return int(json.loads((place.root / "checkpoints/.rote-checkpoint").read_text())["step"])
        except (OSError, ValueError):
            return 0

    def cut(self, place: Place, how: Callable[[subprocess.Popen[bytes]], None], *more: str) -> int:
        """Cut it some checkpoints after where it began; the step that it had come to."""
        before = self.step(place)
        process = place.start("run", *more)
        while self.step(place) < before + 400 and process.poll() is None:
            time.sleep(0.005)
        how(process)
        killed(process)
        assert not (place.root / "model.bin").exists()
        return self.step(place)

    def stage_of(self, place: Place) -> int:
        """The process that trains."""
        found = subprocess.run(["pgrep", "-f", str(place.root)], capture_output=True, text=True, check=False)
        for pid in found.stdout.split():
            if (
                Path(f"/proc/{pid}/cwd").resolve() == place.root
                and b"src/train.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
            ):
                return int(pid)
        raise AssertionError("nothing trains")

    def test_cut_in_every_way(self, tmp_path: Path) -> None:
        whole = project(tmp_path / "whole", self.files)
        whole.rote("run", timeout=600)
        assert json.loads((whole.root / "metrics.json").read_text())["accuracy"] > 0.9

        place = project(tmp_path / "cut", self.files)
        steps = [self.cut(place, lambda rote: rote.send_signal(signal.SIGINT))]
        steps.append(self.cut(place, lambda rote: rote.kill()))
        steps.append(self.cut(place, lambda rote: rote.send_signal(signal.SIGTERM)))
        place = clone(place, tmp_path / "another machine")
        steps.append(self.cut(place, lambda rote: rote.kill()))
        assert steps == sorted(steps)
        assert len(set(steps)) == len(steps)
        done = place.rote("run", timeout=600)
        assert "train: starts from the checkpoint of step" in done.err
        for name in ("model.bin", "metrics.json"):
            assert (place.root / name).read_bytes() == (whole.root / name).read_bytes()

    def test_paused_before_a_deadline(self, tmp_path: Path) -> None:
        whole = project(tmp_path / "whole", self.files)
        whole.rote("run", timeout=600)
        place = project(tmp_path / "paused", self.files)
        begun = time.monotonic()
        told = place.rote("run", "--deadline", "25s", code=None)
        if told.code == 75:  # a machine that trains the whole in less has nothing to pause
            assert time.monotonic() - begun < 60
        place.rote("run", timeout=600)
        assert (place.root / "model.bin").read_bytes() == (whole.root / "model.bin").read_bytes()


def test_a_checkpoint_of_other_code_is_not_used(tmp_path: Path) -> None:
    """A helper that the stage imports and does not name is changed between the cut and the next run."""

    def files(root: Path) -> None:
        plain(root)
        (root / "helper.py").write_text("RATE = 1\n")
        text = (root / "trainer.py").read_text()
        (root / "trainer.py").write_text(text.replace("import rote\n", "import helper\nimport rote\n", 1))

    place = project(tmp_path / "p", files)
    TestPlain().cut(place, lambda rote, pid: rote.send_signal(signal.SIGINT))
    (place.root / "helper.py").write_text("RATE = 2\n")
    for step in (47, 71):
        (place.root / f"passed-{step}").touch()
    told = place.rote("run").err
    assert "its checkpoints were made by other code" in told
    assert b"begins at 0 told None" in place.rote("logs", "last").out.encode()
