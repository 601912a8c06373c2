"""Runs as they are asked for: in the user's working tree, in one for smoke runs, or in one of another revision."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from rote.errors import BadPath, UsageError
from rote.laws.pipeline.plan import Plan, Why
from rote.services.runs.runrecord import RunOutcome
from rote.wiring.config import deadlines
from rote.wiring.controlling import Controlling
from rote.wiring.leftovers import Leftovers
from rote.wiring.operating import Operating, Terms
from rote.wiring.parts import Wiring
from rote.words.run import Request, Run

if TYPE_CHECKING:
    from rote.wiring.detaching import Started

_DETACHED = ("jobs", "force", "keep_going", "strict", "cold", "smoke", "rev", "command")
"""Of a Launch, what a run in the background is told besides its stages, overrides, tags and deadline."""


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a run; see `Project.run`."""

    stages: Sequence[str] = ()
    overrides: Sequence[str] = ()
    jobs: int = 1
    force: bool = False
    keep_going: bool = False
    strict: bool = False
    cold: bool = False
    smoke: bool = False
    rev: str = ""
    tags: Mapping[str, str] = {}
    wait: bool = True
    attach: Callable[[bytes], None] | None = None
    deadline: float | str | None = None
    begun: Callable[[Run, Callable[[bytes], None]], None] | None = None
    command: str = ""
    resumes: Run | None = None
    """The run that this one goes on with."""


