"""What is written is read, whole and in ranges."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from rote.errors import Conflict, Corrupt, NotFound
from rote.ports import Found, Meta, ObjectStore
from rote.testing.store_contract.base import Contract


class Reading(Contract):
    """What is written is read, whole and in ranges."""

    @pytest.mark.parametrize("size", [0, 1, 4096, 5_000_001])
    def test_what_is_created_is_read(self, store: ObjectStore, place: Path, size: int) -> None:
        data = random.Random(size).randbytes(size)
        etag = store.create("a/b", data)
        assert store.get("a/b") == Found(data, etag)
        assert store.head("a/b") == Meta("a/b", size, etag)
        assert list(store.list("")) == [Meta("a/b", size, etag)]
        assert self.raw_get(store, place, "a/b") == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_every_kind_of_buffer_is_taken(
        self, store: ObjectStore, kind: Callable[[bytes], bytes | bytearray | memoryview]
    ) -> None:
        store.create("a", kind(b"data"))
        assert store.get("a").data == b"data"
        assert type(store.get("a").data) is bytes

    def test_a_buffer_that_changes_later_changes_nothing(self, store: ObjectStore) -> None:
        data = bytearray(b"data")
        store.create("a", data)
        data[:] = b"else"
        assert store.get("a").data == b"data"

    def test_what_was_planted_is_read(self, store: ObjectStore, place: Path) -> None:
        self.raw_put(store, place, "a/b/c", b"planted")
        found = store.get("a/b/c")
        assert found.data == b"planted"
        assert store.head("a/b/c") == Meta("a/b/c", 7, found.etag)
        assert list(store.list("a/")) == [Meta("a/b/c", 7, found.etag)]
        assert store.get_range("a/b/c", 2, 3) == b"ant"
        with pytest.raises(Conflict):
            store.create("a/b/c", b"")
        store.replace("a/b/c", b"ours", found.etag)
        assert self.raw_get(store, place, "a/b/c") == b"ours"

    def test_another_client_sees_it_at_once(self, store: ObjectStore, place: Path) -> None:
        other = self.again(store, place)
        etag = store.create("a", b"1")
        assert other.get("a") == Found(b"1", etag)
        new = other.replace("a", b"2", etag)
        assert store.head("a").etag == new
        assert [m.key for m in store.list("")] == ["a"]
        other.delete("a", new if self.conditional_delete else None)
        with pytest.raises(NotFound):
            store.get("a")

    @pytest.mark.parametrize("key", ["a", "a/b", "a/b/c/d"])
    def test_what_is_not_there_is_not_found(self, store: ObjectStore, key: str) -> None:
        store.create("a/b/c", b"data")
        for ask in (
            store.get,
            store.head,
            lambda k: store.get_range(k, 0, 0),
            lambda k: store.get_ranges(k, []),
        ):
            with pytest.raises(NotFound) as caught:
                ask(key)
            assert caught.value.key == key

    def test_its_address_is_shown(self, store: ObjectStore, place: Path) -> None:
        assert store.url
        assert store.url == self.again(store, place).url

    def test_ranges_are_slices(self, store: ObjectStore) -> None:
        chance = random.Random(1)
        data = chance.randbytes(700_000)
        store.create("a", data)
        assert store.get_ranges("a", []) == []
        for _ in range(60):
            ranges = []
            for _ in range(chance.randrange(1, 30)):
                start = chance.randrange(len(data) + 1)
                ranges.append((start, min(len(data) - start, chance.choice([0, 1, 100, 5_000, 200_000]))))
            chance.shuffle(ranges)
            ranges += ranges[:2]
            assert store.get_ranges("a", ranges) == [data[s : s + n] for s, n in ranges]
        assert store.get_range("a", 0, len(data)) == data
        assert store.get_range("a", len(data), 0) == b""

    @pytest.mark.parametrize(
        "bad", [(0, 11), (10, 1), (11, 0), (5, 6), (-1, 1), (-1, 0), (0, -1), (2**70, 1), (0, 2**70)]
    )
    def test_a_range_beyond_the_end_is_corrupt(self, store: ObjectStore, bad: tuple[int, int]) -> None:
        store.create("a", b"0123456789")
        with pytest.raises(Corrupt):
            store.get_range("a", *bad)
        with pytest.raises(Corrupt):
            store.get_ranges("a", [(0, 1), bad])
