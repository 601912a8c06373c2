"""rote copy between two stores in memory."""

from __future__ import annotations

import msgspec
import pytest
from copybench import BIG, FIRST, SECOND, Store, content, copy, counted, filled, key_of, memory, same_roots
from modelbench import CHANNEL, noise

from rote.adapters.stores.memory import MemoryStore
from rote.errors import BadName, Missing, UsageError
from rote.laws.store.mirroring import Selection, select
from rote.services.data.snapshots import Snapshots
from rote.services.models.registry import Registry
from rote.services.runs.runs import Runs
from rote.services.store import founding
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.services.upkeep.check import StoreCheck
from rote.services.upkeep.copying import Copying
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore
from rote.words.channel import Channel
from rote.words.encoding import with_check
from rote.words.run import Run

RUN = "20261121-110000-aaaaaa"
RECORD = f"runs/{RUN}/record"


def registry(store: MemoryStore) -> Registry:
    return Registry(store, Roots(store), StillClock(), "bob@lab")


class TestEverything:
    def test_arrives_whole_with_its_history(self) -> None:
        here, there = filled(), memory()
        copied = copy(here.store, there)
        assert copied.ok
        assert copied.founded
        assert same_roots(here.store, there) == 8
        assert (copied.sent["data"], copied.sent["runs"], copied.sent["results"]) == (4, 1, 1)
        assert StoreCheck(there).check(deep=True).ok
        assert registry(there).history("digits", "prod") == registry(here.store).history("digits", "prod")
        assert registry(there).get("digits", "prod").version == "1.1.0"
        runs = Runs(there, Roots(there), Transactions(there, StillClock(), "me"), StillClock())
        assert b"".join(runs.logs(RUN)) == f"log of {RUN}\n".encode()
        assert runs.get(RUN).tags == {"owner": "ada"}

    def test_refers_only_to_records_of_the_target(self) -> None:
        here, there = filled(), memory()
        copy(here.store, there)
        keys = {meta.key for meta in there.list("snapshots/")}
        for meta in there.list(""):
            data = there.get(meta.key).data
            for record in here.keys("snapshots/"):
                txn = record.rpartition("/")[2].encode()
                assert txn not in data, meta.key
        channel = msgspec.json.decode(there.get(CHANNEL).data.split(b"\n")[0], type=Channel)
        assert f"snapshots/{channel.snapshot.key}" in keys

    def test_again_sends_nothing(self) -> None:
        here, there = filled(), counted()
        copy(here.store, there)
        there.reset()
        copied = copy(here.store, there, seed=6)
        assert copied.ok
        assert copied.sent == {}
        assert sum(copied.there.values()) == 9  # and the alias
        assert not [n for n in there.journal if n[0] in ("create", "replace", "delete")]
        assert there.requests["get_ranges"] == 0
        assert not copied.founded

    def test_keeps_the_chunk_sizes_of_the_source(self) -> None:
        here, there = memory(), memory()
        info = founding.found(here, StillClock())
        small = msgspec.structs.replace(info, chunk_min=1024, chunk_avg=2048, chunk_max=4096)
        here.replace("rote.json", with_check(small), here.get("rote.json").etag)
        copy(here, there)
        found = founding.read(there)
        assert (found.chunk_min, found.chunk_avg, found.chunk_max) == (1024, 2048, 4096)
        assert found.id != small.id

    def test_many_small_snapshots_share_packs(self) -> None:
        here, there = Store(), memory()
        for n in range(150):
            here.result(n, noise(100, n), RUN)
        copied = copy(here.store, there)
        assert copied.snapshots == 150
        assert copied.packs == 3  # sixty-four roots a write, and a pack each
        assert same_roots(here.store, there) == 150

    def test_of_threads_that_send_many_packs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("rote.services.upkeep.carrying.PACK", 100_000)
        here, there = Store(), memory()
        ref = here.data("d", {f"f{n}": noise(150_000, n) for n in range(10)})
        copied = copy(here.store, there)
        again = memory()
        threaded = Copying(here.store, again, clock=StillClock(seed=9), by="b", jobs=2).copy(select(()))
        assert copied.packs == threaded.packs > 5
        (root,) = [Roots(again).envelope(m.key) for m in again.list("data/")]
        assert root is not None
        assert content(again, root.needs[0]) == here.content(ref)


