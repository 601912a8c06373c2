"""The contract of ports.ObjectStore as a test suite. A store passes with a test file of a few lines:

    class TestMyStore(StoreContract):
        def make(self, place):                  # a new, empty store; `place` is an empty folder of the test's own
            return MyStore(...)

        def again(self, store, place):          # another client of the same store
            return MyStore(...)

        def raw_put(self, store, place, key, data):     # behind the API's back
            ...

        def raw_get(self, store, place, key):
            ...

No subclass may override a test.
"""

from __future__ import annotations

import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from rote.errors import BadName, Conflict, Corrupt, NotFound, Unknown, Unsupported
from rote.ports import Found, Meta, ObjectStore

_ONE = threading.Lock()

HOSTILE = [
    "", "/", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", ".hidden", "a/.b", "a\\b", "a\0b",
    "a\nb", "a\n", "C:a", "a b", "ä", "a~b", "~tmp/x", "a/~lock", "a:b", "a*", "a?b", "a|b", "a'b", "$(a)", "%2e%2e/a",
    "\ud800", "a" * 256, "/".join(["a" * 100] * 9), "a/" * 451 + "a",
]  # fmt: skip
"""Keys that every store refuses."""

FRIENDLY = [
    "a", "0", "rote.json", "txns/20261121T110000-0123456789abcdef", "a@b+c=d,e-f_g.h", "A/b/C", "-", "_", "a..b",
    "a.", "b/" + "x" * 255, "/".join(["y" * 99] * 9), "con", "nul/aux", "lost-found",
]  # fmt: skip
"""Keys that every store accepts. None lies below another."""


