"""Which failures are worth another try and when; what is said of those that went beyond their bounds; logs that are cut."""

from __future__ import annotations

import pytest

from rote.laws.pipeline.bounding import ended, environment, pause, size, span, transient
from rote.laws.pipeline.logcut import LogCut
from rote.words.pipeline import Resources, Retries, Stage


@pytest.mark.parametrize(
    ("on", "code", "exceeded", "expected"),
    [
        ((75,), 75, "", True),
        ((75,), 1, "", False),
        ((75,), 143, "timeout", False),
        (("timeout",), 143, "timeout", True),
        (("timeout",), 0, "timeout", True),
        (("signal",), -11, "", True),
        (("signal",), 139, "", True),
        (("signal",), 255, "", False),
        (("signal",), 137, "machine", False),
        (("memory",), 137, "machine", True),
        (("memory",), -9, "memory", True),
        ((137,), 137, "", True),
    ],
)
def test_what_may_go_away_by_itself(
    on: tuple[int | str, ...], code: int, exceeded: str, expected: bool
) -> None:
    assert transient(Retries(times=1, on=on), code, exceeded) is expected


def test_the_wait_doubles_up_to_a_bound_and_chance_has_all_of_it() -> None:
    rule = Retries(times=9, backoff=10, longest=60)
    assert [pause(rule, n, 1.0) for n in (1, 2, 3, 4, 5, 5000)] == [10, 20, 40, 60, 60, 60]
    assert pause(rule, 3, 0.0) == 0
    assert pause(rule, 3, 0.25) == 10


def test_what_a_stage_is_told() -> None:
    assert environment(Resources(), (), {}) == {}
    assert environment(Resources(cpus=2.5, gpus=2), ("1", "3"), {}) == {
        "CUDA_VISIBLE_DEVICES": "1,3", "OMP_NUM_THREADS": "2",
    }  # fmt: skip
    assert environment(Resources(cpus=0.5, gpus=0), (), {"OMP_NUM_THREADS": "8"}) == {
        "CUDA_VISIBLE_DEVICES": ""
    }
    assert environment(Resources(cpus=0.5), (), {}) == {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "1m30s"), (1800, "30m"), (5.5, "5.5s"), (45, "45s"), (19800, "5h30m"), (0, "0s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_bytes() -> None:
    assert [size(n) for n in (12, 1200, 2_100_000, 3_000_000_000, 10**14)] == [
        "12 bytes",
        "1.2 kB",
        "2.1 MB",
        "3 GB",
        "100 TB",
    ]


@pytest.mark.parametrize("exceeded", ["timeout", "memory", "machine"])
def test_every_end_says_what_and_what_next(exceeded: str) -> None:
    stage = Stage(name="s", cmd=("x",), timeout=60, resources=Resources(memory=1000))
    what, next = ended(stage, exceeded, -9, 2000)
    assert what.startswith("it was ")
    assert next


def test_a_short_log_is_whole() -> None:
    cut = LogCut(10, 4)
    assert cut.feed(b"0123") + cut.feed(b"456789") + cut.rest() == b"0123456789"


def test_a_long_log_keeps_its_beginning_and_its_end() -> None:
    cut = LogCut(10, 4)
    kept = b"".join(cut.feed(b"%d" % n * 5) for n in range(10)) + cut.rest()
    assert kept.startswith(b"0000011111\n[rote: this log is longer")
    assert kept.endswith(b"[rote: 36 bytes are left out here]\n9999")


def test_a_log_that_is_longer_by_less_than_its_end_loses_nothing() -> None:
    cut = LogCut(10, 4)
    kept = cut.feed(b"0123456789ab") + cut.rest()
    assert kept.endswith(b"ab")
    assert b"left out here" not in kept
