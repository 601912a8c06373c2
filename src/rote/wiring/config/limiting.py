"""What a stage may use and how often it is tried: `timeout`, `retries`, `resources`."""

from __future__ import annotations

from typing import Final, TypedDict

from rote.laws.pipeline.bounding import KINDS
from rote.wiring.config import durations
from rote.wiring.config.caching import bytes_of
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import nearest, shown
from rote.words.pipeline import Resources, Retries

_RETRIES: Final = ("times", "backoff", "longest", "on")
_RESOURCES: Final = ("cpus", "memory", "gpus")
_MOST: Final = 1000


class Limits(TypedDict):
    """The fields of a Stage that are read here."""

    timeout: float | None
    retries: Retries
    resources: Resources


def read(section: Section) -> Limits:
    """The keys `timeout`, `retries` and `resources` of a stage. Raises ConfigError."""
    return Limits(timeout=_timeout(section), retries=_retries(section), resources=_resources(section))


def _timeout(section: Section) -> float | None:
    node = section.get("timeout")
    if node is None:
        return None
    seconds = durations.read(section, "timeout", node)
    if seconds <= 0:
        raise refused(section.at("timeout", node), f"expected {durations.EXPECTED}, found {node.text}", None)
    return seconds


def _retries(section: Section) -> Retries:
    node = section.get("retries")
    if node is None:
        return Retries()
    if not isinstance(node.value, dict):
        return Retries(times=_times(section, "retries", node))
    below = Section(node, section.file, section.at("retries").key)
    below.known(_RETRIES, "retries")
    times = below.get("times")
    if times is None:
        raise refused(below.at(), "expected `times`, found none", "write retries: {times: 3}")
    backoff, longest = below.get("backoff"), below.get("longest")
    former = Retries()
    return Retries(
        times=_times(below, "times", times),
        backoff=former.backoff if backoff is None else durations.read(below, "backoff", backoff),
        longest=former.longest if longest is None else durations.read(below, "longest", longest),
        on=tuple(_kind(below, place, each) for place, each in below.items("on", "exit codes")) or former.on,
    )


def _times(section: Section, name: str, node: Node) -> int:
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        raise section.wrong(name, node, "a number of further attempts")
    if not 0 <= node.value <= _MOST:
        raise refused(section.at(name, node), f"expected 0 to {_MOST} further attempts, found {node.text}")
    return node.value


def _kind(section: Section, place: str, node: Node) -> int | str:
    expected = f"an exit code from 1 to 255, or one of {', '.join(KINDS)}"
    if isinstance(node.value, str) and node.value not in KINDS:
        meant = nearest(node.value, list(KINDS))
        raise refused(
            section.at(place, node),
            f"expected {expected}, found {shown(node.value)}",
            f"did you mean {meant}?" if meant else None,
        )
    if isinstance(node.value, bool) or not isinstance(node.value, int | str):
        raise section.wrong(place, node, expected)
    if isinstance(node.value, int) and not 1 <= node.value <= 255:
        raise refused(section.at(place, node), f"expected {expected}, found {node.text}")
    return node.value


def _resources(section: Section) -> Resources:
    node = section.get("resources")
    if node is None:
        return Resources()
    if not isinstance(node.value, dict):
        raise section.wrong("resources", node, "a mapping with cpus, memory, gpus")
    below = Section(node, section.file, section.at("resources").key)
    below.known(_RESOURCES, "resources")
    memory = bytes_of(below, "memory", "write it as 500 MB, 8 GB or 8 GiB")
    if memory == 0:
        raise refused(below.at("memory"), "a stage cannot do with no memory at all", "take `memory` away")
    return Resources(cpus=_cpus(below), memory=memory or 0, gpus=_gpus(below))


def _cpus(section: Section) -> float:
    node = section.get("cpus")
    if node is None:
        return 0
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise section.wrong("cpus", node, "a number of processors")
    if not 0 < node.value < 1e6:
        raise refused(section.at("cpus", node), f"expected a number of processors, found {node.text}", None)
    return node.value


def _gpus(section: Section) -> int | None:
    node = section.get("gpus")
    if node is None:
        return None
    if isinstance(node.value, bool) or not isinstance(node.value, int):
        raise section.wrong("gpus", node, "a number of GPUs")
    if not 0 <= node.value < 1e6:
        raise refused(section.at("gpus", node), f"expected a number of GPUs, found {node.text}", None)
    return node.value
