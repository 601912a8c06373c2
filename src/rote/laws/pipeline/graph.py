"""Stages -> who needs whom, in which order; or the exact reason why there is none."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from rote.errors import ConfigError
from rote.words.ids import nearest, shown
from rote.words.paths import fold
from rote.words.pipeline import Out, Stage


class GraphError(ConfigError):
    """The stages cannot be ordered, or two of them claim the same path. `stages` names those it is about; `where`
    is the place of the first."""

    def __init__(self, what: str, stages: Sequence[Stage], *, next: str | None = None) -> None:
        super().__init__(what, where=str(stages[0].at) if stages else None, next=next)
        self.stages = tuple(stage.name for stage in stages)


def needs(stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
    """For each stage the stages that come before it: those whose outs it needs (`makers`), and the checks of what it
    reads (`guards`); in the order of the file. Raises GraphError where a stage needs its own out."""
    made = makers(stages)
    checks = guards(stages, made)
    if not any(checks.values()):
        return made
    position = {name: index for index, name in enumerate(stages)}
    return {name: tuple(sorted({*made[name], *checks[name]}, key=position.__getitem__)) for name in stages}


def guards(
    stages: Mapping[str, Stage], made: Mapping[str, tuple[str, ...]] | None = None
) -> dict[str, tuple[str, ...]]:
    """For each stage the checks that vouch for data which it reads; `made` is `makers(stages)`, if that is known.

    No check waits for another, and a stage that a check itself needs, directly or through others, does not wait for
    that check.
    """
    found: dict[str, tuple[str, ...]] = dict.fromkeys(stages, ())
    checks = [stage for stage in stages.values() if stage.check]
    if not checks:
        return found
    readers = _Places(
        (path, stage.name) for stage in stages.values() if not stage.check for path in _read(stage)
    )
    made = makers(stages) if made is None else made
    for stage in checks:
        before = _before(stage.name, made)
        for path in stage.check.paths if stage.check else ():
            for reader in dict.fromkeys(readers.at(path)):
                if reader not in before and stage.name not in found[reader]:
                    found[reader] = (*found[reader], stage.name)
    return found


def _before(name: str, made: Mapping[str, tuple[str, ...]]) -> set[str]:
    """All that a stage needs, directly or through others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for maker in made[waiting.pop()]:
            if maker not in found:
                found.add(maker)
                waiting.append(maker)
    return found


def _read(stage: Stage) -> tuple[str, ...]:
    return (*stage.deps, *dict.fromkeys(param.file for param in stage.params))


def makers(stages: Mapping[str, Stage]) -> dict[str, tuple[str, ...]]:
    """For each stage the stages whose outs it needs, in the order of the file.

    A stage needs another where one of its deps or params files is an out of the other, lies in such an out, or is a
    folder that holds one. Raises GraphError where a stage needs its own out.
    """
    made = _made(stages.values())
    position = {name: index for index, name in enumerate(stages)}
    found = {}
    for stage in stages.values():
        wanted: dict[str, None] = {}
        for path in _read(stage):
            for maker, out in made.at(path):
                if maker == stage.name:
                    raise GraphError(
                        _own(path, out.path), [stage], next="take it out of `deps`, or out of `outs`"
                    )
                wanted[maker] = None
        found[stage.name] = tuple(sorted(wanted, key=position.__getitem__))
    return found


def _own(path: str, out: str) -> str:
    if path == out:
        return f"{shown(path)} is both a dep and an out of this stage"
    return f"the dep {shown(path)} and this stage's own out {shown(out)} lie one inside the other"


_Thing = TypeVar("_Thing")


class _Places(Generic[_Thing]):
    """Things that lie at paths, findable by their own path and by each folder above it."""

    def __init__(self, things: Iterable[tuple[str, _Thing]]) -> None:
        self._exact: dict[str, list[_Thing]] = {}
        self._above: dict[str, list[_Thing]] = {}
        for path, thing in things:
            self._exact.setdefault(path, []).append(thing)
            for folder in _folders(path):
                self._above.setdefault(folder, []).append(thing)

    def at(self, path: str) -> Iterable[_Thing]:
        """What lies at `path`, holds it, or lies in it."""
        for place in (path, *_folders(path)):
            yield from self._exact.get(place, ())
        yield from self._above.get(path, ())


