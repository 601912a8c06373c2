"""Of all who follow one model through one cache, one looks; of a user's processes, none troubles a host in trouble."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from modelbench import noise, tree
from targetbench import Published

from rote.adapters.landing import locks
from rote.adapters.landing.looked import Looked, Troubled
from rote.client import Model
from rote.client.hosts import Host, Moment, host_of, name_of
from rote.client.turns import Told, Turns
from rote.errors import Corrupt, Missing, MissingExtra, RoteError, StoreUnavailable, Unfit
from rote.laws.publishing import looks, polling
from rote.laws.publishing.looks import Look, Problem
from rote.laws.publishing.polling import Trouble
from rote.testing.faults import FaultyStore
from rote.words.encoding import with_check

SMALL = [{"m": {"net": noise(2000, n), "labels": str(n).encode()}} for n in range(4)]
WAIT = 60
NOW = 1_800_000_000.0


def away(asked=None, retry=True):
    error = StoreUnavailable("away", where="there", safe="all", next="wait")
    error.retry_after, error.retry = asked, retry
    return error


class TestTheLaw:
    @pytest.mark.parametrize(
        ("began", "left"),
        [(0, 300), (-100, 200), (-299, 1), (-300, 0), (-1e9, 0), (1, 0), (1e9, 0)],
        ids=["now", "a while ago", "almost over", "over", "long ago", "the clock was set back", "by far"],
    )
    def test_a_wait_by_the_wall_clock(self, began, left):
        assert polling.left(NOW + began, 300, NOW) == left

    def test_all_who_look_equally_often_have_one_moment(self):
        look = Look(asked="x", at=NOW, chance=0.25, nonce="n")
        assert look.left(300, NOW + 100) == 300 * 0.9 - 100
        assert look.left(60, NOW + 100) == 0
        troubled = Look(asked="x", at=NOW, chance=0.5, failures=3, nonce="n")
        assert [troubled.left(300, NOW), troubled.left(7200, NOW)] == [2400, 7200]

    def test_failures_in_a_row_are_counted_for_all(self):
        def after(before, error, asked="x"):
            return looks.after(before, error, asked=asked, now=NOW, chance=0.5, nonce="n")

        first = after(None, away())
        second = after(first, away())
        assert (first.failures, second.failures) == (1, 2)
        assert after(second, None).failures == after(second, Unfit("x")).failures == 0
        assert after(second, away(), asked="y").failures == 1, "that was a look for something else"

    @pytest.mark.parametrize(
        "error", [away(), Missing("m", next="n"), Corrupt("c", where="w"), Unfit("u", safe="s")]
    )
    def test_what_a_look_led_to_is_told_in_the_same_words(self, error):
        look = looks.after(None, error, asked="x", now=NOW, chance=0.5, nonce="n")
        again = look.problem.error()
        assert type(again) is type(error)
        assert again.lines() == error.lines()

    @pytest.mark.parametrize("error", [away(retry=False), MissingExtra("no package"), RoteError("?")])
    def test_a_failure_of_ones_own_is_told_to_nobody(self, error):
        assert looks.after(None, error, asked="x", now=NOW, chance=0.5, nonce="n") is None

    def test_a_problem_of_a_kind_that_is_not_known_is_an_error_still(self):
        assert type(Problem(kind="SystemExit", what="x").error()) is RoteError

    def worse(self, known, before, error, now=NOW):
        return polling.worse(known, before, error, host="h", every=300, chance=0.5, now=now, nonce="new")

    def test_two_who_fail_at_one_moment_count_once(self):
        first = self.worse(None, None, away())
        assert (first.failures, first.wait) == (1, 600)
        assert self.worse(first, None, away()) is first
        assert self.worse(first, first, away()).failures == 2
        longer = self.worse(first, None, away(asked=900))
        assert (longer.failures, longer.wait) == (1, 900)

    def test_what_is_long_over_is_forgotten(self):
        old = Trouble(host="h", at=NOW, wait=600, failures=9, nonce="old")
        assert self.worse(old, old, away(), NOW + 700).failures == 10
        assert self.worse(old, old, away(), NOW + 600 + 3600).failures == 1
        assert self.worse(old, old, away(), NOW - 1).failures == 1, "the clock was set"

    def test_nobody_can_ask_for_more_than_a_day(self):
        assert self.worse(None, None, away(asked=1e12)).wait == 86_400
        assert Trouble(host="h", at=NOW, wait=1e12, failures=1, nonce="n").left(NOW) == 86_400

    def test_a_clock_that_is_set_makes_nobody_wait_longer(self, monkeypatch):
        passed = [0.0]
        monkeypatch.setattr("rote.client.hosts.time.monotonic", lambda: passed[0])
        moment = Moment()
        assert moment.left("a", 300) == 300
        passed[0] = 200
        assert moment.left("a", 300) == 100, "the wall clock went back; what was heard first counts"
        passed[0] = 400
        assert moment.left("a", 300) == 0, "it does not come again"
        assert moment.left("b", 50) == 50


class TestHosts:
    """Two hosts of one name stand for two processes."""

    @pytest.fixture
    def both(self, tmp_path):
        return [Host("https://h", Troubled(str(tmp_path / "hosts"), "https://h")) for _ in range(2)]

    def fails(self, host, **rest):
        host.told(300, 0.5, away(**rest), host.known())

    def test_trouble_of_one_is_known_to_the_other(self, both):
        one, other = both
        self.fails(one, asked=900.0)
        assert 800 < other.closed() <= 900
        self.fails(other)
        assert one.known().failures == 2
        one.told(300, 0.5, None, one.known())
        assert (one.closed(), other.closed()) == (0, 0)

    def test_who_began_before_does_not_say_that_it_is_over(self, both):
        one, other = both
        before = other.known()
        self.fails(one, asked=900.0)
        other.told(300, 0.5, None, before)
        assert other.closed() > 800

    def test_a_failure_of_ones_own_is_kept_to_oneself(self, both):
        one, other = both
        self.fails(one, retry=False)
        assert one.closed() > 0
        assert other.closed() == 0
        one.told(300, 0.5, None, one.known())
        assert one.closed() == 0

    def test_where_nothing_can_be_written_each_remembers_for_itself(self, tmp_path):
        (tmp_path / "hosts").write_text("a file is in the way")
        one, other = (Host("https://h", Troubled(str(tmp_path / "hosts"), "https://h")) for _ in range(2))
        self.fails(one)
        assert one.closed() > 0
        assert other.closed() == 0

    @pytest.mark.parametrize("harm", ["cut", "empty", "noise", "of another host", "of the future"])
    def test_what_is_damaged_counts_for_nothing(self, both, tmp_path, harm):
        one, other = both
        self.fails(one, asked=900.0)
        (file,) = (tmp_path / "hosts").iterdir()
        data = file.read_bytes()
        trouble = one.known()
        strange = {"of another host": {"host": "https://x"}, "of the future": {"at": time.time() + 1e6}}.get(
            harm
        )
        made = Trouble(**{f: getattr(trouble, f) for f in trouble.__struct_fields__} | (strange or {}))
        file.write_bytes(
            with_check(made) if strange else {"cut": data[:50], "empty": b"", "noise": os.urandom(99)}[harm]
        )
        assert other.closed() == 0
        self.fails(other)
        assert other.known().failures == 1

    def test_everything_at_one_host_is_one(self, monkeypatch, tmp_path):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setenv("HOME", str(tmp_path))
        for name in (
            "HF_ENDPOINT",
            "HF_TOKEN",
            "GITHUB_TOKEN",
            "GITLAB_TOKEN",
            "GITLAB_ACCESS_TOKEN",
            "CI_JOB_TOKEN",
        ):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("GH_TOKEN", "ghp_1")
        names = {
            "s3://b/one": "s3://b",
            "s3://b/two?unsigned=true": "s3://b",
            "s3://b/p?endpoint=http://h:1/": "http://h:1",
            "https://h/a": "https://h",
            "github:owner/repo": "https://github.com",
            "github:https://git.example.org/o/r": "https://git.example.org (without a token)",
            "gitlab:group/project": "https://gitlab.com (without a token)",
            "hf:owner/name": "https://huggingface.co (without a token)",
            "/a/folder": "/a/folder",
            "memory:": "memory:",
        }
        assert {url: name_of(url) for url in names} == names
        monkeypatch.delenv("GH_TOKEN")
        assert name_of("github:owner/repo") == "https://github.com (without a token)"
        assert host_of("https://turns.example/a") is host_of("https://turns.example/b")
        assert host_of("https://turns.example/a") is not host_of("https://turns.example.org/a")


class TestTurns:
    @pytest.fixture
    def told(self, tmp_path):
        return [Told(str(tmp_path), lambda: "x", time.time) for _ in range(2)]

    def test_one_looks_and_the_other_hears_of_it(self, told):
        heard = []
        mine, yours = (Turns(t, 300, lambda look: heard.append(look.problem) or True) for t in told)
        assert mine.heard() == yours.heard() == 0
        with mine.taken() as busy:
            assert busy == 0
            with yours.taken() as later:
                assert 0 < later <= 30
            told[0].tell(Unfit("no good"))
        assert yours.heard() > 200
        assert [problem.what for problem in heard] == ["no good"]
        with yours.taken() as busy:
            assert busy == 0

    def test_what_cannot_be_heard_is_looked_for(self, told):
        told[0].tell(None)
        assert Turns(told[1], 300, lambda look: False).heard() == 0

    def test_who_asks_for_something_else_looks_for_itself(self, told, tmp_path):
        told[0].tell(None)
        assert told[1].last() is not None
        assert Told(str(tmp_path), lambda: "y", time.time).last() is None

    def test_somebody_who_never_comes_to_an_end_holds_nobody_up(self, told, monkeypatch):
        passed = [0.0]
        monkeypatch.setattr("rote.client.turns.time.monotonic", lambda: passed[0])
        turns = Turns(told[1], 10, lambda look: True)
        with told[0].turn() as mine:
            assert mine
            tries = 0
            while True:
                with turns.taken() as later:
                    if not later:
                        break
                    assert later <= 10
                    passed[0] += later
                    tries += 1
        assert 60 < passed[0] < 90
        assert tries < 15

    def test_where_nothing_can_be_written_everybody_looks(self, tmp_path):
        (tmp_path / "file").write_text("")
        told = Told(str(tmp_path / "file"), lambda: "x", time.time)
        turns = Turns(told, 300, lambda look: True)
        told.tell(None)
        assert turns.heard() == 0
        with turns.taken() as busy:
            assert busy == 0


LOCK_AND_FORK = """\
import os, sys
from rote.adapters.landing import locks
reading, writing = os.pipe()
with locks.held(sys.argv[1]):
    if not os.fork():
        os.close(writing)
        os.read(reading, 1)  # until the parent is gone
        os._exit(0)
