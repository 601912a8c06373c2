"""The disk is full at any step of any command: a message, the user's files as they were, nothing committed lost; with room
again the same command ends well."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from test_commands_killed import OUTS, TYPED
from test_folder_full import tiny_disk

from scenes import COMMANDS, Clean, Scene, content, held, play, whole

ROTE = [sys.executable, "-m", "rote"]
FULL = [sys.executable, str(Path(__file__).with_name("full_rote.py"))]

Played = dict[str, tuple[Scene, Clean]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("scenes"))


def typed(root: Path, command: list[str], args: list[str]) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ROTE_", "GIT_"))}
    kept |= {
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "STEPS": str(root.parent / "steps"),
        "HOME": str(root.parent),
    }
    done = subprocess.run(
        [*command, *args], cwd=root, env=kept, capture_output=True, text=True, check=False, timeout=120
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def steps(played: Played, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("counted")

    @cache
    def count(command: str) -> int:
        root = played[command][0].laid(folder / command / "p")
        assert typed(root, [*FULL, "0", "on"], TYPED[command]).returncode == 0
        return int((root.parent / "steps").read_text())

    return count


def full(command: str, number: int, mode: str, played: Played, root: Path) -> bool:
    """Whether the command failed for the want of room."""
    scene, clean = played[command]
    scene.laid(root)
    before = content(root)
    told = typed(root, [*FULL, str(number), mode], TYPED[command])
    what = f"{command}, step {number} ({mode}): {told.stdout}{told.stderr}"
    if told.returncode:
        assert told.returncode == 1, what
        said = (
            told.stderr if command != "run" else told.stdout + told.stderr
        )  # a stage is told to have failed with it
        assert "No space left" in said or "no space" in said, what
        assert "next:" in said or "type the same command again" in said, what
        assert "safe:" in said or command == "run", what
    whole(root, clean)
    for path, data in content(root).items():
        if not (command == "run" and path.startswith(OUTS)):
            assert data in (before.get(path), clean.content.get(path)), (what, path)
    assert content(root).keys() >= {path for path in before if not path.startswith(OUTS)}, what
    assert typed(root, [*ROTE], TYPED[command]).returncode == 0, what
    assert content(root) == clean.content, what
    assert held(root) == clean.held_then, what
    whole(root, clean)
    return told.returncode != 0


@pytest.mark.parametrize("command", ["add", "run", "gc", "checkout"])
def test_no_room_at_some_steps(command: str, played: Played, steps, tmp_path: Path) -> None:
    number = random.Random(command).randint(1, steps(command))
    full(command, number, ["on", "once"][number % 2], played, tmp_path / "p")


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ["on", "once"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_room_at_any_step(command: str, mode: str, played: Played, steps, tmp_path: Path) -> None:
    met = [full(command, n, mode, played, tmp_path / f"{n}") for n in range(1, steps(command) + 1)]
    assert any(met)


@pytest.mark.parametrize("free", [0, 4, 8, 200])
def test_a_disk_that_is_really_full(free: int, played: Played, tmp_path: Path) -> None:
    """`rote add` with so many pages of 4 KiB left, where we may mount a disk; elsewhere a limit on the size of files."""
    scene, clean = played["add"]
    place = tmp_path / "disk"
    place.mkdir()
    with tiny_disk(place, "size=4m") as mounted:
        root = scene.laid(place / "p")
        before = content(root)
        stuffing = place / "stuffing"
        if mounted:
            space = os.statvfs(place)
            stuffing.write_bytes(bytes(space.f_bavail * space.f_bsize - free * 4096))
        limited = ["sh", "-c", f'trap "" XFSZ; ulimit -f {free * 8}; exec "$0" "$@"']
        told = typed(root, [*([] if mounted else limited), *ROTE], TYPED["add"])
        if told.returncode:
            assert told.returncode == 1, told.stdout + told.stderr
            assert "next:" in told.stderr
        else:
            assert free > 4
        if mounted:
            stuffing.unlink()
        whole(root, clean)
        for path, data in before.items():
            assert content(root)[path] in (data, clean.content[path]), path
        assert typed(root, [*ROTE], TYPED["add"]).returncode == 0
        assert content(root) == clean.content
        whole(root, clean)
