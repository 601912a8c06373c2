"""Which stages lie between a model and what was measured of it: those that have to be done to evaluate another version
of it in the same way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from rote.words.pipeline import Stage

_MEASURES = ("metrics", "plots")


class Evaluation(msgspec.Struct, frozen=True):
    """The stages in order. `given` are deps that are files of the model; `measured` are the wanted paths that these
    stages make: what else is wanted does not come from the model's files."""

    stages: tuple[str, ...]
    given: frozenset[str]
    measured: frozenset[str]


def between(stages: Mapping[str, Stage], files: Sequence[str], wanted: Collection[str]) -> Evaluation:
    """What lies between the model's `files` (outs, folders with outs in them, or files that git tracks) and the
    `wanted` outs. A stage that makes a file of the model does not evaluate it."""
    makers = {out.path: stage for stage in stages.values() for out in stage.outs}
    measures = {out.path for stage in stages.values() for out in stage.outs if out.kind in _MEASURES} | set(
        wanted
    )
    model = [path for path in (file.rstrip("/") for file in files) if path not in measures]
    makes_it = {
        stage.name
        for stage in stages.values()
        for out in stage.outs
        if out.path not in measures and any(_meet(out.path, path) for path in model)
    }
    order: dict[str, bool] = {}  # stage -> whether it depends on the model

    def depends(stage: Stage) -> bool:
        if stage.name in makes_it:
            return False
        if stage.name not in order:
            found = False
            for dep in stage.deps:
                if any(_meet(dep, path) for path in model):
                    found = True
                else:
                    before = [maker for path, maker in makers.items() if _meet(dep, path)]
                    found = any(map(depends, before)) or found
            order[stage.name] = found
        return order[stage.name]

    measured = frozenset(path for path in wanted if path in makers and depends(makers[path]))
    chosen = tuple(name for name, on in order.items() if on)
    given = {dep for name in chosen for dep in stages[name].deps if any(_meet(dep, path) for path in model)}
    return Evaluation(chosen if measured else (), frozenset(given), measured)


def in_version(dep: str, files: Sequence[str]) -> str | None:
    """Where a dep that is a file of the model, or lies in one, is in a version; None if it holds more than that."""
    for file in (file.rstrip("/") for file in files):
        if dep == file or dep.startswith(file + "/"):
            return file.rpartition("/")[2] + dep[len(file) :]
    return None


def _meet(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")
