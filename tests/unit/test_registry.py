"""Versions and aliases on a real store: races, history, rollback, lost replies."""

from __future__ import annotations

import threading

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import BadName, Corrupt, Missing, Refused, TooNew, Unknown, UsageError
from rote.laws.models.versions import parse
from rote.services.models.channels import MAX_BYTES, Channels, key
from rote.services.models.registry import Registry, version_key
from rote.services.store.roots import Roots
from rote.services.store.transactions import Transactions
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore
from rote.words.channel import Channel
from rote.words.encoding import tagged, with_check
from rote.words.ids import SnapshotId
from rote.words.snapshot import SnapshotRecord
from rote.words.version import Version

BY = "ada@lab"


class Bench:
    """A registry on a store in memory, with versions of a model that hold nothing."""

    def __init__(self, store=None, seed=0):
        self.store = store or MemoryStore()
        self.clock = StillClock(seed=seed)
        self.transactions = Transactions(self.store, self.clock, BY)
        self.registry = Registry(self.store, Roots(self.store), self.clock, BY)

    def release(self, *versions, model="digits"):
        for version in versions:
            with self.transactions.begin() as write:
                id = SnapshotId(tagged("snapshot", f"{model} {version}".encode()))
                record = SnapshotRecord(id=id, txn=write.id, files=0, size=0, packs=[], nodes=[])
                ref = write.add_snapshot(record)
                body = Version(model=model, version=version, snapshot=ref, files=[], run=None, commit=None,
                               released="2026-11-21T11:00:00Z", by=BY)  # fmt: skip
                write.root(version_key(model, version), body, [ref])
                write.commit()

    def moves(self, alias="prod"):
        return [(m.seq, m.version) for m in reversed(self.registry.history("digits", alias))]


@pytest.fixture
def bench():
    made = Bench()
    made.release("1.0.0", "1.1.0", "1.2.0", "1.10.0-rc.1")
    return made


def test_versions_come_highest_first(bench):
    assert [v.version for v in bench.registry.versions("digits")] == [
        "1.10.0-rc.1",
        "1.2.0",
        "1.1.0",
        "1.0.0",
    ]


def test_the_highest_version_costs_the_same_however_many_there_are(bench):
    counted = CountingStore(bench.store)
    registry = Registry(counted, Roots(counted), bench.clock, BY)
    assert registry.highest("digits").version == "1.10.0-rc.1"
    assert registry.highest("digits", below=parse("1.2.0")).version == "1.1.0"
    assert registry.highest("digits", below=parse("1.0.0")) is None
    bench.release(*(f"2.{n}.0" for n in range(40)))
    counted.reset()
    assert registry.highest("digits").version == "2.39.0"
    assert dict(counted.requests) == {"list": 1, "get": 1}
    assert Roots(bench.store).remove(version_key("digits", "2.39.0"))
    assert registry.highest("digits").version == "2.38.0"


def test_models_are_listed_with_newest_and_aliases(bench):
    bench.release("0.1.0", model="digits-2")
    bench.release("3.0.0", model="digit")
    bench.registry.promote("digits", "1.1.0", "prod")
    bench.registry.promote("digits", "1.2.0", "blue-green")
    found = [(m.name, m.newest, m.versions, m.aliases) for m in bench.registry.models()]
    assert found == [
        ("digit", "3.0.0", 1, {}),
        ("digits", "1.10.0-rc.1", 4, {"blue-green": "1.2.0", "prod": "1.1.0"}),
        ("digits-2", "0.1.0", 1, {}),
    ]


def test_an_empty_registry():
    registry = Bench().registry
    assert registry.models() == []
    assert registry.numbers("digits") == []
    with pytest.raises(Missing) as caught:
        registry.get("digits", "1.0.0")
    assert caught.value.next == "rote release digits"


@pytest.mark.parametrize(
    ("model", "ref", "says", "hint"),
    [
        ("digit", "1.0.0", "no model 'digit'", "is it digits?"),
        ("zebra", "prod", "no model 'zebra'", "there are: digits"),
        ("digits", "1.0.1", "no version 1.0.1", "there are: 1.10.0-rc.1, 1.2.0"),
        ("digits", "prod", "nobody holds digits@prod", "rote promote digits@VERSION prod"),
    ],
)
def test_what_is_missing_is_named_with_what_there_is(bench, model, ref, says, hint):
    with pytest.raises(Missing) as caught:
        bench.registry.get(model, ref)
    assert says in str(caught.value)
    assert hint in (caught.value.next or "")


@pytest.mark.parametrize(
    ("model", "ref"), [("../x", "1.0.0"), ("digits", "1.0"), ("digits", "../prod"), ("digits", "")]
)
def test_hostile_names_end_before_the_store(bench, model, ref):
    with pytest.raises(BadName):
        bench.registry.get(model, ref)