def _made(stages: Iterable[Stage]) -> _Places[tuple[str, Out]]:
    """Every out, with the name of the stage that makes it."""
    return _Places((out.path, (stage.name, out)) for stage in stages for out in stage.outs)


def _folders(path: str) -> Iterable[str]:
    end = path.rfind("/")
    while end > 0:
        yield path[:end]
        end = path.rfind("/", 0, end)


def check_outs(stages: Mapping[str, Stage]) -> None:
    """Raise GraphError if two outs are one path, lie one inside the other, or differ only in case."""
    outs: dict[str, tuple[Stage, str]] = {}
    for stage in stages.values():
        for out in stage.outs:
            folded = fold(out.path)
            if folded in outs:
                raise _twice(*outs[folded], stage, out.path)
            outs[folded] = (stage, out.path)
    for folded, (stage, path) in outs.items():
        for folder in _folders(folded):
            if folder in outs:
                other, outer = outs[folder]
                raise GraphError(
                    f"the out {shown(path)} of {_called(stage)} lies inside the out {shown(outer)}"
                    f" of {_called(other)}",
                    [stage, other],
                    next="every out needs a place of its own: move one of them",
                )


def check_checkpoints(stages: Mapping[str, Stage]) -> None:
    """Raise GraphError if a folder for checkpoints and an out, a dep, a params file or another such folder are one
    path, or lie one inside the other: what a stage writes into it meanwhile must be nothing to anybody else."""
    folders = [(stage, stage.checkpoints.path) for stage in stages.values() if stage.checkpoints]
    if not folders:
        return
    claims: list[tuple[Stage, str, str]] = [
        (stage, "folder for checkpoints", path) for stage, path in folders
    ]
    for stage in stages.values():
        claims += [(stage, "out", out.path) for out in stage.outs]
        claims += [(stage, "dep", path) for path in stage.deps]
        claims += [(stage, "params file", param.file) for param in stage.params]
    for stage, path in folders:
        for other, kind, claimed in claims:
            if (other.name, kind, claimed) != (stage.name, "folder for checkpoints", path) and _meet(
                path, claimed
            ):
                raise GraphError(
                    f"the folder for checkpoints {shown(path)} of {_called(stage)} and the {kind} {shown(claimed)}"
                    f" of {_called(other)} are one path, or lie one inside the other",
                    [stage, other],
                    next="give the checkpoints a folder of their own",
                )


def _meet(one: str, two: str) -> bool:
    one, two = fold(one), fold(two)
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")


def _twice(first: Stage, one: str, second: Stage, two: str) -> GraphError:
    move = "every out needs a place of its own: rename one of them, or join the stages"
    if one != two:
        what = f"the outs {shown(one)} of {_called(first)} and {shown(two)} of {_called(second)} differ only in case"
        return GraphError(what, [second, first], next=move)
    if first.name == second.name:
        return GraphError(f"the out {shown(two)} is listed twice", [second], next="list it once")
    what = f"the out {shown(two)} is made by two stages: {_called(first)} and {_called(second)}"
    return GraphError(what, [second, first], next=move)


def _called(stage: Stage) -> str:
    return (
        f"stage {shown(stage.name)} (line {stage.at.line})" if stage.at.line else f"stage {shown(stage.name)}"
    )


def order(stages: Mapping[str, Stage]) -> list[str]:
    """The stages so that each comes after all it needs, otherwise in the order of the file.

    Raises GraphError that names the cycle, each stage with the out that leads to the next.
    """
    wanted = needs(stages)
    done: dict[str, None] = {}
    for name in stages:
        _visit(name, wanted, done, stages)
    return list(done)


