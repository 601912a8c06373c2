"""Control of runs through the store alone, on a clock that a test moves: following, stopping, a run that is dead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rote.laws.pipeline.pacing import BUCKET, FOLDER, patience
from rote.laws.pipeline.resuming import apart
from rote.services.runs.control import Control
from rote.services.runs.following import Following, Silent
from rote.services.runs.halting import Halt, Halting, lead
from rote.services.runs.livelog import ask_key, now_key
from rote.services.runs.recording import Recorder
from rote.services.runs.runs import Runs
from rote.services.runs.underway import Underway
from rote.services.runs.vigil import Vigil
from rote.testing.clock import StillClock
from rote.testing.faults import CountingStore
from rote.words.alive import Stop
from rote.words.ids import RunId
from rote.words.run import PAUSED, STOPPED
from run_worlds import World


class Elsewhere(StillClock):
    """The clock of somebody who follows: while it sleeps, the run that is followed goes on."""

    def __init__(self, steps: Iterator[float]) -> None:
        super().__init__()
        self.steps = steps

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        next(self.steps, None)


class Scene:
    """A run that one machine makes and another follows."""

    def __init__(self, folder: Path, pace: object = FOLDER) -> None:
        self.world = World(folder)
        self.runs = Runs(
            self.world.store, self.world.roots, self.world.transactions, self.world.clock,
            folder=str(folder / "mine"), pace=pace,  # type: ignore[arg-type]  # one of the two
        )  # fmt: skip
        self.run = self.world.run(state="running")
        self.recorder: Recorder = self.runs.start(self.run)

    def beat(self) -> None:
        self.world.clock.move(self.runs.pace.quiet.most)
        self.recorder.pulse.tick()
        self.world.clock.move(self.runs.pace.log.most)
        self.recorder.pulse.tick()

    def follow(self, steps: Iterator[float], folder: Path, stage: str | None = None) -> Iterator[bytes]:
        clock = Elsewhere(steps)
        store = CountingStore(self.world.store)
        theirs = Runs(
            store, self.world.roots, self.world.transactions, clock, folder=str(folder / "theirs"),
            pace=self.runs.pace,
        )  # fmt: skip
        control = Control(store, clock, "bo@hut")
        self.store, self.clock = store, clock
        return Following(store, theirs, control, clock, here=lambda id: None).follow(self.run.id, stage)


@pytest.mark.parametrize("pace", [FOLDER, BUCKET])
def test_every_line_comes_once_whatever_is_sealed_meanwhile(tmp_path: Path, pace: object) -> None:
    scene = Scene(tmp_path, pace)
    said = b""

    def goes_on() -> Iterator[float]:
        nonlocal said
        for n in range(30):
            piece = b"%04d\n" % n * (1 if n % 3 else 9_000)
            said += piece
            scene.recorder.spool.log("a", piece)
            scene.beat()
            yield 0
        scene.recorder.finish(msgspec.structs.replace(scene.run, state="finished"))
        while True:
            yield 0

    assert b"".join(scene.follow(goes_on(), tmp_path)) == said
    assert scene.store.requests["list"] <= 1
    assert not [key for kind, key in scene.store.journal if key.startswith("txns")]
    asked = [key for kind, key in scene.store.journal if kind in ("create", "replace")]
    assert set(asked) <= {ask_key(scene.run.id)}
    assert bool(asked) == (pace is BUCKET), "where a folder is shared nobody has to say that they follow"


def test_who_follows_a_dead_run_is_told_and_comes_to_an_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.recorder.spool.log("a", b"the last words\n")
    scene.beat()
    said: list[bytes] = []
    with pytest.raises(Silent, match="no sign of life") as caught:
        said += scene.follow(iter(()), tmp_path)
    assert said == [b"the last words\n"]
    assert "rote resume" in str(caught.value.next)
    assert patience(5) <= scene.clock.monotonic() < patience(5) + 2
    scene.recorder.close()


def test_a_watch_ends_by_signs_alone_whatever_the_clocks_say(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    mine = StillClock()
    vigil = Vigil(scene.world.store, mine, scene.run.id)
    vigil.look()
    assert vigil.left == patience(120), "no sign was ever seen"
    for _ in range(50):
        scene.world.clock._now -= 3600  # people set the other clock back, again and again
        scene.beat()
        mine.move(12)
        assert vigil.look()
        assert vigil.left == patience(5)
    mine.move(patience(5))
    assert not vigil.look()
    assert vigil.left <= 0
    scene.recorder.close()


def test_burying_takes_the_log_along_and_a_second_time_changes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for n in range(3):
        scene.recorder.spool.log("a", b"line %d\n" % n * 5000)
        scene.beat()
    scene.recorder.spool.log("b", b"never sent\n")
    scene.runs.bury(scene.run.id, "it was killed")
    buried = scene.runs.get(scene.run.id)
    assert (buried.state, buried.error) == ("stopped", "it was killed")
    scene.runs.bury(scene.run.id, "again")
    assert scene.runs.get(scene.run.id) == buried
    elsewhere = Runs(
        scene.world.store,
        scene.world.roots,
        scene.world.transactions,
        scene.world.clock,
        folder=str(tmp_path / "x"),
    )
    log = b"".join(elsewhere.logs(scene.run.id))
    assert log == b"".join(b"line %d\n" % n * 5000 for n in range(3)) + b"never sent\n"
    assert not list(scene.world.store.list(now_key(scene.run.id)))


def test_one_that_was_buried_alive_records_its_true_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.recorder.spool.log("a", b"one\n")
    scene.beat()
    elsewhere = Runs(
        scene.world.store,
        scene.world.roots,
        scene.world.transactions,
        scene.world.clock,
        folder=str(tmp_path / "x"),
    )
    elsewhere.bury(scene.run.id, "it seemed dead")
    scene.recorder.spool.log("a", b"two\n")
    scene.beat()
    scene.recorder.finish(msgspec.structs.replace(scene.run, state="finished"))
    assert elsewhere.get(scene.run.id).state == "finished"
    assert b"".join(elsewhere.logs(scene.run.id)) == b"one\ntwo\n"


def test_asking_twice_and_asking_for_more(tmp_path: Path) -> None:
    world = World(tmp_path)
    id = RunId("20261121-110000-abc123")
    ada, bo = Control(world.store, world.clock, "ada@mill"), Control(world.store, world.clock, "bo@hut")
    assert ada.stop(id) is None
    before = bo.stop(id)
    assert before is not None
    assert before.by == "ada@mill"
    bo.watch(id)
    assert bo.stop(id, now=True) == before
    again = ada.stop(id, now=True)
    assert again is not None
    assert (again.by, again.now) == ("bo@hut", True)


class Told:
    """What a run's end looks like from inside."""

    def __init__(self) -> None:
        self.posted: list[Halt] = []
        self.said: list[str] = []
        self.underway = Underway(10)
        self.halting = Halting(self.posted.append, self.underway, self.said.append)

    def act(self) -> int:
        for halt in self.posted:
            self.halting.act(halt)
        return self.underway._told


