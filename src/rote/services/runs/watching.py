"""Watching what stages read: the notes of their Python processes, and the log of strace where that is asked for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import msgspec

from rote.errors import BadPath, ConfigError, StageFailed, TooNew
from rote.laws.pipeline import found as law
from rote.laws.pipeline import sightings
from rote.laws.pipeline.sightings import SEPARATOR, Seen
from rote.ports import Files, Workspace
from rote.words.ids import Digest
from rote.words.pipeline import Pipeline, Stage
from rote.words.result import Found, Listed, Sought

PYTHON, STRACE, OFF = "python", "strace", "off"
_LONGEST = 100_000
"""Bytes that a variable of a process may have (Linux: 131,072)."""


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stage was found to read. `undeclared` are the files among it that are data; `changed` is one that was
    changed while the stage ran, if any; `troubles` say what could not be watched."""

    found: Found | None = None
    undeclared: list[str] = []
    changed: str = ""
    troubles: list[str] = []
    strayed: list[str] = []
    """Code that was read from the user's working tree although the stage ran in another, by absolute path."""


class Watch:
    """One stage that is about to run: the command lines to be started, with which variables besides those that it gets
    anyway, and where its notes come to lie."""

    def __init__(
        self, stage: Stage, folder: str, began: int, cmd: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self.stage = stage
        self.folder = folder
        self.began = began
        self.cmd = tuple(cmd)
        self.environment = env

    def forget(self) -> None:
        """Delete the notes, if they are still there."""
        if self.folder:
            clean(self.folder)


def clean(folder: str) -> None:
    """Delete a folder of notes."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))
    for place in (folder, os.path.dirname(folder)):
        with suppress(OSError):
            os.rmdir(place)


def undeclared(stage: Stage, paths: Sequence[str]) -> StageFailed:
    """The failure of a strict stage that read data which it does not name."""
    return StageFailed(
        f"it read {sightings.short(paths)}, which it does not name, and it is strict",
        where=str(stage.at),
        next=f"add {'it' if len(paths) == 1 else 'them'} to `deps`, or do without --strict and `strict: true`",
    )


def strayed(stage: Stage, paths: Sequence[str]) -> StageFailed:
    """The failure of a stage of another revision that took code from the user's working tree."""
    return StageFailed(
        f"it took code from your working tree, and not from the commit: {sightings.short(paths)}",
        where=str(stage.at),
        next="something on the import path leads there: put the commit's folder before it in the command, as in"
        " PYTHONPATH=src python …",
    )


class Watching:
    """Watches the stages of one working tree. `hook` is the folder with the sitecustomize that takes notes, `folder`
    where notes are kept until they are read. `environment` is what stages are started with; `tracer` finds strace."""

    def __init__(
        self,
        workspace: Workspace,
        files: Files,
        pipeline: Pipeline,
        *,
        hook: str,
        folder: str,
        environment: Mapping[str, str],
        tracer: Callable[[], str | None],
        instead: Sequence[tuple[str, str]] = (),
        apart: str = "",
    ) -> None:
        """`instead`: for which folders others stand, so that what was installed from the one is imported from the
        other; `apart`: the folder of which no code is to be read."""
        self._workspace = workspace
        self._files = files
        self._pipeline = pipeline
        self._hook = hook
        self._folder = folder
        self._environment = environment
        self._tracer = tracer
        self._roots = (workspace.root,)
        self._instead = {
            "ROTE_TRACE_INSTEAD": SEPARATOR.join(folder for pair in instead for folder in pair),
            "ROTE_TRACE_APART": apart,
        }
        self._lock = threading.Lock()
        self._count = 0

    def begin(self, stage: Stage, environment: Mapping[str, str] = {}) -> Watch:
        """A stage is about to run, with `environment` besides what all stages get. Raises StageFailed if it is to be
        traced and cannot be."""
        if stage.expects:  # a check reads what it names, and nothing else
            return Watch(stage, "", 0, stage.cmd, {})
        if stage.trace == OFF:
            moved = (
                {**self._path(environment), **self._instead} if self._instead["ROTE_TRACE_INSTEAD"] else {}
            )
            return Watch(stage, "", 0, stage.cmd, moved)
        from rote.laws.pipeline import (
            strace,  # its patterns cost a millisecond; nothing that is a hit needs them
        )

        folder = self._place(stage)
        began = self._files.moment()
        env = self._variables(stage, environment, folder)
        cmd = tuple(strace.with_path(line, "ROTE_TRACE_PATH") for line in stage.cmd)
        if stage.trace == STRACE:
            tracer = self._tracer()
            if tracer is None:
                raise StageFailed(
                    "this stage is to be traced, but there is no `strace` here",
                    where=str(stage.at),
                    next="install it: `apt-get install strace`, `dnf install strace` or `apk add strace` "
                    "(it exists for Linux only); or remove `trace: strace`",
                )
            os.makedirs(folder, exist_ok=True)
            cmd = strace.traced(cmd, tracer, os.path.join(folder, "strace"))
        return Watch(stage, folder, began, cmd, env)

    def _place(self, stage: Stage) -> str:
        with self._lock:
            self._count += 1
            if self._count == 1:
                self._bury()
            return os.path.join(self._folder, f"{os.getpid()}-{self._count}-{stage.name}")

    def _bury(self) -> None:
        """Delete the notes of a rote that was killed: this one has the working tree for itself."""
        try:
            left = os.listdir(self._folder)
        except OSError:
            return
        for name in left:
            clean(os.path.join(self._folder, name))

    def _variables(self, stage: Stage, environment: Mapping[str, str], folder: str) -> Mapping[str, str]:
        skip = SEPARATOR.join(
            os.path.join(root, path) for root in self._roots for path in sightings.declared(stage)
        )
        return {
            **self._path(environment),
            **self._instead,
            "ROTE_TRACE": folder,
            "ROTE_TRACE_PATH": self._hook,
            "ROTE_TRACE_ROOTS": SEPARATOR.join(self._roots),
            "ROTE_TRACE_SKIP": skip if len(skip.encode("utf-8", "surrogateescape")) < _LONGEST else "",
        }

    def _path(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        path = {**self._environment, **environment}.get("PYTHONPATH")
        return {"PYTHONPATH": self._hook + os.pathsep + path if path else self._hook}

    def end(self, watch: Watch) -> Findings:
        """The stage has ended well: what was it found to read? Raises StageFailed if it could not be traced."""
        if watch.stage.trace == OFF:
            return Findings()
        seen = self._seen(watch)
        if seen is None:
            return Findings()
        return self._judged(watch, seen)

    def so_far(self, watch: Watch) -> Found:
        """What a stage that is under way, or was cut, was found to read. Of one that is traced nothing is known before
        its end."""
        if watch.stage.trace != PYTHON:
            return Found()
        seen = self._seen(watch, keep=True)
        return (self._judged(watch, seen).found if seen else None) or Found()

    # ---- notes -------------------------------------------------------------------------------------------------

    def _seen(self, watch: Watch, *, keep: bool = False) -> Seen | None:
        try:
            names = sorted(os.listdir(watch.folder))
        except FileNotFoundError:
            return None  # no Python ran, and nothing was traced
        from rote.laws.pipeline import (
            strace,  # its patterns cost a millisecond; nothing that is a hit needs them
        )

        seen = Seen()
        log = strace.Log(self._cwd(watch.stage))
        for name in names:
            try:
                with open(os.path.join(watch.folder, name), "rb") as file:
                    if name.startswith("strace"):
                        for line in file:
                            log.take(line)
                    else:
                        sightings.take(seen, file.read(), self._roots)
            except OSError as e:
                seen.troubles.append(f"notes could not be read: {e.strerror}")
        if watch.stage.trace == STRACE:
            if not log.started:
                raise StageFailed(
                    f"strace could not watch this stage{': ' + log.trouble if log.trouble else ''}",
                    where=str(watch.stage.at),
                    next="allow ptrace (in a container: `--cap-add SYS_PTRACE`), or remove `trace: strace`",
                )
            log.add_to(seen, self._roots)
        if not keep:
            clean(watch.folder)
        return seen

    def _cwd(self, stage: Stage) -> str:
        return os.path.normpath(os.path.join(self._workspace.root, stage.wdir))

    # ---- what they mean ----------------------------------------------------------------------------------------

    def _judged(self, watch: Watch, seen: Seen) -> Findings:
        stage = watch.stage
        known = sightings.declared(stage)
        files: dict[str, Digest | None] = {}
        changed = ""
        for path, stat in sorted(seen.reads.items()):
            if path in seen.wrote or _own(path) or sightings.within(path, known):
                continue
            now = self._files.stamp(path)
            if self._made_meanwhile(path, stat or now, watch.began):
                continue
            files[path] = self._files.digest(path)
            if now is None or (stat is not None and stat != now):
                changed = changed or path
        for path in seen.missing:
            skip = path in seen.wrote or _own(path) or sightings.within(path, known)
            if not skip and self._files.stamp(path) is None:
                files[path] = None
        found = Found(
            files=files, folders=self._folders(seen, known, watch.began), modules=self._modules(seen, known)
        )
        return Findings(
            found=found or None,
            undeclared=self.undeclared(stage, found),
            changed=changed,
            troubles=list(dict.fromkeys(seen.troubles)),
            strayed=sorted(seen.strayed),
        )

    def _made_meanwhile(self, path: str, stat: tuple[int, ...] | None, began: int) -> bool:
        """Whether a process that takes no notes made the file while the stage ran. Code is not taken for that: somebody
        who edits it at this moment must not be overlooked."""
        return stat is not None and stat[1] >= began and not sightings.is_source(path)

    def _folders(self, seen: Seen, known: Sequence[str], began: int) -> dict[str, Listed]:
        found = {}
        for path in sorted(seen.listed):
            if _own(path) or path in seen.wrote or sightings.within(path, known):
                continue
            besides = sightings.left_out(path, seen.wrote | set(known))
            for name in self._files.names(path, besides) or ():
                inside = name if path == "." else f"{path}/{name}"
                if self._made_meanwhile(inside, self._files.stamp(inside), began):
                    besides = sorted([*besides, name])
            found[path] = Listed(besides=besides, names=self._files.names(path, besides))
        return found

    def _modules(self, seen: Seen, known: Sequence[str]) -> dict[str, Sought]:
        found = {}
        for path, names in sorted(seen.sought.items()):
            if not _own(path) and not sightings.within(path, known):
                sought = sorted(names)
                found[path] = Sought(sought=sought, there=self._files.modules(path, sought))
        return found

    def undeclared(self, stage: Stage, found: Found | None) -> list[str]:
        """The data among the files that a stage was found to read."""
        files = found.files if found else {}
        return sightings.undeclared(
            (path for path, digest in files.items() if digest), stage, self._pipeline, self._is_data
        )

    def _is_data(self, path: str) -> bool:
        """Whether a pointer pins the path, or a folder that holds it."""
        while path:
            try:
                if self._workspace.pointer(path) is not None:
                    return True
            except (BadPath, ConfigError, TooNew):
                return False
            path = path.rpartition("/")[0]
        return False


def _own(path: str) -> bool:
    return path.split("/", 1)[0] in law.HIDDEN
