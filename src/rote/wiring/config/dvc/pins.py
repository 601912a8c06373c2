"""Every `.dvc` file of a project -> what it pins."""

from __future__ import annotations

from rote.wiring.config import reading
from rote.wiring.config.dvc import finding, lockfile
from rote.wiring.config.refusal import refused
from rote.words.foreign import Pinned
from rote.words.ids import shown


def read(root: str) -> list[Pinned]:
    """What is pinned, by path. Raises ConfigError."""
    found: dict[str, Pinned] = {}
    for file in finding.files(root).pins:
        data = reading.read_bytes(root, file)
        for pinned in lockfile.pins(reading.decode(data or b"", file), file):
            if pinned.path in found:
                first = found[pinned.path].at
                raise refused(
                    pinned.at, f"{shown(pinned.path)} is pinned twice; first in {first}", "remove one"
                )
            found[pinned.path] = pinned
    return [found[path] for path in sorted(found)]