class StoreContract(ABC):
    """One test a clause of the contract."""

    etags_repeat = False
    """Say True if equal bodies have equal etags (as on S3): that is allowed, and conditions then meet other bodies."""
    conditional_delete = True
    """Say False if `delete` with the right etag is Unsupported: that is allowed, and must be said."""

    several_writers = True
    """Say False for a store that only one may write to at a time: the tests of races then let the clients take turns,
    each for one look and one write, which is what such a store promises."""

    @abstractmethod
    def make(self, place: Path) -> ObjectStore:
        """A new, empty store."""

    @abstractmethod
    def again(self, store: ObjectStore, place: Path) -> ObjectStore:
        """Another client of the same store."""

    @abstractmethod
    def raw_put(self, store: ObjectStore, place: Path, key: str, data: bytes) -> None:
        """Plant an object behind the API's back."""

    @abstractmethod
    def raw_get(self, store: ObjectStore, place: Path, key: str) -> bytes | None:
        """The bytes of an object as they lie there, or None, behind the API's back."""

    def __init_subclass__(cls) -> None:
        for name in vars(cls):
            if name.startswith("test_") and hasattr(StoreContract, name):
                raise TypeError(f"{cls.__name__} overrides {name}: the contract is the same for every store")

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """Where the store may put things."""
        return tmp_path

    def _turn(self) -> AbstractContextManager[object]:
        """For one look and one write of one client."""
        return nullcontext() if self.several_writers else _ONE

    @pytest.fixture
    def store(self, place: Path) -> ObjectStore:
        """The store under test."""
        return self.make(place)

    # what is written is read

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

    # create

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

    # replace

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

    # delete

    def test_delete_deletes(self, store: ObjectStore, place: Path) -> None:
        store.create("a/b", b"1")
        store.create("a/c", b"2")
        store.delete("a/b")
        assert self.raw_get(store, place, "a/b") is None
        assert [m.key for m in store.list("")] == ["a/c"]
        with pytest.raises(NotFound):
            store.get("a/b")
        store.create("a/b", b"3")
        assert store.get("a/b").data == b"3"

    def test_delete_takes_only_the_right_etag(self, store: ObjectStore) -> None:
        first = store.create("a", b"1")
        body = b"2" if self.etags_repeat else b"1"
        second = store.replace("a", body, first)
        for wrong in (first, "", "nonsense"):
            with pytest.raises(Conflict):
                store.delete("a", wrong)
        assert store.get("a") == Found(body, second)
        if not self.conditional_delete:
            with pytest.raises(Unsupported):
                store.delete("a", second)
            assert store.get("a") == Found(body, second)
            store.delete("a")
        else:
            store.delete("a", second)
        with pytest.raises(Conflict):
            store.delete("a", second)

    @pytest.mark.parametrize("key", ["a", "b", "a/b/c", "x/y"])
    def test_deleting_what_is_not_there_is_no_error(self, store: ObjectStore, key: str) -> None:
        store.create("a/b", b"1")
        store.delete(key)
        with pytest.raises(Conflict):
            store.delete(key, "etag")
        assert [m.key for m in store.list("")] == ["a/b"]

    def test_deleting_beside_creating_loses_nothing(self, store: ObjectStore, place: Path) -> None:
        """A store that tidies up after a delete must not take away what is being created beside it."""

        def work(n: int) -> None:
            client = self.again(store, place)
            for i in range(25):
                with self._turn():
                    client.create(f"same/place/{n}", str(i).encode())
                assert client.get(f"same/place/{n}").data == str(i).encode()
                with self._turn():
                    client.delete(f"same/place/{n}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert list(store.list("")) == []

    # ranges

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

    # list

    def test_a_listing_is_sorted_by_bytes(self, store: ObjectStore) -> None:
        """Among them the names that sort otherwise as folders than as keys: `,` `-` `.` come before `/`."""
        made = [
            "a,b",
            "a-b/c",
            "a.b",
            "a/b",
            "a/b-c",
            "a0",
            "A/z",
            "a/c/d",
            "a/c-d",
            "b",
            "a=b",
            "aa/b",
            "a+/x",
            "Z",
        ]
        for key in made:
            store.create(key, key.encode())
        assert [m.key for m in store.list("")] == sorted(made)
        assert [m.size for m in store.list("")] == [len(k) for k in sorted(made)]

    def test_a_listing_goes_by_prefix_and_after(self, store: ObjectStore) -> None:
        chance = random.Random(7)
        made: set[str] = set()
        while len(made) < 60:
            key = "/".join("".join(chance.choices("ab.-0", k=chance.randrange(1, 4))) for _ in range(3))
            if "/." not in key and key[0] != ".":
                made.add(key)
        for key in made:
            store.create(key, b"")
        cuts = {k[:n] for k in made for n in range(len(k) + 1)}
        prefixes = ["", *chance.sample(sorted(c for c in cuts if c and "/." not in c + "x"), 40), "z", "a/z/"]
        afters = ["", *chance.sample(sorted(cuts), 40), "~", "0", "a/", "a/b/zzz"]
        for prefix in prefixes:
            for after in chance.sample(afters, 12):
                expected = sorted(k for k in made if k.startswith(prefix) and k > after)
                assert [m.key for m in store.list(prefix, after)] == expected, (prefix, after)

    def test_a_listing_bears_changes_under_it(self, store: ObjectStore) -> None:
        for n in range(20):
            store.create(f"{n:02}/x", b"")
        seen = []
        for meta in store.list(""):
            seen.append(meta.key)
            if meta.key == "03/x":
                for n in (1, 5, 7):
                    store.delete(f"{n:02}/x")
        assert seen == sorted(seen)
        assert {f"{n:02}/x" for n in range(20)} - {"05/x", "07/x"} <= set(seen)

    # keys

    @pytest.mark.parametrize("key", HOSTILE, ids=ascii)
    def test_hostile_keys_are_refused(self, store: ObjectStore, place: Path, key: str) -> None:
        before = sorted(place.rglob("*"))
        for ask in (
            lambda: store.get(key),
            lambda: store.get_range(key, 0, 0),
            lambda: store.get_ranges(key, []),
            lambda: store.head(key),
            lambda: store.create(key, b"x"),
            lambda: store.replace(key, b"x", "etag"),
            lambda: store.delete(key),
            lambda: store.delete(key, "etag"),
        ):
            with pytest.raises(BadName):
                ask()
        assert list(store.list("")) == []
        assert sorted(place.rglob("*")) == before

    @pytest.mark.parametrize(
        "prefix", ["/", "../", "..", "a//", "a/../", "/a", "a\0", "\ud800", "a/./", ".h"], ids=ascii
    )
    def test_hostile_prefixes_are_refused(self, store: ObjectStore, prefix: str) -> None:
        with pytest.raises(BadName):
            list(store.list(prefix))

    def test_every_friendly_key_is_taken(self, store: ObjectStore, place: Path) -> None:
        for key in FRIENDLY:
            store.create(key, key.encode())
        assert [m.key for m in store.list("")] == sorted(FRIENDLY)
        for key in FRIENDLY:
            assert store.get(key).data == key.encode()
            assert self.raw_get(store, place, key) == key.encode()
