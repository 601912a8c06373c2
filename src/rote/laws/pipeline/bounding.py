"""What stages may use of a machine, how they share it, and which of their failures are worth another try."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from rote.words.ids import counted
from rote.words.pipeline import Resources, Retries, Stage

SIGNAL, TIMEOUT, MEMORY = "signal", "timeout", "memory"
KINDS = (SIGNAL, TIMEOUT, MEMORY)
"""What may stand in `retries.on` besides exit codes."""


def kind(code: int, exceeded: str) -> int | str:
    """What kind of failure an exit is: an exit code, or one of `KINDS`. A shell gives 128 and the signal for a command
    that a signal has killed."""
    if exceeded == "timeout":
        return TIMEOUT
    if exceeded:
        return MEMORY
    return SIGNAL if code < 0 or 128 < code <= 192 else code


def transient(rule: Retries, code: int, exceeded: str) -> bool:
    """Whether the rule says that such a failure may go away by itself."""
    return code in rule.on or kind(code, exceeded) in rule.on


def pause(rule: Retries, number: int, chance: float) -> float:
    """Seconds before the attempt after the `number`th (from 1): anything up to a bound that doubles each time, as
    `chance` (from 0 to 1) has it, so that those who failed together do not come back together."""
    return chance * min(rule.longest, rule.backoff * 2.0 ** min(number - 1, 1000))


class Share(msgspec.Struct, frozen=True):
    """What a stage was given: processors, bytes of memory, and GPUs by name."""

    cpus: float = 0
    memory: int = 0
    gpus: tuple[str, ...] = ()


class Room:
    """What is free of a machine."""

    def __init__(self, cpus: float, memory: int, gpus: tuple[str, ...]) -> None:
        self._all = Share(cpus, memory, gpus)
        self._cpus = cpus
        self._memory = memory
        self._gpus = list(gpus)

    def lacking(self, wanted: Resources) -> frozenset[str]:
        """Which of the things that are wanted are not free. Whoever wants more than there is, is let in alone."""
        cpus, memory, gpus = self._least(wanted)
        found = []
        if cpus > self._cpus + 1e-9:
            found.append("cpus")
        if memory > self._memory:
            found.append("memory")
        if gpus > len(self._gpus):
            found.append("gpus")
        return frozenset(found)

    def take(self, wanted: Resources) -> Share:
        """Take what is free."""
        cpus, memory, gpus = self._least(wanted)
        share = Share(cpus, memory, tuple(self._gpus[:gpus]))
        self._cpus -= cpus
        self._memory -= memory
        del self._gpus[:gpus]
        return share

    def give(self, share: Share) -> None:
        """Give back what was taken."""
        self._cpus += share.cpus
        self._memory += share.memory
        self._gpus = [name for name in self._all.gpus if name in self._gpus or name in share.gpus]

    def _least(self, wanted: Resources) -> tuple[float, int, int]:
        there = self._all
        return (
            min(wanted.cpus, there.cpus), min(wanted.memory, there.memory), min(wanted.gpus or 0, len(there.gpus)),
        )  # fmt: skip


def kinds(wanted: Resources) -> frozenset[str]:
    """The things of which it wants some."""
    each = (("cpus", wanted.cpus), ("memory", wanted.memory), ("gpus", wanted.gpus))
    return frozenset(name for name, count in each if count)


def beyond(stage: Stage, cpus: float, memory: int, gpus: int) -> str:
    """What of the stage's resources is more than the machine has, in words; empty if nothing is."""
    wanted = stage.resources
    if (wanted.gpus or 0) > gpus:
        there = f"this machine has {gpus}" if gpus else "this machine has none that rote can see"
        return f"needs {counted(wanted.gpus or 0, 'GPU')}, and {there}"
    if wanted.cpus > cpus:
        return f"needs {wanted.cpus:g} CPUs, and this machine has {cpus:g}"
    if wanted.memory > memory:
        return f"needs {size(wanted.memory)} of memory, and this machine has {size(memory)}"
    return ""


def environment(wanted: Resources, gpus: tuple[str, ...], inherited: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell a stage's libraries what it may use. The number of threads is the user's, if set."""
    found = {}
    if wanted.gpus is not None:
        found["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    if wanted.cpus and "OMP_NUM_THREADS" not in inherited:
        found["OMP_NUM_THREADS"] = str(max(1, int(wanted.cpus)))
    return found


def ended(stage: Stage, exceeded: str, code: int, peak: int) -> tuple[str, str]:
    """What happened to a stage that was ended for what it used, and what to do next."""
    if exceeded == "timeout":
        return (
            f"it was not over after {span(stage.timeout or 0)}, its timeout, and was ended (exit code {code})",
            "give it a longer `timeout`, or make it faster; `rote logs` has what it said",
        )
    if exceeded == "memory":
        return (
            f"it was killed because it had {size(peak)} of memory; {size(stage.resources.memory)} is what it may have",
            "give it more in `resources.memory`, or make it take less (smaller batches, fewer workers)",
        )
    return (
        "it was killed by the kernel: there was no memory left (on the machine, or in its control group)",
        "say `resources: {memory: …}`, so that stages wait for each other; or use a larger machine",
    )


def span(seconds: float) -> str:
    """A duration as rote.yaml has it."""
    whole = int(seconds)
    if whole != seconds or whole < 60:
        return f"{seconds:g}s"
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count)


def size(count: int) -> str:
    """Bytes, for people."""
    for unit, power in (("TB", 12), ("GB", 9), ("MB", 6), ("kB", 3)):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return counted(count, "byte")