class Launching:
    """Launches the runs of one project. `cwd` is where paths among the stages begin."""

    def __init__(self, wiring: Wiring, cwd: str) -> None:
        self._w = wiring
        self._cwd = cwd

    def resumed(self, id: str, more: Launch, jobs: int | None) -> Launch:
        """What a run had been asked for that is to be gone on with, and `more`. Raises Missing, Locked, Refused."""
        Leftovers(self._w).clear()
        former = Controlling(self._w).ended(self._w.runs.resolve(id))
        asked = former.asked or Request(targets=[outcome.stage for outcome in former.stages])
        return msgspec.structs.replace(
            more, resumes=former, stages=asked.targets, jobs=jobs or asked.jobs, force=asked.force,
            keep_going=asked.keep_going, smoke=former.smoke is True, rev=asked.rev or "", tags=former.tags,
            command=former.command,
        )  # fmt: skip

    def run(self, asked: Launch) -> RunOutcome:
        """See `Project.run`."""
        Leftovers(self._w).clear()
        if not asked.rev:
            return self._run(self._w, asked, "")
        from rote.wiring.elsewhere import Elsewhere  # most runs are made where one stands

        elsewhere = Elsewhere(self._w)
        with elsewhere.revision(asked.rev, asked.command, wait=asked.wait) as (other, commit):
            below = os.path.relpath(self._cwd, self._w.root)
            cwd = os.path.normpath(os.path.join(other.root, below))
            outcome = Launching(other, cwd)._run(other, asked, commit)
            if outcome.ok:
                elsewhere.remove(commit)
            else:
                where = os.path.relpath(other.root, self._w.root)
                self._w.progress.say(
                    f"the working tree of commit {commit[:12]} stays in {where}, to look at;"
                    f" `git worktree remove --force {where}` takes it away"
                )
        return outcome

    def plan(self, asked: Launch) -> Plan:
        """See `Project.plan`: what a run that is asked for like this would do."""
        with self._looked(asked) as tree:
            targets = [target(self._w, self._cwd, text) for text in asked.stages]
            return Operating(tree).plan(
                targets, overrides=asked.overrides, force=asked.force, smoke=asked.smoke
            )

    def why(self, asked: Launch) -> Why:
        """See `Project.why`: of the one stage that is asked for."""
        [text] = asked.stages
        with self._looked(asked) as tree:
            return Operating(tree).why(target(self._w, self._cwd, text), smoke=asked.smoke)

    @contextmanager
    def _looked(self, asked: Launch) -> Iterator[Wiring]:
        """The working tree that a run would have. The user's own is looked at without its lock."""
        Leftovers(self._w).clear()
        if not asked.smoke:
            yield self._w
            return
        with self._tree(self._w, asked) as tree:
            yield tree

    def start(self, asked: Launch, resumes: str | None, jobs: int | None) -> Started:
        """See `Project.start`. `jobs` is for a run that goes on with another; None: as many as that one had."""
        deadline = (
            None if asked.deadline is None else deadlines.seconds(str(asked.deadline), self._w.clock.now())
        )
        options: dict[str, object] = {"set": list(asked.overrides), "deadline": deadline}
        if resumes:
            if msgspec.structs.replace(asked, overrides=(), jobs=1, deadline=None, command="") != Launch():
                raise UsageError("a run that goes on with another has its stages, options and tags")
            resumes = self._w.runs.resolve(resumes)
            options["jobs"] = jobs
        else:
            options |= {name: getattr(asked, name) for name in _DETACHED} | {"tags": dict(asked.tags)}
        if not asked.smoke and not asked.rev:
            self._nobody_at_work()
        output = os.path.join(self._w.own, "runs", f"detached-{self._w.clock.token(6)}.out")
        from rote.wiring.detaching import Order, start  # only this call needs it

        order = Order(
            root=self._w.root, cwd=self._cwd, store=self._w.asked, output=output, resumes=resumes,
            stages=list(asked.stages), options=options,
        )  # fmt: skip
        return start(order, os.environ)

    def _nobody_at_work(self) -> None:
        """Raise Locked if another process is at work in this tree."""
        with self._w.workspace.lock("rote run --detach", wait=False, say=self._w.progress.say):
            pass

    def _run(self, here: Wiring, asked: Launch, commit: str) -> RunOutcome:
        with self._tree(here, asked) as tree:
            targets = [target(here if asked.smoke else tree, self._cwd, text) for text in asked.stages]
            former = asked.resumes
            control = Controlling(tree)
            terms = Terms(
                deadline=None if asked.deadline is None else deadlines.seconds(str(asked.deadline), tree.clock.now()),
                begun=asked.begun, wait=asked.wait, attach=asked.attach, cold=asked.cold, smoke=asked.smoke,
                rev=commit, resumes=former, chain=control.chain(former) if former else frozenset(),
            )  # fmt: skip
            overrides = control.overrides(former, asked.overrides) if former else asked.overrides
            return Operating(tree).run(
                targets, overrides=overrides, jobs=asked.jobs, force=asked.force, keep_going=asked.keep_going,
                strict=asked.strict, tags=asked.tags, command=asked.command, terms=terms,
            )  # fmt: skip

    @contextmanager
    def _tree(self, here: Wiring, asked: Launch) -> Iterator[Wiring]:
        """The working tree of the run, with its lock held."""
        if asked.smoke:
            from rote.wiring.elsewhere import Elsewhere  # most runs are made where one stands

            with Elsewhere(here).smoke(asked.command, wait=asked.wait) as other:
                yield other
            return
        waited: list[str] = []

        def say(line: str) -> None:
            waited.append(line)
            here.progress.say(line)

        with here.workspace.lock(asked.command, wait=asked.wait, say=say):
            # What was read before may be params that another run had overridden: they are put back by now.
            stale = Leftovers(here).clear(held=True) or waited
            yield here.elsewhere(here.root) if stale else here


def target(wiring: Wiring, cwd: str, text: str) -> str:
    """A target as the pipeline names it: a path is relative to where one stands, or else to the project."""
    stages = wiring.pipeline.stages
    below = os.path.relpath(cwd, wiring.root).replace(os.sep, "/")
    local = f"{below}:{text}"
    if local in stages or any(name.startswith(f"{local}@") for name in stages):
        return local  # whoever stands beside a pipeline file means its stages
    if text in stages:
        return text
    try:
        path = wiring.workspace.name(text, cwd)
    except BadPath:
        return text
    if path in wiring.pipeline.files:
        return path
    outs = [out.path for stage in stages.values() for out in stage.outs]
    return path if any(path == out or path.startswith(out + "/") for out in outs) else text
