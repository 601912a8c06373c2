"""A project: the public API. What the command line can do, this can, in as many lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from rote.ports import Progress, Silence
from rote.wiring.config.settings import SettingShown
from rote.wiring.leftovers import Leftovers, working
from rote.wiring.parts import Wiring
from rote.words.pipeline import Pipeline
from rote.words.run import Run
from rote.words.snapshot import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from rote.laws.pipeline.plan import Plan, Why
    from rote.laws.store.usage import Usage
    from rote.services.data.adding import Added
    from rote.services.data.bringing import Brought
    from rote.services.data.samples import Samples
    from rote.services.data.upstream import Updated
    from rote.services.runs.catalogue import Catalogue
    from rote.services.runs.catalogue.asking import Table
    from rote.services.runs.comparing import Comparison
    from rote.services.runs.runrecord import RunOutcome
    from rote.services.runs.warming import Link
    from rote.wiring.auditing import Audited
    from rote.wiring.controlling import Active, Controlling, Stopped
    from rote.wiring.detaching import Started
    from rote.wiring.importing import Imported
    from rote.wiring.keeping import Keeping, Status
    from rote.wiring.looking import Looking
    from rote.wiring.models import Models
    from rote.wiring.revisions import Differences
    from rote.wiring.store import Store
    from rote.wiring.subscribing import Subscribing


class Project:
    """A rote project. Made by `rote.open` and `rote.init`."""

    def __init__(
        self,
        root: str,
        *,
        store: str | None = None,
        progress: Progress | None = None,
        wiring: Wiring | None = None,
        count: bool = False,
    ) -> None:
        """With `count` requests to a folder store are counted, too. `wiring` is for those who put the parts together
        themselves, as tests do: a clock that stands still, a store that counts."""
        self._cwd = os.getcwd()
        self._w = wiring or Wiring(
            root, store=store, progress=progress or Silence(), cwd=self._cwd, count=count
        )

    @property
    def root(self) -> Path:
        """The project's folder."""
        from pathlib import Path  # takes a millisecond or two to load, which most commands need not spend

        return Path(self._w.root)

    @property
    def pipeline(self) -> Pipeline:
        """What rote.yaml says. Raises ConfigError."""
        return self._w.pipeline

    def settings(self) -> list[SettingShown]:
        """Each setting with its value and where it came from. Raises ConfigError."""
        return self._w.settings.shown()

    # data

    def add(self, *paths: str, force: bool = False, source: str | None = None) -> list[Added]:
        """Save files or folders to the store and pin each with a pointer; all or none.

        `force` stores all bytes again. With `source` (the address of a file, an object, or all below a prefix) that is
        fetched first, to the one path given or to one of its own name; `update` follows it then. Raises BadPath,
        Changed, Missing, SourceUnavailable, StoreError, Unsaved, UsageError (git tracks the data).
        """
        if source is not None:
            with working(self._w, "rote add"):
                return [self._subscribing().add(source, paths)]
        names = [self._w.workspace.name(path, self._cwd) for path in paths]
        with working(self._w, "rote add"):
            return self._keeping().add(names, force=force)

    def update(self, *paths: str, dry_run: bool = False) -> list[Updated]:
        """Fetch what changed at the sources of data that was added from outside: all of it, or `paths`. A source that
        did not change costs one request (a listing: one a thousand objects).

        With `dry_run` nothing is fetched. Of several paths one that fails is in the result, and the others go on.
        Raises Missing, SourceUnavailable, Unsaved, Changed, BadPath, StoreError.
        """
        with working(self._w, "rote update"):
            return self._subscribing().update(paths, dry_run)

    def import_path(
        self,
        repo: str,
        path: str,
        *,
        rev: str | None = None,
        to: str | None = None,
        repo_store: str | None = None,
    ) -> Added:
        """Bring a path of another project (`rote.get` says which) to `to`, save and pin it; `update` follows it. Raises
        Missing, BadPath, SourceUnavailable, StoreError, Unsaved, UsageError."""
        with working(self._w, "rote import"):
            return self._subscribing().of_repository(repo, path, rev, to, repo_store)

    def status(self) -> Status:
        """What changed since the data was added, and which stages would run. Raises ConfigError, StoreError."""
        from rote.wiring.keeping import Status  # only calls about data need it

        Leftovers(self._w).clear()
        return Status(data=self._keeping().status(), plan=self.plan() if self._w.pipeline.stages else None)

    def checkout(self, *paths: str, rev: str | None = None, force: bool = False) -> list[tuple[str, Brought]]:
        """Bring data (all, or `paths`) to what its pointers say, at a revision if `rev` is given.

        Raises Unsaved (a changed file that is saved nowhere, unless `force`), Missing, Corrupt, UsageError.
        """
        names = [self._w.workspace.name(path, self._cwd) for path in paths]
        with working(self._w, "rote checkout"):
            return self._keeping().checkout(names, rev=rev, force=force)

    def diff(
        self,
        old: str | None = "HEAD",
        new: str | None = None,
        *,
        what: Iterable[Literal["data", "params", "metrics"]] = ("data", "params", "metrics"),
    ) -> Differences:
        """What differs between two revisions; None is the working tree. Raises Missing, ConfigError, StoreError."""
        from rote.wiring.revisions import Revisions  # only this call needs it

        Leftovers(self._w).clear()
        return Revisions(self._w).differences(old, new, frozenset(what))

    def ls(self, path: str, *, rev: str | None = None) -> Iterator[Entry]:
        """The files at or below `path` in the snapshot that a pointer pins, with paths relative to the pointer's data.

        Raises Missing, Corrupt.
        """
        return self._looking().entries(path, rev)

    def cat(self, path: str, *, rev: str | None = None) -> Iterator[bytes]:
        """The content of one file of a snapshot, verified, piece by piece. Raises Missing, Corrupt."""
        return self._looking().content(path, rev)

    def dataset(
        self,
        path: str,
        rev: str | None = None,
        *,
        match: str | None = None,
        memory: int = 256 << 20,
        threads: int = 8,
    ) -> Samples:
        """The files of a data path as samples for training, read from the store without a checkout.

        `match` chooses by pattern (`*.png`); about `memory` bytes are held at most. Raises Missing, BadPath.
        """
        return self._looking().samples(path, rev, match=match, memory=memory, threads=threads)

    def import_dvc(self, *, dry_run: bool = False, remove: bool = False) -> Imported:
        """Take over what DVC has here: rote.yaml from dvc.yaml, pointers from `.dvc` files, results from dvc.lock.

        DVC's own files are not touched, unless `remove` takes dvc.yaml, dvc.lock and the `.dvc` files away. Raises
        UsageError, ConfigError, Missing (data that neither DVC's cache nor a remote has), Unsaved, StoreError.
        """
        from rote.wiring.importing import Importing  # only this call needs it

        with working(self._w, "rote import dvc"):
            return Importing(self._w, self._keeping().add).dvc(dry_run=dry_run, remove=remove)

    # pipeline

    def run(
        self,
        *stages: str,
        set: Sequence[str] = (),
        jobs: int = 1,
        force: bool = False,
        keep_going: bool = False,
        strict: bool = False,
        cold: bool = False,
        smoke: bool = False,
        rev: str | None = None,
        tags: Mapping[str, str] | None = None,
        wait: bool = True,
        attach: Callable[[bytes], None] | None = None,
        deadline: float | str | None = None,
        begun: Callable[[Run, Callable[[bytes], None]], None] | None = None,
        command: str = "rote.Project.run",
    ) -> RunOutcome:
        """Run the pipeline, or what `stages` need: only what must run.

        `set` holds overrides such as `train.lr=0.1`. `strict`: a stage fails that reads data which it
        does not name. `cold`: stages begin from nothing that would go on from a model or an earlier result. `smoke`: a
        trial in a working tree of its own, with what less the stages say they are content with. `rev`: the commit
        it names is run in a clean working tree, with the data that it pins. With `force` each outcome says how it
        compares with the result that was there. A stage that fails is in the outcome, not raised. Raises
        ConfigError, Locked (another run is at work and `wait` is false), Missing (no such revision), StoreError.

        A stage that another run computes on the same store is waited for, and `attach` gets what it writes meanwhile;
        without `wait` it fails. With `deadline` (seconds, `5h30m`, `18:30`) the run is paused in time to be over by
        then. `begun` is called once, with the run and a function that adds to its log, when the run is in the store.
        """
        from rote.wiring.launching import Launch, Launching  # the engine is loaded by what needs it

        return Launching(self._w, self._cwd).run(Launch(
            stages=stages, overrides=set, jobs=jobs, force=force, keep_going=keep_going, strict=strict, cold=cold,
            smoke=smoke, rev=rev or "", tags=tags or {}, wait=wait, attach=attach, deadline=deadline, begun=begun,
            command=command,
        ))  # fmt: skip

    def start(
        self,
        *stages: str,
        resumes: str | None = None,
        set: Sequence[str] = (),
        jobs: int | None = None,
        force: bool = False,
        keep_going: bool = False,
        strict: bool = False,
        cold: bool = False,
        smoke: bool = False,
        rev: str | None = None,
        tags: Mapping[str, str] | None = None,
        deadline: float | str | None = None,
        command: str = "rote.Project.start",
    ) -> Started:
        """`run`, or with `resumes` (a run) `resume`, in the background: a process of its own, which outlives this one.

        Returns as soon as the run is in the store. Raises what `run` raises before that; Locked if another run is at
        work in this tree.
        """
        from rote.wiring.launching import Launch, Launching  # the engine is loaded by what needs it

        return Launching(self._w, self._cwd).start(Launch(
            stages=stages, overrides=set, jobs=jobs or 1, force=force, keep_going=keep_going, strict=strict, cold=cold,
            smoke=smoke, rev=rev or "", tags=tags or {}, deadline=deadline, command=command,
        ), resumes, jobs)  # fmt: skip

    def resume(
        self,
        run: str,
        *,
        set: Sequence[str] = (),
        jobs: int | None = None,
        wait: bool = True,
        deadline: float | str | None = None,
        begun: Callable[[Run, Callable[[bytes], None]], None] | None = None,
    ) -> RunOutcome:
        """Go on with a run that was stopped, paused, killed, or failed: the same stages, params, overrides, tags and
        command, on any machine that reaches the store. What is done is a hit. The new run's record says `resumes`.

        A run whose process was elsewhere is watched for a while before it counts as dead. `set` adds overrides. Raises
        Missing, Locked (the run is under way), Refused (it is finished; a param cannot be brought back), and as `run`.
        """
        from rote.wiring.launching import Launch, Launching  # the engine is loaded by what needs it

        launching = Launching(self._w, self._cwd)
        return launching.run(
            launching.resumed(run, Launch(overrides=set, wait=wait, deadline=deadline, begun=begun), jobs)
        )

    def plan(self, *stages: str, set: Sequence[str] = (), force: bool = False, smoke: bool = False) -> Plan:
        """What `run` would do with each stage, and why. Changes nothing, but that with `smoke` the working tree of
        smoke runs is laid out as such a run would do. Raises ConfigError, and with `smoke` Missing and UsageError."""
        from rote.wiring.launching import Launch, Launching  # the engine is loaded by what needs it

        asked = Launch(stages=stages, overrides=set, force=force, smoke=smoke, command="rote plan")
        return Launching(self._w, self._cwd).plan(asked)

    def why(self, stage: str, *, smoke: bool = False) -> Why:
        """Why a stage would run (what changed since its last result), or whose result it would use; with `smoke` in a
        smoke run. Raises ConfigError (no such stage), StoreError."""
        from rote.wiring.launching import Launch, Launching  # the engine is loaded by what needs it

        asked = Launch(stages=[stage], smoke=smoke, command="rote why")
        return Launching(self._w, self._cwd).why(asked)

    def audit(self, *stages: str, sample: int | None = None) -> list[Audited]:
        """Do `stages` that are hits (none: all of them), or `sample` of these by chance, once more in a temporary
        folder, and compare. Neither the working tree nor the store is changed. Raises UsageError for a stage that is
        no hit."""
        from rote.wiring.auditing import Auditing  # only this call needs it
        from rote.wiring.launching import target  # as above

        with working(self._w, "rote audit"):
            return Auditing(self._w).audit([target(self._w, self._cwd, s) for s in stages], sample=sample)

    # runs

    def runs(
        self,
        where: str | None = None,
        *,
        sort: str | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Table:
        """Runs as a table, newest first; see docs/runs.md for the language of `where`. Raises UsageError."""
        return self._synced().runs(where, sort=sort, columns=columns, limit=limit)

    def show(self, run: str) -> Run:
        """Everything a run recorded. `run` is an id, a unique part of one, `last` or `last~N`. Raises Missing."""
        return self._w.runs.named(run)

    def chain(self, run: str) -> list[Link]:
        """What the stages of a run with warm starts went on from, each followed back to where it began. Raises
        Missing."""
        from rote.services.runs.warming import chain  # only this call needs it

        return list(chain(self._w.runs.get, self.show(run)))

    def compare(self, *runs: str, equal: bool = False) -> Comparison:
        """Runs side by side: what differs in params, metrics, stages, commit and machine; with `equal` all of it.
        Raises Missing, BadName."""
        from rote.services.runs.comparing import compare  # only this call needs it

        return compare([self.show(run) for run in runs], equal=equal)

    def logs(self, run: str, *, stage: str | None = None, follow: bool = False) -> Iterator[bytes]:
        """What the stages of a run wrote, or one of them; with `follow` also what they go on to write, until the run is
        over. Raises Missing; Silent if a run that is followed gives no sign of life any more."""
        id = self._w.runs.resolve(run)
        return self._control().follow(id, stage) if follow else self._control().logs(id, stage)

    def ps(self) -> list[Active]:
        """The runs that count as running in this store, on any machine, oldest first. Raises StoreError."""
        return self._control().ps()

    def stop(self, run: str, *, now: bool = False, wait: bool = True) -> Stopped:
        """Ask a run to end, wherever it is: its stages get TERM, and KILL after ten seconds, or at once with `now`.
        Waits until it is over, unless `wait` is false; one that gives no sign of life is recorded as stopped.

        Raises Missing, StoreError.
        """
        return self._control().stop(self._w.runs.resolve(run), now=now, wait=wait)

    def tag(self, run: str, **tags: str) -> Run:
        """Put tags on a run; an empty value takes one away. Returns the run as it is then. Raises Missing, BadName."""
        tagged = self._w.runs.tag(self._w.runs.resolve(run), tags)
        self._w.catalogue.note(tagged.id)
        return tagged

    def sql(self, query: str) -> Table:
        """Ask the catalogue in SQL, read-only; docs/runs.md lists the views. Raises UsageError."""
        return self._synced().sql(query)

    # models

    @property
    def models(self) -> Models:
        """The models of this project: releases, aliases, what is published."""
        from rote.wiring.models import Models  # only calls about models need it

        return Models(self._w, self._cwd)

    # store

    @property
    def store(self) -> Store:
        """The project's store: what is in it, whether it is sound, what may go."""
        from rote.wiring.store import Store  # only calls about the store need it

        return Store(self._w, self._cwd)

    def usage(self) -> dict[str, Usage]:
        """What this project asked of each store so far, by its address: requests by kind, and bytes."""
        return self._w.wrapping.usage()

    def close(self, command: str = "python") -> None:
        """Write what was asked of the stores into this user's account of the month. Happens by itself at the end of
        the program; the project can be used on."""
        self._w.close(command)

    # private

    def _control(self) -> Controlling:
        from rote.wiring.controlling import Controlling  # only calls about runs under way need it

        return Controlling(self._w)

    def _subscribing(self) -> Subscribing:
        from rote.wiring.subscribing import Subscribing  # only data from outside needs it

        return Subscribing(self._w, self._cwd)

    def _keeping(self) -> Keeping:
        from rote.wiring.keeping import Keeping  # only calls about data need it

        return Keeping(self._w)

    def _looking(self) -> Looking:
        from rote.wiring.looking import Looking  # only calls that look into snapshots need it

        return Looking(self._w, self._cwd)

    def _synced(self) -> Catalogue:
        self._w.catalogue.sync()
        return self._w.catalogue
