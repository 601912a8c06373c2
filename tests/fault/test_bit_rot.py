"""Bits rot and objects are torn: nothing wrong is ever read, and a check names the object, what suffers and what to do."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from rotten import Readers, Spoiled, made

from rote.services.upkeep.check import StoreCheck

SIZE = 1_060_000
"""Bytes of data beside what a small project needs: the heavy store has a little more than a megabyte."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Spoiled:
    return made(tmp_path_factory.mktemp("store"), SIZE)


def flips(store: Spoiled, stride: int) -> Iterator[tuple[str, bytes, int]]:
    """Key, sound body and offset, through all objects."""
    for key in sorted(store._objects):
        whole = store.get(key).data
        for at in range(random.Random(key).randrange(min(stride, len(whole))), len(whole), stride):
            yield key, whole, at


def flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]


def is_named(store: Spoiled, key: str, deep: bool) -> None:
    """The check names this object and a way to repair it; of a pack also a file."""
    damages = StoreCheck(store).check(deep).damages
    assert key in [d.key for d in damages], (key, damages)
    (damage,) = [d for d in damages if d.key == key]
    assert damage.repairs(), (key, damage)
    if (
        key.startswith("packs/")
        and damage.why != "it does not begin as a pack does; all that is in it can be read"
    ):
        assert damage.suffering[0].files
        assert damage.suffering[0].paths


def spoiled(store: Spoiled, stride: int, checks: int) -> tuple[int, int, int]:
    """Flip one bit of every `stride`th byte: nothing wrong is read, and a check (of every one in `checks` of the flips
    in packs, of all others) tells. Returns flips, readers that were told, checks."""
    readers = Readers(store)
    count = told = checked = 0
    for key, whole, at in flips(store, stride):
        store.spoil(key, flipped(whole, at))
        count += 1
        here = readers.read(key, at)
        told += here
        assert here or key.startswith("packs/"), (key, at)
        if not key.startswith("packs/") or not count % checks:
            is_named(store, key, deep=True)
            checked += 1
        store.spoil(key, whole)
    assert StoreCheck(store).check(deep=True).ok
    return count, told, checked


def test_a_flipped_bit_is_never_read(store: Spoiled) -> None:
    count, told, _ = spoiled(store, 301, 40)
    assert count > SIZE // 301
    assert told > 0.9 * count


def test_every_kind_of_object_is_there(store: Spoiled) -> None:
    kinds = {key.split("/")[0] for key in store._objects}
    assert kinds == {"rote.json", "packs", "snapshots", "txns", "data", "results", "runs", "models", "gc"}
    assert [key for key in store._objects if ".history/" in key]
    assert [key for key in store._objects if "/live/" in key]


@pytest.mark.heavy
@pytest.mark.timeout(7200)
def test_every_byte_of_a_megabyte(store: Spoiled) -> None:
    assert sum(len(found.data) for found in store._objects.values()) >= 1 << 20
    spoiled(store, 1, 50)


def torn(store: Spoiled, total: int) -> int:
    """Cut objects at `total` offsets, seeded: a reader never believes what is left, and a check without reading data tells."""
    chance = random.Random(total)
    keys = sorted(store._objects)
    for n in range(total):
        key = keys[n % len(keys)]
        whole = store.get(key).data
        cut = chance.randrange(len(whole))
        store.spoil(key, whole[:cut])
        is_named(store, key, deep=key.startswith("runs/") and "/live/" in key)
        store.spoil(key, whole)
    return total


def test_a_torn_object_is_always_found(store: Spoiled) -> None:
    torn(store, 120)


@pytest.mark.heavy
def test_objects_torn_at_a_thousand_offsets(store: Spoiled) -> None:
    torn(store, 1000)
