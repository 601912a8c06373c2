"""What is deleted is gone, and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rote.errors import Conflict, NotFound, Unsupported
from rote.ports import Found, ObjectStore
from rote.testing.store_contract.base import Contract


class Deleting(Contract):
    """What is deleted is gone, and nothing else."""

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
