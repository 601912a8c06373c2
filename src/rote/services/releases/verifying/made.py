"""The last three links: stages, metrics, and the files of the version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from blake3 import blake3

from rote.errors import Corrupt, Missing, NotFound
from rote.laws.models.links import Broken, Looking, inside
from rote.laws.models.stamps import Unsound, edited, kind_of
from rote.laws.pipeline import metrics
from rote.laws.pipeline.overriding import locate, value_at
from rote.laws.pipeline.redaction import MASK
from rote.laws.pipeline.stagekey import Inputs, plain
from rote.ports import Columns
from rote.services.data import identity, stamping
from rote.services.data.snapshots import Snapshots
from rote.services.releases.verifying.evidence import Evidence, Made
from rote.services.releases.verifying.reading import read_all
from rote.services.releases.verifying.retracing import Unknowable
from rote.words.ids import Digest, SnapshotId, counted
from rote.words.run import Run
from rote.words.snapshot import FILE, SnapshotRef
from rote.words.version import Version, VersionFile


def stages(evidence: Evidence, look: Looking) -> None:
    """Whether each stage's key follows from what went in, and its result is what the run says. Raises Broken."""
    run, version = evidence.run, evidence.version
    if run is None:
        if version.run is None:
            look.open("no run is recorded")
            return
        raise Broken(evidence.trouble or f"the run {version.run} is gone from the store", _UNDO)
    keyed = []
    for made in evidence.stages:
        if made.outcome.key is None:
            look.open(f"stage {made.name} was frozen: nothing says how its outs were made")
            continue
        inputs = _result(look, made, run)
        if inputs is not None:
            _key(look, made, inputs, run)
            keyed.append(made.name)
    for made, path, id in evidence.made_deps():
        _passed_on(evidence, look, made, path, id)
    if keyed:
        look.ok(f"{', '.join(keyed)}: each key follows from what went in, each result is what the run says")


_UNDO = "rote gc --undo, if a collection removed it lately"


def _result(look: Looking, made: Made, run: Run) -> Inputs | None:
    """The inputs of a stage whose result is there and is the run's. Raises Broken."""
    result, outcome = made.result, made.outcome
    if result is None:
        if made.trouble:
            raise Broken(f"the result of stage {made.name}: {made.trouble}", "rote store check")
        raise Broken(f"the result of stage {made.name} is gone from the store", _UNDO)
    if result.key != outcome.key:
        raise Broken(f"the result of stage {made.name} has another key than the run says")
    now: dict[str, SnapshotId] = {path: ref.id for path, ref in result.outs.items()}
    then: dict[str, SnapshotId] = {path: ref.id for path, ref in outcome.outs.items()}
    if now != then and not result.beside:
        changed = sorted(path for path in {*now, *then} if now.get(path) != then.get(path))
        if result.run <= run.id:  # ids of runs sort by time
            raise Broken(f"the result of stage {made.name} has another {changed[0]} than the run says")
        look.open(
            f"run {result.run} made stage {made.name} again, and {changed[0]} differs: it does not give the same twice"
        )
    if made.inputs is None:
        look.open(f"what stage {made.name} was made of is recorded in a way that this rote does not know")
    return made.inputs


def _key(look: Looking, made: Made, inputs: Inputs, run: Run) -> None:
    if inputs.key() != made.outcome.key:
        if MASK in str(inputs.cmd) or MASK in str(inputs.params):
            look.open(
                f"stage {made.name}: what looked like a secret is masked, so its key cannot be worked out"
            )
            return
        raise Broken(f"the key of stage {made.name} does not follow from what is recorded of it")
    for file, values in inputs.params.items():
        there = run.params.get(file, {})
        for key, value in values.items():
            place = locate(there, key)
            if place is None or (plain(value_at(there, place)) != value and MASK not in str(value)):
                raise Broken(f"stage {made.name} was made with another {key or file} than its run says")


def _passed_on(evidence: Evidence, look: Looking, made: Made, path: str, id: SnapshotId) -> None:
    try:
        then = evidence.was.identity(path)
    except Unknowable as e:
        look.open(f"{path}, which stage {made.name} read: {e}")
        return
    except (Missing, NotFound, Corrupt) as e:
        raise Broken(f"{path}, which stage {made.name} read: {e}", e.next or "rote store check") from e
    if then != id:
        raise Broken(
            f"stage {made.name} read {path} as the snapshot {id[:12]}, and the stages before it left "
            f"{then[:12] if then else 'nothing'} there"
        )


