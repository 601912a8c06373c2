"""What a caller of transactions and roots may count on, without faults."""

from __future__ import annotations

import threading

import msgspec
import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import Corrupt, Missing, StoreError, TooNew
from rote.services.store import founding
from rote.services.store.roots import Roots, end_txn
from rote.services.store.transactions import Beaten, LostTxn, Transactions, Write
from rote.testing.clock import StillClock
from rote.words.encoding import digest_of, tagged, with_check, without_check
from rote.words.ids import SnapshotId
from rote.words.record import ABORTED, COMMITTED, Fence, Root, StoreInfo, Txn
from rote.words.snapshot import SnapshotRecord, SnapshotRef


class Body(msgspec.Struct):
    text: str


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def transactions(store: MemoryStore) -> Transactions:
    return Transactions(store, StillClock(), "ada@lovelace")


def snapshot(write: Write, text: str, *packs: str) -> SnapshotRef:
    content = text.encode()
    names = [write.put_pack(digest_of(content), content), *packs]
    id = SnapshotId(tagged("snapshot", content))
    return write.add_snapshot(
        SnapshotRecord(id=id, txn=write.id, files=1, size=len(content), packs=names, nodes=[])
    )


def save(
    transactions: Transactions, key: str, text: str, *, replace: bool = False, reuse: tuple[str, ...] = ()
) -> SnapshotRef:
    def work(write: Write) -> SnapshotRef:
        assert write.usable(reuse) == set(reuse)
        ref = snapshot(write, text, *reuse)
        write.root(key, Body(text), [ref], replace=replace)
        return ref

    return transactions.write(work)


def txn_of(store: MemoryStore, txn: str) -> Txn:
    return without_check(store.get(f"txns/{txn}").data, Txn, txn)


