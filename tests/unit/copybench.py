"""Two stores in memory to copy between, the first with data, runs, results and models in it."""

from __future__ import annotations

from modelbench import BY, Bench, Files, noise

from rote.adapters.stores.memory import MemoryStore
from rote.laws.store.mirroring import select
from rote.ports import ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.runs.livelog import LOG, Item, pack_segment
from rote.services.runs.results import needs_of, result_key
from rote.services.store.roots import Roots
from rote.services.upkeep.copying import Copied, Copying
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore
from rote.words.encoding import without_check
from rote.words.ids import Digest, StageKey
from rote.words.record import DataRoot
from rote.words.result import Result
from rote.words.run import Run, StageOutcome
from rote.words.snapshot import SnapshotRef

BIG = noise(300_000, 1)
SMALL = {f"small/{n:03d}": noise(700, 100 + n) for n in range(60)}
FIRST = {**SMALL, "big.bin": BIG}
SECOND = {**FIRST, "small/007": b"changed", "new.txt": b"new" * 50}


def key_of(number: int) -> StageKey:
    return StageKey(Digest(f"{number:064x}"))


class Store:
    """A store and ways to fill it."""

    def __init__(self, store: ObjectStore | None = None, seed: int = 0) -> None:
        self.bench = Bench(store=store, seed=seed)
        self.store = self.bench.inner

    def data(
        self, path: str, files: dict[str, bytes] | bytes, parent: SnapshotRef | None = None
    ) -> SnapshotRef:
        with self.bench.transactions.begin() as write:
            old = self.bench.snapshots.record(parent) if parent else None
            ref = write.add_snapshot(self.bench.writer(write).save(Files(files), parent=old))
            body = DataRoot(path=path, repository="r", added="2026-11-21T11:00:00Z", by=BY)
            write.root(f"data/{ref.id[:2]}/{ref.id}", body, [ref], replace=True)
            write.commit()
        return ref

    def run(
        self, id: str, outs: dict[str, dict[str, bytes] | bytes], state: str = "finished", **tags: str
    ) -> Run:
        """A run with its log, its outs, and the result of its stage."""
        made = StageOutcome(stage="train", outcome="done")
        with self.bench.transactions.begin() as write:
            refs = {
                path: write.add_snapshot(self.bench.writer(write).save(Files(files)))
                for path, files in outs.items()
            }
            made = StageOutcome(stage="train", outcome="done", outs=refs)
            run = Run(
                id=id,
                state=state,
                began="2026-11-21T11:00:00Z",
                by=BY,
                command="rote run",
                stages=[made],
                tags=tags,
            )
            write.root(f"runs/{id}/record", run, needs_of(refs.values()), replace=True)
            write.commit()
        self.store.create(
            f"runs/{id}/live/00000001", pack_segment([Item(LOG, "train", f"log of {id}\n".encode())])
        )
        return run

    def result(self, number: int, out: bytes, run: str) -> SnapshotRef:
        with self.bench.transactions.begin() as write:
            ref = write.add_snapshot(self.bench.writer(write).save(Files(out)))
            body = Result(
                stage="train",
                key=key_of(number),
                outs={"m.bin": ref},
                run=run,
                seconds=1.0,
                made="2026-11-21T11:00:00Z",
            )
            write.root(result_key(key_of(number)), body, [ref])
            write.commit()
        return ref

    def release(self, version: str, content: bytes, alias: str | None = None) -> None:
        self.bench.release({"m": {"model.bin": content}}, ["m"], version=version, promote=alias)

    def keys(self, prefix: str = "") -> list[str]:
        return [meta.key for meta in self.store.list(prefix)]

    def content(self, ref: SnapshotRef) -> dict[str, bytes]:
        return content(self.store, ref)


def content(store: ObjectStore, ref: SnapshotRef) -> dict[str, bytes]:
    """Every file of a snapshot, verified by reading it."""
    snapshots = Snapshots(store)
    record = snapshots.record(ref)
    return {e.path: b"".join(snapshots.read(record, e.path)) for e in snapshots.entries(record)}


def filled() -> Store:
    """Two versions of a data path, a run, its result, a model with two versions and an alias that moved twice."""
    here = Store()
    here.data("d", SECOND, here.data("d", FIRST))
    here.run("20261121-110000-aaaaaa", {"out": {"m.bin": noise(5000, 7)}}, owner="ada")
    here.result(1, noise(4000, 8), "20261121-110000-aaaaaa")
    here.release("1.0.0", noise(9000, 9), "prod")
    here.release("1.1.0", noise(9000, 10), "prod")
    return here


def copy(here: ObjectStore, there: ObjectStore, *words: str, seed: int = 5, **how: object) -> Copied:
    """One copy, by a machine that remembers nothing."""
    runs = how.pop("runs", None)
    copying = Copying(here, there, clock=StillClock(seed=seed), by="bob@lab", jobs=0, **how)
    return copying.copy(select(words, runs))


def same_roots(here: ObjectStore, there: ObjectStore, prefix: str = "", *, read: bool = True) -> int:
    """Every root in force here is in force there and keeps the same snapshots (with `read`: of the same bytes); how
    many there are."""
    count = 0
    for meta in here.list(prefix):
        if (
            meta.key.startswith(("data/", "results/"))
            or meta.key.endswith("/record")
            or "/versions/" in meta.key
        ):
            mine, theirs = Roots(here).envelope(meta.key), Roots(there).envelope(meta.key)
            if mine is None:
                continue
            assert theirs is not None, meta.key
            assert [n.id for n in theirs.needs] == [n.id for n in mine.needs]
            for a, b in zip(mine.needs, theirs.needs, strict=True):
                assert not read or content(here, a) == content(there, b)
            count += 1
    return count


def memory() -> MemoryStore:
    return MemoryStore()


def counted() -> CountingStore:
    return CountingStore(MemoryStore())


def body(store: ObjectStore, key: str, kind: type) -> object:
    return without_check(store.get(key).data, kind, key)
