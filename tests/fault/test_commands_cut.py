"""Every command, cut at every request it makes to the store: nothing committed is lost, and the same again succeeds."""

from __future__ import annotations

import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rote.adapters.stores.folder import FolderStore
from rote.errors import StoreError
from rote.services.upkeep.marking import OBJECTS, Marker
from rote.testing.faults import WRITES, Crashed, Fault, FaultyStore, at
from scenes import COMMANDS, Clean, Scene, content, held, opened, play, whole

CRASHES = (Fault.CRASH_BEFORE, Fault.CRASH_AFTER)
LOST = (Fault.LOST_BEFORE, Fault.LOST_AFTER)
TROUBLE = (Fault.FULL, Fault.UNAVAILABLE)
EVERYDAY = {"add-again": 5, "run": 5, "release": 5, "gc": 8, "delete": 12}
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


def twice(command: str, seed: int, played: Played, root: Path) -> None:
    """Two crashes, the second one of the same command or of a collection; then the command and a collection in peace:
    exactly what is needed is left, and it is not larger than if nothing had happened."""
    scene, clean = played[command]
    chance = random.Random(seed)
    scene.laid(root)
    second = scene if chance.random() < 0.5 else played["gc"][0]
    for n, (doing, length) in enumerate([(scene, len(clean.kinds)), (second, 40)]):
        plan = at(chance.randrange(length), chance.choice(CRASHES))
        store = FaultyStore(FolderStore(str(root / ".rote/store")), plan)
        attempt(doing, root, 50 + n, store)
        whole(root, clean)
    assert scene.do(opened(root, 57), root) == clean.told
    rested = rest(root, 58)
    assert content(root) == clean.content
    assert held(root) == clean.held_then
    whole(root, clean)
    for kind, size in rest(clean.root, 58).items():
        # Who goes on where another died has the content in two packs, each with a table of contents.
        assert rested[kind] <= size + 2048, kind


def rest(root: Path, seed: int) -> dict[str, int]:
    """Bytes by kind after collections alone, of packs and snapshots; nothing else is left of them than what is needed."""
    for n in range(2):
        opened(root, seed + n).store.gc(delete=True, grace_hours=0)
    store = FolderStore(str(root / ".rote/store"))
    marker = Marker(store)
    needed = marker.needed(marker.look()).keys
    sizes = {m.key: m.size for prefix in OBJECTS for m in store.list(prefix)}
    assert sizes.keys() == needed
    assert not list(store.list("txns/"))
    return {prefix: sum(size for key, size in sizes.items() if key.startswith(prefix)) for prefix in OBJECTS}


@pytest.mark.parametrize("seed", range(24))
def test_two_crashes_and_a_collection(seed: int, played: Played, tmp_path: Path) -> None:
    twice(list(COMMANDS)[seed % len(COMMANDS)], seed, played, tmp_path / "p")


@pytest.mark.heavy
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("command", COMMANDS)
def test_two_crashes_anywhere_and_a_collection(
    command: str, block: int, played: Played, tmp_path: Path
) -> None:
    for seed in range(100 * (1 + block), 100 * (2 + block)):
        twice(command, seed, played, tmp_path / f"{seed}")
        shutil.rmtree(tmp_path / f"{seed}")


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_cut_three_times(command: str, seed: int, played: Played, tmp_path: Path) -> None:
    scene, clean = played[command]
    cut(scene, clean, tmp_path / "p", random.Random(seed).choices(cases(clean), k=3))
