"""Objects are created once, and replaced by whoever saw them last."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rote.errors import Conflict, Unknown
from rote.ports import Found, ObjectStore
from rote.testing.store_contract.base import Contract


class Writing(Contract):
    """Objects are created once, and replaced by whoever saw them last."""

    def test_create_never_overwrites(self, store: ObjectStore, place: Path) -> None:
        etag = store.create("a", b"first")
        for data in (b"second", b"first", b""):
            with pytest.raises(Conflict) as caught:
                store.create("a", data)
            assert caught.value.key == "a"
        assert store.get("a") == Found(b"first", etag)

    def test_of_many_creators_one_wins(self, store: ObjectStore, place: Path) -> None:
        stores = [store] + [self.again(store, place) for _ in range(7)]
        start = threading.Barrier(len(stores))

        def create(n: int) -> str | None:
            start.wait(60)
            try:
                with self._turn():
                    return stores[n].create("deep/in/the/tree", str(n).encode() * 1000)
            except Conflict:
                return None

        with ThreadPoolExecutor(len(stores)) as pool:
            etags = list(pool.map(create, range(len(stores))))
        winners = [n for n, etag in enumerate(etags) if etag is not None]
        assert len(winners) == 1
        assert store.get("deep/in/the/tree").data == str(winners[0]).encode() * 1000
        assert store.head("deep/in/the/tree").etag == etags[winners[0]]

    def test_replace_takes_only_the_right_etag(self, store: ObjectStore) -> None:
        first = store.create("a", b"1")
        second = store.replace("a", b"2", first)
        assert store.get("a") == Found(b"2", second)
        for wrong in (first, "", "nonsense", second + "0"):
            with pytest.raises(Conflict):
                store.replace("a", b"3", wrong)
        assert store.get("a") == Found(b"2", second)

    @pytest.mark.parametrize("key", ["a", "b", "a/b"])
    def test_replace_never_creates(self, store: ObjectStore, key: str) -> None:
        etag = store.create("a/b", b"1")
        store.delete("a/b")
        with pytest.raises(Conflict):
            store.replace(key, b"2", etag)
        assert list(store.list("")) == []

    def test_an_etag_never_comes_back(self, store: ObjectStore) -> None:
        """Equal bodies, bodies of equal size, and objects deleted and created anew, as fast as it goes."""
        own = iter(range(10**6))

        def body(kind: bytes) -> bytes:
            return kind + str(next(own)).encode() if self.etags_repeat else kind

        etags = [store.create("a", body(b"even"))]
        for n in range(100):
            etags.append(store.replace("a", body(b"even" if n % 3 else b"odd!"), etags[-1]))
        for _ in range(50):
            store.delete("a")
            etags.append(store.create("a", body(b"even")))
        assert len(set(etags)) == len(etags)
        for old in etags[:-1]:
            with pytest.raises(Conflict):
                store.replace("a", b"late", old)

    def test_many_writers_lose_no_step(self, store: ObjectStore, place: Path) -> None:
        """Each adds its marks to what it saw. A lost reply is no loss: whoever is told Unknown looks."""
        store.create("marks", b"")

        def mark(client: ObjectStore, writer: int) -> None:
            for n in range(10):
                own = f"{writer}.{n};".encode()
                while True:
                    with self._turn():
                        if own in (seen := client.get("marks")).data:
                            break
                        try:
                            client.replace("marks", seen.data + own, seen.etag)
                            break
                        except (Conflict, Unknown):
                            pass

        clients = [store, store, store, *(self.again(store, place) for _ in range(3))]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(mark, clients, range(6)))
        made = store.get("marks").data.decode().split(";")[:-1]
        assert sorted(made) == sorted(f"{writer}.{n}" for writer in range(6) for n in range(10))

    def test_readers_see_whole_objects(self, store: ObjectStore, place: Path) -> None:
        size = 300_000
        etag = store.create("a", bytes(size))
        seen = {etag: 0}
        done = threading.Event()

        def read() -> list[tuple[str, int]]:
            client, found = self.again(store, place), []
            while True:
                last = done.is_set()
                whole = client.get("a")
                assert len(whole.data) == size
                assert whole.data == whole.data[:1] * size
                found.append((whole.etag, whole.data[0]))
                if last:
                    return found

        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            for n in range(1, 60):
                etag = store.replace("a", bytes([n]) * size, etag)
                seen[etag] = n
            done.set()
            for reader in readers:
                for found, value in reader.result(60):
                    assert seen[found] == value
