"""Releasing: out of a run, if it passes its gates, a version of a model that never changes (docs/format.md, 10)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from rote.errors import Missing, Refused, UsageError
from rote.laws.gates import gates as law
from rote.laws.models import deriving, versions
from rote.laws.models.pickles import HEAD, why_pickle
from rote.laws.models.stamps import grown
from rote.ports import Clock
from rote.services.data import identity, stamping
from rote.services.data.composing import Composed
from rote.services.data.ingest import SnapshotWriter
from rote.services.data.snapshots import Snapshots
from rote.services.models.interfaces import Interfaces
from rote.services.models.modelfiles import ModelFiles
from rote.services.models.registry import Registry, version_key
from rote.services.releases.judging import Judging
from rote.services.releases.provenance import Origin, Provenance
from rote.services.store.transactions import Beaten, Transactions, Write
from rote.words.ids import Digest, RunId, SnapshotId
from rote.words.pipeline import Gate, Model
from rote.words.run import Run
from rote.words.snapshot import Entry, SnapshotRecord
from rote.words.verdict import GateVerdict
from rote.words.version import Bump, Unstamped, Version, VersionFile

_ATTEMPTS = 64
_LOOKED_INTO = 256
_FINISHED = "finished"

Parts = Mapping[str, SnapshotRecord]


class GateRefused(Refused):
    """A run did not pass its gates; `verdicts` are all of them, in order."""

    def __init__(self, model: str, run: Run, verdicts: list[GateVerdict]) -> None:
        failed = [v for v in verdicts if not v.passed]
        told = "; ".join(f"{v.gate} ({v.why})" for v in failed)
        super().__init__(
            f"{model} is not released: run {run.id} fails {len(failed)} of {len(verdicts)} gates: {told}",
            safe="no version was made, no alias was moved",
            next=f"rote show {run.id}",
        )
        self.verdicts = verdicts


class Released(msgspec.Struct, frozen=True):
    """A version, the verdicts it was made with, and whether this call made it. `warnings` are for people."""

    version: Version
    verdicts: list[GateVerdict]
    created: bool
    warnings: list[str] = []


class Releasing:
    """Makes versions."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        registry: Registry,
        snapshots: Snapshots,
        writer: Callable[[Write], SnapshotWriter],
        files: ModelFiles,
        clock: Clock,
        by: str,
        provenance: Provenance | None = None,
        interfaces: Interfaces | None = None,
        judging: Judging | None = None,
    ) -> None:
        """`writer` makes a SnapshotWriter for a write; `by` (user@host) is who releases. Without `provenance` and
        `interfaces` a version does not say where it comes from, and what goes in and out; without `judging` versions
        count with the figures that they were released with."""
        self._transactions = transactions
        self._registry = registry
        self._snapshots = snapshots
        self._writer = writer
        self._files = files
        self._clock = clock
        self._by = by
        self._provenance = provenance
        self._interfaces = interfaces
        self._judging = judging or Judging(registry=registry, snapshots=snapshots, run=_no_run)

    def release(
        self,
        model: Model,
        run: Run,
        *,
        gates: Sequence[Gate] = (),
        version: str | None = None,
        bump: str | None = None,
        note: str = "",
        recorded: bool = False,
    ) -> Released:
        """Make a version of `model` out of a finished run; `gates` are the project's, the model's own follow.

        The number is `version`; or the highest one with `bump` (major, minor, patch, or auto: derived from what
        changed) raised; or with neither, the highest one with patch raised. A model's first is 1.0.0 unless `version`
        says otherwise. If the same files are released already (under `version`, or without it as the highest one),
        that is returned and nothing changes.

        Raises GateRefused with the verdicts; Refused for a run that did not finish, files that cannot be had, or a
        version that exists with other files; BadName, ConfigError, UsageError.
        """
        if version and bump:
            raise UsageError("--version and --bump exclude each other")
        _must_be_finished(run)
        wanted = str(versions.release(version)) if version else None
        part = bump or "patch"
        if part != deriving.AUTO:
            versions.following([], part)
        parsed = [law.parse(gate.text, gate.at) for gate in (*gates, *model.gates)]
        if wanted and (there := self._registry.find(model.name, wanted)):
            return self._again(model, run, there)
        if wanted:
            self._refuse_deleted(model.name, wanted)
        verdicts = self.verdicts(model, run, parsed, number=wanted, recorded=recorded)
        if not all(v.passed for v in verdicts):
            raise GateRefused(model.name, run, verdicts)
        origin = self._provenance.of_run(run, model.files) if self._provenance else Origin()
        for _ in range(_ATTEMPTS):
            try:
                return self._transactions.write(
                    lambda write: self._make(
                        write, model, run, origin, wanted=wanted, part=part, verdicts=verdicts, note=note
                    )
                )
            except _SameFiles as e:
                return self._unchanged(e.there)
            except Beaten as e:
                if wanted:
                    return self._again(model, run, msgspec.convert(e.root.body, Version))
        raise Refused(f"others keep releasing {model.name}", safe="nothing was changed", next="try again")

    def judge(self, model: Model, run: Run, *, recorded: bool = False) -> list[GateVerdict]:
        """What the model's gates say of a finished run. No version is made. Raises Refused, ConfigError."""
        _must_be_finished(run)
        return self.verdicts(model, run, [law.parse(g.text, g.at) for g in model.gates], recorded=recorded)

    def verdicts(
        self,
        model: Model,
        run: Run,
        gates: Sequence[law.Expr],
        *,
        number: str | None = None,
        recorded: bool = False,
    ) -> list[GateVerdict]:
        """Hold a run against gates, with the present holders of the model's aliases. No version is made. `number` is
        what a version of it would have, if that is known."""
        return self._judging.verdicts(
            model, run, gates, sizes=lambda: self._sizes(model, run, number), recorded=recorded
        )

    def _sizes(self, model: Model, run: Run, number: str | None) -> dict[str, int]:
        """The bytes of the files that a version would hold, with the stamps that it gets."""
        with self._transactions.begin() as write:  # it is never committed
            parts = self._files.of(model, run, self._writer(write))
            sizes = {path: entry.size for path, entry, _ in self._entries(parts)}
            if model.stamp:
                stamped, _ = stamping.stamped(parts, self._snapshots, model.name, number or versions.FIRST)
                sizes |= {path: grown(sizes[path], edits) for path, edits in stamped.edits.items()}
            return sizes

    def _make(
        self,
        write: Write,
        model: Model,
        run: Run,
        origin: Origin,
        *,
        wanted: str | None,
        part: str,
        verdicts: list[GateVerdict],
        note: str,
    ) -> Released:
        writer = self._writer(write)
        parts = self._files.of(model, run, writer)
        number, bump, unstamped = wanted, None, self._identity(parts)
        signature = self._interfaces.of(model, run, parts) if self._interfaces else {}
        if number is None:
            highest = self._registry.highest(model.name)
            if highest and highest.made == unstamped:
                raise _SameFiles(highest)
            if part == deriving.AUTO:
                bump = self._derived(model, origin, parts, signature, highest)
                part = bump.part if bump else "patch"
            last = versions.parse(highest.version) if highest else None
            deleted = self._registry.remarks.deleted(model.name, above=last)
            number = str(versions.following([*([last] if last else []), *deleted], part))
        listed, warnings = self._look_into(parts)
        stamped, more = (
            stamping.stamped(parts, self._snapshots, model.name, number)
            if model.stamp
            else (stamping.Stamped(), [])
        )
        record = writer.compose(parts, self._snapshots, stamped)
        ref = write.add_snapshot(record)
        made = Version(
            model=model.name,
            version=number,
            snapshot=ref,
            files=stamped.listed(listed),
            run=run.id,
            commit=run.commit.id,
            metrics=run.metrics,
            params=run.params,
            gates=verdicts,
            released=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock.now())),
            by=self._by,
            note=note,
            data=origin.data,
            environment=origin.environment,
            signature=signature,
            bump=bump,
            stamped=Unstamped(snapshot=unstamped, files=stamped.before) if stamped.before else msgspec.UNSET,
        )
        write.root(version_key(model.name, number), made, [ref])
        return Released(made, verdicts, True, [*warnings, *more])

    def _derived(
        self, model: Model, origin: Origin, parts: Parts, signature: dict[str, Any], over: Version | None
    ) -> Bump | None:
        """Which part of the number is raised over the highest version, and why; None for the first one."""
        if over is None or self._provenance is None:
            return None
        names = frozenset(path.partition("/")[0] for path in parts)
        new = msgspec.structs.replace(origin.ingredients, names=names, signature=signature)
        found = deriving.changes(self._provenance.of_version(over, model.files), new)
        return Bump(part=deriving.part(found), over=over.version, why=deriving.reasons(found))

    def _refuse_deleted(self, model: str, version: str) -> None:
        deleted = self._registry.remarks.of(model, version).deleted
        if deleted is not None:
            raise Refused(
                f"{model}@{version} was deleted by {deleted.by} ({deleted.at}); a number is not given twice",
                safe="nothing was changed",
                next=f"another --version, or rote model delete {model}@{version} --undo",
            )

    def _identity(self, parts: Parts) -> SnapshotId:
        """The id of a snapshot of these files as they are."""
        batches = Composed(parts, self._snapshots, lambda node: None).batches()
        return identity.of_rows(batches, single=False)

    def _again(self, model: Model, run: Run, there: Version) -> Released:
        """The version exists: the same files are no error, others are."""
        with self._transactions.begin() as write:
            id = self._identity(self._files.of(model, run, self._writer(write)))
        if id != there.made:
            raise Refused(
                f"{there.model}@{there.version} exists with other files, from run {there.run}; a version never changes",
                safe="nothing was changed",
                next=f"rote release {there.model} --run {run.id} --bump patch",
            )
        return self._unchanged(there)

    def _unchanged(self, there: Version) -> Released:
        return Released(there, there.gates, False)

    def _look_into(self, parts: Parts) -> tuple[list[VersionFile], list[str]]:
        """The files of a version, and a warning for each that runs code when it is loaded. The first bytes of the
        largest 256 are looked at, of the others the name."""
        found = self._entries(parts)
        found.sort(key=lambda f: f[0].encode())
        looked = {path for path, _, _ in sorted(found, key=lambda f: -f[1].size)[:_LOOKED_INTO]}
        warnings = []
        for path, entry, record in found:
            head = self._head(record, entry) if path in looked else b""
            why = why_pickle(path, head)
            if why:
                warnings.append(
                    f"{path} is a pickle ({why}): loading it runs code; safetensors and ONNX do not"
                )
        files = [
            VersionFile(path=path, size=e.size, digest=Digest(e.digest.hex()), executable=e.executable)
            for path, e, _ in found
        ]
        return files, warnings

    def _entries(self, parts: Parts) -> list[tuple[str, Entry, SnapshotRecord]]:
        return [
            (f"{below}/{entry.path}" if not record.single else below, entry, record)
            for below, record in parts.items()
            for entry in self._snapshots.entries(record)
        ]

    def _head(self, record: SnapshotRecord, entry: Entry) -> bytes:
        return bytes(next(iter(self._snapshots.read(record, entry.path)), b""))[:HEAD]


def _must_be_finished(run: Run) -> None:
    if run.state != _FINISHED:
        raise Refused(
            f"run {run.id} is {run.state}: only a finished run can be released",
            next="rote run",
            safe="nothing was changed",
        )
    if run.smoke:
        raise Refused(
            f"run {run.id} is a smoke run: what it made came of less, and is never released",
            next="rote run, then release that",
            safe="nothing was changed",
        )


def _no_run(id: RunId) -> Run:
    raise Missing(f"there is no run {id}")


class _SameFiles(Exception):
    """The highest version holds exactly these files."""

    def __init__(self, there: Version) -> None:
        super().__init__(there.version)
        self.there = there