def _visit(
    first: str, wanted: Mapping[str, tuple[str, ...]], done: dict[str, None], stages: Mapping[str, Stage]
) -> None:
    """Depth first without recursion, so that a chain of thousands of stages is no matter."""
    if first in done:
        return
    path = {first: iter(wanted[first])}
    while path:
        here = next(reversed(path))
        below = next((name for name in path[here] if name not in done), None)
        if below is None:
            del path[here]
            done[here] = None
        elif below in path:
            names = list(path)
            raise _cycle([*names[names.index(below) :], below], stages)
        else:
            path[below] = iter(wanted[below])


def _cycle(names: Sequence[str], stages: Mapping[str, Stage]) -> GraphError:
    steps = [_step(stages[user], stages[maker]) for user, maker in itertools.pairwise(names)]
    return GraphError(
        f"the stages form a cycle: {'; '.join(steps)}",
        [stages[name] for name in names[:-1]],
        next="take one of these deps away, or split the stage that makes it",
    )


def _step(user: Stage, maker: Stage) -> str:
    made = _made([maker])
    for path in _read(user):
        for _, out in made.at(path):
            return f"{user.name} needs {shown(out.path)} of {maker.name}"
    return f"{user.name} waits for the check {maker.name}"


def needed(stages: Mapping[str, Stage], targets: Collection[str] = ()) -> list[str]:
    """The targets and all they need, in the order of `order`; without targets, every stage.

    A target is what `stages_of` takes. Raises ConfigError with the nearest name if it is nothing of that.
    """
    whole = order(stages)
    if not targets:
        return whole
    wanted = needs(stages)
    found: set[str] = set()
    waiting = [name for target in targets for name in stages_of(stages, target)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(wanted[name])
    return [name for name in whole if name in found]


def stages_of(stages: Mapping[str, Stage], target: str) -> list[str]:
    """The stages that a target means: the one of this name; all that were made from an entry of this name (`train` for
    `train@a`, `train@b`); all of a pipeline file (`sub/rote.yaml`); or the one that makes this path or the out that it
    lies in. Before the name of a stage may stand its file or the file's folder: `sub/rote.yaml:train`, `sub:train`.

    Raises ConfigError with the nearest name.
    """
    plain = _without_file(target)
    if plain in stages:
        return [plain]
    group = [name for name in stages if name.startswith(f"{plain}@")]
    if group:
        return group
    of_file = [stage.name for stage in stages.values() if stage.at.file == target]
    if of_file:
        return of_file
    for stage in stages.values():
        if any(target == out.path or target.startswith(out.path + "/") for out in stage.outs):
            return [stage.name]
    paths = [out.path for stage in stages.values() for out in stage.outs]
    near = nearest(plain, [*stages, *paths])
    known = ", ".join(list(stages)[:20]) + (", …" if len(stages) > 20 else "")
    raise ConfigError(
        f"no stage is called {shown(target)}, and none makes it"
        + (f"; did you mean {shown(near)}?" if near else ""),
        where="rote.yaml",
        next=f"name one of: {known}" if stages else "write a stage into rote.yaml first",
    )


def _without_file(target: str) -> str:
    """`sub/rote.yaml:train` -> `sub:train`, `rote.yaml:train` -> `train`."""
    place, colon, name = target.rpartition(":")
    folder, _, file = place.rpartition("/")
    if not colon or file not in ("rote.yaml", "dvc.yaml"):
        return target
    return f"{folder}:{name}" if folder else name


def stage_of(stages: Mapping[str, Stage], target: str) -> str:
    """The one stage that a target means. Raises ConfigError, also if it means several."""
    found = stages_of(stages, target)
    if len(found) > 1:
        raise ConfigError(
            f"{shown(target)} means {len(found)} stages", where="rote.yaml",
            next=f"name one of: {', '.join(found[:20])}{', …' if len(found) > 20 else ''}",
        )  # fmt: skip
    return found[0]


def after(stages: Mapping[str, Stage], names: Collection[str]) -> list[str]:
    """All stages that need one of `names`, directly or through others, without these, in the order of `order`."""
    wanted = needs(stages)
    reached = set(names)
    found = []
    for name in order(stages):
        if name not in reached and any(other in reached for other in wanted[name]):
            reached.add(name)
            found.append(name)
    return found
