"""A project: the public API. What the command line can do, this can, in as many lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec.structs import replace

from rote.config.settings import Setting
from rote.errors import Missing, Refused, UsageError
from rote.ids import nearest, shown
from rote.pipeline import Pipeline
from rote.pointer import SUFFIX
from rote.ports import Progress, Silence
from rote.run import Run
from rote.snapshot import FILE, Entry, SnapshotRef
from rote.wiring import Wiring

if TYPE_CHECKING:
    from pathlib import Path

    from rote.adding import Added
    from rote.auditing import Audited
    from rote.bringing import Brought
    from rote.catalogue import Catalogue
    from rote.catalogue.asking import Table
    from rote.check import CheckReport
    from rote.comparing import Comparison
    from rote.controlling import Active, Controlling, Stopped
    from rote.copying import Copied
    from rote.data import DataStatus
    from rote.detaching import Started
    from rote.gc import GcReport, Going
    from rote.importing import Imported
    from rote.models import Models
    from rote.plan import Plan, Why
    from rote.probe import Probed
    from rote.revisions import Differences, Revisions
    from rote.runrecord import RunOutcome
    from rote.samples import Samples
    from rote.stats import StoreFigures
    from rote.subscribing import Subscribing
    from rote.upstream import Updated
    from rote.usage import Budget, Usage
    from rote.warming import Link


class SettingShown(msgspec.Struct, frozen=True):
    """A setting as `rote config` shows it."""

    key: str
    value: str
    source: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What changed since the data was added, and which stages would run."""

    data: list[DataStatus]
    plan: Plan | None

    @property
    def clean(self) -> bool:
        """True if nothing changed and every stage is a hit."""
        stages = self.plan is None or not [d for d in self.plan.decisions if d.verdict in ("run", "blocked")]
        return stages and all(d.state == "unchanged" for d in self.data)


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
        """What rote.yaml says."""
        return self._w.pipeline

    def settings(self) -> list[SettingShown]:
        """Each setting with its value and where it came from."""
        store: Setting = self._w.settings.store
        source = str(store.at) if store.at and store.at.line else store.source
        cache = self._w.settings.cache
        size = self._w.settings.cache_size
        return [
            SettingShown("store", store.value, source),
            SettingShown("cache", f"{cache.value} ({size} bytes)" if size else "off", cache.source),
        ]

    # data

    def add(self, *paths: str, force: bool = False, source: str | None = None) -> list[Added]:
        """Save files or folders to the store and pin each with a pointer; all or none.

        `force` stores all bytes again. With `source` (the address of a file, an object, or all below a prefix) that is
        fetched first, to the one path given or to one of its own name; `update` follows it then. Raises BadPath,
        Changed, Missing, SourceUnavailable, StoreError, Unsaved, UsageError (git tracks the data).
        """
        if source is not None:
            with self._locked("rote add"):
                return [self._subscribing().add(source, paths)]
        names = [self._w.workspace.name(path, self._cwd) for path in paths]
        with self._locked("rote add"):
            return self._added(names, force=force)

    def _added(self, names: list[str], *, force: bool = False) -> list[Added]:
        return self._w.data.add(
            names,
            force=force,
            repository=self._repository(),
            tracked=lambda path: self._w.git.ls_files([path]),
            taken=self._outs(),
        )

    def update(self, *paths: str, dry_run: bool = False) -> list[Updated]:
        """Fetch what changed at the sources of data that was added from outside: all of it, or `paths`. A source that
        did not change costs one request (a listing: one a thousand objects).

        With `dry_run` nothing is fetched. Of several paths one that fails is in the result, and the others go on.
        Raises Missing, SourceUnavailable, Unsaved, Changed, BadPath, StoreError.
        """
        with self._locked("rote update"):
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
        with self._locked("rote import"):
            return self._subscribing().of_repository(repo, path, rev, to, repo_store)

    def status(self) -> Status:
        """What changed since the data was added, and which stages would run."""
        data = self._w.data.status()
        if self._w.dvc:
            data += self._w.dvc.pinning.status()
        return Status(data=data, plan=self.plan() if self._w.pipeline.stages else None)

    def checkout(self, *paths: str, rev: str | None = None, force: bool = False) -> list[tuple[str, Brought]]:
        """Bring data (all, or `paths`) to what its pointers say, at a revision if `rev` is given.

        Raises Unsaved (a changed file that is saved nowhere, unless `force`), Missing, Corrupt, UsageError.
        """
        names = [self._w.workspace.name(path, self._cwd) for path in paths]
        pointers = self._revisions().pointers(rev) if rev else None
        dvc = self._w.dvc if not rev else None
        with self._locked("rote checkout"):
            theirs = [name for name in names if dvc and dvc.pinning.takes(name)]
            ours = [name for name in names if name not in theirs]
            brought = (
                self._w.data.checkout(ours or None, pointers=pointers, force=force)
                if ours or not names
                else []
            )
            if dvc and (theirs or not names):
                brought += dvc.pinning.checkout(theirs or None, force=force)
            return brought

    def diff(
        self,
        old: str | None = "HEAD",
        new: str | None = None,
        *,
        what: Iterable[Literal["data", "params", "metrics"]] = ("data", "params", "metrics"),
    ) -> Differences:
        """What differs between two revisions; None is the working tree."""
        return self._revisions().differences(old, new, frozenset(what))

    def ls(self, path: str, *, rev: str | None = None) -> Iterator[Entry]:
        """The files at or below `path` in the snapshot that a pointer pins, with paths relative to the pointer's data.

        Raises Missing, Corrupt.
        """
        ref, inner = self._pinned(path, rev)
        record = self._w.snapshots.record(ref)
        if not inner:
            for entry in self._w.snapshots.entries(record):
                yield replace(entry, path=self._base(path)) if ref.single else entry
            return
        found = False
        for entry in self._w.snapshots.entries(record):
            if entry.path == inner or entry.path.startswith(inner + "/"):
                found = True
                yield entry
        if not found:
            raise Missing(
                f"there is nothing at {shown(path)}",
                next=f"rote ls {self._data_of(path, inner)} lists what there is",
            )

    def cat(self, path: str, *, rev: str | None = None) -> Iterator[bytes]:
        """The content of one file of a snapshot, verified, piece by piece. Raises Missing, Corrupt."""
        ref, inner = self._pinned(path, rev)
        record = self._w.snapshots.record(ref)
        if not inner and not ref.single:
            raise UsageError(f"{shown(path)} is a folder", next=f"rote ls {path}")
        return self._w.snapshots.read(record, inner or FILE)

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
        from rote.reaching import Reaching, Source  # only this call needs it
        from rote.samples import Samples  # the same

        source = Source(self._w.root, self._w.asked, self._cwd, self._w)
        ref, below = Reaching(source).path(path, rev, self._cwd)
        return Samples(
            source, ref, below="" if ref.single else below, match=match, memory=memory, threads=threads
        )

    def import_dvc(self, *, dry_run: bool = False, remove: bool = False) -> Imported:
        """Take over what DVC has here: rote.yaml from dvc.yaml, pointers from `.dvc` files, results from dvc.lock.

        DVC's own files are not touched, unless `remove` takes dvc.yaml, dvc.lock and the `.dvc` files away. Raises
        UsageError, ConfigError, Missing (data that neither DVC's cache nor a remote has), Unsaved, StoreError.
        """
        from rote.importing import Importing  # only this call needs it

        with self._locked("rote import dvc"):
            return Importing(self._w, self._added).dvc(dry_run=dry_run, remove=remove)

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
        from rote.launching import Launch, Launching  # the engine is loaded by what needs it

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
        from rote.detaching import Order, start  # only this call needs it

        options: dict[str, object] = {"set": list(set), "deadline": self._deadline(deadline)}
        if resumes:
            if stages or force or keep_going or strict or cold or smoke or rev or tags:
                raise UsageError("a run that goes on with another has its stages, options and tags")
            resumes = self._w.runs.resolve(resumes)
            options["jobs"] = jobs
        else:
            options |= {
                "jobs": jobs or 1,
                "force": force,
                "keep_going": keep_going,
                "strict": strict,
                "cold": cold,
                "smoke": smoke,
                "rev": rev,
            }
            options |= {"tags": dict(tags or {}), "command": command}
        if not smoke and not rev:
            self._nobody_at_work()
        output = os.path.join(self._w.own, "runs", f"detached-{self._w.clock.token(6)}.out")
        order = Order(
            root=self._w.root, cwd=self._cwd, store=self._w.asked, output=output, resumes=resumes,
            stages=list(stages), options=options,
        )  # fmt: skip
        return start(order, os.environ)

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
        from rote.launching import Launch, Launching  # the engine is loaded by what needs it

        launching = Launching(self._w, self._cwd)
        return launching.run(
            launching.resumed(run, Launch(overrides=set, wait=wait, deadline=deadline, begun=begun), jobs)
        )

    def plan(self, *stages: str, set: Sequence[str] = (), force: bool = False, smoke: bool = False) -> Plan:
        """What `run` would do with each stage, and why. Changes nothing, but that with `smoke` the working tree of
        smoke runs is laid out as such a run would do. Raises ConfigError, and with `smoke` Missing and UsageError."""
        from rote.launching import Launch, Launching  # the engine is loaded by what needs it

        asked = Launch(stages=stages, overrides=set, force=force, smoke=smoke, command="rote plan")
        return Launching(self._w, self._cwd).plan(asked)

    def why(self, stage: str, *, smoke: bool = False) -> Why:
        """Why a stage would run (what changed since its last result), or whose result it would use; with `smoke` in a
        smoke run."""
        from rote.launching import Launch, Launching  # the engine is loaded by what needs it

        asked = Launch(stages=[stage], smoke=smoke, command="rote why")
        return Launching(self._w, self._cwd).why(asked)

    def audit(self, *stages: str, sample: int | None = None) -> list[Audited]:
        """Do `stages` that are hits (none: all of them), or `sample` of these by chance, once more in a temporary
        folder, and compare. Neither the working tree nor the store is changed. Raises UsageError for a stage that is
        no hit."""
        from rote.auditing import Auditing  # only this call needs it

        with self._locked("rote audit"):
            return Auditing(self._w).audit([self._target(s) for s in stages], sample=sample)

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
        from rote.warming import chain  # only this call needs it

        return list(chain(self._w.runs.get, self.show(run)))

    def compare(self, *runs: str, equal: bool = False) -> Comparison:
        """Runs side by side: what differs in params, metrics, stages, commit and machine; with `equal` all of it."""
        from rote.comparing import compare  # only this call needs it

        return compare([self.show(run) for run in runs], equal=equal)

    def logs(self, run: str, *, stage: str | None = None, follow: bool = False) -> Iterator[bytes]:
        """What the stages of a run wrote, or one of them; with `follow` also what they go on to write, until the run is
        over. Raises Missing; Silent if a run that is followed gives no sign of life any more."""
        id = self._w.runs.resolve(run)
        return self._control().follow(id, stage) if follow else self._w.runs.logs(id, stage)

    def ps(self) -> list[Active]:
        """The runs that count as running in this store, on any machine, oldest first."""
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
        from rote.models import Models  # only calls about models need it

        return Models(self._w, self._cwd)

    # store

    def copy(
        self, *what: str, source: str | None = None, target: str | None = None, where: str | None = None
    ) -> Copied:
        """Copy what a store has to another, only what is missing there: everything, or `what` (`data`, `runs`,
        `results`, `models`, `models/NAME`, data paths), of the runs those for which `where` holds.

        A store that is not named is the project's own; if neither is, `source` is `.rote/store`. What the target has
        otherwise is left alone, and named in what is returned. Raises UsageError, Missing, StoreError.
        """
        from rote.exchanging import Exchanging  # only this call needs it

        return Exchanging(self._w, self._cwd).copy(what, source, target, where)

    def store_probe(self) -> Probed:
        """What the store honours when two clients use it at once, tried now. Raises StoreUnavailable."""
        return self._w.guarantees.probe(self._w.settings.store.value)

    def store_stats(self, *, quick: bool = False) -> StoreFigures:
        """Objects and bytes in the store by kind, what dedup and compression saved, what each data path, model, run and
        stage takes, and what gc would free. `quick` reads no pack."""
        from rote.stats import StoreStats  # only this call needs it

        return StoreStats(self._w.store, self._w.pinned).stats(self._w.progress, quick=quick)

    def store_check(
        self,
        *,
        read_data: bool = False,
        sample: float | None = None,
        repair: bool = False,
        source: str | None = None,
    ) -> CheckReport:
        """Whether everything that is needed is there and sound; with `read_data` every byte is read and verified, with
        `sample` that of a share of the packs (0 to 1; others every day).

        With `repair`, what is damaged is restored first from what is sound in the store, in the store `source`, or in
        the working tree; the report is of what is left. Raises UsageError, Missing, StoreError.
        """
        from rote.exchanging import Exchanging  # only this call needs it

        return Exchanging(self._w, self._cwd).check(read_data, sample, repair, source)

    def gc(
        self,
        *,
        delete: bool = False,
        keep_last: int | None = None,
        keep_days: float | None = None,
        keep_tagged: bool = False,
        unpinned_data: bool = False,
        forget_repositories: Iterable[str] = (),
        forget_versions: Iterable[str] = (),
        grace_hours: float = 72.0,
        repack: bool = True,
    ) -> GcReport:
        """What is garbage, and what the rules let go; with `delete` it goes. See docs/guide.md.

        Without rules no root goes, only what nothing needs. Raises Refused (a version that an alias names; a shallow
        clone), Locked (another collection took over), Corrupt (a root cannot be read: nothing is deleted), UsageError.
        """
        from rote.registry import version_key  # only this call needs it
        from rote.retention import Rules  # as above
        from rote.versions import named  # as above

        if (keep_last is not None and keep_last < 0) or (keep_days or 0) < 0 or grace_hours < 0:
            raise UsageError("a number of runs, days or hours is 0 or more")
        if unpinned_data and self._w.git.shallow:
            raise Refused(
                "this clone holds only a part of the history, so which data a commit pins is not known",
                where=str(self.root),
                safe="nothing was deleted",
                next="git fetch --unshallow, then do the same again",
            )
        rules = Rules(
            keep_last=keep_last,
            keep_days=keep_days,
            keep_tagged=keep_tagged,
            unpinned_data=unpinned_data,
            forget_repositories=frozenset(forget_repositories),
            forget_versions=frozenset(version_key(*named(name)) for name in forget_versions),
            repository=self._repository(),
            grace=grace_hours * 3600,
        )
        if not delete:
            return self._w.garbage.report(rules)
        with self._locked("rote gc"):
            report = self._w.garbage.collect(rules, repack=repack)
            self._w.catalogue.sync(full=True)
        return report

    def gc_undo(self) -> list[Going]:
        """Bring back the runs, results, data and versions that the last collection removed; what came back."""
        with self._locked("rote gc --undo"):
            back = self._w.garbage.undo()
            self._w.catalogue.sync(full=True)
        return back

    def store_budget(self, *, plan: str | None = None, stored: bool = False) -> Budget:
        """The month so far against the declared plan, or `plan`; `stored` asks the store how much it holds (a request a
        thousand objects). Without it nothing is asked. Raises UsageError."""
        from rote.spending import budget  # only this call needs it

        return budget(self._w, plan=plan, stored=stored)

    def usage(self) -> dict[str, Usage]:
        """What this project asked of each store so far, by its address: requests by kind, and bytes."""
        return self._w.wrapping.usage()

    def close(self, command: str = "python") -> None:
        """Write what was asked of the stores into this user's account of the month. Happens by itself at the end of
        the program; the project can be used on."""
        self._w.close(command)

    # private

    def _control(self) -> Controlling:
        from rote.controlling import Controlling  # only calls about runs under way need it

        return Controlling(self._w)

    def _deadline(self, deadline: float | str | None) -> float | None:
        """In how many seconds it is."""
        from rote.config import deadlines  # only runs with a deadline need it

        if deadline is None:
            return None
        return deadlines.seconds(str(deadline), self._w.clock.now())

    def _nobody_at_work(self) -> None:
        """Raise Locked if another process is at work in this tree."""
        with self._locked("rote run --detach", wait=False):
            pass

    @contextmanager
    def _locked(self, command: str, *, wait: bool = True) -> Iterator[None]:
        with self._w.workspace.lock(command, wait=wait, say=self._w.progress.say):
            yield

    def _subscribing(self) -> Subscribing:
        from rote.subscribing import Subscribing  # only data from outside needs it

        return Subscribing(self._w, self._cwd, repository=self._repository, taken=self._outs())

    def _revisions(self) -> Revisions:
        from rote.revisions import Revisions  # only calls about revisions need it

        return Revisions(self._w, self._newest_run)

    def _synced(self) -> Catalogue:
        self._w.catalogue.sync()
        return self._w.catalogue

    def _newest_run(self, commit: str) -> Run | None:
        """The newest run of a commit; one without uncommitted changes, if there is any."""
        earnest = f"commit = '{commit}' and smoke = false"
        for where in (f"{earnest} and dirty = false", earnest):
            found = self.runs(where, columns=["id"], limit=1).rows
            if found:
                return self.show(str(found[0][0]))
        return None

    def _target(self, text: str) -> str:
        from rote.launching import target  # as above

        return target(self._w, self._cwd, text)

    def _pinned(self, path: str, rev: str | None) -> tuple[SnapshotRef, str]:
        """The snapshot whose pointer pins `path` or a folder above it, and the path inside."""
        name = self._w.workspace.name(path, self._cwd)
        pointers = self._revisions().pointers(rev)
        if name not in pointers:
            name = name.removesuffix(SUFFIX)  # a shell completes to the pointer's own name
        at = name
        while at not in pointers:
            at, slash, _ = at.rpartition("/")
            if not slash:
                raise self._no_pointer(name, list(pointers), rev)
        return self._w.data.locate(at, pointers[at]), name[len(at) + 1 :]

    def _base(self, path: str) -> str:
        """The name of a single file that is data."""
        return os.path.basename(self._w.workspace.name(path, self._cwd)).removesuffix(SUFFIX)

    def _data_of(self, path: str, inner: str) -> str:
        """The path as it was typed, without what lies inside the data."""
        return os.path.normpath(path).removesuffix(inner).rstrip("/") or "."

    def _no_pointer(self, name: str, known: list[str], rev: str | None) -> Missing:
        when = f" at {shown(rev)}" if rev else ""
        meant = nearest(name, known)
        hint = f"did you mean {meant}?" if meant else f"rote add {name}"
        return Missing(f"there is no pointer {shown(name + '.rote')}{when}", next=hint)

    def _outs(self) -> dict[str, str]:
        """Every out -> what it is, so that no data is added over it."""
        return {
            out.path: f"an out of the stage {stage.name}"
            for stage in self._w.pipeline.stages.values()
            for out in stage.outs
        }

    def _repository(self) -> str:
        return self._w.git.origin() or str(self.root)
