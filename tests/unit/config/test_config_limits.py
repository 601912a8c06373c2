"""`timeout`, `retries` and `resources` of a stage."""

from __future__ import annotations

import pytest

from rote.errors import ConfigError
from rote.wiring.config import pipelines
from rote.words.pipeline import Resources, Retries, Stage


def read(keys: str) -> Stage:
    return pipelines.read(f"stages:\n  a:\n    cmd: x\n{keys}").stages["a"]


def test_all_of_them() -> None:
    stage = read(
        "    timeout: 1h30m\n    retries: {times: 3, backoff: 5s, longest: 1m, on: [75, 111, signal, timeout, memory]}\n"
        "    resources: {cpus: 1.5, memory: 2 GiB, gpus: 1}\n"
    )
    assert stage.timeout == 5400
    assert stage.retries == Retries(
        times=3, backoff=5, longest=60, on=(75, 111, "signal", "timeout", "memory")
    )
    assert stage.resources == Resources(cpus=1.5, memory=2 << 30, gpus=1)


def test_none_of_them() -> None:
    stage = read("")
    assert (stage.timeout, stage.retries, stage.resources) == (None, Retries(), Resources())


def test_a_number_alone() -> None:
    stage = read("    retries: 2\n    timeout: 90\n    resources: {memory: 1000}\n")
    assert (stage.retries, stage.timeout, stage.resources.memory) == (Retries(times=2), 90, 1000)
    assert stage.resources.gpus is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("timeout: soon", ["a duration"]),
        ("timeout: 0", ["a duration"]),
        ("timeout: [1]", ["a duration"]),
        ("retries: -1", ["0 to 1000"]),
        ("retries: 2.5", ["a number of further attempts"]),
        ("retries: true", ["a number of further attempts"]),
        ("retries: {on: [75]}", ["times"]),
        ("retries: {time: 3}", ["times"]),
        ("retries: {times: 1, on: [0]}", ["from 1 to 255"]),
        ("retries: {times: 1, on: [singal]}", ["did you mean signal"]),
        ("retries: {times: 1, on: 75}", ["a list"]),
        ("resources: 4", ["cpus"]),
        ("resources: {cpu: 4}", ["cpus"]),
        ("resources: {cpus: 0}", ["a number of processors"]),
        ("resources: {cpus: .inf}", ["resources"]),
        ("resources: {cpus: many}", ["a number of processors"]),
        ("resources: {memory: 4 apples}", ["bytes"]),
        ("resources: {memory: 0}", ["no memory"]),
        ("resources: {gpus: -1}", ["a number of GPUs"]),
        ("resources: {gpus: 1.5}", ["a number of GPUs"]),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line(key: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as e:
        read(f"    {key}\n")
    text = f"{e.value} {e.value.where} {e.value.next}"
    assert "rote.yaml:4" in text
    for word in words:
        assert word in text, text
