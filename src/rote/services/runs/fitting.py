"""Refuses a run before it begins if one of its stages needs more than the machine has."""

from __future__ import annotations

from collections.abc import Callable, Collection

from rote.errors import ConfigError
from rote.laws.pipeline import plan as law
from rote.laws.pipeline.bounding import beyond
from rote.laws.pipeline.graph import needed
from rote.laws.pipeline.plan import Plan
from rote.ports import Capacity, Executor
from rote.services.runs.stagework import Failure
from rote.words.pipeline import Pipeline, Stage


def refuse(
    pipeline: Pipeline, targets: Collection[str], executor: Executor, plan: Callable[[], Plan]
) -> None:
    """Raise ConfigError if a stage that would run does not fit. `plan` is asked only if one does not: what is a hit
    needs nothing, so that a result made on a large machine can be brought to a small one."""
    if not any(stage.resources.wanted for stage in pipeline.stages.values()):
        return
    there = executor.capacity()
    large = {
        name: said
        for name in needed(pipeline.stages, targets)
        if (said := _said(pipeline.stages[name], there))
    }
    if not large:
        return
    for decision in plan().decisions:
        if decision.stage in large and decision.verdict == law.RUN:
            stage = pipeline.stages[decision.stage]
            raise ConfigError(
                f"the stage {stage.name} {large[stage.name]}; nothing was started",
                where=str(stage.at),
                next="run it on a machine that has it, or lower `resources`; other stages can be run by name",
            )


def check(stage: Stage, executor: Executor) -> None:
    """Raise Failure if the stage does not fit: it looked like a hit when the run began, and is none."""
    said = _said(stage, executor.capacity()) if stage.resources.wanted else ""
    if said:
        raise Failure(said, where=str(stage.at), next="run it on a machine that has it, or lower `resources`")


def _said(stage: Stage, there: Capacity) -> str:
    return beyond(stage, there.cpus, there.memory, len(there.gpus))
