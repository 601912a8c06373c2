"""`cache: {folder, size}`: the read cache, which keeps what was read from a store that is no folder."""

from __future__ import annotations

import re
from typing import Final

from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.pipeline import ReadCache

KEYS: Final = ("folder", "size")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?)(i?)B?\Z")
_POWER: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def read(section: Section) -> ReadCache | None:
    """What the section's key `cache` says; None if it is not there. Raises ConfigError."""
    node = section.get("cache")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        raise section.wrong("cache", node, "a mapping with folder, size")
    key = f"{section.key}.cache" if section.key else "cache"
    below = Section(node, section.file, key)
    below.known(KEYS, "cache")
    return ReadCache(folder=below.text("folder") or None, size=bytes_of(below, "size", "size: 0 is no cache"))


def bytes_of(section: Section, name: str, hint: str) -> int | None:
    """A number of bytes, such as 20 GB; None if it is not there. Raises ConfigError."""
    node = section.get(name)
    if node is None:
        return None
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value >= 0:
        return node.value
    match = _SIZE.match(node.value.strip()) if isinstance(node.value, str) else None
    if match is None:
        raise refused(section.at(name, node), f"expected bytes, such as 20 GB, found {node.text}", hint)
    return int(float(match[1]) * (1024 if match[3] else 1000) ** _POWER[match[2].upper()])
