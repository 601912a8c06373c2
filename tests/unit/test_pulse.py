"""A run under way, as others see it through the store: on a clock that a test moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from rote.adapters.stores.memory import MemoryStore
from rote.errors import StoreUnavailable
from rote.laws.pipeline.pacing import BUCKET, FOLDER, Pace
from rote.services.runs.livelog import Now, ask_key, now_key, segment_key, unpack_now, unpack_segment
from rote.services.runs.pulse import SEALED, Far, Pulse
from rote.services.runs.spool import Spool
from rote.services.store import conditional
from rote.testing.clock import StillClock
from rote.testing.faults import WRITES, CountingStore
from rote.words.alive import Ask, Stop
from rote.words.encoding import with_check
from rote.words.ids import RunId

RUN = RunId("20261121-110000-abc123")
HOUR = 3600.0


class Scene:
    """A pulse that has no thread: the test lets time pass."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self.clock = StillClock()
        self.store = CountingStore(MemoryStore())
        self.spool = Spool(str(folder / "run"), ())
        self.pulse = Pulse(self.store, self.spool, RUN, clock=self.clock, pace=pace, host="mill")
        self.heard: list[Stop] = []
        self.pulse.heard = self.heard.append

    def ask(self, ask: Ask) -> None:
        store = self.store.inner
        there = conditional.look(store, ask_key(RUN))
        conditional.put(store, ask_key(RUN), with_check(ask), there.etag if there else None)

    def say(self, data: bytes = b"x\n") -> None:
        self.spool.log("a", data)

    def live(self, seconds: float, *, chatty: float | None = None) -> None:
        """Let so many seconds pass; with `chatty` a line is said that often."""
        end = self.clock.monotonic() + seconds
        speak = self.clock.monotonic() + chatty if chatty else float("inf")
        due = self.pulse.tick()
        while min(due, speak) < end:
            self.clock.move(max(0.0, min(due, speak) - self.clock.monotonic()))
            if chatty and self.clock.monotonic() >= speak:
                self.say()
                speak += chatty
            due = self.pulse.tick()
        self.clock.move(end - self.clock.monotonic())
        self.pulse.tick()

    def now(self) -> Now:
        return unpack_now(self.store.inner.get(now_key(RUN)).data, "now")

    def visible(self) -> bytes:
        """What anybody can read of the log in the store."""
        found = b""
        number = 0
        while (there := conditional.look(self.store.inner, segment_key(RUN, number + 1))) is not None:
            number += 1
            found += b"".join(item.data for item in unpack_segment(there.data, "segment"))
        now = self.now()
        if now.sign.after == number:
            found += b"".join(item.data for item in now.items)
        return found

    @property
    def puts(self) -> int:
        return sum(count for kind, count in self.store.requests.items() if kind in WRITES)


@pytest.fixture
def folder(tmp_path: Path) -> Scene:
    return Scene(tmp_path, FOLDER)


@pytest.fixture
def bucket(tmp_path: Path) -> Scene:
    return Scene(tmp_path, BUCKET)


def test_a_short_run_asks_nothing_and_leaves_nothing(folder: Scene) -> None:
    folder.live(0.5)
    folder.pulse.close()
    folder.pulse.clear()
    assert not folder.store.total


def test_a_line_is_in_a_folder_within_a_second(folder: Scene) -> None:
    for n in range(50):
        line = b"line %d\n" % n
        folder.say(line)
        folder.live(0.9)
        assert folder.visible().endswith(line)
    assert folder.visible() == b"".join(b"line %d\n" % n for n in range(50))
    assert conditional.look(folder.store.inner, segment_key(RUN, 1)) is None, "few lines make no segment"


def test_much_is_sealed_into_segments_and_nothing_comes_twice(folder: Scene) -> None:
    said = b""
    for n in range(40):
        piece = b"%d" % (n % 10) * 20_000
        folder.say(piece)
        said += piece
        folder.live(1)
        assert folder.visible() == said
    assert folder.now().sign.after > 3
    assert sum(len(item.data) for item in folder.now().items) <= SEALED
    folder.pulse.close()
    folder.pulse.clear()
    assert [meta.key for meta in folder.store.inner.list("")] == [
        segment_key(RUN, n) for n in range(1, folder.pulse._segments + 1)
    ]


def test_a_line_is_in_a_bucket_within_ten_seconds_while_somebody_follows(bucket: Scene) -> None:
    bucket.live(300)
    bucket.ask(Ask(watch=1))
    bucket.live(BUCKET.look.least)
    for n in range(20):
        line = b"line %d\n" % n
        bucket.say(line)
        bucket.live(10 - BUCKET.follow)
        assert bucket.visible().endswith(line)


def test_at_first_a_bucket_is_as_fast_for_nobody(bucket: Scene) -> None:
    for n in range(20):
        line = b"line %d\n" % n
        bucket.say(line)
        bucket.live(5.5)
        assert bucket.visible().endswith(line)