class TestOnlyWhatIsMissing:
    def test_a_changed_snapshot_sends_its_change(self) -> None:
        here, there = Store(), counted()
        first = here.data("d", FIRST)
        copy(here.store, there)
        here.data("d", SECOND, first)
        there.reset()
        copied = copy(here.store, there, seed=6)
        assert copied.sent == {"data": 1}
        assert copied.size < 20_000 < len(BIG)
        assert same_roots(here.store, there) == 2

    def test_from_a_machine_that_wrote_the_target_otherwise(self) -> None:
        """The big file's chunks are the same wherever they were cut; a target's snapshot with the id is taken as it is."""
        here, there = Store(), Store(seed=3)
        here.data("d", FIRST)
        there.data("e", FIRST)
        copied = copy(here.store, there.store)
        assert (copied.sent, copied.snapshots, copied.packs) == ({}, 0, 0)

    def test_does_not_read_what_it_does_not_send(self) -> None:
        here, there = Store(), memory()
        first = here.data("d", FIRST)
        copy(here.store, there)
        here.data("d", SECOND, first)
        source = CountingStore(here.store)
        copy(source, there, seed=6)
        assert source.bytes["get_ranges"] < 50_000

    def test_a_snapshot_whose_pack_is_gone_there_is_sent_again(self) -> None:
        here, there = Store(), memory()
        here.data("d", FIRST)
        copy(here.store, there)
        for meta in list(there.list("packs/")):
            there.delete(meta.key)
        for meta in list(there.list("data/")):
            there.delete(meta.key)
        assert copy(here.store, there, seed=6).snapshots == 1
        assert same_roots(here.store, there) == 1

    def test_what_was_found_equal_once_is_not_read_again(self) -> None:
        class Kept(dict[str, tuple[str, str]]):
            def same(self, key: str, here: str, there: str) -> bool:
                return self.get(key) == (here, there)

            def add(self, key: str, here: str, there: str) -> None:
                self[key] = (here, there)

        kept = Kept()
        here, there = filled(), memory()
        copy(here.store, there)
        copy(here.store, there, agreed=lambda a, b: kept)
        source = CountingStore(here.store)
        copied = copy(source, there, agreed=lambda a, b: kept)
        assert sum(copied.there.values()) == 9
        assert {key for kind, key in source.journal if kind == "get"} <= {"rote.json", CHANNEL}


class TestSelections:
    @pytest.mark.parametrize(
        ("words", "there"),
        [
            (["data"], {"data"}),
            (["runs"], {"runs"}),
            (["results"], {"results"}),
            (["models"], {"models"}),
            (["models/digits"], {"models"}),
            (["data", "models"], {"data", "models"}),
            (["everything"], {"data", "runs", "results", "models"}),
        ],
    )
    def test_bring_only_what_they_name(self, words: list[str], there: set[str]) -> None:
        here, target = filled(), memory()
        assert copy(here.store, target, *words).ok
        kinds = {m.key.partition("/")[0] for m in target.list("")}
        assert kinds - {"rote.json", "packs", "snapshots", "txns"} == there

    def test_a_data_path_brings_all_that_was_ever_added_there(self) -> None:
        here, there = filled(), memory()
        here.data("other", b"something else")
        copied = copy(here.store, there, "d")
        assert copied.sent == {"data": 2}
        assert len(list(there.list("snapshots/"))) == 2

    def test_a_data_path_that_is_not_there_is_told(self) -> None:
        here = filled()
        with pytest.raises(Missing, match="nothing was ever added at dta") as told:
            copy(here.store, memory(), "dta")
        assert told.value.next == "did you mean data?"

    def test_some_runs(self) -> None:
        here, there = filled(), memory()
        here.run("20261121-120000-bbbbbb", {"out": b"x"})
        copied = copy(here.store, there, "runs", runs=[RUN])
        assert copied.sent == {"runs": 1}
        assert copied.logs == 1
        assert {m.key.split("/")[1] for m in there.list("runs/")} == {RUN}

    @pytest.mark.parametrize(
        ("words", "error"), [(["models/..x"], BadName), ([" "], UsageError), (["models/"], BadName)]
    )
    def test_refused(self, words: list[str], error: type[Exception]) -> None:
        with pytest.raises(error):
            select(words)

    def test_a_condition_needs_runs(self) -> None:
        with pytest.raises(UsageError, match="without runs"):
            select(["data"], runs=[])

    def test_a_model_in_models_is_not_copied_twice(self) -> None:
        assert select(["models", "models/digits"]) == Selection(prefixes=("models/",))


