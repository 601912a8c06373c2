"""Deleting versions: only what no alias names, a way back, numbers that are not given twice, and races."""

from __future__ import annotations

import pytest
from modelbench import Bench, model

from rote.adapters.stores.memory import MemoryStore
from rote.errors import Missing, Refused, RoteError, UsageError
from rote.laws.store.retention import Rules
from rote.services.models.registry import Registry
from rote.services.store.roots import Roots
from rote.services.upkeep.check import StoreCheck
from rote.services.upkeep.deleting import Deleting
from rote.services.upkeep.gc import Garbage
from rote.testing.clock import StillClock
from rote.testing.faults import Crashed, Fault, FaultyStore, at

FAULTS = [f for f in Fault if f is not Fault.ROT]


@pytest.fixture
def bench():
    made = Bench()
    for n in range(3):
        made.release({"m": {"a": bytes([n])}}, version=f"1.{n}.0")
    return made


def deleting(bench, store=None, seed=5):
    store = store or bench.store
    clock = StillClock(seed=seed)
    return Deleting(store, Registry(store, Roots(store), clock, "eve@lab"), clock)


def collect(bench):
    garbage = Garbage(
        bench.store,
        bench.clock,
        snapshots=bench.snapshots,
        transactions=bench.transactions,
        writer=bench.writer,
    )
    return garbage.collect(Rules(grace=0))


def there(bench):
    return [str(number) for number in bench.registry.numbers("digits")]


def test_a_version_goes_and_comes_back(bench):
    gone = deleting(bench).delete("digits", "1.1.0", "wrong on sevens")
    assert gone.version == "1.1.0"
    assert there(bench) == ["1.2.0", "1.0.0"]
    with pytest.raises(Missing, match=r"was deleted by eve@lab .*wrong on sevens"):
        bench.registry.get("digits", "1.1.0")
    assert deleting(bench).undo("digits", "1.1.0") == gone
    assert there(bench) == ["1.2.0", "1.1.0", "1.0.0"]
    assert StoreCheck(bench.store).check(deep=True).ok


def test_after_a_collection_it_is_gone_for_good(bench):
    deleting(bench).delete("digits", "1.1.0")
    collect(bench)
    with pytest.raises(Missing, match="a collection has emptied it"):
        deleting(bench).undo("digits", "1.1.0")
    assert StoreCheck(bench.store).check(deep=True).ok


def test_what_an_alias_names_stays(bench):
    bench.registry.promote("digits", "1.1.0", "prod")
    bench.registry.promote("digits", "1.1.0", "staging")
    with pytest.raises(Refused, match="prod and staging name it"):
        deleting(bench).delete("digits", "1.1.0")
    assert bench.registry.remarks.of("digits", "1.1.0").deleted is None
    assert there(bench) == ["1.2.0", "1.1.0", "1.0.0"]


def test_what_is_not_there_or_no_number(bench):
    with pytest.raises(Missing, match=r"no version 9\.0\.0"):
        deleting(bench).delete("digits", "9.0.0")
    with pytest.raises(UsageError, match="no version number"):
        deleting(bench).delete("digits", "prod")
    with pytest.raises(Missing, match="does not lie in the trash"):
        deleting(bench).undo("digits", "9.0.0")


def test_a_number_is_not_given_twice_not_even_after_collections(bench):
    deleting(bench).delete("digits", "1.2.0")
    collect(bench)
    collect(bench)
    run = bench.run({"m": {"a": b"new"}})
    with pytest.raises(Refused, match="a number is not given twice"):
        bench.releasing.release(model(["m"]), run, version="1.2.0")
    assert bench.releasing.release(model(["m"]), run).version.version == "1.2.1"


def test_a_model_whose_only_version_was_deleted_goes_on_counting():
    bench = Bench()
    bench.release({"m": {"a": b"1"}})
    deleting(bench).delete("digits", "1.0.0")
    assert bench.release({"m": {"a": b"2"}}).version.version == "1.0.1"


class Meeting(MemoryStore):
    """Calls `then` once, just before the first request of `kind` whose key has `part` in it."""

    def __init__(self):
        super().__init__()
        self.plan = None

    def _meet(self, kind, key):
        if self.plan and self.plan[0] == kind and self.plan[1] in key:
            then, self.plan = self.plan[2], None
            then()

    def replace(self, key, data, etag):
        self._meet("replace", key)
        return super().replace(key, data, etag)

    def create(self, key, data):
        self._meet("create", key)
        return super().create(key, data)


def raced():
    bench = Bench(store=Meeting())
    for n in range(2):
        bench.release({"m": {"a": bytes([n])}}, version=f"1.{n}.0")
    return bench


def test_an_alias_that_is_moved_to_it_meanwhile_keeps_it():
    bench = raced()
    bench.inner.plan = ("replace", "versions/", lambda: bench.registry.promote("digits", "1.0.0", "prod"))
    with pytest.raises(Refused, match="prod names it"):
        deleting(bench).delete("digits", "1.0.0")
    assert bench.registry.get("digits", "prod").version == "1.0.0"


def test_a_promotion_that_is_overtaken_by_the_removal_is_taken_back():
    bench = raced()
    bench.registry.promote("digits", "1.1.0", "prod")
    bench.inner.plan = ("replace", "aliases/", lambda: deleting(bench).delete("digits", "1.0.0"))
    with pytest.raises(Refused, match="was removed while"):
        bench.registry.promote("digits", "1.0.0", "prod")
    assert bench.registry.get("digits", "prod").version == "1.1.0"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f.name)
def test_any_request_of_a_deletion_may_fail(fault):
    number, over = 0, False
    while not over:
        bench = Bench()
        bench.release({"m": {"a": b"1"}})
        bench.release({"m": {"a": b"2"}}, promote="prod")
        faulty = FaultyStore(bench.inner, at(number, fault))
        try:
            deleting(bench, faulty).delete("digits", "1.0.0")
            done = True
        except (RoteError, Crashed):
            done = False
        over = not faulty.met
        left = there(bench)
        assert left == ["1.0.1"] if done else left in (["1.0.1"], ["1.0.1", "1.0.0"])
        assert StoreCheck(bench.inner).check(deep=True).ok
        try:
            deleting(bench, seed=6).delete("digits", "1.0.0")  # the same again comes to the same
        except Missing:
            assert left == ["1.0.1"]
        assert there(bench) == ["1.0.1"]
        assert deleting(bench, seed=7).undo("digits", "1.0.0").version == "1.0.0"
        assert there(bench) == ["1.0.1", "1.0.0"]
        number += 1
    assert number > 6
