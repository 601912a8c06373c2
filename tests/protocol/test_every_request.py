"""A write of a pack, a snapshot and roots, cut at every single request, before and after it was applied."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import StoreFull, StoreUnavailable, Unknown
from rote.ports import Found, Meta, ObjectStore
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions, Write
from rote.testing.clock import StillClock
from rote.words.encoding import digest_of, tagged, without_check
from rote.words.ids import SnapshotId
from rote.words.record import LIVE, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef


class Cut(BaseException):
    """The process ends here."""


class Body(msgspec.Struct):
    text: str


class Wire:
    """A store whose request number `at` goes wrong: `before` or `after` it is applied, by raising `error`. After a Cut
    nothing gets through any more."""

    url = "memory:"

    def __init__(self, inner: MemoryStore, at: int = -1, after: bool = False, error: object = None) -> None:
        self.inner, self.at, self.after, self.error = inner, at, after, error
        self.asked: list[str] = []
        self.dead = False

    def _do(self, kind: str, key: str, act: Callable[[], object]) -> object:
        if self.dead:
            raise Cut
        self.asked.append(f"{kind} {key}")
        if len(self.asked) - 1 != self.at:
            return act()
        error = self.error(key) if callable(self.error) else self.error
        self.dead = isinstance(error, Cut)
        if self.after:
            act()
        raise error

    def get(self, key: str) -> Found:
        return self._do("get", key, lambda: self.inner.get(key))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._do("get", key, lambda: self.inner.get_range(key, start, length))

    def get_ranges(self, key, ranges):
        return self._do("get", key, lambda: self.inner.get_ranges(key, ranges))

    def head(self, key: str) -> Meta:
        return self._do("head", key, lambda: self.inner.head(key))

    def create(self, key: str, data: bytes) -> str:
        return self._do("create", key, lambda: self.inner.create(key, data))

    def replace(self, key: str, data: bytes, etag: str) -> str:
        return self._do("replace", key, lambda: self.inner.replace(key, data, etag))

    def delete(self, key: str, etag: str | None = None) -> None:
        self._do("delete", key, lambda: self.inner.delete(key, etag))

    def list(self, prefix: str, after: str = ""):
        return iter(self._do("list", prefix, lambda: list(self.inner.list(prefix, after))))


KEYS = ["data/1", "results/1", "runs/1/record"]


def save(write: Write, text: str, reuse: list[str]) -> None:
    """One pack of its own, the packs of others in `reuse`, a snapshot, three roots; the last one replaces."""
    pack = write.put_pack(digest_of(text.encode()), text.encode())
    packs = [pack, *sorted(write.usable(reuse))]
    id = SnapshotId(tagged("snapshot", text.encode()))
    ref = write.add_snapshot(SnapshotRecord(id=id, txn=write.id, files=1, size=1, packs=packs, nodes=[]))
    for key in KEYS:
        write.root(key, Body(text), [ref], replace=key.startswith("runs/"))


def begin(store: ObjectStore, seed: int) -> Transactions:
    return Transactions(store, StillClock(seed=seed), "tester")


def scene() -> tuple[MemoryStore, list[str], SnapshotRef]:
    """A store with an old pack, held by an old run record."""
    store = MemoryStore()
    with begin(store, 1).begin() as write:
        pack = write.put_pack(digest_of(b"old"), b"old")
        id = SnapshotId(tagged("snapshot", b"old"))
        ref = write.add_snapshot(SnapshotRecord(id=id, txn=write.id, files=1, size=3, packs=[pack], nodes=[]))
        write.root("runs/1/record", Body("old"), [ref])
        write.commit()
    return store, [pack], ref


def readable(store: MemoryStore) -> dict[str, str]:
    """What every root says; fails if anything that one needs is missing or wrong."""
    said = {}
    for key in KEYS:
        found = Roots(store).get(key, Body)
        if found is None:
            continue
        said[key] = found[0].text
        for ref in found[1].needs:
            record = without_check(store.get(f"snapshots/{ref.key}").data, SnapshotRecord, key)
            for pack in record.packs:
                assert digest_of(store.get(f"packs/{pack}").data) == pack.split("/")[1]
    return said


def length() -> int:
    store, packs, _ = scene()
    wire = Wire(store)
    begin(wire, 2).write(lambda w: save(w, "new", packs))
    return len(wire.asked)


OLD = {"runs/1/record": "old"}
NEW = dict.fromkeys(KEYS, "new")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_request_leaves_all_or_nothing_and_a_second_try_succeeds(after: bool) -> None:
    outcomes = set()
    for at in range(length()):
        store, packs, _ = scene()
        with pytest.raises(Cut):
            begin(Wire(store, at, after, Cut()), 2).write(lambda w: save(w, "new", packs))
        said = readable(store)
        assert said in (OLD, NEW), f"request {at}"
        outcomes.add(len(said))
        if said == OLD:
            begin(store, 3).write(lambda w: save(w, "new", packs))
        assert readable(store) == NEW, f"request {at}"
    assert outcomes == {1, 3}  # some cuts came before the commit, some after it


def test_two_crashes_in_a_row_at_any_two_requests() -> None:
    for first in range(length()):
        for second in range(first % 3, length() + 3, 3):
            store, packs, _ = scene()
            with pytest.raises(Cut):
                begin(Wire(store, first, True, Cut()), 2).write(lambda w: save(w, "new", packs))
            if readable(store) == OLD:
                try:
                    begin(Wire(store, second, second % 2 == 0, Cut()), 3).write(
                        lambda w: save(w, "new", packs)
                    )
                except Cut:
                    pass
            if readable(store) == OLD:
                begin(store, 4).write(lambda w: save(w, "new", packs))
            assert readable(store) == NEW, f"requests {first}, {second}"


@pytest.mark.parametrize("applied", [False, True], ids=["not applied", "applied"])
def test_any_lost_reply_is_no_failure_and_nothing_is_made_twice(applied: bool) -> None:
    for at in range(length()):
        store, packs, _ = scene()
        wire = Wire(store, at, applied, Unknown)
        if not ask_of(at).startswith(("create", "replace")):
            continue
        begin(wire, 2).write(lambda w: save(w, "new", packs))
        assert readable(store) == NEW, ask_of(at)
        assert len(list(store.list("txns/"))) == 2, ask_of(at)
        assert len(list(store.list("packs/"))) == 2, ask_of(at)


def ask_of(at: int) -> str:
    store, packs, _ = scene()
    wire = Wire(store)
    begin(wire, 2).write(lambda w: save(w, "new", packs))
    return wire.asked[at]


@pytest.mark.parametrize(
    "error", [StoreFull("no space left"), StoreUnavailable("gone")], ids=["full", "unavailable"]
)
def test_an_error_at_any_request_leaves_all_or_nothing(error: Exception) -> None:
    for at in range(length()):
        store, packs, _ = scene()
        wire = Wire(store, at, False, error)
        try:
            begin(wire, 2).write(lambda w: save(w, "new", packs))
        except (StoreFull, StoreUnavailable):
            assert readable(store) == OLD, f"request {at}"
            if at > 1:
                assert wire.asked[-1].startswith("replace txns/")  # it was aborted
        else:
            assert wire.asked[at].startswith("replace ")  # a root that could not be settled is no failure
            assert readable(store) == NEW
        if readable(store) == OLD:
            begin(store, 3).write(lambda w: save(w, "new", packs))
        assert readable(store) == NEW


def test_a_store_that_stays_silent_after_the_commit_is_unknown_and_nothing_is_cleaned_up() -> None:
    store, packs, _ = scene()
    at = next(n for n in range(length()) if ask_of(n).startswith("replace txns/") and n > length() - 5)
    wire = Wire(store, at, True, Unknown)
    quiet = wire.get

    def get(key: str) -> Found:
        if len(wire.asked) > at:
            raise StoreUnavailable("gone")
        return quiet(key)

    wire.get = get
    with pytest.raises(Unknown):
        begin(wire, 2).write(lambda w: save(w, "new", packs))
    assert len(wire.asked) == at + 1
    assert readable(store) == NEW


def test_the_fewest_requests() -> None:
    """The order of docs/format.md, 6.5, with every shortcut."""
    store = MemoryStore()
    wire = Wire(store)
    transactions = begin(wire, 2)

    def one(n: int) -> Write:
        with transactions.begin() as write:
            content = bytes([n])
            pack = write.put_pack(digest_of(content), content)
            id = SnapshotId(tagged("snapshot", content))
            ref = write.add_snapshot(
                SnapshotRecord(id=id, txn=write.id, files=1, size=1, packs=[pack], nodes=[])
            )
            write.root(f"results/{n}", Body(str(n)), [ref])
            write.commit()
        return write

    def kinds() -> list[str]:
        asked = [a.split("/")[0] for a in wire.asked]
        wire.asked.clear()
        return asked

    six = [
        "create txns",
        "create packs",
        "create snapshots",
        "create results",
        "replace txns",
        "replace results",
    ]
    one(0)
    assert kinds() == six
    one(1)
    assert kinds() == ["get gc", *six]  # from now on this process knows the fence
    one(2)
    assert kinds() == six
    refs = [Roots(store).get(f"results/{n}", Body)[1].needs[0] for n in range(3)]
    wire.asked.clear()
    with transactions.begin() as write:
        assert all(write.use(ref) for ref in refs)
        write.root("runs/1/record", Body("all"), refs, replace=True)
        write.commit()
    assert kinds() == [
        *["get gc", "get snapshots", "head packs"],  # the first snapshot was made before the fence was known
        *["create txns", "get gc", "get runs", "create runs", "replace txns", "replace runs"],
    ]
    with transactions.begin() as write:
        write.root("runs/2/record", Body("begun"), [])
        write.commit()
    assert kinds() == ["create runs"]
    with transactions.begin():
        pass
    assert kinds() == []
    envelope = Roots(store).envelope("runs/2/record")
    assert envelope is not None
    assert envelope.state == LIVE


def test_a_write_that_is_given_up_ends_its_transaction() -> None:
    store = MemoryStore()
    with begin(store, 2).begin() as write:
        write.put_pack(digest_of(b"x"), b"x")
    txn = without_check(store.get(f"txns/{write.id}").data, Txn, "")
    assert txn.state == "aborted"
    with pytest.raises(ValueError, match="over"):
        write.root("results/1", Body(""), [])