class TestConflicts:
    def test_another_result_of_the_same_stage_key_is_left_alone(self) -> None:
        here, there = Store(), Store(seed=3)
        here.result(1, b"mine", RUN)
        theirs = there.result(1, b"theirs", "20261121-130000-cccccc")
        copied = copy(here.store, there.store)
        assert not copied.ok
        (left,) = copied.conflicts
        assert left.key == f"results/00/{key_of(1)}"
        assert "20261121-130000-cccccc" in left.why
        root = Roots(there.store).envelope(left.key)
        assert root is not None
        assert root.needs == [theirs]

    def test_a_version_with_other_files_is_left_alone_and_so_is_the_alias_on_it(self) -> None:
        here, there = Store(), Store(seed=3)
        here.release("1.0.0", noise(500, 1), "prod")
        there.release("1.0.0", noise(500, 2))
        copied = copy(here.store, there.store, "models")
        assert [(left.key, left.why) for left in copied.conflicts] == [
            ("models/digits/versions/1.0.0", "this version has other files there"),
            (CHANNEL, "it names 1.0.0, which has other files there"),
        ]
        assert registry(there.store).aliases("digits") == {}

    def test_an_alias_moved_on_both_sides_is_left_alone(self) -> None:
        here, there = filled(), Store(seed=3)
        copy(here.store, there.store)
        here.bench.registry.promote("digits", "1.0.0", "prod")
        there.bench.registry.rollback("digits", "prod")
        before = there.store.get(CHANNEL)
        copied = copy(here.store, there.store, seed=6)
        (left,) = copied.conflicts
        assert left.key == CHANNEL
        assert left.why.startswith("it was moved on both sides: it names 1.0.0 here (move 3, ada@lab)")
        assert there.store.get(CHANNEL) == before

    def test_an_alias_that_is_behind_follows_with_a_rising_seq(self) -> None:
        here, there = filled(), memory()
        copy(here.store, there)
        for version in ("1.0.0", "1.1.0") * 20:  # so often that old moves go to the archive
            here.bench.registry.promote("digits", version, "prod", why="w" * 200)
        assert copy(here.store, there, seed=6).sent == {"aliases": 1}
        moves = registry(there).history("digits", "prod")
        assert [m.seq for m in moves] == list(range(42, 0, -1))
        assert moves == registry(here.store).history("digits", "prod")

    def test_an_alias_that_is_ahead_stays(self) -> None:
        here, there = filled(), Store(seed=3)
        copy(here.store, there.store)
        there.bench.registry.promote("digits", "1.0.0", "prod")
        copied = copy(here.store, there.store, seed=6)
        assert copied.ok
        assert registry(there.store).get("digits", "prod").version == "1.0.0"

    def test_tags_given_here_are_added_there(self) -> None:
        here, there = filled(), Store(seed=3)
        copy(here.store, there.store)
        for store, tags in ((here.store, {"a": "1"}), (there.store, {"b": "2"})):
            Runs(store, Roots(store), Transactions(store, StillClock(seed=8), "m"), StillClock(seed=8)).tag(
                RUN, tags
            )
        assert copy(here.store, there.store, seed=6).sent == {"runs": 1}
        found = Roots(there.store).get(RECORD, Run)
        assert found is not None
        assert found[0].tags == {"owner": "ada", "a": "1", "b": "2"}
        assert content(there.store, found[1].needs[0])

    def test_a_tag_with_another_value_is_left_alone(self) -> None:
        here, there = filled(), Store(seed=3)
        copy(here.store, there.store)
        Runs(here.store, Roots(here.store), here.bench.transactions, StillClock(seed=8)).tag(
            RUN, {"owner": "eve"}
        )
        (left,) = copy(here.store, there.store, seed=6).conflicts
        assert left.why == "its tag owner is 'eve' here and 'ada' there"

    def test_a_run_that_went_on_is_brought_up_to_date(self) -> None:
        here, there = Store(), memory()
        here.run("20261121-140000-dddddd", {}, state="running")
        copy(here.store, there)
        key = "runs/20261121-140000-dddddd/record"
        done = Run(id="20261121-140000-dddddd", state="finished", began="", by="b", command="c")
        here.bench.transactions.write(lambda write: write.root(key, done, [], replace=True))
        assert copy(here.store, there, seed=6).sent == {"runs": 1}
        found = Roots(there).get(key, Run)
        assert found is not None
        assert found[0].state == "finished"
        assert copy(here.store, there, seed=7).sent == {}


