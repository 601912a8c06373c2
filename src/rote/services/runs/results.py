"""Results in a store, and what this machine remembers of the last ones."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from rote.laws.pipeline.stagekey import Inputs, shown
from rote.services.store.roots import Roots
from rote.services.store.transactions import Write
from rote.words.encoding import digest_of
from rote.words.ids import RunId, StageKey
from rote.words.result import Result
from rote.words.snapshot import SnapshotRef

_REMEMBERED = 200
"""How many runs are remembered by what their stages were."""


def result_key(key: StageKey) -> str:
    """The key of the result's root."""
    return f"results/{key[:2]}/{key}"


class Results:
    """The results of one store. Thread-safe."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots

    def get(self, key: StageKey) -> Result | None:
        """The result in force in a slot (that of a stage's first result is its key), or None. One GET. Raises Corrupt,
        TooNew."""
        found = self._roots.get(result_key(key), Result)
        return None if found is None else found[0]

    def add(self, write: Write, result: Result, *, replace: bool, slot: StageKey | None = None) -> None:
        """Make a result with the commit of `write`, in its slot (default: that of the stage key); without `replace`,
        one in force wins (Beaten)."""
        needs = needs_of(result.outs.values())
        write.root(result_key(slot or result.key), result, needs, replace=replace)


def needs_of(refs: Iterable[SnapshotRef]) -> list[SnapshotRef]:
    """Each snapshot once, sorted."""
    found = {(ref.id, ref.txn): ref for ref in refs}
    return [found[key] for key in sorted(found)]


def inputs_of(result: Result) -> Inputs | None:
    """What the result's key was made of, or None if it does not say so in a form we know."""
    try:
        return msgspec.convert(result.inputs, Inputs)
    except msgspec.ValidationError:
        return None


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """The last known result of a stage. `slot` is where it lies, if that is not its stage key."""

    key: StageKey
    slot: StageKey | None = None
    run: RunId
    made: str
    inputs: Inputs


class _Kept(msgspec.Struct):
    stages: dict[str, Last] = {}
    runs: dict[str, RunId] = {}


class LastResults:
    """The last result of each stage on this machine: for `rote why`, and to know a run that was recorded already.

    A cache in one file: deleting it loses nothing but old values in explanations. Thread-safe.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._kept: _Kept | None = None
        self._changed = False

    def get(self, stage: str) -> Last | None:
        """The last known result of a stage, or None."""
        with self._lock:
            return self._load().stages.get(stage)

    def slot(self, stage: str, key: StageKey) -> StageKey | None:
        """Where the last known result of a stage lies, if that has this stage key and another slot."""
        last = self.get(stage)
        return last.slot if last is not None and last.key == key else None

    def put(self, stage: str, last: Last) -> None:
        """Remember a result, with the next `save`."""
        with self._lock:
            kept = self._load()
            known = kept.stages.get(stage)
            if known is None or (known.key, known.slot, known.run) != (last.key, last.slot, last.run):
                kept.stages[stage] = msgspec.structs.replace(last, inputs=shown(last.inputs))
                self._changed = True

    def run_of(self, keys: Mapping[str, StageKey]) -> RunId | None:
        """The run that was recorded with exactly these stages, or None."""
        with self._lock:
            return self._load().runs.get(_all(keys))

    def put_run(self, keys: Mapping[str, StageKey], run: RunId) -> None:
        """Remember a run that finished with these stages."""
        with self._lock:
            runs = self._load().runs
            runs.pop(_all(keys), None)
            runs[_all(keys)] = run
            for oldest in list(runs)[:-_REMEMBERED]:
                del runs[oldest]
            self._changed = True

    def save(self) -> None:
        """Write the file if something changed. What cannot be written is forgotten: it is only a cache."""
        with self._lock:
            if not self._changed or self._kept is None:
                return
            aside = f"{self._file}.{os.getpid()}.{threading.get_ident()}"
            try:
                os.makedirs(os.path.dirname(self._file), exist_ok=True)
                with open(aside, "wb") as out:
                    out.write(msgspec.json.encode(self._kept))
                os.replace(aside, self._file)
            except OSError:
                return
            self._changed = False

    def _load(self) -> _Kept:
        if self._kept is None:
            try:
                with open(self._file, "rb") as file:
                    self._kept = msgspec.json.decode(file.read(), type=_Kept)
            except (OSError, msgspec.DecodeError):
                self._kept = _Kept()
        return self._kept


def _all(keys: Mapping[str, StageKey]) -> str:
    rows: Sequence[str] = sorted(f"{stage}\0{key}" for stage, key in keys.items())
    return digest_of("\n".join(rows).encode())
