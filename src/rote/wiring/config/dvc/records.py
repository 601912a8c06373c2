"""What DVC wrote down of stages: dvc.lock beside each dvc.yaml, and entries of the cache of runs."""

from __future__ import annotations

import posixpath

from rote.errors import ConfigError
from rote.wiring.config import reading
from rote.wiring.config.dvc import lockfile
from rote.wiring.config.nodes import Node
from rote.words.foreign import Made
from rote.words.pipeline import At, Stage


class Records:
    """The records of the project at `root`; a dvc.lock is read when one of its stages is asked for."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._locks: dict[str, dict[str, Node]] = {}

    def lock(self, stage: Stage) -> Made | None:
        """What dvc.lock says of a stage. Raises ConfigError if it is damaged."""
        file = posixpath.join(posixpath.dirname(stage.at.file), "dvc.lock")
        if file not in self._locks:
            data = reading.read_bytes(self._root, file)
            self._locks[file] = lockfile.lock(reading.decode(data, file), file) if data is not None else {}
        name = stage.name.partition(":")[2] if ":" in stage.name.partition("@")[0] else stage.name
        entry = self._locks[file].get(name)
        return (
            None
            if entry is None
            else lockfile.made(entry, stage.wdir, At(file, entry.line, f"stages.{name}"))
        )

    def run(self, stage: Stage, where: str, data: bytes) -> Made | None:
        """What an entry of the cache of runs says; None if it cannot be read: then it is as if it were not there."""
        try:
            return lockfile.run(reading.decode(data, where), where, stage.wdir)
        except ConfigError:
            return None
