"""Many writers at once, in real threads: every commit is there, and none twice."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec
import pytest

from rote.adapters.stores.folder import FolderStore
from rote.adapters.stores.memory import MemoryStore
from rote.ports import ObjectStore
from rote.services.store.roots import Roots
from rote.services.store.transactions import Beaten, Transactions, Write
from rote.testing.clock import StillClock
from rote.words.encoding import digest_of
from rote.words.ids import SnapshotId
from rote.words.snapshot import SnapshotRecord


class Note(msgspec.Struct):
    writer: int


def commit_all(store: ObjectStore, writers: int, commits: int) -> None:
    """Each writer makes its own roots, and all of them race for the same `data/<n>`."""
    won: list[tuple[int, int]] = []
    failures: list[BaseException] = []
    together = threading.Barrier(writers)

    def work(me: int) -> None:
        transactions = Transactions(store, StillClock(seed=me), f"w{me}")
        together.wait(60)
        for n in range(commits):

            def save(write: Write, key: str) -> None:
                content = f"{me} {n}".encode()
                pack = write.put_pack(digest_of(content), content)
                record = SnapshotRecord(
                    id=SnapshotId(digest_of(content)), txn=write.id, files=1, size=1, packs=[pack], nodes=[]
                )
                write.root(key, Note(me), [write.add_snapshot(record)])

            transactions.write(lambda write: save(write, f"results/{me}/{n}"))
            try:
                transactions.write(lambda write: save(write, f"data/{n}"), tries=1000)
                won.append((me, n))
            except Beaten:
                continue

    def guarded(me: int) -> None:
        try:
            work(me)
        except Exception as e:
            failures.append(e)
            raise

    threads = [threading.Thread(target=guarded, args=(me,)) for me in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    roots = Roots(store)
    for me in range(writers):
        for n in range(commits):
            found = roots.get(f"results/{me}/{n}", Note)
            assert found is not None
            assert found[0].writer == me
    assert sorted(n for _, n in won) == list(range(commits))  # each key was won exactly once
    for me, n in won:
        found = roots.get(f"data/{n}", Note)
        assert found is not None
        assert found[0].writer == me


def test_in_memory() -> None:
    commit_all(MemoryStore(), 16, 20)


def test_in_a_folder(tmp_path: Path) -> None:
    commit_all(FolderStore(str(tmp_path / "store")), 4, 10)


@pytest.mark.heavy
@pytest.mark.timeout(3600)
def test_64_writers_with_1000_commits_each() -> None:
    commit_all(MemoryStore(), 64, 1000)
