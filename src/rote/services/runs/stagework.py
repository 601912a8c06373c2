"""One stage: what it is made of now, whether its outs are in place, and doing it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import BadPath, ConfigError, Missing, RoteError, StageFailed, Unsaved
from rote.laws.pipeline import bounding, metrics
from rote.laws.pipeline.overriding import keys
from rote.laws.pipeline.redaction import Mask, redact, secret_values, secrets_in
from rote.laws.pipeline.stagekey import Inputs, chosen, inputs
from rote.ports import Bounds, Executor, Exit, Files, Process, Workspace
from rote.services.data.data import Data
from rote.words.ids import Digest, RunId, SnapshotId, nearest, shown, stage_file
from rote.words.pipeline import Stage, Values
from rote.words.result import Result

Decode = Callable[[str, bytes], Mapping[str, Any]]
"""Decodes a params or metrics file: its path (whose suffix tells the kind) and its bytes. Raises ConfigError."""

_TAIL = 4_000
_LARGEST = 16 << 20
"""Bytes that a metrics or params file may have."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A stage whose command ended well. `beside` are the outs that the store does not keep; `changed` names a dep that
    was changed meanwhile, if any."""

    ids: dict[str, SnapshotId]
    beside: frozenset[str] = frozenset()
    metrics: dict[str, Any]
    seconds: float
    changed: str = ""


class Failure(StageFailed):
    """A stage ended badly: its exit code and seconds if it ran at all, and whether it was told to stop."""

    def __init__(
        self, what: str, *, next: str | None = None, exit: Exit | None = None, where: str | None = None
    ) -> None:
        super().__init__(what, next=next, where=where)
        self.exit = exit


class Stagework:
    """Works on stages of one working tree. Thread-safe for stages that do not depend on each other.

    `values` are the params after overrides; a params file that a stage makes is read when it is there.
    `environment` is what stages are started with. `files` and `python` (the version of the Python that a stage uses)
    are asked for stages that make lock files, or their Python, a part of their key; `warmed` adds what a stage goes
    on from; with `smoke` no key is one of a run that is in earnest; `checker` is the command line that holds
    expectations against data.
    """

    def __init__(
        self,
        workspace: Workspace,
        data: Data,
        *,
        values: Values,
        environment: Mapping[str, str],
        decode: Decode,
        files: Files | None = None,
        python: Callable[[Stage], str] | None = None,
        warmed: Callable[[Stage, Inputs], Inputs] | None = None,
        smoke: bool = False,
        checker: str = "",
    ) -> None:
        self._workspace = workspace
        self._smoke = smoke
        self._files = files
        self._python = python
        self._warmed = warmed
        self._checker = checker
        self.data = data
        self._values = values
        self._environment = environment
        self._decode = decode
        self._seen: dict[str, SnapshotId] = {}

    # ---- what a stage is made of -------------------------------------------------------------------------------

    def inputs(self, stage: Stage, made: Mapping[str, SnapshotId]) -> Inputs:
        """What the stage's key is made of; `made` says what the outs of the stages before it are.

        Raises StageFailed if a dep or a param is not there.
        """
        deps = {path: self._dep(stage, path, made) for path in stage.deps}
        found = self.params(stage, made)
        python = self._python(stage) if stage.python and self._python else ""
        now = inputs(stage, deps, found, self._environment, locks=self._locks(stage), python=python)
        if self._smoke:
            now = msgspec.structs.replace(now, smoke=True)
        return self._warmed(stage, now) if self._warmed and stage.warm else now

    def params(self, stage: Stage, made: Collection[str]) -> dict[str, dict[str, Any]]:
        """The stage's params: params file -> key -> value. Raises StageFailed if one is not there."""
        values = dict(self._values)
        for file in {param.file for param in stage.params}:
            if file not in values or file in made:
                values[file] = self._made_params(stage, file)
        found = chosen(stage, values)
        for param in stage.params:
            if param.key not in found.get(param.file, {}):
                near = nearest(param.key, keys(values[param.file]))
                raise StageFailed(
                    f"{param.file} has no param {shown(param.key)}",
                    where=str(stage.at),
                    next=f"did you mean {shown(near)}?" if near else f"write it into {param.file}",
                )
        return found

    def _locks(self, stage: Stage) -> dict[str, Digest]:
        found = {}
        for path in stage.locks:
            digest = self._files.digest(path) if self._files else None
            if digest is None:
                raise StageFailed(
                    f"the lock file {shown(path, 200)} is not there",
                    where=str(stage.at),
                    next="make it, or take it out of `env.locks`",
                )
            found[path] = digest
        return found

    def _dep(self, stage: Stage, path: str, made: Mapping[str, SnapshotId]) -> SnapshotId:
        if path in made:
            return made[path]
        known = self._seen.get(path)
        if known is None:
            known = self._identify(stage, path)
            # What lies in an out, or holds one, may change as stages go on.
            if not any(_related(path, out) for out in made):
                self._seen[path] = known
        return known

    def _identify(self, stage: Stage, path: str) -> SnapshotId:
        try:
            return self.data.identify(path).id
        except Missing as e:
            pinned = self._workspace.pointer(path) or self._workspace.kind(f"{path}.dvc")
            raise StageFailed(
                f"the dep {shown(path, 200)} is not there",
                where=str(stage.at),
                next=f"rote checkout {path}" if pinned else "make it, or take it out of `deps`",
            ) from e

    def _made_params(self, stage: Stage, file: str) -> Mapping[str, Any]:
        data = self._content(file)
        if data is None:
            raise StageFailed(f"the params file {shown(file, 200)} is not there", where=str(stage.at))
        return self._decode(file, data)

    def _content(self, path: str) -> bytes | None:
        """The bytes of a single file, or None if none is there."""
        if self._workspace.kind(path) != "file":
            return None
        tree = self._workspace.tree(path)
        for batch in tree.batches():
            if batch.sizes[0] > _LARGEST:
                raise StageFailed(f"this file is larger than {_LARGEST >> 20} MiB", where=path)
            return tree.read(batch.paths[0], batch.sizes[0])
        return None

    def changed_since(self, stage: Stage, found: Inputs) -> str:
        """A dep that is not what it was when `found` was computed, or nothing. A command may have read either."""
        for path, id in found.deps.items():
            try:
                if self.data.identify(path).id != id:
                    self._seen.pop(path, None)
                    return path
            except (Missing, BadPath):
                self._seen.pop(path, None)
                return path
        for file in found.params:
            data = self._content(file)
            values = {file: self._decode(file, data)} if data is not None else {}
            one = msgspec.structs.replace(
                stage, deps=(), params=tuple(p for p in stage.params if p.file == file)
            )
            if inputs(one, {}, chosen(one, values), {}).params != {file: found.params[file]}:
                return file
        for path, digest in found.locks.items():
            if self._files and self._files.digest(path) != digest:
                return path
        return ""

    # ---- outs --------------------------------------------------------------------------------------------------

    def present(self, stage: Stage) -> dict[str, SnapshotId] | None:
        """What the stage's outs are now, or None if one is missing."""
        ids = {}
        for out in stage.outs:
            if self._workspace.kind(out.path) is None:
                return None
            ids[out.path] = self.data.identify(out.path).id
        return ids

    def in_place(self, result: Result) -> bool:
        """Whether every out of the result lies in the working tree as it should."""
        return all(self._is(path, ref.id) for path, ref in result.outs.items())

    def _is(self, path: str, id: SnapshotId) -> bool:
        try:
            return self.data.identify(path).id == id
        except (BadPath, Missing):
            return False

    def unfit(self, stage: Stage, result: Result) -> str:
        """Why the result cannot stand for the stage although the key is the same, or nothing: an out that the store
        does not hold, or one that the stage goes on from, is not as the result left it."""
        for path, id in result.beside.items():
            if not self._is(path, id):
                return f"its out {path}, which is not kept in the store, is not as it was left"
        for out in stage.outs:
            ref = result.outs.get(out.path)
            if out.persist and ref and self._workspace.kind(out.path) and not self._is(out.path, ref.id):
                return f"its out {out.path}, from which it goes on, is not as it was left"
        return ""

    def bring(self, result: Result, label: str) -> list[str]:
        """Bring the outs of a result from the store. What is saved nowhere is put aside; returns where that is.

        Raises Missing, Corrupt.
        """
        aside = []
        for path, ref in result.outs.items():
            try:
                self.data.bring(path, ref)
            except (Unsaved, BadPath):
                aside.append(self._workspace.put_aside(path, f"{label}/before"))
                self.data.bring(path, ref)
        return [place for place in aside if place]

    def clear(self, stage: Stage, label: str) -> list[str]:
        """Make way for the stage's outs: what is saved is deleted, anything else is put aside; returns where it is."""
        aside = []
        for out in stage.outs:
            if out.persist:
                self._workspace.own(out.path)
            elif self._is_saved(out.path):
                self._workspace.delete(out.path)
            else:
                aside.append(self._workspace.put_aside(out.path, f"{label}/before"))
            os.makedirs(os.path.dirname(os.path.join(self._workspace.root, out.path)), exist_ok=True)
        return [place for place in aside if place]

    def _is_saved(self, path: str) -> bool:
        try:
            if self._workspace.kind(path) is None:
                return False
            bases: set[str] = {base.id for base in self._workspace.bases(path)}
            return bool(bases) and self.data.identify(path).id in bases
        except BadPath:
            return False

    def put_aside(self, stage: Stage, label: str) -> list[str]:
        """Put partial outs aside, so that nobody takes them for complete ones. Returns where they are. One that the
        stage goes on from stays."""
        places = [self._workspace.put_aside(out.path, label) for out in stage.outs if not out.persist]
        return [place for place in places if place]

    # ---- doing it ----------------------------------------------------------------------------------------------

    def execute(
        self,
        stage: Stage,
        found: Inputs,
        executor: Executor,
        *,
        log: Callable[[bytes], None],
        started: Callable[[Process], None],
        environment: Mapping[str, str] = {},
        cmd: Sequence[str] | None = None,
        gpus: tuple[str, ...] = (),
        grace: float = 10.0,
    ) -> Done:
        """Run the command, with `environment` besides what all stages get, and look at what it left. `started` gets the
        process, to be able to stop it; `cmd` are the command lines, if they are not those of the stage; `gpus` are
        those that it may use; if its time is over it has `grace` seconds to end.

        Raises Failure.
        """
        tail = bytearray()
        # The log knows the secrets of the environment; those on the command line are known here.
        typed = secrets_in("\n".join(stage.cmd))
        mask = Mask(typed)

        def output(data: bytes) -> None:
            shown = mask.feed(data)
            log(shown)
            tail.extend(shown[-_TAIL:])
            del tail[:-_TAIL]

        cwd = os.path.normpath(os.path.join(self._workspace.root, stage.wdir))
        own = bounding.environment(stage.resources, gpus, self._environment)
        if stage.expects:
            from rote.laws.gates import expectations  # their language, for stages that have some

            cmd, cwd, own = (self._checker,), self._workspace.root, {**own, **expectations.handed(stage)}
        env = {**self._environment, **own, **environment}
        bounds = Bounds(timeout=stage.timeout, memory=stage.resources.memory or None, grace=grace)
        process = executor.start(cmd or stage.cmd, cwd=cwd, env=env, output=output, bounds=bounds)
        started(process)
        exit = process.wait()
        log(mask.rest())
        if exit.stopped:
            raise Failure("it was told to end", exit=exit)
        known = (*typed, *secret_values(self._environment))
        if exit.exceeded:
            what, next = bounding.ended(stage, exit.exceeded, exit.code, exit.peak)
            raise Failure(what + redact(_last(bytes(tail)), known), next=next, exit=exit)
        if exit.code:
            said = ""
            if stage.expects:
                from rote.laws.gates import expectations  # their language, for stages that have some

                said = expectations.told(exit.code, tail)
            raise Failure(redact(said or _said(exit.code) + _last(bytes(tail)), known), exit=exit)
        if exit.left:
            raise Failure(
                "a process that it started does not end, although it was killed: it forks on and on, or a disk does not"
                " answer",
                exit=exit,
                next="find it with `ps`, and end it, or bring the disk back; then run again",
            )
        try:
            return self._left(stage, found, exit)
        except (RoteError, OSError) as e:
            what = str(e) if isinstance(e, RoteError) else f"{e.filename}: {e.strerror}"
            raise Failure(what, exit=exit, next=getattr(e, "next", None)) from e

    def _left(self, stage: Stage, found: Inputs, exit: Exit) -> Done:
        missing = [out.path for out in stage.outs if self._workspace.kind(out.path) is None]
        if missing:
            raise StageFailed(
                f"it ended with exit code 0, but did not make its out {', '.join(map(shown, missing))}",
                next="make the command write it, or take it out of the stage",
            )
        left = self.taken(stage)
        return msgspec.structs.replace(left, seconds=exit.seconds, changed=self.changed_since(stage, found))

    def taken(self, stage: Stage) -> Done:
        """The outs that lie there, as if the stage had just made them. Raises Missing, StageFailed."""
        ids = {out.path: self.data.identify(out.path).id for out in stage.outs}
        beside = frozenset(out.path for out in stage.outs if not out.cache)
        return Done(ids=ids, beside=beside, metrics=self.metrics(stage), seconds=0.0)

    def metrics(self, stage: Stage) -> dict[str, Any]:
        """Path -> content of each metrics file of the stage. Raises StageFailed."""
        found = {}
        for out in stage.outs:
            if out.kind == "metrics":
                data = self._content(out.path)
                if data is None:
                    raise StageFailed("a metrics file must be a file, not a folder", where=out.path)
                try:
                    content = self._decode(out.path, data)
                except ConfigError as e:
                    if stage.of_dvc:
                        continue
                    raise metrics.unreadable(e) from e
                found[out.path] = (
                    metrics.numbers(content) if stage.of_dvc else metrics.checked(content, out.path)
                )
        return found


def _related(one: str, two: str) -> bool:
    return one == two or one.startswith(two + "/") or two.startswith(one + "/")


def _said(code: int) -> str:
    return f"it was killed by signal {-code}" if code < 0 else f"exit code {code}"


def _last(tail: bytes) -> str:
    """The last lines of a stage's output, each below the other."""
    lines = [line for line in tail.decode("utf-8", "replace").splitlines() if line.strip()][-10:]
    return "".join(f"\n  | {line}" for line in lines)


def label_of(run: RunId, stage: Stage) -> str:
    """Below which name in `.rote/aside` a stage's things are put."""
    return f"{run}/{stage_file(stage.name)}"
