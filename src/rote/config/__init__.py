"""Files and environment -> what the project says, with file, line and key in every error."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec
from blake3 import blake3

from rote.config import reading
from rote.config.parsed import Parsed
from rote.pipeline import Pipeline

FILE = "rote.yaml"


class _Kept(msgspec.Struct):
    """A pipeline that was parsed, and the digest of each file besides the first that it was made of (None: it was not
    there)."""

    pipeline: Pipeline
    others: dict[str, bytes | None]


def load(root: str, *, cache: str | None = None, instead: Mapping[str, bytes] | None = None) -> Pipeline:
    """The project's pipeline; without a rote.yaml an empty one. Raises ConfigError.

    What was parsed is kept in the folder `cache` (`.rote/cache` below `root`, once there is a `.rote`). `instead` has
    the bytes of params files that are to be taken for others than they are.
    """
    data = reading.read_bytes(root, FILE)
    if data is None:
        return Pipeline()
    if cache is None:
        cache = os.path.join(root, ".rote", "cache")
    parsed = Parsed(cache)
    kept = None if instead else parsed.get("pipeline", data, _Kept)
    if kept is not None and all(_digest(reading.read_bytes(root, f)) == d for f, d in kept.others.items()):
        return kept.pipeline
    from rote.config import pipelines  # PyYAML takes longer to load than a parsed pipeline
    from rote.config.sources import Sources  # the same

    sources = Sources(root, instead)
    pipeline = pipelines.read(reading.decode(data, FILE), FILE, sources)
    if not instead and os.path.isdir(os.path.dirname(cache)):
        others = {file: _digest(content) for file, content in sources.seen.items() if file != FILE}
        parsed.put("pipeline", data, _Kept(pipeline, others))
    return pipeline


def _digest(data: bytes | None) -> bytes | None:
    return None if data is None else blake3(data).digest()


def schema() -> dict[str, Any]:
    """A JSON schema of rote.yaml, for editors."""
    from rote.config.vocabulary import schema as whole  # only `rote schema` needs it

    return whole()
