"""The stages of one pipeline file: its templates resolved, its generated stages made, its paths made the project's."""

from __future__ import annotations

from rote.wiring.config import generating, stages
from rote.wiring.config.expressions import Options
from rote.wiring.config.refusal import refused
from rote.wiring.config.section import Section
from rote.wiring.config.sources import Sources
from rote.wiring.config.templating import Templating
from rote.words.ids import shown
from rote.words.pipeline import Stage


def read(
    top: Section, folder: str, sources: Sources, *, options: Options, dvc: bool = False
) -> dict[str, Stage]:
    """The stages by their names in the project: `NAME`, or `FOLDER:NAME` below the root; `options` says how mappings
    stand in commands. Raises ConfigError."""
    templating = Templating(top.file, folder, sources, options)
    templating.begin(top)
    found: dict[str, Stage] = {}
    lines: dict[str, int] = {}
    for entry, section in top.sections("stages", "stages"):
        for name, resolved in generating.stages(entry, section, templating):
            full = name if folder == "." else f"{folder}:{name}"
            if full in found:
                raise refused(
                    section.at(),
                    f"this makes a stage {shown(name)}, as line {lines[full]} does",
                    "rename one of them",
                )
            found[full] = stages.read(full, resolved, folder, dvc=dvc)
            lines[full] = section.node.line
    return found
