"""What is said of versions: the law, the object, two who write at once, lost replies, another store."""

from __future__ import annotations

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import BadName, Corrupt, RoteError, TooNew, UsageError
from rote.laws.models.remarks import DELETE, DEPRECATE, NOTE, RESTORE, TAG, Remark, Remarks, ordered, told
from rote.laws.store.mirroring import select
from rote.services.models.remarking import Remarking, remarks_key
from rote.services.store.founding import found
from rote.services.upkeep.copying import Copying
from rote.testing.clock import StillClock
from rote.testing.faults import Crashed, Fault, FaultyStore, at
from rote.words.encoding import with_check

KEY = remarks_key("digits", "1.0.0")


def event(seq, kind, key="", text="", nonce=None, at="2026-11-21T11:00:00Z"):
    return Remark(seq=seq, at=at, by="ada@lab", nonce=nonce or f"{seq:016x}", kind=kind, key=key, text=text)


def remarking(store, seed=0):
    return Remarking(store, StillClock(seed=seed), "ada@lab")


class TestLaw:
    def test_later_events_go_before_earlier_ones(self):
        events = [
            event(1, TAG, "owner", "ann"),
            event(2, DEPRECATE, "1.1.0", "wrong"),
            event(3, NOTE, text="slow"),
            event(4, TAG, "owner", "bob"),
            event(5, TAG, "tier", "1"),
            event(6, TAG, "tier", ""),
            event(7, "praise", text="a kind of a later rote"),
        ]
        found = told(events)
        assert found.tags == {"owner": "bob"}
        assert [note.text for note in found.notes] == ["slow"]
        assert found.deprecated == events[1]
        assert found.deleted is None
        assert told([*events, event(8, RESTORE)]).deprecated is None

    def test_the_number_decides_and_no_clock(self):
        late = event(1, DEPRECATE, text="x", at="2036-01-01T00:00:00Z")
        early = event(2, RESTORE, at="2016-01-01T00:00:00Z")
        assert told([early, late]).deprecated is None

    def test_joining_is_the_same_in_any_order_and_any_number_of_times(self):
        one = [event(1, NOTE, text="a", nonce="b" * 16), event(2, NOTE, text="c", nonce="c" * 16)]
        two = [event(1, NOTE, text="b", nonce="a" * 16), one[0]]
        joined = ordered([*one, *two])
        assert joined == ordered([*two, *one]) == ordered([*joined, *two, *one])
        assert [e.text for e in joined] == ["b", "a", "c"]