def test_a_person_outweighs_a_deadline_and_only_a_second_word_kills() -> None:
    told = Told()
    told.halting._due(60)
    assert told.act() == 1
    assert told.halting.first is not None
    assert told.halting.first.state == PAUSED
    assert told.underway.grace < lead(60)
    told.halting.asked(Stop(by="bo\x1b[31m@hut", at=""))
    assert told.act() == 1
    assert told.halting.first.state == STOPPED
    assert "\x1b" not in told.halting.first.why
    told.halting.signal("SIGINT")
    assert told.act() == 1
    told.halting.signal("SIGINT")
    assert told.act() == 2


def test_asked_to_be_killed_is_killed() -> None:
    told = Told()
    told.halting.asked(Stop(by="bo@hut", at="", now=True))
    assert told.act() == 2
    assert len(told.said) == 1


def test_params_of_a_run_against_those_of_now() -> None:
    then = {"p.yaml": {"a": {"b": 1, "c": [1, 2]}, "d": "x", "key": "***"}, "q.yaml": {"e": True}}
    now = {"p.yaml": {"a": {"b": 1.0, "c": [1]}, "d": "y", "key": "secret"}, "q.yaml": {"e": True}}
    found = apart(then, now, "***")
    assert found.overrides == ["p.yaml:a.b=1", "p.yaml:a.c=[1,2]", 'p.yaml:d="x"']
    assert not found.lost
    assert apart(then, {"p.yaml": then["p.yaml"]}, "***").lost == ["q.yaml:e"]
    assert apart(then, then, "***").overrides == []
