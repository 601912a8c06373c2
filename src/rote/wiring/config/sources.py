"""The files that a pipeline is read from: each is read once, and what was read is known afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rote.wiring.config import params, reading
from rote.words.pipeline import At


class Sources:
    """Files below `root`; `instead` has the bytes of files that are taken to be others than they are."""

    def __init__(self, root: str | None, instead: Mapping[str, bytes] | None = None) -> None:
        self.root = root
        self.seen: dict[str, bytes | None] = {}
        self._instead = instead or {}

    def read(self, file: str) -> bytes | None:
        """The file's bytes; None if it is not there. Raises ConfigError."""
        if file not in self.seen:
            there = self._instead.get(file)
            if there is None and self.root is not None:
                there = reading.read_bytes(self.root, file)
            self.seen[file] = there
        return self.seen[file]

    def text(self, file: str) -> str:
        """The file's text; nothing where it is not there. Raises ConfigError."""
        data = self.read(file)
        return "" if data is None else reading.decode(data, file)

    def values(self, file: str, at: At | None = None) -> dict[str, Any] | None:
        """What a params file holds; None if it is not there and nobody asks for it (`at` says where). Raises
        ConfigError."""
        data = self.read(file)
        if data is None:
            if at is not None:
                raise reading.missing(file, at)
            return None
        return params.decode(reading.decode(data, file), file)