class TestObject:
    def test_what_nobody_spoke_of(self):
        store = MemoryStore()
        assert remarking(store).of("digits", "1.0.0") == told([])
        assert remarking(store).versions("digits") == []

    def test_what_was_said_is_there_for_everybody(self):
        store = MemoryStore()
        remarking(store).say("digits", "1.0.0", NOTE, text="one")
        remarking(store, 1).say("digits", "1.0.0", NOTE, text="two")
        found = remarking(store, 2).of("digits", "1.0.0")
        assert [(n.seq, n.text, n.by) for n in found.notes] == [(1, "one", "ada@lab"), (2, "two", "ada@lab")]
        assert [str(v) for v in remarking(store).versions("digits")] == ["1.0.0"]

    def test_too_much_or_too_odd_is_refused(self):
        store = MemoryStore()
        here = remarking(store)
        for text in ("two\nlines", "\x1b[31m", "x" * 2001, "\udc80"):
            with pytest.raises(UsageError, match="one line"):
                here.say("digits", "1.0.0", NOTE, text=text)
        with pytest.raises(BadName):
            here.say("../etc", "1.0.0", NOTE, text="x")
        with pytest.raises(UsageError, match="too much"):
            for _ in range(100):
                here.say("digits", "1.0.0", NOTE, text="x" * 2000)
        assert len(here.of("digits", "1.0.0").notes) == 30

    def test_damaged_foreign_and_newer_ones_are_refused(self):
        store = MemoryStore()
        remarking(store).say("digits", "1.0.0", NOTE, text="one")
        good = store.get(KEY)
        store.create(remarks_key("digits", "2.0.0"), good.data)
        with pytest.raises(Corrupt, match=r"belong to digits@1\.0\.0"):
            remarking(store).of("digits", "2.0.0")
        store.create(remarks_key("digits", "3.0.0"), good.data[:-3])
        with pytest.raises(Corrupt):
            remarking(store).of("digits", "3.0.0")
        newer = Remarks(format=2, model="digits", version="4.0.0")
        store.create(remarks_key("digits", "4.0.0"), with_check(newer))
        with pytest.raises(TooNew):
            remarking(store).of("digits", "4.0.0")
        store.create(remarks_key("digits", "5.0.0"), with_check(newer) + b" " * 70_000)
        with pytest.raises(Corrupt, match="larger than"):
            remarking(store).of("digits", "5.0.0")

    @pytest.mark.parametrize("fault", [f for f in Fault if f is not Fault.ROT], ids=lambda f: f.name)
    @pytest.mark.parametrize("held", [True, False])
    def test_any_request_may_fail(self, fault, held):
        number, over = 0, False
        while not over:
            store = MemoryStore()
            if held:
                remarking(store).say("digits", "1.0.0", NOTE, text="first")
            faulty = FaultyStore(store, at(number, fault))
            try:
                remarking(faulty, 1).say("digits", "1.0.0", NOTE, text="mine")
                said = True
            except (RoteError, Crashed):
                said = False
            over = not faulty.met
            texts = [note.text for note in remarking(store).of("digits", "1.0.0").notes]
            assert texts.count("mine") <= 1
            assert "mine" in texts or not said
            assert texts[:1] == ["first"] or not held
            number += 1
        assert said

    def test_a_lost_reply_that_was_overtaken_is_said_once(self):
        store = MemoryStore()

        class Overtaken(FaultyStore):
            def create(self, key, data):
                try:
                    return super().create(key, data)
                finally:
                    remarking(store, 5).say("digits", "1.0.0", NOTE, text="other")

        faulty = Overtaken(store, at(1, Fault.LOST_AFTER))
        remarking(faulty, 1).say("digits", "1.0.0", NOTE, text="mine")
        assert [n.text for n in remarking(store).of("digits", "1.0.0").notes] == ["mine", "other"]


class TestAnotherStore:
    def test_copies_are_joined_and_deleted_numbers_come_along(self):
        here, there = MemoryStore(), MemoryStore()
        for number, store in enumerate((here, there)):
            found(store, StillClock(seed=10 + number))
        remarking(here).say("digits", "1.0.0", NOTE, text="from here")
        remarking(here).say("digits", "0.9.0", DELETE, text="gone")
        remarking(there, 7).say("digits", "1.0.0", NOTE, text="from there")

        def copy(seed):
            return Copying(here, there, clock=StillClock(seed=seed), by="bob@lab").copy(select(["models"]))

        assert copy(20).sent == {"remarks": 2}
        assert {n.text for n in remarking(there).of("digits", "1.0.0").notes} == {"from here", "from there"}
        assert [str(v) for v in remarking(there).deleted("digits")] == ["0.9.0"]
        again = copy(21)
        assert (again.sent, again.there) == ({}, {"remarks": 2})

    def test_a_damaged_one_is_named_and_the_others_come(self):
        here, there = MemoryStore(), MemoryStore()
        for number, store in enumerate((here, there)):
            found(store, StillClock(seed=10 + number))
        remarking(here).say("digits", "1.0.0", NOTE, text="a")
        here.create(remarks_key("digits", "0.5.0"), b"rot")
        here.create("models/digits/remarks/not-a-version", b"rot")
        copied = Copying(here, there, clock=StillClock(), by="bob@lab").copy(select(["models"]))
        assert copied.sent == {"remarks": 1}
        assert len(copied.damaged) == 2