class TestTrouble:
    def test_what_is_damaged_in_the_source_is_named_and_the_rest_arrives(self) -> None:
        here, there = filled(), memory()
        bad = here.data("bad", noise(2000, 77))
        pack = next(m.key for m in here.store.list(f"packs/{bad.txn}/"))
        found = here.store.get(pack)
        here.store.replace(pack, found.data[:100] + b"\0\0" + found.data[102:], found.etag)
        copied = copy(here.store, there)
        assert [left.key for left in copied.damaged] == [f"data/{bad.id[:2]}/{bad.id}"]
        assert copied.sent["data"] == 4
        assert StoreCheck(there).check(deep=True).ok

    def test_a_missing_snapshot_is_named(self) -> None:
        here, there = filled(), memory()
        bad = here.data("bad", noise(2000, 77))
        here.store.delete(f"snapshots/{bad.key}")
        (left,) = copy(here.store, there).damaged
        assert left.key == f"data/{bad.id[:2]}/{bad.id}"

    def test_a_damaged_root_and_a_damaged_log_are_named(self) -> None:
        here, there = filled(), memory()
        segment = f"runs/{RUN}/live/00000001"
        for key in (RECORD, segment):
            found = here.store.get(key)
            here.store.replace(key, found.data[:-9] + b"wrong\n", found.etag)
        assert {left.key for left in copy(here.store, there).damaged} == {RECORD, segment}

    def test_one_store_under_one_address(self) -> None:
        here = filled()
        with pytest.raises(UsageError, match="the two are one store"):
            copy(here.store, here.store)

    def test_two_stores_with_one_id(self) -> None:
        class Elsewhere(MemoryStore):
            @property
            def url(self) -> str:
                return "elsewhere:"

        here, clone = filled(), Elsewhere()
        for meta in here.store.list(""):
            clone.create(meta.key, here.store.get(meta.key).data)
        before = list(clone.list(""))
        with pytest.raises(UsageError, match="both stores have the id") as told:
            copy(here.store, clone)
        assert told.value.next is not None
        assert list(clone.list("")) == before

    def test_no_store_at_the_source(self) -> None:
        with pytest.raises(Missing, match="there is no store here"):
            copy(memory(), memory())


class TestNumbersInPlanes:
    """A snapshot says in its record whether a reader has to know planes; so does a copy of it."""

    def test_what_a_copy_says_follows_the_blocks_it_brings(self) -> None:
        here, there = Store(), memory()
        low = noise(180_000, 9)
        numbers = b"".join(low[at : at + 2] + bytes([60 + at % 3, 63]) for at in range(0, len(low), 2))
        weights, plain = here.data("weights", {"w": numbers}), here.data("plain", {"a": b"a"})
        copy(here.store, there)
        snapshots = Snapshots(there)
        assert [snapshots.record(snapshots.find(ref.id)).format for ref in (weights, plain)] == [2, 1]
        assert (
            b"".join(map(bytes, snapshots.read(snapshots.record(snapshots.find(weights.id)), "w"))) == numbers
        )
        assert StoreCheck(there).check(deep=True).ok