def figures(
    evidence: Evidence, snapshots: Snapshots, look: Looking, decode: Callable[[bytes, str], Any]
) -> None:
    """Whether the metrics of the version are those that its stages left, and passed its gates. Raises Broken."""
    version, run = evidence.version, evidence.run
    if run is not None and version.metrics != run.metrics:
        raise Broken("the metrics of the version are not those of its run")
    for file, values in version.metrics.items():
        ref = next((m.outcome.outs[file] for m in evidence.stages if file in m.outcome.outs), None)
        if ref is None:
            look.open(f"{file}: its content is not kept in the store")
            continue
        try:
            content = decode(b"".join(snapshots.read(snapshots.record(ref), FILE)), file)
        except (Missing, NotFound, Corrupt) as e:
            raise Broken(f"the metrics {file}: {e}", e.next or "rote store check") from e
        if values not in (content, metrics.numbers(content)):
            raise Broken(f"{file} says something else than the version records of it")
        look.ok(f"{file}: {_shown(values)}")
    failed = [verdict.gate for verdict in version.gates if not verdict.passed]
    if failed:
        raise Broken(f"the version records that it did not pass {failed[0]}")
    if version.gates:
        look.ok(f"{counted(len(version.gates), 'gate')} passed")


def _shown(values: Mapping[str, Any]) -> str:
    numbers = [f"{name} {value:.6g}" for name, value in values.items() if isinstance(value, int | float)]
    more = f" and {len(values) - 4} more" if len(values) > 4 else ""
    return (", ".join(numbers[:4]) or f"{len(values)} groups") + more


def files(evidence: Evidence, snapshots: Snapshots, look: Looking) -> None:
    """Whether the files of the version are whole, and those that its stages made or its commit has. Raises Broken."""
    version = evidence.version
    whole(version, snapshots, look)
    for file in version.files:
        before = version.stamped.files.get(file.path) if version.stamped else None
        if before is not None:
            _stamp(version, snapshots, file, before)
            file = msgspec.structs.replace(file, digest=before)  # noqa: PLW2901 - from here on it is what the run made
        if not _comes_from(evidence, snapshots, look, file):
            raise Broken(f"{file.path} is neither what a stage of the run left nor what its commit has")


def whole(version: Version, snapshots: Snapshots, look: Looking) -> None:
    """Whether the files are those that the snapshot's id stands for, and every byte of them is there. Raises Broken."""
    if listed(version.files, single=version.snapshot.single) != version.snapshot.id:
        raise Broken("the files that the version lists are not those of its snapshot")
    try:
        record = snapshots.record(version.snapshot)
        read_all(snapshots, record)
    except (Missing, NotFound, Corrupt) as e:
        raise Broken(f"a file of the version: {e}", e.next or "rote store check") from e
    look.ok(f"{counted(record.files, 'file')}, {counted(record.size, 'byte')}, every one read")


def listed(rows: list[VersionFile], *, single: bool = False) -> SnapshotId:
    """The id of the snapshot that has exactly these files."""
    ordered = sorted(rows, key=lambda f: f.path.encode())
    columns = Columns(
        [f.path for f in ordered],
        [f.size for f in ordered],
        bytearray(f.executable for f in ordered),
        [bytes.fromhex(f.digest) for f in ordered],
    )
    return identity.of_rows([columns], single=single)


def _stamp(version: Version, snapshots: Snapshots, file: VersionFile, before: Digest) -> None:
    """Whether a file without its stamp is what the version says that the run made. Raises Broken."""
    record, kind = snapshots.record(version.snapshot), kind_of(file.path)

    def open() -> Iterator[bytes]:
        return snapshots.read(record, file.path)

    try:
        said, undo = stamping.read(kind or "", open, file.size)
    except Unsound as e:
        raise Broken(f"{file.path} should carry a stamp: {e}") from e
    if said is None or (said.model, said.version, said.digest) != (version.model, version.version, before):
        raise Broken(f"{file.path} does not carry the stamp of {version.model}@{version.version}")
    if undo is not None and digest(edited(open(), undo)) != before:
        raise Broken(f"{file.path} without its stamp is not what the run made")


def digest(pieces: Iterable[bytes]) -> Digest:
    """BLAKE3 of bytes that come in pieces."""
    hasher = blake3()
    for piece in pieces:
        hasher.update(piece)
    return Digest(hasher.hexdigest())


def _comes_from(evidence: Evidence, snapshots: Snapshots, look: Looking, file: VersionFile) -> bool:
    """Whether a stage of the run left the file, or the commit has it."""
    tried = False
    for made in evidence.stages:
        for out, ref in made.outcome.outs.items():
            for below in inside(out, file.path):
                if ref.single == (not below):
                    tried = True
                    if _digest(snapshots, ref, below or FILE) == file.digest:
                        look.ok(f"{file.path}: left by stage {made.name}")
                        return True
    if evidence.run is None:
        look.open(f"{file.path}: the record of the run is gone")
        return True
    try:
        names = evidence.was.tracked(".")
        here = [name for name in names if name == file.path or name.endswith("/" + file.path)]
        for name in here:
            if evidence.was.file(name) == file.digest:
                look.ok(f"{file.path}: {name} of the commit")
                return True
    except Unknowable as e:
        if tried:
            return False
        look.open(f"{file.path}: {e}")
        return True
    return False


def _digest(snapshots: Snapshots, ref: SnapshotRef, path: str) -> str | None:
    try:
        return snapshots.lookup(snapshots.record(ref), path).digest.hex()
    except Missing:
        return None
