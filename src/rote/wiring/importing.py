"""A project of DVC's, taken over for good: its stages, its data, and what dvc.lock knows."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from rote.errors import RoteError, StageFailed, UsageError
from rote.laws.pipeline import graph
from rote.laws.pipeline import plan as law
from rote.laws.pipeline.metrics import checked
from rote.services.data.adding import Added
from rote.wiring.config import params, pipelines, reading
from rote.wiring.config.dvc import converting, settings
from rote.wiring.config.dvc.converting import Converted
from rote.wiring.config.sources import Sources
from rote.wiring.dvcwiring import DvcWiring
from rote.wiring.operating import Operating
from rote.wiring.parts import Wiring
from rote.words.pipeline import Pipeline, Stage


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken over, or would be: the files written, the data saved, the stages whose results are known, those
    that will run, what is worth knowing, and the files of DVC's that were removed."""

    files: list[str]
    data: list[str]
    results: list[str]
    run: list[str]
    notes: list[str]
    removed: list[str] = []


class Importing:
    """Takes a project over. Expects the working tree's lock to be held."""

    def __init__(self, wiring: Wiring, add: Callable[..., list[Added]]) -> None:
        """`add` saves data paths, as `Project.add` does."""
        self._w = wiring
        self._add = add

    def dvc(self, *, dry_run: bool = False, remove: bool = False) -> Imported:
        """See `Project.import_dvc`."""
        dvc = self._w.dvc
        if dvc is None:
            raise UsageError(
                "there is nothing of DVC's to take over: the stages are those of rote.yaml, or there is no .dvc folder",
                where=self._w.root,
            )
        pipeline = self._w.pipeline
        files, new = self._converted(pipeline)
        plan = Operating(self._w).plan((), overrides=(), force=False) if pipeline.stages else law.Plan([])
        known = _closed(pipeline, {d.stage for d in plan.decisions if d.verdict == law.HIT})
        data = [pinned.path for pinned in dvc.pinning.pins()]
        told = Imported(
            files=[one.file for one in files],
            data=data,
            results=known,
            run=[name for name in pipeline.stages if name not in known],
            notes=[note for one in files for note in one.notes],
        )
        if dry_run:
            return told
        self._take(dvc, new, known, data)
        for one in files:
            with open(os.path.join(self._w.root, one.file), "w", encoding="utf-8") as out:
                out.write(one.text)
        if not remove:
            return told
        return msgspec.structs.replace(told, removed=self._removed(pipeline, dvc))

    def _converted(self, pipeline: Pipeline) -> tuple[list[Converted], Pipeline]:
        """The new pipeline files, and what they mean; nothing is written. Raises UsageError if that is not the same."""
        there = [file for file in pipeline.files if file.endswith("dvc.yaml")]
        texts = {file: reading.decode(reading.read_bytes(self._w.root, file) or b"", file) for file in there}
        before = reading.decode(reading.read_bytes(self._w.root, "rote.yaml") or b"", "rote.yaml")
        entries = {
            name.partition("@")[0] for name, stage in pipeline.stages.items() if self._says_more(stage)
        }
        options = settings.options(Sources(self._w.root))
        files = converting.convert(texts, pipeline, before, entries, options)
        for one in files[1:]:
            if reading.read_bytes(self._w.root, one.file) is not None:
                raise UsageError(
                    "this file is there already", where=one.file, next="move it away, then import again"
                )
        instead = {one.file: one.text.encode() for one in files}
        new = pipelines.read(files[0].text, "rote.yaml", Sources(self._w.root, instead))
        other = [
            name
            for name, stage in pipeline.stages.items()
            if _meaning(new.stages.get(name)) != _meaning(stage)
        ]
        if other:
            raise UsageError(
                f"these stages would mean something else in rote.yaml: {', '.join(other[:10])}",
                safe="nothing was written",
                next="write rote.yaml by hand: docs/coming-from-dvc.md",
            )
        return files, new

    def _says_more(self, stage: Stage) -> bool:
        """Whether a metrics file of the stage holds more than numbers."""
        for out in stage.outs:
            if out.kind == "metrics" and (data := reading.read_bytes(self._w.root, out.path)) is not None:
                try:
                    checked(params.decode(reading.decode(data, out.path), out.path), out.path)
                except (StageFailed, RoteError):
                    return True
        return False

    def _take(self, dvc: DvcWiring, new: Pipeline, known: list[str], data: list[str]) -> None:
        """Results and data into the store. Results are those of the new stages, which DVC knows by the old ones."""
        if data:
            dvc.pinning.checkout(data)
        self._w.pipeline = msgspec.structs.replace(new, dvc=True)
        if known:
            run = Operating(self._w).run(
                known, overrides=(), jobs=1, force=False, keep_going=True, tags={}, command="rote import dvc"
            )
            bad = [outcome for outcome in run.stages if outcome.outcome not in ("hit", "done", "frozen")]
            if bad:
                raise RoteError(
                    f"a result could not be taken over: {bad[0].stage}: {bad[0].why}",
                    safe="DVC's files were not touched, and no rote.yaml was written",
                    next="mend that, then do the same again",
                )
        if data:
            self._add(data)

    def _removed(self, pipeline: Pipeline, dvc: DvcWiring) -> list[str]:
        """Remove DVC's pipelines, locks and pins; the folder .dvc with cache and settings stays."""
        gone = [file for file in pipeline.files if file.endswith("dvc.yaml")]
        gone += [file.removesuffix("dvc.yaml") + "dvc.lock" for file in gone]
        gone += list(dict.fromkeys(pinned.at.file for pinned in dvc.pinning.pins()))
        there = [file for file in gone if os.path.lexists(os.path.join(self._w.root, file))]
        for file in there:
            os.unlink(os.path.join(self._w.root, file))
        return there


def _closed(pipeline: Pipeline, hits: set[str]) -> list[str]:
    """The stages that are hits with all that they need, in order."""
    needed = graph.needs(pipeline.stages)
    found: list[str] = []
    for name in graph.order(pipeline.stages):
        if name in hits and all(other in found for other in needed[name]):
            found.append(name)
    return found


def _meaning(stage: Stage | None) -> object:
    """What decides a stage's key and its run: not where it is written, nor which of its outs hold numbers."""
    if stage is None:
        return None
    outs = sorted((out.path, out.persist, out.cache) for out in stage.outs)
    return (stage.cmd, stage.deps, stage.params, outs, stage.wdir, stage.frozen, stage.always_changed)
