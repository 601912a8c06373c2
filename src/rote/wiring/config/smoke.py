"""`stages.NAME.smoke` -> Smoke."""

from __future__ import annotations

from typing import Any, Final

from rote.laws.pipeline.overriding import DEFAULT_FILE
from rote.wiring.config import places
from rote.wiring.config.nodes import Node
from rote.wiring.config.params import SUFFIXES
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.ids import nearest, shown
from rote.words.pipeline import Smoke

_KEYS: Final = ("params", "sample")


def read(section: Section, wdir: str, deps: tuple[str, ...]) -> Smoke | None:
    """What a stage with these deps is content with in a smoke run, or None. Raises ConfigError."""
    node = section.get("smoke")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        raise section.wrong("smoke", node, "a mapping with params and sample")
    below = Section(node, section.file, section.at("smoke").key)
    below.known(_KEYS, "smoke")
    return Smoke(
        params=_params(below, wdir), sample=_sample(below, wdir, deps), at=section.at("smoke")
    )  # fmt: skip


def _mapping(section: Section, name: str, expected: str) -> dict[str, Node]:
    node = section.get(name)
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        raise section.wrong(name, node, expected)
    return node.value


def _params(section: Section, wdir: str) -> dict[str, Any]:
    found = {}
    for text, node in _mapping(section, "params", "a mapping of params to values").items():
        file, colon, key = text.rpartition(":")
        at = section.at(f"params.{text}", node)
        path = places.path(file.strip() if colon else DEFAULT_FILE, wdir, at, "params file")
        if not path.lower().endswith(SUFFIXES):
            raise refused(
                at,
                f"{shown(path)} is not a params file; expected one that ends with {', '.join(SUFFIXES)}",
                "write KEY: VALUE, or FILE:KEY: VALUE",
            )
        if not key.strip():
            raise refused(at, "expected the key of a param, found none", "write KEY: VALUE")
        found[f"{path}:{key.strip()}"] = node.bare()
    return found


def _sample(section: Section, wdir: str, deps: tuple[str, ...]) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    for text, node in _mapping(section, "sample", "a mapping of deps to numbers or paths").items():
        at = section.at(f"sample.{text}", node)
        path = places.path(text, wdir, at, "dep")
        if path not in deps:
            near = nearest(path, list(deps))
            raise refused(
                at,
                f"{shown(path)} is no dep of this stage",
                f"did you mean {shown(near)}?" if near else "list it under `deps`",
            )
        if isinstance(node.value, str):
            found[path] = places.path(section.string(f"sample.{text}", node), wdir, at, "sample")
            continue
        if not isinstance(node.value, int) or isinstance(node.value, bool):
            raise section.wrong(f"sample.{text}", node, "a number of files or records, or a path")
        if node.value < 1:
            raise refused(at, f"expected a number from 1 on, found {node.text}", "write how many to take")
        found[path] = node.value
    return found
