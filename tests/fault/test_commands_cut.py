"""Every command, cut at every request it makes to the store: nothing committed is lost, and the same again succeeds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rote.errors import StoreError
from rote.stores.folder import FolderStore
from rote.testing.faults import WRITES, Crashed, Fault, FaultyStore, at
from scenes import COMMANDS, Clean, Scene, content, held, opened, play, whole

CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
LOST = (Fault.LOST_BEFORE, Fault.LOST_AFTER)
TROUBLE = (Fault.FULL, Fault.UNAVAILABLE)
EVERYDAY = {"add-again": 5, "run": 5, "release": 5}
"""Command -> one in so many of its cuts is made in the everyday suite; of the others all are."""


Played = dict[str, tuple[Scene, Clean]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play(tmp_path_factory.mktemp("scenes"))


def cut(scene: Scene, clean: Clean, root: Path, faults: Sequence[tuple[int, Fault]]) -> int:
    """Do the command with one fault after the other, look at what is left each time, and do it once more in peace.
    Returns how many of the faults were met."""
    scene.laid(root)
    met = 0
    for seed, (number, fault) in enumerate(faults, 50):
        store = FaultyStore(FolderStore(str(root / ".rote/store")), at(number, fault))
        told = attempt(scene, root, seed, store)
        whole(root, clean)
        assert told is None or told == clean.told
        met += bool(store.met)
    assert scene.do(opened(root, 59), root) == clean.told
    assert content(root) == clean.content
    assert held(root) == clean.held_then
    whole(root, clean)
    return met


def attempt(scene: Scene, root: Path, seed: int, store: FaultyStore) -> Any:
    """What the command told, or None if it died, refused, or met trouble that it may tell of. A write whose reply was
    lost is no reason for any of these."""
    try:
        told = scene.do(opened(root, seed, lambda inner: store), root)
    except (Crashed, StoreError):
        told = None
        if not store.met:
            raise
    if not store.met:
        return told
    _, kind, _, fault = store.met[0]
    excused = fault in CRASHES or fault in TROUBLE or kind not in WRITES
    assert told is not None or excused
    return None if excused else told


def cases(clean: Clean) -> list[tuple[int, Fault]]:
    """Every request with every fault that it can meet."""
    every = []
    for number, kind in enumerate(clean.kinds):
        # A read is not lost, it is asked again by the adapter; and only a write finds the disk full.
        faults = [*CRASHES, *LOST, *TROUBLE] if kind in WRITES else [*CRASHES, Fault.UNAVAILABLE]
        every += [(number, fault) for fault in faults]
    return every


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_cut(command: str, played: Played, tmp_path: Path) -> None:
    scene, clean = played[command]
    chosen = cases(clean)[:: EVERYDAY.get(command, 1)]
    met = sum(cut(scene, clean, tmp_path / f"{n}", [one]) for n, one in enumerate(chosen))
    # The threads of a run may need a request less than they did when they were watched.
    assert met > len(chosen) * 0.8


@pytest.mark.heavy
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_cut_anywhere(command: str, played: Played, tmp_path: Path) -> None:
    scene, clean = played[command]
    for n, one in enumerate(cases(clean)):
        cut(scene, clean, tmp_path / f"{n}", [one])


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_cut_three_times(command: str, seed: int, played: Played, tmp_path: Path) -> None:
    scene, clean = played[command]
    cut(scene, clean, tmp_path / "p", random.Random(seed).choices(cases(clean), k=3))
