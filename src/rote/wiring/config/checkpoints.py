"""`stages.NAME.checkpoints` -> CheckpointRule."""

from __future__ import annotations

from typing import Final

from rote.wiring.config import durations, places
from rote.wiring.config.nodes import Node
from rote.wiring.config.refusal import refused, unknown
from rote.wiring.config.section import Section
from rote.words.ids import shown
from rote.words.pipeline import At, CheckpointRule

_KEYS: Final = ("path", "keep", "every")
_MOST: Final = 1000


def read(section: Section, wdir: str) -> CheckpointRule | None:
    """The rule of a stage, or None. Raises ConfigError."""
    node = section.get("checkpoints")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        text = section.string("checkpoints", node, "text (a folder), or a mapping with path, keep and every")
        return CheckpointRule(path=_path(text, wdir, section.at("checkpoints", node)))
    below = Section(node, section.file, section.at("checkpoints").key)
    for name in node.value:
        if name not in _KEYS:
            raise unknown(below.at(name), name, list(_KEYS), "checkpoints")
    text = below.text("path")
    if not text:
        raise refused(below.at(), "expected a `path`, found none", "write checkpoints: {path: FOLDER}")
    rule = CheckpointRule(path=_path(text, wdir, below.at("path")))
    keep, every = below.get("keep"), below.get("every")
    return CheckpointRule(
        path=rule.path,
        keep=rule.keep if keep is None else _keep(below, keep),
        every=rule.every if every is None else durations.read(below, "every", every),
    )


def _path(text: str, wdir: str, at: At) -> str:
    path = places.path(text, wdir, at, "checkpoint folder")
    if path in ("rote.yaml", "rote.local.yaml") or path.endswith(".rote"):
        raise refused(
            at, f"{shown(path)} is a file of rote's own", "choose another folder for the checkpoints"
        )
    return path


def _keep(section: Section, node: Node) -> int:
    if not isinstance(node.value, int) or isinstance(node.value, bool):
        raise section.wrong("keep", node, "a number of checkpoints")
    if not 1 <= node.value <= _MOST:
        raise refused(section.at("keep", node), f"expected 1 to {_MOST} checkpoints, found {node.text}")
    return node.value