def test_promotion_moves_the_alias_and_says_who_when_and_why(bench):
    channel = bench.registry.promote("digits", "1.0.0", "prod", "first")
    assert (channel.seq, channel.version, channel.by, channel.why) == (1, "1.0.0", BY, "first")
    assert channel.issued == "2026-11-21T11:00:00Z"
    assert bench.registry.get("digits", "prod").version == "1.0.0"
    assert channel.snapshot == bench.registry.get("digits", "1.0.0").snapshot
    bench.registry.promote("digits", "1.1.0", "prod")
    assert bench.moves() == [(1, "1.0.0"), (2, "1.1.0")]


def test_promoting_what_is_there_changes_nothing(bench):
    first = bench.registry.promote("digits", "1.0.0", "prod")
    assert bench.registry.promote("digits", "1.0.0", "prod") == first
    assert bench.moves() == [(1, "1.0.0")]


def test_an_alias_can_be_promoted_to_another(bench):
    bench.registry.promote("digits", "1.1.0", "staging")
    assert bench.registry.promote("digits", "staging", "prod").version == "1.1.0"


def test_a_version_that_is_not_there_is_not_promoted(bench):
    with pytest.raises(Missing):
        bench.registry.promote("digits", "9.9.9", "prod")
    assert bench.registry.channels.read("digits", "prod") is None


@pytest.mark.parametrize("why", ["x" * 501, "two\nlines", "\x1b[31m"])
def test_a_reason_is_one_short_line(bench, why):
    with pytest.raises(UsageError, match="one line of at most 500 bytes"):
        bench.registry.promote("digits", "1.0.0", "prod", why)


def test_a_rollback_is_a_higher_seq_that_names_the_older_version(bench):
    for version in ("1.0.0", "1.1.0"):
        bench.registry.promote("digits", version, "prod")
    channel = bench.registry.rollback("digits", why="it fails on sevens")
    assert (channel.seq, channel.version, channel.history[0].to) == (3, "1.0.0", 1)
    assert channel.snapshot == bench.registry.get("digits", "1.0.0").snapshot


def test_rollbacks_go_on_back_until_nothing_is_left(bench):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        bench.registry.promote("digits", version, "prod")
    assert [bench.registry.rollback("digits").version for _ in range(2)] == ["1.1.0", "1.0.0"]
    with pytest.raises(Refused) as caught:
        bench.registry.rollback("digits")
    assert "no earlier version is left" in str(caught.value)
    assert caught.value.safe == "digits@prod stays at 1.0.0"
    assert bench.moves() == [(1, "1.0.0"), (2, "1.1.0"), (3, "1.2.0"), (4, "1.1.0"), (5, "1.0.0")]


def test_a_promotion_after_a_rollback_goes_back_to_what_the_rollback_took(bench):
    for version in ("1.0.0", "1.1.0"):
        bench.registry.promote("digits", version, "prod")
    bench.registry.rollback("digits")
    bench.registry.promote("digits", "1.2.0", "prod")
    assert bench.registry.rollback("digits").version == "1.0.0"
    with pytest.raises(Refused):
        bench.registry.rollback("digits")


def test_a_rollback_to_a_version_it_named_once(bench):
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        bench.registry.promote("digits", version, "prod")
    assert bench.registry.rollback("digits", to="1.0.0").version == "1.0.0"
    with pytest.raises(Refused, match=r"is at 1\.0\.0 already"):
        bench.registry.rollback("digits", to="1.0.0")
    with pytest.raises(Refused, match=r"never named 1\.10\.0-rc\.1"):
        bench.registry.rollback("digits", to="1.10.0-rc.1")


def test_nothing_to_roll_back(bench):
    with pytest.raises(Refused, match="nobody holds digits@prod yet"):
        bench.registry.rollback("digits")
    bench.registry.promote("digits", "1.0.0", "prod")
    with pytest.raises(Refused, match="no earlier version is left"):
        bench.registry.rollback("digits")


def test_a_long_history_is_archived_and_complete(bench):
    why = "a reason of some length, so that the document fills: " + "x" * 100
    for n in range(60):
        bench.registry.promote("digits", ["1.0.0", "1.1.0"][n % 2], "prod", f"{n} {why}")
        assert len(bench.store.get(key("digits", "prod")).data) <= MAX_BYTES
    moves = bench.registry.history("digits", "prod")
    assert [m.seq for m in moves] == list(range(60, 0, -1))
    assert [m.why for m in reversed(moves)] == [f"{n} {why}" for n in range(60)]
    assert [m.key for m in bench.store.list("models/digits/aliases/prod.history/")] != []
    assert bench.registry.aliases("digits") == {"prod": "1.1.0"}
    for n in range(59):
        assert bench.registry.rollback("digits").version == ["1.0.0", "1.1.0"][n % 2]
    with pytest.raises(Refused):
        bench.registry.rollback("digits")