class TestCommit:
    def test_nothing_is_in_force_before_it_and_all_is_after(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        with transactions.begin() as write:
            ref = snapshot(write, "a")
            write.root("data/1", Body("a"), [ref])
            write.root("data/2", Body("b"), [ref])
            assert list(Roots(store).list("data/")) == []
            write.commit()
        assert [Roots(store).get(f"data/{n}", Body)[0].text for n in (1, 2)] == ["a", "b"]
        assert txn_of(store, write.id).state == COMMITTED

    def test_the_first_root_wins(self, store: MemoryStore, transactions: Transactions) -> None:
        save(transactions, "results/1", "first")
        with pytest.raises(Beaten) as beaten:
            save(transactions, "results/1", "second")
        assert beaten.value.root.body == {"text": "first"}
        assert Roots(store).get("results/1", Body)[0].text == "first"

    def test_a_beaten_write_leaves_no_other_root_in_force(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        save(transactions, "results/2", "first")
        with pytest.raises(Beaten), transactions.begin() as write:
            ref = snapshot(write, "x")
            for n in (1, 2, 3):
                write.root(f"results/{n}", Body("x"), [ref])
            write.commit()
        assert [Roots(store).envelope(f"results/{n}") is None for n in (1, 2, 3)] == [True, False, True]
        assert txn_of(store, write.id).state == ABORTED
        save(transactions, "results/1", "y")
        assert Roots(store).get("results/1", Body)[0].text == "y"

    def test_replace_keeps_the_former_root_until_the_commit(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        save(transactions, "runs/1/record", "old")
        write = transactions.begin()
        ref = snapshot(write, "new")
        write.root("runs/1/record", Body("new"), [ref], replace=True)
        write.root("runs/2/record", Body("new"), [ref])
        save(transactions, "runs/2/record", "in the way")
        with pytest.raises(Beaten):
            write.commit()  # runs/1 was hung already
        assert store.get("runs/1/record").data.count(b'"before":{') == 1
        assert Roots(store).get("runs/1/record", Body)[0].text == "old"
        assert Roots(store).settle("runs/1/record")
        assert b'"before"' not in store.get("runs/1/record").data.replace(b'"before":null', b"")
        assert Roots(store).get("runs/1/record", Body)[0].text == "old"

    def test_somebody_gave_up_on_it(self, store: MemoryStore, transactions: Transactions) -> None:
        with pytest.raises(LostTxn) as lost, transactions.begin() as write:
            ref = snapshot(write, "x")
            write.root("data/1", Body("x"), [ref])
            assert end_txn(store, write.id) == ABORTED
            write.commit()
        assert lost.value.retry
        assert Roots(store).envelope("data/1") is None

    def test_an_open_writer_in_the_way_is_ended(self, store: MemoryStore, transactions: Transactions) -> None:
        stuck = "20261121T110000-00000000000000aa"
        store.create(f"txns/{stuck}", with_check(Txn(id=stuck, state="open", by="x", began="")))
        store.create("results/1", with_check(Root(state="pending", txn=stuck, body={"text": "never"})))
        assert Roots(store).get("results/1", Body) is None
        save(transactions, "results/1", "mine")
        assert Roots(store).get("results/1", Body)[0].text == "mine"
        assert txn_of(store, stuck).state == ABORTED

    def test_starts_over_with_a_new_id(self, store: MemoryStore, transactions: Transactions) -> None:
        ids = []

        def work(write: Write) -> None:
            ids.append(write.id)
            write.root("data/1", Body("x"), [snapshot(write, "x")])
            if len(ids) < 3:
                end_txn(store, write.id)

        transactions.write(work)
        assert len(set(ids)) == 3
        assert Roots(store).get("data/1", Body)[1].txn == ids[-1]

    def test_an_error_of_the_caller_is_not_hidden_and_ends_the_write(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        with pytest.raises(ZeroDivisionError), transactions.begin() as write:
            snapshot(write, "x")
            1 / 0
        assert txn_of(store, write.id).state == ABORTED

    def test_packs_from_many_threads(self, store: MemoryStore, transactions: Transactions) -> None:
        with transactions.begin() as write:
            bodies = [bytes([n]) * n for n in range(1, 40)]
            threads = [threading.Thread(target=write.put_pack, args=(digest_of(b), b)) for b in bodies]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert len(list(store.list(f"packs/{write.id}/"))) == len(bodies)
        assert len(list(store.list("txns/"))) == 1


class TestReuse:
    def test_what_is_reused_is_pinned(self, store: MemoryStore, transactions: Transactions) -> None:
        old = save(transactions, "data/1", "old")
        pack = next(store.list("packs/")).key.removeprefix("packs/")
        new = save(transactions, "data/2", "new", reuse=(pack,))
        assert txn_of(store, new.txn).packs == [pack]
        assert txn_of(store, new.txn).snapshots == []
        with transactions.begin() as write:
            assert write.use(old)
            write.root("data/3", Body("hit"), [old])
            write.commit()
        assert txn_of(store, write.id).packs == [pack]
        assert txn_of(store, write.id).snapshots == [old.key]

    def test_a_candidate_of_the_collector_is_not_usable(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        ref = save(transactions, "data/1", "old")
        pack = next(store.list("packs/")).key
        fence = Fence(generation=1, phase="cand", objects=[pack], nonce="1")
        store.create("gc/fence", with_check(fence))
        with transactions.begin() as write:
            assert write.usable([pack.removeprefix("packs/")]) == set()
            assert not write.use(ref)

    def test_what_is_gone_is_not_usable(self, store: MemoryStore, transactions: Transactions) -> None:
        ref = save(transactions, "data/1", "old")
        pack = next(store.list("packs/")).key
        store.delete(pack)
        with transactions.begin() as write:
            assert write.usable([pack.removeprefix("packs/")]) == set()
            assert not write.use(ref)
        with pytest.raises(LostTxn), transactions.begin() as write:
            write.root("data/2", Body("x"), [ref])
            write.commit()
        assert Roots(store).envelope("data/2") is None

    def test_a_pin_condemned_after_it_was_seen_starts_the_write_over(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        save(transactions, "data/1", "old")
        pack = next(store.list("packs/")).key
        with pytest.raises(LostTxn), transactions.begin() as write:
            assert write.usable([pack.removeprefix("packs/")])
            ref = snapshot(write, "new", pack.removeprefix("packs/"))
            store.create("gc/fence", with_check(Fence(generation=1, phase="cand", objects=[pack], nonce="1")))
            write.root("data/2", Body("new"), [ref])
            write.commit()
        assert Roots(store).envelope("data/2") is None

    def test_the_same_snapshot_twice_in_one_write_is_one_record(
        self, store: MemoryStore, transactions: Transactions
    ) -> None:
        with transactions.begin() as write:
            one, two = snapshot(write, "x"), snapshot(write, "x")
            assert one == two
            write.root("data/1", Body("x"), [one, two])
            write.commit()
        assert len(list(store.list("snapshots/"))) == 1


class TestRoots:
    def test_remove(self, store: MemoryStore, transactions: Transactions) -> None:
        save(transactions, "data/1", "x")
        roots = Roots(store)
        assert roots.remove("data/1")
        assert roots.get("data/1", Body) is None
        assert not roots.remove("data/1")
        assert not roots.remove("data/never")
        save(transactions, "data/1", "y")
        assert roots.get("data/1", Body)[0].text == "y"

    def test_damage_is_told(self, store: MemoryStore, transactions: Transactions) -> None:
        save(transactions, "data/1", "x")
        found = store.get("data/1")
        store.replace("data/1", found.data.replace(b'"x"', b'"y"'), found.etag)
        with pytest.raises(Corrupt, match="damaged"):
            Roots(store).get("data/1", Body)

    def test_a_newer_envelope_is_refused(self, store: MemoryStore) -> None:
        store.create(
            "data/1", with_check({"format": 2, "state": "live", "txn": "t", "needs": [], "body": {}})
        )
        with pytest.raises(TooNew, match="format 2"):
            Roots(store).get("data/1", Body)


class TestFounding:
    def test_founds_once(self, store: MemoryStore) -> None:
        with pytest.raises(Missing, match="no store"):
            founding.read(store)
        info = founding.found(store, StillClock(seed=1))
        assert founding.found(store, StillClock(seed=2)) == info == founding.read(store)

    def test_a_newer_store_is_refused(self, store: MemoryStore) -> None:
        info = StoreInfo(format=9, id="x", chunk_min=1, chunk_avg=2, chunk_max=3)
        store.create("rote.json", with_check(info))
        for look in (founding.read, lambda s: founding.found(s, StillClock())):
            with pytest.raises(TooNew, match="format 9"):
                look(store)

    def test_a_folder_of_something_else_is_left_alone(self, store: MemoryStore) -> None:
        store.create("holiday/photo.jpg", b"...")
        for look in (founding.read, lambda s: founding.found(s, StillClock())):
            with pytest.raises(StoreError, match=r"not a store.*holiday/photo\.jpg"):
                look(store)
        assert [m.key for m in store.list("")] == ["holiday/photo.jpg"]
