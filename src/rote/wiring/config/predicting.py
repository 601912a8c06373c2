"""`models.NAME.predictions`: the file that statistical gates compare."""

from __future__ import annotations

from typing import Final

from rote.wiring.config import places
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.words.pipeline import PredictionsFile

KEYS: Final = ("path", "id", "label", "prediction")
SUFFIXES: Final = (".csv", ".jsonl", ".ndjson")


def read(section: Section) -> PredictionsFile | None:
    """What the model's key `predictions` says; None if it is not there. Raises ConfigError."""
    node = section.get("predictions")
    if node is None:
        return None
    if not isinstance(node.value, dict):
        return _file(section, "predictions", section.string("predictions", node, "text or a mapping"), {})
    below = Section(node, section.file, f"{section.key}.predictions")
    below.known(KEYS, "predictions")
    columns = {name: below.text(name) for name in KEYS[1:] if below.get(name)}
    if len(set({"id": "id", "label": "label", "prediction": "prediction", **columns}.values())) < 3:
        raise refused(below.at(), "id, label and prediction are three columns", "give each a name of its own")
    if not below.get("path"):
        raise refused(below.at(), "this has no `path`", "write path: PATH")
    return _file(below, "path", below.text("path"), columns)


def _file(section: Section, key: str, text: str, columns: dict[str, str]) -> PredictionsFile:
    path = places.path(text, ".", section.at(key), "file")
    if not path.lower().endswith(SUFFIXES):
        raise refused(
            section.at(key), f"predictions are CSV or JSON lines, and {path} is neither by its name",
            f"write them to a file whose name ends with {', '.join(SUFFIXES)}",
        )  # fmt: skip
    return PredictionsFile(path=path, **columns)
