"""Which stage may start: makers first, as many as allowed, and no more than there is room for."""

from __future__ import annotations

import random

import pytest

from rote.laws.pipeline.bounding import Room, beyond, kinds
from rote.laws.pipeline.scheduling import Schedule, Turn
from rote.words.pipeline import Resources, Stage

ONE = Resources(cpus=1)
GPU = Resources(gpus=1)


def names(schedule: Schedule) -> list[str]:
    """All whose turn it is now."""
    found = []
    while turn := schedule.next():
        found.append(turn.stage)
    return found


def test_makers_come_first_and_the_order_of_the_file_counts() -> None:
    schedule = Schedule(["a", "b", "c"], {"a": (), "b": ("a",), "c": ()}, jobs=9)
    assert names(schedule) == ["a", "c"]
    schedule.settle("a", bad=False)
    assert names(schedule) == ["b"]
    assert schedule.busy
    schedule.settle("b", bad=False)
    schedule.settle("c", bad=False)
    assert not schedule.busy
    assert schedule.waiting == []


def test_what_needs_a_bad_one_is_told_so_at_once() -> None:
    schedule = Schedule(["a", "b", "c"], {"a": (), "b": (), "c": ("a", "b")}, jobs=9)
    assert names(schedule) == ["a", "b"]
    schedule.settle("a", bad=True)
    assert schedule.next() == Turn("c", ("a",))
    schedule.settle("b", bad=False)
    schedule.settle("c", bad=True)
    assert schedule.next() is None


def test_no_more_jobs_than_allowed() -> None:
    schedule = Schedule(list("abc"), {"a": (), "b": (), "c": ()}, jobs=2)
    assert names(schedule) == ["a", "b"]
    schedule.settle("b", bad=False)
    assert names(schedule) == ["c"]


def test_who_finds_no_room_waits_and_lets_others_pass() -> None:
    room = Room(4, 100, ("0",))
    schedule = Schedule(list("abc"), {"a": (), "b": (), "c": ()}, jobs=9, room=room)
    assert names(schedule) == ["a", "b", "c"]
    assert schedule.admit("a", GPU)
    assert schedule.share("a").gpus == ("0",)
    assert not schedule.admit("b", GPU)
    assert schedule.admit("c", ONE)
    assert schedule.waiting == ["b"]
    schedule.settle("a", bad=False)
    assert schedule.next() == Turn("b")
    assert schedule.admit("b", GPU)
    assert schedule.share("b").gpus == ("0",)


def test_nobody_overtakes_in_what_an_earlier_one_waits_for() -> None:
    schedule = Schedule(list("abcd"), dict.fromkeys("abcd", ()), jobs=9, room=Room(4, 100, ()))
    assert names(schedule) == list("abcd")
    assert schedule.admit("a", Resources(cpus=2))
    assert not schedule.admit("b", Resources(cpus=4))
    assert not schedule.admit("c", ONE)  # there would be room, but b waits for processors
    assert schedule.admit("d", Resources(memory=10))
    schedule.settle("a", bad=False)
    assert names(schedule) == ["b"]
    schedule.settle("b", bad=False)
    assert names(schedule) == ["c"]


def test_who_wants_more_than_there_is_runs_alone() -> None:
    schedule = Schedule(list("ab"), dict.fromkeys("ab", ()), jobs=9, room=Room(2, 100, ("x",)))
    assert names(schedule) == ["a", "b"]
    assert schedule.admit("a", ONE)
    assert not schedule.admit("b", Resources(cpus=64))
    schedule.settle("a", bad=False)
    assert names(schedule) == ["b"]


def test_nothing_of_the_machine_is_ever_promised_twice_and_nobody_waits_for_ever() -> None:
    chance = random.Random(5)
    for _ in range(200):
        order = [f"s{n}" for n in range(chance.randint(1, 30))]
        wanted = {
            name: tuple(other for other in order[:place] if chance.random() < 0.1)
            for place, name in enumerate(order)
        }
        needs = {
            name: Resources(
                cpus=chance.choice([0, 0, 0.5, 1, 2, 9]), memory=chance.choice([0, 0, 30, 100, 200]),
                gpus=chance.choice([None, None, 0, 1, 2]),
            )
            for name in order
        }  # fmt: skip
        schedule = Schedule(order, wanted, jobs=chance.randint(1, 6), room=Room(4, 100, ("a", "b")))
        running: list[str] = []
        settled: set[str] = set()
        while len(settled) < len(order):
            while turn := schedule.next():
                assert all(maker in settled for maker in wanted[turn.stage])
                if schedule.admit(turn.stage, needs[turn.stage]):
                    running.append(turn.stage)
            assert running, "nothing runs, and something waits"
            given = [schedule.share(name) for name in running]
            assert sum(share.cpus for share in given) <= 4 + 1e-6
            assert sum(share.memory for share in given) <= 100
            gpus = [gpu for share in given for gpu in share.gpus]
            assert len(gpus) == len(set(gpus))
            done = running.pop(chance.randrange(len(running)))
            schedule.settle(done, bad=False)
            settled.add(done)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Resources(cpus=4, memory=100, gpus=1), ""),
        (Resources(cpus=5), "needs 5 CPUs, and this machine has 4"),
        (Resources(memory=8_000_000_000), "needs 8 GB of memory, and this machine has 100 bytes"),
        (Resources(gpus=2), "needs 2 GPUs, and this machine has 1"),
    ],
)
def test_what_is_more_than_the_machine_has(wanted: Resources, expected: str) -> None:
    assert beyond(Stage(name="s", cmd=("x",), resources=wanted), 4, 100, 1) == expected


def test_no_gpu_at_all() -> None:
    stage = Stage(name="s", cmd=("x",), resources=Resources(gpus=1))
    assert beyond(stage, 4, 100, 0) == "needs 1 GPU, and this machine has none that rote can see"
    assert kinds(Resources(gpus=0)) == frozenset()
