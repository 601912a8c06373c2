"""The first three links: the data that stages read, the code, and the environment that they ran in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rote.errors import Corrupt, Missing, NotFound, RoteError
from rote.laws.models.links import Broken, Looking, overlaps
from rote.laws.pipeline import overriding
from rote.laws.pipeline.redaction import MASK
from rote.laws.pipeline.stagekey import env_digest, plain
from rote.ports import ObjectStore
from rote.services.data.snapshots import Snapshots
from rote.services.releases.verifying.evidence import Evidence, Made
from rote.services.releases.verifying.reading import read_all
from rote.services.releases.verifying.retracing import Unknowable
from rote.words.ids import SnapshotId, counted, shown
from rote.words.snapshot import SnapshotRecord

_NAMED = 5


class DataLink:
    """Whether the data that stages read is in the store, whole, and is what the commit pins."""

    def __init__(self, store: ObjectStore, snapshots: Snapshots, *, read: bool) -> None:
        """With `read` every byte of the data is read; otherwise its lists, and whether its packs are there."""
        self._store = store
        self._snapshots = snapshots
        self._read = read

    def look(self, evidence: Evidence, look: Looking) -> None:
        """Raises Broken."""
        pins = _pins(evidence)
        for made, path, id in evidence.deps():
            pinned = next((p for p in pins or {} if overlaps(p, path)), None)
            if pinned is None:
                if pins is not None and _of_dvc(evidence, path):
                    look.open(f"{path} is pinned by DVC, whose files are not looked into")
                elif pins is None or not evidence.was.tracked(path):
                    self._unpinned(look, made, path, id, known=pins is not None)
                continue  # the code: its files are in git
            self._compare(evidence, made, path, id)
            for name in [p for p in pins or {} if overlaps(p, path)]:
                self._sound(look, name, (pins or {})[name])
        for made in evidence.stages:
            if made.inputs is None and made.outcome.key is not None:
                look.open(f"what stage {made.name} read is not known")
        for used in evidence.version.data:
            pinned_as = pins.get(used.path, used.snapshot) if pins is not None else used.snapshot
            if pinned_as != used.snapshot:
                raise Broken(
                    f"the version says that {used.path} was the snapshot {used.snapshot[:12]}, and its commit pins "
                    f"{pinned_as[:12]}"
                )
            self._sound(look, used.path, used.snapshot)

    def _compare(self, evidence: Evidence, made: Made, path: str, id: SnapshotId) -> None:
        try:
            then = evidence.was.identity(path)
        except Unknowable:
            return  # told with the code
        if then != id:
            raise Broken(
                f"stage {made.name} read {path} as the snapshot {id[:12]}, and commit {_commit(evidence)} "
                f"has {then[:12] if then else 'nothing'} there",
                "the pointer was not committed as it was in the run: commit it, and release a run of that commit",
            )

    def _unpinned(self, look: Looking, made: Made, path: str, id: SnapshotId, *, known: bool) -> None:
        try:
            ref = self._snapshots.find(id)
        except Missing:
            if known:
                raise Broken(
                    f"stage {made.name} read {path} (snapshot {id[:12]}), which neither its commit nor the store has",
                    f"rote add {path}, or git add {path}; then commit, run and release again",
                ) from None
            return  # code, as far as one can tell without the commit
        if known:
            raise Broken(
                f"stage {made.name} read the data {path} (snapshot {id[:12]}), and its commit has no pointer to it",
                f"git add {path}.rote, commit, and release a run of that commit",
            )
        self._sound(look, path, ref.id)

    def _sound(self, look: Looking, path: str, id: SnapshotId) -> None:
        """Whether a snapshot is in the store, with all that belongs to it. Raises Broken."""
        try:
            record = self._snapshots.record(self._snapshots.find(id))
            for _ in self._snapshots.columns(record):
                pass
            if self._read:
                read_all(self._snapshots, record)
            else:
                self._packs(record)
        except (Missing, NotFound, Corrupt) as e:
            raise Broken(f"the data {path}: {e}", e.next or "rote store check") from e
        how = "every byte read" if self._read else "listed; --read-data reads every byte"
        look.ok(f"{path}: snapshot {id[:12]}, {counted(record.files, 'file')} ({how})")

    def _packs(self, record: SnapshotRecord) -> None:
        for pack in record.packs:
            self._store.head(f"packs/{pack}")


def _of_dvc(evidence: Evidence, path: str) -> bool:
    """Whether the commit has a `.dvc` file for the path, or for a folder that it lies in."""
    names = path.split("/")
    above = ["/".join(names[: n + 1]) for n in range(len(names))]
    return any(evidence.was.tracked(f"{name}.dvc") for name in above)


def code(evidence: Evidence, look: Looking, decode: Callable[[bytes, str], Any]) -> None:
    """Whether what stages read of the project is what the commit has. `decode` reads a params file. Raises Broken."""
    run, version = evidence.run, evidence.version
    if run is None:
        look.open(f"the run {version.run} is gone from the store" if version.run else "no run is recorded")
        return
    if version.commit != run.commit.id:
        raise Broken(f"the version names commit {version.commit}, and its run {run.commit.id}")
    if run.commit.id is None:
        look.open("the run was made without a commit")
        return
    try:
        pins = evidence.was.pointers
    except Missing as e:
        look.open(f"commit {_commit(evidence)} is not in this repository ({e.what})")
        return
    read: dict[str, None] = {}
    for made, path, id in evidence.deps():
        if evidence.was.tracked(path) and not any(overlaps(p, path) for p in pins):
            _same(evidence, look, made, path, id)
            read[path] = None
    for made in evidence.stages:
        _found(evidence, look, made, read)
        _params(evidence, look, made, decode)
    names = ", ".join(list(read)[:_NAMED]) + (f" and {len(read) - _NAMED} more" if len(read) > _NAMED else "")
    changes = "; other files had uncommitted changes" if run.commit.dirty else ""
    look.ok(f"commit {_commit(evidence)}{': ' + names if read else ''}{changes}")
    if run.overrides:
        look.ok(f"params as committed, but for {', '.join(run.overrides)}")


def _same(evidence: Evidence, look: Looking, made: Made, path: str, id: SnapshotId) -> None:
    try:
        then = evidence.was.identity(path)
    except Unknowable as e:
        look.open(str(e))
        return
    if then != id:
        raise Broken(
            f"{path} as stage {made.name} read it is not what commit {_commit(evidence)} has", _AGAIN
        )


_AGAIN = "commit what the run used, run again, and release that run"


def _found(evidence: Evidence, look: Looking, made: Made, read: dict[str, None]) -> None:
    """What the stage was seen to read although it names it nowhere."""
    found = made.result.found if made.result is not None else None
    for path, digest in (found.files if found is not None else {}).items():
        try:
            then = evidence.was.file(path)
        except Unknowable as e:
            look.open(f"{path}, which stage {made.name} read: {e}")
            continue
        if then != digest:
            has = "has another" if then and digest else "has none" if digest else "has one"
            saw = f"read {path}" if digest else f"found no {path}"
            raise Broken(f"stage {made.name} {saw}, and commit {_commit(evidence)} {has}", _AGAIN)
        if digest is not None:
            read[path] = None


def _params(evidence: Evidence, look: Looking, made: Made, decode: Callable[[bytes, str], Any]) -> None:
    """Whether the params are those of the commit, but for those that the run overrode."""
    run, inputs = evidence.run, made.inputs
    if run is None or inputs is None:
        return
    for file, values in inputs.params.items():
        data = evidence.was.content(file)
        if data is None:
            raise Broken(f"stage {made.name} has params of {file}, which its commit does not have", _AGAIN)
        committed = decode(data, file)
        for key, value in values.items():
            if any(_covers(text, key) for text in run.overrides) or _masked(value):
                continue
            place = overriding.locate(committed, key)
            if place is None or plain(overriding.value_at(committed, place)) != value:
                raise Broken(
                    f"stage {made.name} was run with {shown(key or file)} = {shown(str(value), 60)}, and {file} of "
                    f"commit {_commit(evidence)} says otherwise",
                    _AGAIN,
                )


def _covers(override: str, key: str) -> bool:
    """Whether an override (`train.lr=0.1`) touches a param, or may."""
    named = override.partition("=")[0].rpartition(":")[2].strip().replace("[", ".").replace("]", "")
    return not key or named == key or named.startswith(key + ".") or key.startswith(named + ".")


def _masked(value: object) -> bool:
    return MASK in str(value)


def environment(evidence: Evidence, look: Looking) -> None:
    """Whether what is recorded of the environment fits together, and lock files are those of the commit. Raises
    Broken."""
    run = evidence.run
    if run is None:
        look.open("the record of the run is gone")
        return
    locks: dict[str, None] = {}
    for made in evidence.stages:
        if made.inputs is None:
            continue
        for path, digest in made.inputs.locks.items():
            then = _lock(evidence, look, path)
            if then is None:
                continue
            if then != digest:
                commit = _commit(evidence)
                raise Broken(
                    f"the lock file {path} of stage {made.name} is not that of commit {commit}", _AGAIN
                )
            locks[path] = None
        for name, value in made.inputs.env_shown.items():
            if MASK not in value and len(value) < 200 and env_digest(value) != made.inputs.env.get(name):
                raise Broken(
                    f"the variable {name} of stage {made.name} had another value than {shown(value)}"
                )
        if made.inputs.image:
            look.ok(f"stage {made.name}: image {made.inputs.image[:30]}")
    host, said = run.host, evidence.version.environment
    if host is not None and said is not None:
        for name, recorded, seen in (
            ("Python", said.python, host.python),
            ("system", said.system, host.system),
            ("packages", str(said.packages), str(host.packages)),
        ):
            if recorded != seen:
                raise Broken(f"the version records another {name} than its run")
    if host is None:
        look.open("the run did not record its machine")
        return
    kept = f"; {', '.join(locks)} as committed" if locks else ""
    look.ok(f"Python {host.python} on {host.system}, {len(host.packages)} packages recorded{kept}")


def _lock(evidence: Evidence, look: Looking, path: str) -> str | None:
    """The digest of a lock file of the commit, empty if it has none; None if that cannot be told here."""
    try:
        then = evidence.was.file(path)
    except (Unknowable, Missing) as e:
        look.open(f"{path}: {e}")
        return None
    if then is None and (evidence.run is None or evidence.run.commit.id is None):
        look.open(f"{path}: the run was made without a commit")
        return None
    return then or ""


def _pins(evidence: Evidence) -> Mapping[str, SnapshotId] | None:
    """Data path -> snapshot of the commit; None if the commit is not known here."""
    if evidence.run is None or evidence.run.commit.id is None:
        return None
    try:
        return {path: pointer.snapshot for path, pointer in evidence.was.pointers.items()}
    except RoteError:
        return None


def _commit(evidence: Evidence) -> str:
    return (evidence.version.commit or "?")[:7]