def test_a_sign_says_how_far_the_run_is_and_when_the_next_one_comes(folder: Scene) -> None:
    folder.pulse.far = lambda: Far(running=["train"], done=2, of=5)
    folder.live(1)
    first = folder.now().sign
    assert (first.n, first.host, first.running, first.done, first.of) == (1, "mill", ["train"], 2, 5)
    folder.live(first.every)
    second = folder.now().sign
    assert (second.n, second.after) == (2, 0)
    assert second.nonce != first.nonce


def test_what_an_hour_and_a_day_in_a_bucket_cost(bucket: Scene) -> None:
    """docs/cost.md says the same."""
    bucket.live(HOUR, chatty=1)
    assert (bucket.puts, bucket.store.requests["get"]) == (192, 360)
    bucket.live(23 * HOUR, chatty=10)
    assert (bucket.puts, bucket.store.requests["get"]) == (891, 2084)
    assert set(bucket.store.requests) <= {"get", "create", "replace"}


def test_a_quiet_run_in_a_bucket_costs_less(bucket: Scene) -> None:
    bucket.live(HOUR)
    assert (bucket.puts, bucket.store.requests["get"]) == (56, 360)
    bucket.live(23 * HOUR)
    assert bucket.puts == 746


def test_who_follows_costs_what_it_costs_and_then_it_is_over(bucket: Scene) -> None:
    bucket.live(6 * HOUR, chatty=10)
    bucket.ask(Ask(watch=1))
    bucket.live(120)
    bucket.store.reset()
    bucket.live(30, chatty=1)
    assert bucket.puts >= 6
    bucket.live(600, chatty=1)
    bucket.store.reset()
    bucket.live(600, chatty=1)
    assert bucket.puts <= 6


def test_a_stop_is_heard_once_and_a_kill_after_it(folder: Scene) -> None:
    stop = Stop(by="bo@hut", at="2026-11-21T11:00:00Z")
    folder.ask(Ask(stop=stop, nonce="1"))
    folder.live(3)
    assert folder.heard == [stop]
    kill = Stop(by="bo@hut", at="2026-11-21T11:00:03Z", now=True)
    folder.ask(Ask(stop=kill, nonce="2"))
    folder.live(3)
    assert folder.heard == [stop, kill]
    folder.ask(Ask(stop=kill, watch=1, nonce="3"))
    folder.live(3)
    assert folder.heard == [stop, kill]
    folder.pulse.close()
    folder.pulse.clear()
    assert not list(folder.store.inner.list(""))


def test_an_ask_that_nobody_can_read_ends_nothing(folder: Scene) -> None:
    folder.store.inner.create(ask_key(RUN), b"rubbish")
    folder.say()
    folder.live(10)
    assert folder.visible() == b"x\n"
    assert not folder.heard


def test_who_was_taken_for_dead_goes_on_and_loses_no_line(folder: Scene) -> None:
    folder.say(b"one\n")
    folder.live(2)
    folder.store.inner.delete(now_key(RUN))
    folder.say(b"two\n")
    folder.live(2)
    folder.say(b"three\n")
    folder.live(10)
    folder.pulse.close()
    items = list(unpack_segment(folder.store.inner.get(segment_key(RUN, 1)).data, "1"))
    number = 2
    while (there := conditional.look(folder.store.inner, segment_key(RUN, number))) is not None:
        items += unpack_segment(there.data, "n")
        number += 1
    assert b"".join(item.data for item in items) == b"one\ntwo\nthree\n"
    assert conditional.look(folder.store.inner, now_key(RUN)) is None


class Away(MemoryStore):
    away = False

    def create(self, key: str, data: bytes | bytearray | memoryview) -> str:
        if self.away:
            raise StoreUnavailable("the network is down")
        return super().create(key, data)

    def replace(self, key: str, data: bytes, etag: str) -> str:
        if self.away:
            raise StoreUnavailable("the network is down")
        return super().replace(key, data, etag)


def test_a_store_that_is_away_is_asked_at_the_same_pace_and_gets_all_later(bucket: Scene) -> None:
    away = Away()
    bucket.store.inner = away
    bucket.live(60, chatty=1)
    away.away = True
    bucket.store.reset()
    bucket.live(600, chatty=1)
    assert bucket.store.total <= 180
    away.away = False
    bucket.live(30)
    assert bucket.visible() == b"x\n" * (bucket.spool.total // 2)
    bucket.pulse.close()


def test_a_clock_that_people_set_back_changes_nothing(bucket: Scene) -> None:
    bucket.live(60)
    before = bucket.now().sign.n
    bucket.clock._now -= 86_400
    bucket.live(120)
    assert bucket.now().sign.n > before + 3
    assert bucket.now().sign.at.startswith("2026-11-20")
