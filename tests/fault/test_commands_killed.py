"""The real command, killed by SIGKILL at seeded moments: nothing committed is lost, the user's files are as they were,
and the same command again finishes the work."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scenes import COMMANDS, Clean, Scene, content, held, play, whole

ROTE = [sys.executable, str(Path(__file__).with_name("killed_rote.py"))]
TYPED = {
    "add": ["add", "data"],
    "add-again": ["add", "data"],
    "run": ["run"],
    "release": ["release", "digits"],
    "promote": ["promote", "digits@1.0.1", "prod", "--why", "better"],
    "checkout": ["checkout"],
    "gc": ["gc", "--yes", "--grace", "0"],
    "delete": ["gc", "--yes", "--grace", "0", "--keep-last", "1", "--unpinned-data"],
}
OUTS = ("sorted/", "model/", "metrics.json")
EVERYDAY, ALL = 12, 200

Played = dict[str, tuple[Scene, Clean]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("scenes"))


def typed(root: Path, number: int, args: list[str]) -> int:
    """The exit code of `rote ARGS` killed before its step `number` (0: not killed)."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROTE_", "GIT_"))}
    kept |= {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "STEPS": str(root.parent / "steps"),
        "HOME": str(root.parent),
    }
    done = subprocess.run(
        [*ROTE, str(number), *args],
        cwd=root,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode in (0, -signal.SIGKILL), done.stdout + done.stderr
    return done.returncode


@pytest.fixture(scope="module")
def steps(played: Played, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    return Steps(played, tmp_path_factory.mktemp("counted"))


class Steps:
    """How many steps each command takes when it is left alone."""

    def __init__(self, played: Played, folder: Path) -> None:
        self._played = played
        self._folder = folder
        self.of = cache(self._count)

    def _count(self, command: str) -> int:
        scene, clean = self._played[command]
        root = scene.laid(self._folder / command / "p")
        assert typed(root, 0, TYPED[command]) == 0
        assert content(root) == clean.content
        return int((root.parent / "steps").read_text())


def killed(seed: int, played: Played, steps: Steps, root: Path) -> None:
    command = list(COMMANDS)[seed % len(COMMANDS)]
    scene, clean = played[command]
    scene.laid(root)
    before = content(root)
    number = random.Random(seed).randint(1, steps.of(command))
    typed(root, number, TYPED[command])
    whole(root, clean)
    for path, data in content(root).items():
        if command == "run" and path.startswith(OUTS):
            continue  # a stage was writing it
        assert data in (before.get(path), clean.content.get(path)), path
    assert content(root).keys() >= {path for path in before if not path.startswith(OUTS)}
    assert typed(root, 0, ["status"]) == 0
    assert typed(root, 0, TYPED[command]) == 0
    assert content(root) == clean.content
    assert held(root) == clean.held_then
    whole(root, clean)


@pytest.mark.parametrize("seed", range(EVERYDAY))
def test_killed(seed: int, played: Played, steps: Steps, tmp_path: Path) -> None:
    killed(seed, played, steps, tmp_path / "p")


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(EVERYDAY, ALL))
def test_killed_anywhere(seed: int, played: Played, steps: Steps, tmp_path: Path) -> None:
    killed(seed, played, steps, tmp_path / "p")


@pytest.mark.parametrize("back", range(12))
def test_killed_while_pointers_are_written(back: int, played: Played, steps: Steps, tmp_path: Path) -> None:
    """The last steps of an `add` touch the user's folder: nothing half made is left beside a file."""
    scene, clean = played["add"]
    root = scene.laid(tmp_path / "p")
    before = content(root)
    assert typed(root, steps.of("add") - back, TYPED["add"]) == -signal.SIGKILL
    for path, data in content(root).items():
        assert data in (before.get(path), clean.content.get(path)), path


@pytest.mark.parametrize("command", COMMANDS)
def test_the_kills_come(command: str, played: Played, steps: Steps, tmp_path: Path) -> None:
    """The steps that are counted are those at which a command dies."""
    root = played[command][0].laid(tmp_path / "p")
    assert typed(root, steps.of(command) // 2, TYPED[command]) == -signal.SIGKILL