with locks.taken(sys.argv[1]) as mine:
    print(mine)
"""


class TestLocks:
    def test_one_at_a_time(self, tmp_path):
        with locks.taken(str(tmp_path / "l")) as one, locks.taken(str(tmp_path / "l")) as other:
            assert (one, other) == (True, False)
        with locks.taken(str(tmp_path / "l")) as again:
            assert again

    def test_a_child_that_was_forked_meanwhile_does_not_hold_it(self, tmp_path):
        script = [sys.executable, "-c", LOCK_AND_FORK, str(tmp_path / "l")]
        done = subprocess.run(script, stdout=subprocess.PIPE, text=True, timeout=WAIT, check=True)
        assert done.stdout == "True\n"


@pytest.fixture
def bench(tmp_path):
    made = Published(tmp_path / "keys")
    made.ship(SMALL[0])
    return made


class TestModels:
    @pytest.fixture
    def follow(self, bench, tmp_path):
        return lambda **rest: Model(bench.target, "digits", cache=tmp_path / "c", keys=bench.keys, **rest)

    def test_a_watch_hears_what_another_processes_look_led_to(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        shared = Looked(str(tmp_path / "c"))
        own = shared.last()
        problem = Problem(kind="Unfit", what="it failed elsewhere", safe="1.0.0 is in use")
        shared.tell(Look(asked=own.asked, at=time.time(), chance=0.5, nonce="theirs", problem=problem))
        bench.target.reset()
        watch = model.watch(lambda model: None, every=3000)
        try:
            assert watch._turn() > 2000
        finally:
            watch.stop()
        assert (str(model.problem), model.problem.safe) == ("it failed elsewhere", "1.0.0 is in use")
        assert bench.target.journal == []

    def test_a_watch_looks_itself_where_the_cache_was_damaged(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        again = follow()
        watch = again.watch(lambda model: None, every=3000)
        try:
            (labels,) = (tmp_path / "c").rglob("labels")
            labels.chmod(0o644)
            labels.write_bytes(b"other")
            assert watch._turn() > 2000
        finally:
            watch.stop()
        assert tree(again.path() / "m") == SMALL[0]["m"]

    def test_a_version_that_another_process_gave_up_is_given_up_here_too(self, bench, follow):
        one, other = follow(failures=1), follow(failures=1)
        one.path()
        bench.ship(SMALL[1])
        assert one.refresh()
        assert other.refresh() is False, "its first look leads to the newest"
        assert one.failed("answers are empty")
        assert other.version == "1.0.1"
        assert other.refresh()
        assert other.version == "1.0.0"

    def test_who_trusts_others_asks_something_else(self, bench, follow, tmp_path):
        shared = Looked(str(tmp_path / "c"))
        follow().path()
        signed = shared.last().asked
        Model(bench.target, "digits", cache=tmp_path / "c").path()
        assert shared.last().asked != signed
        follow().path()
        assert shared.last().asked == signed

    def test_a_look_of_ones_own_is_told_whatever_it_led_to(self, bench, follow, tmp_path):
        model = follow()
        model.path()
        shared = Looked(str(tmp_path / "c"))
        first = shared.last()
        assert first.problem is None
        bench.target.inner = FaultyStore(
            bench.target.inner, lambda n, kind, key: (_ for _ in ()).throw(away())
        )
        assert not model.refresh()
        assert (shared.last().problem.what, shared.last().failures) == ("away", 1)
        assert shared.last().nonce != first.nonce