def test_the_longest_move_fits(bench):
    loud = Registry(bench.store, Roots(bench.store), bench.clock, '"' * 1000)
    for n in range(8):
        loud.promote("digits", ["1.0.0", "1.10.0-rc.1"][n % 2], "a" * 63, '"\\' * 250)
        assert len(bench.store.get(key("digits", "a" * 63)).data) <= MAX_BYTES
    assert len(loud.history("digits", "a" * 63)) == 8


def test_a_missing_archive_is_seen(bench):
    for n in range(60):
        bench.registry.promote("digits", ["1.0.0", "1.1.0"][n % 2], "prod", "x" * 100)
    (first, *_) = list(bench.store.list("models/digits/aliases/prod.history/"))
    bench.store.delete(first.key)
    with pytest.raises(Corrupt, match="is not in its history"):
        bench.registry.history("digits", "prod")


def test_sixteen_threads_promote_at_once():
    bench = Bench()
    versions = [f"1.{n}.0" for n in range(16)]
    bench.release(*versions)
    ready = threading.Barrier(16)
    channels = {}

    def promote(version):
        ready.wait()
        channels[version] = bench.registry.promote("digits", version, "prod", f"by the thread of {version}")

    threads = [threading.Thread(target=promote, args=(v,)) for v in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moves = bench.registry.history("digits", "prod")
    assert [m.seq for m in moves] == list(range(16, 0, -1))
    assert {m.version for m in moves} == set(versions)
    assert all(m.why.endswith(m.version) for m in moves)
    assert {v: c.seq for v, c in channels.items()} == {m.version: m.seq for m in moves}
    assert bench.registry.get("digits", "prod").version == moves[0].version


class Losing(MemoryStore):
    """Loses the reply of the next write of a channel, applied or not; then somebody else may move on."""

    def __init__(self):
        super().__init__()
        self.plan = []

    def _lose(self, key, write):
        if not key.endswith("/prod") or not self.plan:
            return write()
        applied, after = self.plan.pop(0)
        if applied:
            write()
        after()
        raise Unknown(key)

    def create(self, key, data):
        return self._lose(key, lambda: MemoryStore.create(self, key, data))

    def replace(self, key, data, etag):
        return self._lose(key, lambda: MemoryStore.replace(self, key, data, etag))


@pytest.mark.parametrize("applied", [True, False])
@pytest.mark.parametrize("overtaken", [0, 1, 40])
@pytest.mark.parametrize("held", [True, False])
def test_a_lost_reply_is_no_failure_and_no_second_move(applied, overtaken, held):
    store = Losing()
    bench = Bench(store)
    other = Bench(store, seed=1)
    bench.release("1.0.0", "1.1.0", "1.2.0")
    if held:
        bench.registry.promote("digits", "1.0.0", "prod")

    def overtake():
        for n in range(overtaken):
            other.registry.promote("digits", ["1.2.0", "1.0.0"][n % 2], "prod", f"other {n} " + "x" * 100)

    store.plan = [(applied, overtake)]
    channel = bench.registry.promote("digits", "1.1.0", "prod", "mine")
    assert channel.version == "1.1.0"
    moves = bench.registry.history("digits", "prod")
    assert [m.seq for m in moves] == list(range(len(moves), 0, -1))
    assert [m.why for m in moves].count("mine") == 1
    # Where somebody promoted over nothing, 1.0.0 over 1.0.0 was no move.
    assert len([m for m in moves if m.why.startswith("other")]) == overtaken


def test_a_channel_of_another_alias_is_not_believed(bench):
    bench.registry.promote("digits", "1.0.0", "prod")
    data = bench.store.get(key("digits", "prod")).data
    bench.store.create(key("digits", "staging"), data)
    bench.store.create(key("other", "prod"), data)
    for model, alias in (("digits", "staging"), ("other", "prod")):
        with pytest.raises(Corrupt, match="belongs to digits@prod"):
            Channels(bench.store).read(model, alias)


def test_a_damaged_large_or_newer_channel_is_refused(bench):
    channel = bench.registry.promote("digits", "1.0.0", "prod")
    good = bench.store.get(key("digits", "prod"))
    etag = good.etag
    for damaged in (good.data[:-10], good.data.replace(b"1.0.0", b"1.0.1"), b"", b"\xff" * 100):
        etag = bench.store.replace(key("digits", "prod"), damaged, etag)
        with pytest.raises(Corrupt):
            bench.registry.get("digits", "prod")
    etag = bench.store.replace(key("digits", "prod"), with_check(channel) + b" " * MAX_BYTES, etag)
    with pytest.raises(Corrupt, match="larger than 4096"):
        bench.registry.get("digits", "prod")
    newer = Channel(**{f: getattr(channel, f) for f in channel.__struct_fields__ if f != "format"}, format=2)
    bench.store.replace(key("digits", "prod"), with_check(newer), etag)
    with pytest.raises(TooNew):
        bench.registry.get("digits", "prod")
