"""Files and environment -> what the project says, with file, line and key in every error."""

from __future__ import annotations

import os
from typing import Any

from rote.config import reading
from rote.config.parsed import Parsed
from rote.pipeline import Pipeline

FILE = "rote.yaml"


def load(root: str, *, cache: str | None = None) -> Pipeline:
    """The project's pipeline; without a rote.yaml an empty one. Raises ConfigError.

    What was parsed is kept in the folder `cache` (`.rote/cache` below `root`, once there is a `.rote`).
    """
    data = reading.read_bytes(root, FILE)
    if data is None:
        return Pipeline()
    if cache is None:
        cache = os.path.join(root, ".rote", "cache")
    parsed = Parsed(cache)
    pipeline = parsed.get("pipeline", data, Pipeline)
    if pipeline is None:
        from rote.config import pipelines  # PyYAML takes longer to load than a parsed pipeline

        pipeline = pipelines.read(reading.decode(data, FILE), FILE)
        if os.path.isdir(os.path.dirname(cache)):
            parsed.put("pipeline", data, pipeline)
    return pipeline


def schema() -> dict[str, Any]:
    """A JSON schema of rote.yaml, for editors."""
    from rote.config.vocabulary import schema as whole  # only `rote schema` needs it

    return whole()
