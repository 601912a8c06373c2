"""Files and environment -> what the project says, with file, line and key in every error."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec
from blake3 import blake3

from rote.wiring.config import reading
from rote.wiring.config.dvc import finding
from rote.wiring.config.parsed import Parsed
from rote.words.pipeline import Pipeline

if TYPE_CHECKING:  # PyYAML takes longer to load than a parsed pipeline
    from rote.wiring.config.sources import Sources

FILE = "rote.yaml"


class _Kept(msgspec.Struct):
    """A pipeline that was parsed, and the digest of each file besides the first that it was made of (None: it was not
    there)."""

    pipeline: Pipeline
    others: dict[str, bytes | None]


def load(root: str, *, cache: str | None = None, instead: Mapping[str, bytes] | None = None) -> Pipeline:
    """The project's pipeline: that of rote.yaml, or where it has no stages, that of DVC's files; without either an
    empty one. Raises ConfigError.

    What was parsed is kept in the folder `cache` (`.rote/cache` below `root`, once there is a `.rote`). `instead` has
    the bytes of params files that are to be taken for others than they are.
    """
    if cache is None:
        cache = os.path.join(root, ".rote", "cache")
    loading = _Loading(root, cache, instead)
    data = reading.read_bytes(root, FILE)
    own = Pipeline() if data is None else loading.of("pipeline", data, _own)
    if own.stages or not finding.is_project(root):
        return own
    pipelines = finding.files(root).pipelines
    if not pipelines:
        return msgspec.structs.replace(own, dvc=True)
    found = loading.of("dvc", "\n".join(pipelines).encode(), _of_dvc)
    return msgspec.structs.replace(
        own,
        stages=found.stages,
        models=own.models or found.models,
        named=found.named,
        files=found.files,
        dvc=True,
    )


class _Loading:
    """Reads pipelines through the cache of parsed files."""

    def __init__(self, root: str, cache: str, instead: Mapping[str, bytes] | None) -> None:
        self._root = root
        self._keeps = not instead and os.path.isdir(os.path.dirname(cache))
        self._parsed = Parsed(cache)
        self._instead = instead

    def of(self, kind: str, data: bytes, read: Callable[[bytes, Sources], Pipeline]) -> Pipeline:
        """What `data`, and the files that it names, mean."""
        kept = None if self._instead else self._parsed.get(kind, data, _Kept)
        if kept is not None and all(
            _digest(reading.read_bytes(self._root, file)) == digest for file, digest in kept.others.items()
        ):
            return kept.pipeline
        from rote.wiring.config.sources import Sources  # PyYAML takes longer to load than a parsed pipeline

        sources = Sources(self._root, self._instead)
        pipeline = read(data, sources)
        if self._keeps:
            others = {file: _digest(content) for file, content in sources.seen.items() if file != FILE}
            self._parsed.put(kind, data, _Kept(pipeline, others))
        return pipeline


def _own(data: bytes, sources: Sources) -> Pipeline:
    from rote.wiring.config import pipelines  # as above

    return pipelines.read(reading.decode(data, FILE), FILE, sources)


def _of_dvc(data: bytes, sources: Sources) -> Pipeline:
    from rote.wiring.config.dvc import pipelines  # as above

    return pipelines.read(tuple(data.decode().split("\n")), sources)


def _digest(data: bytes | None) -> bytes | None:
    return None if data is None else blake3(data).digest()


def schema() -> dict[str, Any]:
    """A JSON schema of rote.yaml, for editors."""
    from rote.wiring.config.vocabulary import schema as whole  # only `rote schema` needs it

    return whole()
