"""What this machine has for stages: processors, memory, GPUs; less where this process is confined to less."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

from rote.ports import Capacity

_GPUS = "/proc/driver/nvidia/gpus"
_GROUPS = "/sys/fs/cgroup"


def capacity(environment: Mapping[str, str]) -> Capacity:
    """What there is, with the GPUs that `environment` allows."""
    cpus, memory = float(_processors()), _memory()
    for quota, limit in _confined():
        cpus = min(cpus, quota or cpus)
        memory = min(memory, limit or memory)
    return Capacity(cpus=cpus, memory=memory, gpus=_gpus(environment))


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _confined() -> Iterator[tuple[float | None, int | None]]:
    """The processors and bytes that each control group around this process allows; None: as many as there are."""
    try:
        with open("/proc/self/cgroup", encoding="ascii", errors="replace") as f:
            lines = [line.rstrip("\n").split(":", 2) for line in f]
    except OSError:
        return
    for number, controllers, path in lines:
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts), -1, -1):
            below = "/".join(parts[:depth])
            if number == "0":
                place = os.path.join(_GROUPS, below)
                yield _quota(_word(place, "cpu.max")), _bytes(_word(place, "memory.max"))
            elif "memory" in controllers.split(","):
                yield None, _bytes(_word(os.path.join(_GROUPS, "memory", below), "memory.limit_in_bytes"))
            elif "cpu" in controllers.split(","):
                place = os.path.join(_GROUPS, "cpu", below)
                yield _quota([*_word(place, "cpu.cfs_quota_us"), *_word(place, "cpu.cfs_period_us")]), None


def _word(folder: str, name: str) -> list[str]:
    with suppress(OSError), open(os.path.join(folder, name), encoding="ascii", errors="replace") as f:
        return f.read(200).split()
    return []


def _quota(words: list[str]) -> float | None:
    if len(words) != 2 or not words[0].isdigit() or not words[1].isdigit() or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1]) or None


def _bytes(words: list[str]) -> int | None:
    return int(words[0]) if words and words[0].isdigit() else None


def _gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names by which CUDA knows the GPUs that may be used."""
    named = environment.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        found = []
        for name in (each.strip() for each in named.split(",")):
            if name in ("", "-1", "NoDevFiles"):  # CUDA sees none from here on
                break
            found.append(name)
        return tuple(found)
    with suppress(OSError):
        return tuple(str(number) for number in range(len(os.listdir(_GPUS))))
    return ()
